use actix_web::{HttpRequest, http::header};

use crate::{
    broker::Broker,
    login::{self, Credentials, Principal},
    store::StoreError,
};

/// Who asks, if the request says so convincingly.
///
/// # Errors
/// The database failed.
pub async fn of(request: &HttpRequest, broker: &Broker) -> Result<Option<Principal>, StoreError> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match Credentials::from_headers(text(header::AUTHORIZATION.as_str()), text("x-auth-token")) {
        Some(credentials) => login::authenticate(broker.db(), &credentials).await,
        None => Ok(None),
    }
}
