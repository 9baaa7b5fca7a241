use actix_web::{HttpRequest, http::header, web};
use tracing::field;

use super::{
    Doors,
    login::{self, by_session},
};
use crate::{
    login::{
        Credentials, Principal,
        gate::{Gate, GateError},
    },
    store::{member::ProjectId, session},
};

/// Who asks, if the request says so convincingly.
///
/// # Errors
/// They must name a project; the provider or the database failed.
pub async fn of(request: &HttpRequest) -> Result<Option<Principal>, GateError> {
    // A browser adds its cookie to whatever it is made to ask for; who shows something else means that.
    let principal = if shows_something(request) { by_credentials(request).await? } else { by_session(request).await? };
    if let Some(principal) = &principal {
        let span = tracing::Span::current();
        crate::request::sent_by(&principal.user_name, Some(principal.user.0), principal.by.to_string());
        span.record("user", principal.user_name.as_str()).record("project", field::display(principal.project.0));
    }
    Ok(principal)
}

async fn by_credentials(request: &HttpRequest) -> Result<Option<Principal>, GateError> {
    let Some(credentials) = credentials(request) else { return Ok(None) };
    let Some(gate) = request.app_data::<web::Data<Gate>>() else { return Ok(None) };
    let principal = gate.principal(&credentials).await?;
    let doors = request.app_data::<web::Data<Doors>>();
    if let (Some(principal), Some(doors)) = (&principal, doors)
        && doors.confirmations.keep(principal.user).await
    {
        // Their provider was asked, and may have said no.
        return gate.principal(&credentials).await;
    }
    Ok(principal)
}

/// By what somebody has shown who they are, to be looked at again while an answer goes on.
pub enum Shown {
    /// A token.
    Credentials(Credentials),
    /// The session of this cookie's hash.
    Session(String),
}

impl Shown {
    /// What the request shows.
    pub fn by(request: &HttpRequest) -> Option<Self> {
        if shows_something(request) {
            return credentials(request).map(Self::Credentials);
        }
        login::cookie_hash(request).map(Self::Session)
    }

    /// Where it lets act now, if it still does.
    ///
    /// # Errors
    /// The provider or the database failed.
    pub async fn project(&self, gate: &Gate) -> Result<Option<ProjectId>, GateError> {
        match self {
            Self::Credentials(credentials) => Ok(gate.principal(credentials).await?.map(|principal| principal.project)),
            Self::Session(hash) => {
                let live = session::find_live(gate.db(), hash).await?;
                Ok(live.and_then(|live| live.acts_in()))
            }
        }
    }
}

/// Whether the request has a field by which somebody says who they are, readable or not.
pub fn shows_something(request: &HttpRequest) -> bool {
    request.headers().contains_key(header::AUTHORIZATION) || request.headers().contains_key("x-auth-token")
}

/// What the request presents, if that is readable.
pub fn credentials(request: &HttpRequest) -> Option<Credentials> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let credentials = Credentials::from_headers(text(header::AUTHORIZATION.as_str()), text("x-auth-token"));
    credentials.map(|credentials| credentials.acting_in(text("x-project")))
}
