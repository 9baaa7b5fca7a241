//! On whose behalf a backend is called: the id of the request that came through the broker's door travels with every
//! call that it causes, so that the backend's own log can be read beside the broker's.

use std::{fmt, future::Future, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::InvalidName;

/// The header in which it travels over HTTP.
pub const HEADER: &str = "x-request-id";

/// The header in which the trail travels over HTTP, from broker to broker.
pub const TRAIL_HEADER: &str = "x-tombolo-trail";

const MOST: usize = 128;

tokio::task_local! {
    static CURRENT: RequestId;
    static TRAIL: Trail;
}

/// The id of a request: 1 to 128 printable ASCII characters but `"`, `\`, `,` and `;`, so that it needs no quoting in
/// a header or a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RequestId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';');
        if text.is_empty() || text.len() > MOST || !text.bytes().all(plain) {
            let allowed = "printable ASCII without quotes, backslashes, commas and semicolons";
            return Err(InvalidName { what: "the id of a request", most: MOST, allowed });
        }
        Ok(Self(text))
    }
}

impl FromStr for RequestId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.to_owned().try_into()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs `work` on behalf of the request. What it hands to another task is not on its behalf, unless that task asks for
/// a scope of its own.
pub async fn scope<F: Future>(id: RequestId, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The request on whose behalf this runs, if there is one.
#[must_use]
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

/// The brokers that a request has come through, the first one first, at most [`Trail::MOST`]. A broker that finds itself
/// on it stands in a circle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trail(Vec<Uuid>);

impl Trail {
    /// The longest way through brokers.
    pub const MOST: usize = 8;

    /// The brokers, the first one first.
    #[must_use]
    pub fn brokers(&self) -> &[Uuid] {
        &self.0
    }

    /// Whether no broker was before.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is as long as it may be.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    /// The same with one more broker at its end; `None` where it is full.
    #[must_use]
    pub fn followed_by(&self, broker: Uuid) -> Option<Self> {
        (!self.is_full()).then(|| Self(self.0.iter().copied().chain([broker]).collect()))
    }
}

impl FromStr for Trail {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = InvalidName {
            what: "a trail of brokers",
            most: Self::MOST * 38,
            allowed: "UUIDs joined by commas, 8 at most",
        };
        if text.len() > invalid.most {
            return Err(invalid);
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        match parts.map(Uuid::parse_str).collect::<Result<Vec<_>, _>>() {
            Ok(brokers) if brokers.len() <= Self::MOST => Ok(Self(brokers)),
            _ => Err(invalid),
        }
    }
}

impl TryFrom<String> for Trail {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Trail> for String {
    fn from(trail: Trail) -> Self {
        trail.to_string()
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, broker) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{broker}")?;
        }
        Ok(())
    }
}

/// Runs `work` as what has come through these brokers.
pub async fn trail_scope<F: Future>(trail: Trail, work: F) -> F::Output {
    TRAIL.scope(trail, work).await
}

/// The brokers that what this runs for has come through, if any is known.
#[must_use]
pub fn current_trail() -> Option<Trail> {
    TRAIL.try_with(Clone::clone).ok()
}
