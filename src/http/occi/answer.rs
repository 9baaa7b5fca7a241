//! What goes back: renderings, and failures in the rendering that was asked for.

use actix_web::{HttpResponse, HttpResponseBuilder, http::StatusCode};
use occi_schema::{MediaType, ParseError, Rendered, render};

use crate::{broker::BrokerError, store::StoreError};

/// Most bytes of header fields in an answer: what curl takes, and most proxies do not.
const HEADER_LIMIT: usize = 256 << 10;

/// A request that is not carried out.
#[derive(Debug)]
pub enum Failure {
    /// Nobody knows who asks.
    Unauthenticated,
    /// The method has no meaning here; these have.
    NotAllowed(&'static str),
    /// Anything else that this door decides.
    Status(u16, String),
    /// The broker's word.
    Broker(BrokerError),
}

impl Failure {
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::Status(status, message.into())
    }

    pub fn response(self, media: MediaType) -> HttpResponse {
        let (status, message) = match &self {
            Self::Unauthenticated => (401, "a token is needed: `tombolo token create` makes one".to_owned()),
            Self::NotAllowed(methods) => (405, format!("not here; allowed are {methods}")),
            Self::Status(status, message) => (*status, message.clone()),
            Self::Broker(error) => (status_of(error), error.to_string()),
        };
        if status >= 500 {
            tracing::warn!(status, failure = ?self, "a request failed");
        }
        let mut response = start(status);
        match &self {
            // Basic, since every client has it; the token is its password.
            Self::Unauthenticated => response.insert_header(("WWW-Authenticate", "Basic realm=\"tombolo\"")),
            Self::NotAllowed(methods) => response.insert_header(("Allow", *methods)),
            Self::Broker(BrokerError::Unavailable { retry_after, .. }) => {
                response.insert_header(("Retry-After", retry_after.to_string()))
            }
            _ => &mut response,
        };
        finish(response, render::error(media, status, &message))
    }
}

fn status_of(error: &BrokerError) -> u16 {
    match error {
        BrokerError::Invalid(_) => 400,
        BrokerError::Forbidden(_) => 403,
        BrokerError::NotFound(_) => 404,
        BrokerError::Conflict(_) => 409,
        BrokerError::Gone(_) => 410,
        BrokerError::Store(_) | BrokerError::Internal(_) => 500,
        BrokerError::Unimplemented(_) => 501,
        BrokerError::Unavailable { .. } => 503,
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Broker(error.into())
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::status(400, error.to_string())
    }
}

/// A rendering as a response. One in header fields is whole or refused, never cut (section 3.5 of our notes).
pub fn rendered(status: u16, rendered: Rendered) -> HttpResponse {
    if rendered.header_bytes() > HEADER_LIMIT {
        let failure = Failure::status(413, "too much for header fields; ask for text/plain or application/occi+json");
        return failure.response(MediaType::TextOcci);
    }
    finish(start(status), rendered)
}

fn start(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

fn finish(mut response: HttpResponseBuilder, rendered: Rendered) -> HttpResponse {
    response.content_type(rendered.content_type);
    for (name, value) in rendered.headers {
        response.append_header((name, value));
    }
    response.body(rendered.body)
}
