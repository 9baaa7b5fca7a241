//! What goes back: renderings, and failures in the rendering that was asked for.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use occi_schema::{MediaType, Mode, ParseError, RefusalClass, Rendered, render};

use crate::{
    broker::{BrokerError, Shown},
    login::gate::GateError,
    store::StoreError,
};

/// Most bytes of header fields in an answer: what curl takes, and most proxies do not.
const HEADER_LIMIT: usize = 256 << 10;

/// Seconds after which a provider that is away may be back.
const COME_AGAIN: u32 = 10;

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

    pub fn response(self, media: MediaType, mode: Mode) -> HttpResponse {
        let (status, message) = match &self {
            Self::Unauthenticated => (
                401,
                "a token is needed, and this is none: `tombolo login` gets one, `tombolo token create` makes one"
                    .to_owned(),
            ),
            Self::NotAllowed(methods) => (405, format!("not here; allowed are {methods}")),
            Self::Status(status, message) => (*status, message.clone()),
            Self::Broker(error) => (status_of(error, mode), error.to_string()),
        };
        if matches!(&self, Self::Broker(BrokerError::Unavailable { .. })) {
            // What is missing has its own line and figure; one for each who is turned away would only add to the load.
            tracing::debug!(status, failure = ?self, "a request was turned away");
        } else if matches!(&self, Self::Broker(BrokerError::Incapable(_))) {
            tracing::debug!(status, failure = ?self, "a site cannot do what is asked");
        } else if status >= 500 {
            tracing::warn!(status, failure = ?self, "a request failed");
        }
        let mut response = start(status);
        match &self {
            Self::NotAllowed(methods) => response.insert_header(("Allow", *methods)),
            Self::Broker(BrokerError::Unavailable { retry_after, .. }) => {
                response.insert_header(("Retry-After", retry_after.to_string()))
            }
            _ => &mut response,
        };
        finish(response, render::error(media, status, &message))
    }
}

fn status_of(error: &BrokerError, mode: Mode) -> u16 {
    match error {
        BrokerError::Refused(refusal) => match refusal.class_in(mode) {
            RefusalClass::BadRequest => 400,
            RefusalClass::Forbidden => 403,
            RefusalClass::NotFound => 404,
            RefusalClass::Conflict => 409,
        },
        BrokerError::Invalid(_) => 400,
        BrokerError::Forbidden(_) => 403,
        BrokerError::NotFound(_) => 404,
        BrokerError::Conflict(_) => 409,
        BrokerError::Gone(_) => 410,
        BrokerError::TooMany(_) => 413,
        BrokerError::DifferentRequest(_) => 422,
        BrokerError::Store(_) | BrokerError::Internal(_) => 500,
        BrokerError::Unimplemented(_) | BrokerError::Incapable(_) => 501,
        BrokerError::Unavailable { .. } => 503,
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Store(error) => error.into(),
            GateError::Refused(words) => BrokerError::Forbidden(words).into(),
            GateError::Away(reason) => BrokerError::Unavailable { reason, retry_after: COME_AGAIN }.into(),
        }
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
        return failure.response(MediaType::TextOcci, Mode::Interop);
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

/// The name of an entity's state (RFC 9110 section 8.8.3): it changes with every write to it or its links. Weak, since
/// the same state has several renderings.
pub fn entity_tag(shown: &Shown) -> String {
    format!("W/\"{}-{}\"", shown.version, shown.links.len())
}

/// Whether a field like `If-Match` names the tag.
pub fn names_tag(field: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    field.split(',').any(|named| named.trim() == "*" || opaque(named) == opaque(tag))
}

/// Puts the tag into an answer.
pub fn tag(response: &mut HttpResponse, tag: &str) {
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// Says where the entity is.
pub fn place(response: &mut HttpResponse, url: &str) {
    if let Ok(value) = HeaderValue::from_str(url) {
        response.headers_mut().insert(header::LOCATION, value);
    }
}
