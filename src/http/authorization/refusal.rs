use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde_json::json;

use crate::{http::limit::TooOften, login::device::NotHandedOut, store::StoreError};

/// Why a program gets nothing, in the words of RFC 6749 section 5.2 and RFC 8628 section 3.5.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: String,
    retry_after: Option<u64>,
}

impl Refusal {
    pub fn new(error: &'static str, description: &str) -> Self {
        // RFC 6749 allows neither quotes nor anything that is not ASCII.
        let plain = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        let description = description.chars().map(|c| if c == '"' { '\'' } else { c }).filter(plain).collect();
        Self { status: StatusCode::BAD_REQUEST, error, description, retry_after: None }
    }

    /// It is no request of this kind.
    pub fn request(description: &str) -> Self {
        Self::new("invalid_request", description)
    }

    fn passing(description: &str) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, retry_after: Some(10), ..Self::new("temporarily_unavailable", description) }
    }

    /// The error's name.
    pub fn error(&self) -> &'static str {
        self.error
    }

    /// What it means.
    pub fn description(&self) -> &str {
        &self.description
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.description)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        response.content_type("application/json").insert_header(("Cache-Control", "no-store"));
        response.body(json!({ "error": self.error, "error_description": self.description }).to_string())
    }
}

impl From<NotHandedOut> for Refusal {
    fn from(error: NotHandedOut) -> Self {
        let words = error.to_string();
        match error {
            NotHandedOut::Pending => Self::new("authorization_pending", &words),
            NotHandedOut::SlowDown(_) => Self::new("slow_down", &words),
            NotHandedOut::Denied(_) => Self::new("access_denied", &words),
            NotHandedOut::Expired => Self::new("expired_token", &words),
            NotHandedOut::Void(_) => Self::new("invalid_grant", &words),
            NotHandedOut::Randomness(error) => {
                tracing::error!(%error, "the system gives no random bytes");
                Self::passing("the server has no random numbers at present")
            }
            NotHandedOut::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a token cannot be handed out");
        Self::passing("the database is in trouble; try again")
    }
}

impl From<TooOften> for Refusal {
    fn from(TooOften(seconds): TooOften) -> Self {
        let words = format!("that was too often; wait {seconds} seconds");
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self { status, retry_after: Some(seconds), ..Self::new("slow_down", &words) }
    }
}
