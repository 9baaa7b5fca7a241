//! `/events`: what happens in the caller's project, as it happens or page by page.

mod consumers;
mod rendering;
mod stream;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, HeaderValue},
    },
    web,
};
pub use consumers::Consumers;
use occi_schema::MediaType;
use tokio_util::sync::CancellationToken;

use self::stream::{Follower, Stream};
use super::{
    address::base_of,
    challenge,
    occi::Failure,
    principal::{self, Shown},
};
use crate::broker::{Broker, BrokerError, EventsRead};
use crate::login::gate::Gate;

/// So many events are read at once.
const PAGE: i64 = 256;
/// How long a client should wait before it comes again, in seconds, when too many are there.
const COME_AGAIN: u32 = 10;

/// How the events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// One page now.
    Page,
    /// All from now on, until the client goes.
    Stream,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    manner: Manner,
    /// The place after which to begin; the end of the log when there is none.
    after: Option<i64>,
    /// After so many events it is enough.
    limit: Option<u64>,
}

/// The door.
pub async fn door(
    request: HttpRequest,
    broker: web::Data<Broker>,
    gate: web::Data<Gate>,
    consumers: web::Data<Consumers>,
    shutdown: web::Data<CancellationToken>,
) -> HttpResponse {
    let mode = broker.mode();
    match lead(&request, &broker, &gate, consumers.into_inner(), &shutdown).await {
        Ok(response) => response,
        Err(failure) => {
            let mut response = failure.response(MediaType::TextPlain, mode);
            challenge::put(&mut response, &request, &base_of(&request));
            response
        }
    }
}

async fn lead(
    request: &HttpRequest,
    broker: &Broker,
    gate: &Gate,
    consumers: Arc<Consumers>,
    shutdown: &CancellationToken,
) -> Result<HttpResponse, Failure> {
    if request.method() != Method::GET {
        return Err(Failure::NotAllowed("GET"));
    }
    let principal = principal::of(request).await?.ok_or(Failure::Unauthenticated)?;
    let shown = Shown::by(request).ok_or(Failure::Unauthenticated)?;
    let asked = Asked::by(request)?;
    let limit = asked.limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(PAGE);
    if asked.manner == Manner::Page {
        let read = broker.events(&principal, asked.after, limit.min(PAGE)).await?;
        return Ok(json(&rendering::page(&read, asked.after)));
    }
    let place = consumers.admit(principal.project).ok_or_else(|| BrokerError::Unavailable {
        reason: "too many streams of events are open; close some, or ask for pages in application/json".into(),
        retry_after: COME_AGAIN,
    })?;
    // Before the first look, so that nothing is missed in between.
    let end = broker.db().event_bell().subscribe();
    let first = broker.events(&principal, asked.after, PAGE).await?;
    let follower = Follower { broker: broker.clone(), gate: gate.clone(), principal, shown, place };
    let stream = Stream::new(follower, first, asked.after, asked.limit, end, shutdown.clone());
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header((header::CACHE_CONTROL, "no-store"));
    // nginx would gather events until its buffer is full.
    response.insert_header(("X-Accel-Buffering", "no"));
    Ok(response.streaming(stream.into_bytes()))
}

fn json(value: &serde_json::Value) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").insert_header((header::CACHE_CONTROL, "no-store"));
    response.body(value.to_string())
}

impl Asked {
    fn by(request: &HttpRequest) -> Result<Self, Failure> {
        let accept: Vec<&str> =
            request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).collect();
        let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| Failure::status(400, "the query cannot be read; write ?after=N&limit=N"))?;
        let last_event_id = request.headers().get("last-event-id").map(HeaderValue::as_bytes);
        let last_event_id = last_event_id.map(|id| std::str::from_utf8(id).unwrap_or("?"));
        Self::of(&accept.join(","), last_event_id, &query)
    }

    fn of(accept: &str, last_event_id: Option<&str>, query: &[(String, String)]) -> Result<Self, Failure> {
        let number = |name: &str, text: &str| {
            let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
            number.ok_or_else(|| Failure::status(400, format!("{name} must be a whole number from 0")))
        };
        let asked = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.as_str());
        // A browser that comes again has the URL of the first time, and the place where it was since.
        let after = match (last_event_id.filter(|id| !id.is_empty()), asked("after")) {
            (Some(id), _) => Some(number("Last-Event-ID", id)?),
            (None, Some(after)) => Some(number("after", after)?),
            (None, None) => None,
        };
        let limit = asked("limit").map(|limit| number("limit", limit)).transpose()?;
        if limit == Some(0) {
            return Err(Failure::status(400, "limit must be a whole number from 1"));
        }
        Ok(Self { manner: Manner::of(accept)?, after, limit: limit.map(i64::unsigned_abs) })
    }
}

impl Manner {
    /// What is named first, of what there is.
    fn of(accept: &str) -> Result<Self, Failure> {
        if accept.trim().is_empty() {
            return Ok(Self::Stream);
        }
        let media = accept.split(',').filter_map(|range| range.split(';').next()).map(str::trim);
        let known = media.filter_map(|media| match media.to_ascii_lowercase().as_str() {
            "application/json" | "application/*" => Some(Self::Page),
            "text/event-stream" | "text/*" | "*/*" => Some(Self::Stream),
            _ => None,
        });
        let first = known.into_iter().next();
        first.ok_or_else(|| Failure::status(406, "there are text/event-stream and application/json"))
    }
}

impl EventsRead {
    /// The place after which to read on.
    fn next(&self, after: Option<i64>, read_to: Option<i64>) -> i64 {
        match self {
            Self::Reset(end) => *end,
            Self::Page(_, end) => read_to.or(after).unwrap_or(*end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str, last_event_id: Option<&str>, query: &[(&str, &str)]) -> Result<Asked, u16> {
        let query: Vec<(String, String)> =
            query.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Asked::of(accept, last_event_id, &query).map_err(|failure| match failure {
            Failure::Status(status, _) => status,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_place_is_where_the_client_was_last() {
        let after = |id, query: &[(&str, &str)]| asked("", id, query).map(|asked| asked.after);
        assert_eq!(after(None, &[]), Ok(None));
        assert_eq!(after(None, &[("after", "0")]), Ok(Some(0)));
        assert_eq!(after(Some("7"), &[("after", "0")]), Ok(Some(7)));
        assert_eq!(after(Some(""), &[("after", "3")]), Ok(Some(3)));
        assert_eq!(after(None, &[("after", &i64::MAX.to_string())]), Ok(Some(i64::MAX)));
        for odd in ["-1", "x", "1.5", "9223372036854775808", "?"] {
            assert_eq!(after(None, &[("after", odd)]), Err(400), "{odd}");
            assert_eq!(after(Some(odd), &[]), Err(400), "{odd}");
        }
        assert_eq!(asked("", None, &[("limit", "0")]), Err(400));
        assert_eq!(asked("", None, &[("limit", "5")]).unwrap().limit, Some(5));
    }

    #[test]
    fn the_manner_is_the_first_that_there_is() {
        let manner = |accept| asked(accept, None, &[]).map(|asked| asked.manner);
        for accept in ["", "*/*", "text/event-stream", "text/html, text/event-stream;q=0.9"] {
            assert_eq!(manner(accept), Ok(Manner::Stream), "{accept}");
        }
        for accept in ["application/json", "application/json, text/plain, */*", "Application/JSON;q=1"] {
            assert_eq!(manner(accept), Ok(Manner::Page), "{accept}");
        }
        assert_eq!(manner("text/html"), Err(406));
    }
}
