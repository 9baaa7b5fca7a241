use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use backend::BackendError;
use backend_http::{Answer, header::HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use super::Catalogue;

/// A token is renewed this long before its end, since a call that it begins may last.
const MARGIN: Duration = Duration::from_secs(300);

/// The right to call services for a project, for a while.
pub(crate) struct Token {
    /// As it travels.
    pub(crate) header: HeaderValue,
    /// Where the services are.
    pub(crate) catalogue: Catalogue,
    /// Whose objects they are.
    pub(crate) project: String,
    /// What we may, by the roles' names.
    pub(crate) roles: Vec<String>,
    /// How far Keystone's clock is ahead of ours, in seconds, with an error of the time that its answer took.
    pub(crate) clock_ahead: i64,
    renew_from: Instant,
    proved: AtomicBool,
}

#[derive(Deserialize)]
struct Envelope {
    token: Body,
}

#[derive(Deserialize)]
struct Body {
    issued_at: Timestamp,
    expires_at: Timestamp,
    project: Option<Project>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    catalog: Catalogue,
}

#[derive(Deserialize)]
struct Project {
    id: String,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

impl Token {
    /// Reads Keystone's answer to a login.
    pub(super) fn read(answer: &Answer) -> Result<Self, BackendError> {
        let header = subject(answer)?;
        let Envelope { token } = answer.json()?;
        let Some(project) = token.project else {
            return Err(BackendError::Refused(
                "Keystone gives a token without a project; name one in the site's configuration".into(),
            ));
        };
        if !is_id(&project.id) {
            return Err(BackendError::Failed("Keystone answers nonsense: the id of our project is none".into()));
        }
        // By Keystone's clock alone: ours may go wrong.
        let lasts = Duration::try_from(token.expires_at.duration_since(token.issued_at)).unwrap_or_default();
        let renew_from = Instant::now() + lasts.saturating_sub(MARGIN.min(lasts / 5));
        Ok(Self {
            header,
            catalogue: token.catalog,
            project: project.id,
            roles: token.roles.into_iter().map(|role| backend_http::quoted(&role.name)).collect(),
            clock_ahead: token.issued_at.duration_since(Timestamp::now()).as_secs(),
            renew_from,
            proved: AtomicBool::new(false),
        })
    }

    /// Whether it may still be used for something new.
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.renew_from
    }

    /// Notes that a service has accepted it.
    pub(crate) fn prove(&self) {
        self.proved.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_proved(&self) -> bool {
        self.proved.load(Ordering::Relaxed)
    }
}

// The header lets in whoever has it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("project", &self.project).field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// The token itself.
pub(super) fn subject(answer: &Answer) -> Result<HeaderValue, BackendError> {
    let header = answer.headers.get("x-subject-token").filter(|header| (1..=16_384).contains(&header.len()));
    let mut header = header
        .cloned()
        .ok_or_else(|| BackendError::Failed("Keystone answers a login without a token, or with a giant one".into()))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Ids of projects stand in paths.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
