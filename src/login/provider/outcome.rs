use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::login::{identity::Claims, local_path::LocalPath};

/// A provider, for people who choose one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// In addresses.
    pub name: String,
    /// For people.
    pub title: String,
}

/// A sign-in that begins.
#[derive(Clone)]
pub struct Begun {
    /// Where the browser is to go.
    pub location: String,
    /// What it must bring back, as a cookie of ten minutes.
    pub cookie: String,
}

/// With what the browser comes back from the provider.
#[derive(Clone, Default, Deserialize)]
pub struct CallbackAnswer {
    /// Buys the tokens.
    pub code: Option<String>,
    /// Says which sign-in it is.
    pub state: Option<String>,
    /// Says which provider it is from (RFC 9207).
    pub iss: Option<String>,
    /// Why not.
    pub error: Option<String>,
    /// The same in words.
    pub error_description: Option<String>,
}

/// A sign-in that came to its end.
#[derive(Clone)]
pub struct Finished {
    /// Who it is.
    pub signed_in: SignedIn,
    /// Where they wanted to go.
    pub next: LocalPath,
    /// What may not be seen twice: the caller remembers it before it lets anybody in, and refuses who comes with it
    /// again.
    pub spent: Spent,
}

/// Something that counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Stands for it; tells nothing about it.
    pub key: String,
    /// When it would not count anyway, in seconds since 1970.
    pub expires_at: i64,
}

impl Spent {
    /// What counts once for a purpose, whoever said it.
    pub(super) fn new(purpose: &str, by: &str, what: &str, expires_at: i64) -> Self {
        let mut digest = Sha256::new();
        for part in [purpose, by, what] {
            // With its length, so that no two lists of parts are the same bytes.
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        Self { key: format!("{purpose}:{}", URL_SAFE_NO_PAD.encode(digest.finalize())), expires_at }
    }
}

/// Somebody whom a provider vouches for.
#[derive(Clone)]
pub struct SignedIn {
    /// The provider's name.
    pub provider: String,
    /// Who it is, and what is said about them.
    pub claims: Claims,
    /// The provider's name for its session, for back-channel logout.
    pub sid: Option<String>,
    /// To be shown when signing out; empty if the provider gave none when it was asked again, or a very long one.
    pub id_token: String,
    /// To ask again. Each may be worth one question only: the new one has to be kept, and two must not ask at once.
    pub refresh_token: Option<String>,
}

/// Somebody whom a provider did not vouch for again.
#[derive(Clone, PartialEq, Eq)]
pub enum Unconfirmed {
    /// It says no, or vouches for somebody else: their sessions end.
    Ended(String),
    /// It cannot be asked: nothing changes until what was said before expires.
    Away {
        /// What happened.
        reason: String,
        /// To ask with from now on, if the provider changed it before it went away. The old one would end everything.
        refresh_token: Option<String>,
    },
}

/// Who presents an access token of a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Bearer {
    /// The provider's name.
    pub provider: String,
    /// Who it is, and what is said about them.
    pub claims: Claims,
    /// When the token ends, in seconds since 1970.
    pub expires_at: i64,
}

/// Whose sessions a provider ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// The provider, as it names itself.
    pub issuer: String,
    /// All sessions of somebody, if no single one is named.
    pub subject: Option<String>,
    /// One session, by the provider's name for it.
    pub sid: Option<String>,
    /// The token counts once.
    pub spent: Spent,
}

// What is in these must not reach a log by way of {:?}.
impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Begun")
    }
}

impl fmt::Debug for CallbackAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackAnswer").field("error", &self.error).finish_non_exhaustive()
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished").field("signed_in", &self.signed_in).field("next", &self.next).finish_non_exhaustive()
    }
}

impl fmt::Debug for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(reason) => f.debug_tuple("Ended").field(reason).finish(),
            Self::Away { reason, .. } => f.debug_struct("Away").field("reason", reason).finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = &self.claims.identity;
        f.debug_struct("SignedIn").field("provider", &self.provider).field("identity", identity).finish_non_exhaustive()
    }
}
