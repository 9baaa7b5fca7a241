use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;

use super::BODY_LIMIT;
use crate::login::gate::GateError;

/// Why nothing comes of a request, in Keystone's form.
#[derive(Debug)]
pub enum Fault {
    /// What was shown opens nothing; why is not told.
    Unauthenticated,
    /// The request cannot be read.
    Malformed(String),
    /// It is longer than requests are.
    TooLong,
    /// The method has no meaning here; these have.
    NotAllowed(&'static str),
    /// There is nothing of this name, or nothing that the asker may see.
    NotFound,
    /// The asker may not do this.
    Forbidden(String),
    /// The gate's word.
    Gate(GateError),
}

impl From<GateError> for Fault {
    fn from(error: GateError) -> Self {
        Self::Gate(error)
    }
}

impl From<crate::store::StoreError> for Fault {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Gate(error.into())
    }
}

impl Fault {
    /// The answer, to a client that calls this server so.
    pub fn response(&self, base: &str) -> HttpResponse {
        let (status, message) = match self {
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "this opens nothing: give your user name and an app token as password, an app token, or an access \
                 token of your provider; `tombolo login` gets an app token"
                    .to_owned(),
            ),
            Self::Malformed(words) => (StatusCode::BAD_REQUEST, words.clone()),
            Self::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {BODY_LIMIT} bytes")),
            Self::NotAllowed(methods) => (StatusCode::METHOD_NOT_ALLOWED, format!("allowed are {methods}")),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is nothing here".to_owned()),
            Self::Forbidden(words) => (StatusCode::FORBIDDEN, words.clone()),
            Self::Gate(GateError::Refused(words)) => (StatusCode::FORBIDDEN, words.clone()),
            Self::Gate(GateError::Away(words)) => (StatusCode::SERVICE_UNAVAILABLE, words.clone()),
            Self::Gate(GateError::Store(error)) => {
                tracing::warn!(%error, "the Keystone door cannot answer");
                (StatusCode::SERVICE_UNAVAILABLE, "the database is in trouble; try again".to_owned())
            }
        };
        let mut response = HttpResponse::build(status);
        match self {
            Self::Unauthenticated => {
                response.insert_header(("WWW-Authenticate", format!("Keystone uri='{base}{}/v2.0'", super::PATH)));
            }
            Self::NotAllowed(methods) => {
                response.insert_header(("Allow", *methods));
            }
            Self::Gate(GateError::Away(_) | GateError::Store(_)) => {
                response.insert_header(("Retry-After", "10"));
            }
            _ => {}
        }
        let title = status.canonical_reason().unwrap_or("Error");
        let error = json!({ "error": { "code": status.as_u16(), "title": title, "message": message } });
        super::json(&mut response, &error)
    }
}
