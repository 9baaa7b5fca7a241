//! On whose behalf a backend is called: the id of the request that came through the broker's door travels with every
//! call that it causes, so that the backend's own log can be read beside the broker's.

use std::{fmt, future::Future, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// The header in which it travels over HTTP.
pub const HEADER: &str = "x-request-id";

const MOST: usize = 128;

tokio::task_local! {
    static CURRENT: RequestId;
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
