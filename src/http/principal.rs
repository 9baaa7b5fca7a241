use actix_web::{HttpRequest, http::header};
use tracing::field;

use crate::{
    broker::Broker,
    login::{self, Credentials, Principal},
    request,
    store::StoreError,
};

/// Who asks, if the request says so convincingly.
///
/// # Errors
/// The database failed.
pub async fn of(asked: &HttpRequest, broker: &Broker) -> Result<Option<Principal>, StoreError> {
    let Some(credentials) = credentials(asked) else { return Ok(None) };
    let principal = login::authenticate(broker.db(), &credentials).await?;
    if let Some(principal) = &principal {
        let span = tracing::Span::current();
        request::sent_by(principal.actor());
        span.record("user", principal.user_name.as_str()).record("project", field::display(principal.project.0));
    }
    Ok(principal)
}

/// What the request presents, if that is readable.
pub fn credentials(request: &HttpRequest) -> Option<Credentials> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    Credentials::from_headers(text(header::AUTHORIZATION.as_str()), text("x-auth-token"))
}
