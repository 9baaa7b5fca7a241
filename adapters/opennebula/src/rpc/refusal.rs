use backend::BackendError;

/// What the service says when it does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An error of the service itself, with its code (source `RequestManager`, `ErrorCode`).
    Error { code: i64, message: String },
    /// A fault of its XML-RPC layer: the call is none that it understands.
    Fault { code: i64, message: String },
}

/// Codes of the service: bits of one number, of which one is set.
const AUTHENTICATION: i64 = 0x100;
const AUTHORIZATION: i64 = 0x200;
const NO_EXISTS: i64 = 0x400;
const ACTION: i64 = 0x800;
const RPC_API: i64 = 0x1000;
const INTERNAL: i64 = 0x2000;
const ALLOCATE: i64 = 0x4000;
const LOCKED: i64 = 0x8000;
const REPLICATION: i64 = 0x10000;

impl Refusal {
    /// Whether the session is not accepted: a wrong password or an expired token, which cannot be told apart.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Error { code: AUTHENTICATION, .. })
    }

    /// Whether another object of the same owner has the name.
    pub(crate) fn is_name_taken(&self) -> bool {
        matches!(self, Self::Error { message, .. } if message.contains("NAME is already taken by"))
    }

    /// Whether it may be an address that was wished for that is not to be had: used, or on no range of the network.
    /// There is no code and no one text for that.
    pub(crate) fn is_about_an_address(&self) -> bool {
        match self {
            Self::Error { code: ACTION | INTERNAL, .. } => {
                !matches!(BackendError::from(self.clone()), BackendError::NotFound(_) | BackendError::Unreachable(_))
            }
            _ => false,
        }
    }

    /// Whether the object is not there.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(BackendError::from(self.clone()), BackendError::NotFound(_))
    }
}

/// Whether one of the phrases is in the message, whatever its case.
fn says(message: &str, phrases: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}

/// One code stands for many things; the text tells them apart. What no phrase knows is a refusal, since it came with a
/// reason.
impl From<Refusal> for BackendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Fault { code: -506, message } => {
                Self::Unsupported(format!("do this: {message}; this version of OpenNebula is too old for it"))
            }
            Refusal::Fault { code, message } => {
                Self::Failed(format!("OpenNebula does not understand the call (fault {code}): {message}"))
            }
            Refusal::Error { code, message } => of_error(code, message),
        }
    }
}

const NO_ROOM: &[&str] =
    &["not enough space", "not enough memory", "not enough cpu", "not enough capacity", "no space"];
const NOT_THERE: &[&str] = &["does not exist", "does not own", "error getting "];
const IN_THE_WAY: &[&str] = &[
    "wrong state",
    "not available for state",
    "in use",
    "using it",
    "can not remove",
    "already",
    "is locked",
    "cannot be deleted until",
    "cannot clone",
    "not part of the address range",
    "cannot get ip/mac lease",
];
const ELECTION: &[&str] = &["no leader found", "in election mode", "is replicating log", "oned cluster"];

fn of_error(code: i64, message: String) -> BackendError {
    match code {
        AUTHENTICATION => BackendError::Unauthorized(message),
        AUTHORIZATION if says(&message, &["limit of "]) && says(&message, &["quota"]) => {
            BackendError::Capacity(format!("{message}; ask for a larger quota or delete something"))
        }
        AUTHORIZATION if says(&message, &["is locked"]) => {
            BackendError::Conflict(format!("{message}; unlock the object at OpenNebula"))
        }
        AUTHORIZATION => {
            BackendError::Refused(format!("{message}; our user at OpenNebula needs a permission or a rule for it"))
        }
        NO_EXISTS => BackendError::NotFound(message),
        REPLICATION => BackendError::Unreachable(message),
        // A follower in a cluster, or none is the leader yet: the same call succeeds later.
        INTERNAL | ACTION if says(&message, ELECTION) => BackendError::Unreachable(message),
        LOCKED => BackendError::Conflict(message),
        ACTION | INTERNAL | ALLOCATE if says(&message, NO_ROOM) => BackendError::Capacity(message),
        ACTION | INTERNAL | ALLOCATE if says(&message, NOT_THERE) => BackendError::NotFound(message),
        ACTION | INTERNAL | ALLOCATE if says(&message, IN_THE_WAY) => BackendError::Conflict(message),
        INTERNAL if says(&message, &["not supported by the sql backend"]) => BackendError::Unsupported(message),
        ACTION | RPC_API | INTERNAL | ALLOCATE => BackendError::Refused(message),
        _ => BackendError::Failed(format!("{message} (code {code})")),
    }
}
