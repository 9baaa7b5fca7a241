use actix_web::{HttpRequest, http::header, web};
use tracing::field;

use crate::login::{
    Credentials, Principal,
    gate::{Gate, GateError},
};

/// Who asks, if the request says so convincingly.
///
/// # Errors
/// They must name a project; the provider or the database failed.
pub async fn of(request: &HttpRequest) -> Result<Option<Principal>, GateError> {
    let Some(credentials) = credentials(request) else { return Ok(None) };
    let Some(gate) = request.app_data::<web::Data<Gate>>() else { return Ok(None) };
    let principal = gate.principal(&credentials).await?;
    if let Some(principal) = &principal {
        let span = tracing::Span::current();
        span.record("user", principal.user_name.as_str()).record("project", field::display(principal.project.0));
    }
    Ok(principal)
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
