//! What the tester is asked to do.

use std::{
    fmt,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{CheckError, selection::Selection};

/// Where documents and clients in use disagree, whom to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What the clients in use need.
    Interop,
    /// The letter of the documents.
    Strict,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "interop" => Ok(Self::Interop),
            "strict" => Ok(Self::Strict),
            _ => Err(format!("{text:?} is no mode; interop and strict are")),
        }
    }
}

/// Who asks. Never shown: `Debug` and `Display` hide the secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    None,
    /// HTTP Basic.
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer(String),
    /// `X-Auth-Token`, as sites with Keystone take it.
    Token(String),
}

impl FromStr for Credentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text may hold a secret: no message repeats it.
        let text = text.trim();
        let form = || "write none, basic:USER:PASSWORD, bearer:TOKEN, token:TOKEN or @FILE".to_owned();
        if text == "none" {
            return Ok(Self::None);
        }
        let (scheme, secret) = text.split_once(':').ok_or_else(form)?;
        if secret.is_empty() || secret.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("the credentials hold no secret, or one with control characters".to_owned());
        }
        match scheme {
            "basic" => {
                let (user, password) = secret.split_once(':').ok_or_else(form)?;
                Ok(Self::Basic { user: user.to_owned(), password: password.to_owned() })
            }
            "bearer" => Ok(Self::Bearer(secret.to_owned())),
            "token" => Ok(Self::Token(secret.to_owned())),
            _ => Err(form()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Basic { .. } => "basic:…",
            Self::Bearer(_) => "bearer:…",
            Self::Token(_) => "token:…",
        })
    }
}

impl Credentials {
    /// The header that presents them.
    pub(crate) fn header(&self) -> Option<(&'static str, String)> {
        match self {
            Self::None => None,
            Self::Basic { user, password } => {
                let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
                Some(("Authorization", format!("Basic {pair}")))
            }
            Self::Bearer(token) => Some(("Authorization", format!("Bearer {token}"))),
            Self::Token(token) => Some(("X-Auth-Token", token.clone())),
        }
    }

    /// What must never be seen in a report.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = match self {
            Self::None => Vec::new(),
            Self::Basic { password, .. } => vec![password.clone()],
            Self::Bearer(token) | Self::Token(token) => vec![token.clone()],
        };
        if let (Self::Basic { .. }, Some((_, header))) = (self, self.header()) {
            secrets.extend(header.strip_prefix("Basic ").map(str::to_owned));
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }
}

/// Everything that the tester is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's address; OCCI's paths are below its path.
    pub url: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Whom to follow where documents and clients disagree.
    pub mode: Mode,
    /// The checks to run.
    pub selection: Selection,
    /// Identifier of the OS template for computes; the first one offered when absent.
    pub os_tpl: Option<String>,
    /// Identifier of the size template for computes; none when absent.
    pub resource_tpl: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a state may take to arrive.
    pub patience: Duration,
    /// Whether whole collections may be emptied that hold what others made.
    pub destructive: bool,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Set to true to end early: what was made is removed, and the other checks are skipped.
    pub interrupted: Arc<AtomicBool>,
}

impl Options {
    /// All checks, as nobody, in the interop mode.
    ///
    /// # Errors
    /// The address is none.
    pub fn new(url: &str) -> Result<Self, CheckError> {
        crate::address::Address::parse(url)?;
        Ok(Self {
            url: url.to_owned(),
            credentials: Credentials::None,
            mode: Mode::Interop,
            selection: Selection::default(),
            os_tpl: None,
            resource_tpl: None,
            timeout: Duration::from_secs(30),
            patience: Duration::from_secs(120),
            destructive: false,
            ca_file: None,
            insecure: false,
            interrupted: Arc::new(AtomicBool::new(false)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_and_never_shown() {
        let basic: Credentials = "basic:ann:p:w".parse().unwrap();
        assert_eq!(basic, Credentials::Basic { user: "ann".into(), password: "p:w".into() });
        assert_eq!(basic.header(), Some(("Authorization", "Basic YW5uOnA6dw==".to_owned())));
        assert_eq!(basic.secrets(), ["p:w", "YW5uOnA6dw=="]);
        let token: Credentials = "token:abc\n".parse().unwrap();
        assert_eq!(token.header(), Some(("X-Auth-Token", "abc".to_owned())));
        assert_eq!(format!("{token:?}"), "token:…");
        for wrong in ["", "basic:ann", "bearer:", "digest:x:y", "bearer:a\u{7}b"] {
            let problem = wrong.parse::<Credentials>().unwrap_err();
            assert!(!problem.contains("ann") && !problem.contains('\u{7}'), "{problem}");
        }
    }
}
