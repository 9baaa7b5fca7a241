//! Who calls, and what they may do.

use std::collections::BTreeSet;

use super::objects::{Kind, Ownership};
use super::{Daemon, seconds};
use crate::wire::answer::{Code, Refusal};

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user.
    pub uid: i32,
    /// The primary group, or the group of the login token.
    pub gid: i32,
    /// All groups.
    pub groups: BTreeSet<i32>,
}

impl Caller {
    /// User 0.
    pub fn oneadmin() -> Self {
        Self { uid: 0, gid: 0, groups: BTreeSet::from([0]) }
    }

    /// Whether this is oneadmin, or a member of its group: all is allowed.
    pub fn is_oneadmin(&self) -> bool {
        self.uid == 0 || self.groups.contains(&0)
    }
}

/// What one wants to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See and use.
    Use,
    /// Change.
    Manage,
    /// Give to others, and more.
    Admin,
    /// Make one.
    Create,
}

impl Right {
    fn word(self) -> &'static str {
        match self {
            Self::Use => "USE",
            Self::Manage => "MANAGE",
            Self::Admin => "ADMIN",
            Self::Create => "CREATE",
        }
    }

    fn bit(self) -> u64 {
        match self {
            Self::Use => 1,
            Self::Manage => 2,
            Self::Admin => 4,
            Self::Create => 8,
        }
    }
}

/// Finds out who calls. Unknown users, wrong passwords, dead tokens and disabled users are refused alike.
///
/// # Errors
/// 256.
pub fn authenticate(daemon: &mut Daemon, session: &str) -> Result<Caller, Refusal> {
    let refused = || Refusal::new(Code::Authentication, "User couldn't be authenticated, aborting call.");
    let (name, secret) = session.split_once(':').ok_or_else(refused)?;
    let now = seconds();
    let (uid, user) = daemon.users.iter_mut().find(|(_, u)| u.name == name).ok_or_else(refused)?;
    if !user.enabled {
        return Err(refused());
    }
    let all: BTreeSet<i32> = user.groups.clone();
    if user.driver == "core" && user.password == secret {
        return Ok(Caller { uid, gid: user.gid, groups: all });
    }
    let token = user.tokens.iter().find(|t| t.token == secret && t.is_valid(now)).ok_or_else(refused)?;
    if token.group >= 0 {
        return Ok(Caller { uid, gid: token.group, groups: BTreeSet::from([token.group]) });
    }
    Ok(Caller { uid, gid: user.gid, groups: all })
}

/// Whether the caller has a right on an object, or may make one (no identifier).
///
/// # Errors
/// 512.
pub fn authorize(
    daemon: &Daemon,
    caller: &Caller,
    right: Right,
    kind: Kind,
    id: Option<i32>,
    ownership: &Ownership,
) -> Result<(), Refusal> {
    if may(daemon, caller, right, kind, id, ownership) {
        return Ok(());
    }
    let object = id.map_or_else(String::new, |id| format!(" [{id}]"));
    Err(Refusal::new(
        Code::Authorization,
        format!("User [{}] : Not authorized to perform {} {}{object}.", caller.uid, right.word(), kind.word()),
    ))
}

/// Whether the caller may make an object of this kind.
///
/// # Errors
/// 512.
pub fn may_create(daemon: &Daemon, caller: &Caller, kind: Kind) -> Result<(), Refusal> {
    let ownership = Ownership { permissions: [false; 9], ..Ownership::of(caller) };
    authorize(daemon, caller, Right::Create, kind, None, &ownership)
}

/// Refuses everybody except oneadmin's group.
///
/// # Errors
/// 512.
pub fn only_oneadmin(caller: &Caller, right: Right, what: &str) -> Result<(), Refusal> {
    if caller.is_oneadmin() {
        return Ok(());
    }
    let text = format!("User [{}] : Not authorized to perform {} {what}.", caller.uid, right.word());
    Err(Refusal::new(Code::Authorization, text))
}

/// The same as a question.
pub fn may(daemon: &Daemon, caller: &Caller, right: Right, kind: Kind, id: Option<i32>, ownership: &Ownership) -> bool {
    if caller.is_oneadmin() {
        return true;
    }
    let column = match right {
        Right::Use => Some(0),
        Right::Manage => Some(1),
        Right::Admin => Some(2),
        Right::Create => None,
    };
    let set =
        |row: usize| column.and_then(|column| ownership.permissions.get(3 * row + column)).copied().unwrap_or_default();
    let permitted = (ownership.uid == caller.uid && set(0))
        || (caller.groups.contains(&ownership.gid) && set(1))
        || (set(2) && right != Right::Create);
    permitted
        || daemon.rules.iter().any(|(_, rule)| {
            rule.concerns(caller) && rule.covers(kind, id, ownership) && rule.rights & right.bit() == right.bit()
        })
}

/// Refuses what a lock forbids.
///
/// # Errors
/// 512, with another text for oneadmin than for others.
pub fn locked(caller: &Caller, right: Right, kind: Kind, id: i32, ownership: &Ownership) -> Result<(), Refusal> {
    let Some(lock) = ownership.lock else { return Ok(()) };
    let forbidden = match right {
        Right::Use | Right::Create => lock.level == 1,
        Right::Manage => lock.level <= 2,
        Right::Admin => true,
    };
    if !forbidden {
        return Ok(());
    }
    let text = if caller.is_oneadmin() {
        format!("User [{}] : {} is locked. [{id}].", caller.uid, kind.word())
    } else {
        format!("User [{}] : Not authorized to perform {} {} [{id}].", caller.uid, right.word(), kind.word())
    };
    Err(Refusal::new(Code::Authorization, text))
}
