use super::{fields::Fields, refusal::Refusal};
use crate::login::{Right, Rights, device};

/// What a program calls itself, and what it wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Nobody has checked it.
    pub client: String,
    /// As asked for; reading and operating when nothing was said.
    pub rights: Rights,
}

impl Wish {
    pub fn of(fields: &Fields) -> Result<Self, Refusal> {
        let client = fields.need("client_id")?;
        if !device::is_client(client) {
            let words = format!("client_id must be 1 to {} printable characters", device::LONGEST_CLIENT);
            return Err(Refusal::request(&words));
        }
        let rights = match fields.get("scope") {
            None => [Right::Read, Right::Operate].into_iter().collect(),
            Some(scope) => {
                scope.parse::<Rights>().map_err(|error| Refusal::new("invalid_scope", &error.to_string()))?
            }
        };
        if rights.is_empty() {
            return Err(Refusal::new("invalid_scope", "scope names read, operate or manage"));
        }
        Ok(Self { client: client.to_owned(), rights })
    }
}
