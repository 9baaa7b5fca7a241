use std::{fmt, sync::Arc};

use crate::{Answer, Request};

type Change = Arc<dyn Fn(&Request, Answer) -> Answer + Send + Sync>;

/// What happens to a request, or to its answer.
#[derive(Clone)]
pub enum Fault {
    /// It is read, goes nowhere, and is never answered: the nearest that a service in distress comes to a lost packet.
    Silence,
    /// It goes nowhere, and the connection is cut.
    Cut,
    /// It goes nowhere, and this is answered.
    Refuse(Answer),
    /// The service does what is asked; its answer comes at one byte each second.
    Drip,
    /// The service does what is asked; its answer is lost, and the connection cut.
    LoseAnswer,
    /// The service does what is asked; this is answered instead of what it says.
    Replace(Answer),
    /// The service does what is asked; its answer is another one then.
    Change(Change),
    /// The service does what is asked; its answer is announced wholly, and ends after so many bytes of its body.
    Truncate(usize),
    /// It goes nowhere; what the service answered to the same request before this was ordered is answered again. What
    /// had not been asked then is asked now.
    Replay,
}

impl Fault {
    /// The service does what is asked; the body of its answer is another one then.
    #[must_use]
    pub fn body(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::change(move |_, mut answer| {
            answer.body = change(answer.body.into()).into();
            answer
        })
    }

    /// The service does what is asked; its answer is another one then.
    #[must_use]
    pub fn change(change: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self::Change(Arc::new(change))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("Silence"),
            Self::Cut => f.write_str("Cut"),
            Self::Refuse(answer) => write!(f, "Refuse({})", answer.status),
            Self::Drip => f.write_str("Drip"),
            Self::LoseAnswer => f.write_str("LoseAnswer"),
            Self::Replace(answer) => write!(f, "Replace({})", answer.status),
            Self::Change(_) => f.write_str("Change"),
            Self::Truncate(length) => write!(f, "Truncate({length})"),
            Self::Replay => f.write_str("Replay"),
        }
    }
}

/// How often something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// With the next so many requests that are meant.
    Next(usize),
    /// Until the proxy is healed.
    Always,
}
