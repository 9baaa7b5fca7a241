//! Tokens as OpenStack's clients expect them: short-lived, and got in exchange for something that lasts longer.
//!
//! Such a token is nothing in itself. It names, sealed, what it was got for, and that is looked at anew whenever the
//! token is used: it dies with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::{Secret, SecretError};
use crate::store::{
    Timestamp,
    member::{ProjectId, UserId},
};

const PREFIX: &str = "tombolo-keystone_";
const LABEL: &str = "keystone token";
/// No such token lives longer.
pub const LONGEST_LIFE: Duration = Duration::from_secs(60 * 60);

/// What a token was got for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandsFor {
    /// The app token of this id.
    #[serde(rename = "t")]
    AppToken(Uuid),
    /// An access token of the provider of this name, made for this user.
    #[serde(rename = "p")]
    Provider(String, Uuid),
}

/// What is sealed in a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeystoneToken {
    /// Its own id, by which it is revoked.
    #[serde(rename = "i")]
    pub id: Uuid,
    /// What it was got for.
    #[serde(rename = "f")]
    pub stands_for: StandsFor,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    project: Option<Uuid>,
    #[serde(rename = "a")]
    issued_at: i64,
    #[serde(rename = "e")]
    expires_at: i64,
}

impl KeystoneToken {
    /// A token from now on, until an hour has passed or what it stands for has ended.
    pub fn new(
        stands_for: StandsFor,
        project: Option<ProjectId>,
        now: Timestamp,
        at_most_until: Option<Timestamp>,
    ) -> Self {
        let end = now.plus(LONGEST_LIFE);
        let end = at_most_until.map_or(end, |until| end.min(until));
        Self {
            id: Uuid::now_v7(),
            stands_for,
            project: project.map(|project| project.0),
            issued_at: now.0,
            expires_at: end.0,
        }
    }

    /// The project that it acts in; none if that was not chosen yet.
    pub fn project(&self) -> Option<ProjectId> {
        self.project.map(ProjectId)
    }

    /// The person, when a provider has vouched for one.
    pub fn user(&self) -> Option<UserId> {
        match &self.stands_for {
            StandsFor::AppToken(_) => None,
            StandsFor::Provider(_, user) => Some(UserId(*user)),
        }
    }

    /// Since when there is such a token.
    pub fn issued_at(&self) -> Timestamp {
        Timestamp(self.issued_at)
    }

    /// From when on it is void.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp(self.expires_at)
    }

    /// Under which key it is remembered once it is revoked.
    pub fn spent_key(&self) -> String {
        format!("keystone {}", self.id.simple())
    }

    /// As the client keeps it.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn seal(&self, secret: &Secret) -> Result<String, SecretError> {
        let plain = serde_json::to_vec(self).map_err(|_| SecretError::TooLong)?;
        Ok(format!("{PREFIX}{}", secret.seal(LABEL, &plain)?))
    }

    /// Whether the text looks like one. It may be void nevertheless.
    pub fn is_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads one of ours whose time has not passed; `None` for anything else.
    pub fn open(secret: &Secret, text: &str, now: Timestamp) -> Option<Self> {
        let plain = secret.open(LABEL, text.strip_prefix(PREFIX)?)?;
        let token: Self = serde_json::from_slice(&plain).ok()?;
        (now < token.expires_at()).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from_bytes([3; 32])
    }

    #[test]
    fn a_token_is_read_until_its_end_and_by_its_maker_only() {
        let now = Timestamp(1_800_000_000_000_000);
        let stands_for = StandsFor::Provider("school".into(), Uuid::now_v7());
        let token = KeystoneToken::new(stands_for, Some(ProjectId(Uuid::now_v7())), now, None);
        let text = token.seal(&secret()).unwrap();
        assert!(KeystoneToken::is_like(&text) && text.len() < 400, "{text}");
        let read = |text: &str, after: u64| KeystoneToken::open(&secret(), text, now.plus(Duration::from_secs(after)));
        assert_eq!(read(&text, 3599), Some(token));
        assert_eq!(read(&text, 3600), None);
        assert_eq!(KeystoneToken::open(&Secret::from_bytes([4; 32]), &text, now), None);
        let mut other = text.clone().into_bytes();
        let last = other.len() - 5;
        other[last] ^= 1;
        assert_eq!(read(&String::from_utf8(other).unwrap(), 0), None);
        // What was sealed for something else is no token.
        let sealed = secret().seal("login cookie", b"{}").unwrap();
        assert_eq!(read(&format!("{PREFIX}{sealed}"), 0), None);
        assert_eq!(read("", 0), None);
    }

    #[test]
    fn it_ends_with_what_it_was_got_for() {
        let now = Timestamp(1_800_000_000_000_000);
        let soon = now.plus(Duration::from_secs(60));
        let token = KeystoneToken::new(StandsFor::AppToken(Uuid::now_v7()), None, now, Some(soon));
        assert_eq!(token.expires_at(), soon);
    }
}
