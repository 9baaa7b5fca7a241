//! Who may do what in a project: reading needs one right, changing another.

use super::BrokerError;
use crate::login::{Principal, Right};

/// Whether the principal may see what the project has.
///
/// # Errors
/// [`BrokerError::Forbidden`] if not.
pub(super) fn to_read(principal: &Principal) -> Result<(), BrokerError> {
    require(principal, Right::Read, "see what this project has")
}

/// Whether the principal may make, change and remove what the project has.
///
/// # Errors
/// [`BrokerError::Forbidden`] if not.
pub(super) fn to_operate(principal: &Principal) -> Result<(), BrokerError> {
    require(principal, Right::Operate, "make, change or remove anything in this project")
}

fn require(principal: &Principal, right: Right, what: &str) -> Result<(), BrokerError> {
    if principal.rights.has(right) {
        return Ok(());
    }
    let (user, has) = (&principal.user_name, principal.rights);
    let has = if has.is_empty() { "none".to_owned() } else { has.to_string() };
    Err(BrokerError::Forbidden(format!(
        "{user} may not {what} with this token or session: that needs the right {right}, and it has {has}; use a token \
         with that right, or ask a manager of the project for it"
    )))
}
