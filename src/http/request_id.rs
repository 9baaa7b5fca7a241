//! Every request has an id, from the client or from here, under which everything that it causes can be found.

use std::time::Instant;

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method, StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use backend::request::{TRAIL_HEADER, Trail};
use tracing::{Instrument, field};
use uuid::Uuid;

use super::{Addresses, metrics};
use crate::request;

/// Where the id travels, in requests and in all answers.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// A client's own id is not longer.
const LONGEST: usize = 128;
/// What follows is a secret.
const SECRET_PATHS: [&str; 2] = ["/login/link/", "/invitation/"];
/// So many bytes of a path are logged.
const LOGGED_PATH: usize = 200;

/// The path as it is logged: what follows these is a secret by which somebody gets in.
fn logged(path: &str) -> String {
    // A path may be written with several slashes, or encoded.
    let plain = path.replace("//", "/").to_ascii_lowercase();
    match SECRET_PATHS.into_iter().find(|start| plain.starts_with(start)) {
        Some(start) => format!("{start}(withheld)"),
        None => path[..path.floor_char_boundary(LOGGED_PATH)].to_owned(),
    }
}

/// Gives the request its id, follows it in the log, and measures it.
///
/// # Errors
/// What was asked failed without an answer of its own; the id is on the one that is made of it.
pub async fn follow(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let id = of_client(request.headers()).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let method = request.method().clone();
    let path = logged(request.path());
    let span = tracing::info_span!(
        "request",
        %method,
        path,
        request_id = id,
        user = field::Empty,
        project = field::Empty,
        status = field::Empty,
        milliseconds = field::Empty,
    );
    let (trail, circle) = match trail_of(request.headers()) {
        Ok(trail) => {
            let circle = refusal(&trail, request::broker(), request.method());
            (trail, circle)
        }
        Err(words) => (Trail::default(), Some((StatusCode::BAD_REQUEST, words))),
    };
    let begun = Instant::now();
    let from = request.app_data::<web::Data<Addresses>>().map(|addresses| addresses.client(request.request()));
    let serve = async {
        if let Some(from) = from {
            request::came_from(from.to_string());
        }
        match circle {
            None => next.call(request).await.map(ServiceResponse::map_into_left_body),
            Some((status, words)) => {
                tracing::warn!(reason = words, "refused by its trail");
                let answer = HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(words);
                Ok(request.into_response(answer).map_into_right_body())
            }
        }
    };
    let outcome = request::scope_behind(id.as_str(), trail, serve).instrument(span.clone()).await;
    let header = HeaderValue::from_str(&id);
    let (status, outcome) = match outcome {
        Ok(mut response) => {
            if let Ok(header) = header {
                response.headers_mut().insert(HEADER, header);
            }
            (response.status(), Ok(response))
        }
        Err(error) => {
            let mut response = error.error_response();
            if let Ok(header) = header {
                response.headers_mut().insert(HEADER, header);
            }
            (response.status(), Err(InternalError::from_response(error, response).into()))
        }
    };
    let elapsed = begun.elapsed();
    span.record("status", status.as_u16());
    span.record("milliseconds", elapsed.as_micros() as f64 / 1000.0);
    span.in_scope(|| tracing::debug!(target: "tombolo::access", "answered"));
    metrics::observe(&method, status, elapsed);
    outcome
}

/// The client's own id, if it is one that can be repeated anywhere.
fn of_client(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(HEADER)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
    (!id.is_empty() && id.len() <= LONGEST && id.bytes().all(plain)).then_some(id)
}

/// The brokers that the request has come through, as the last one says.
fn trail_of(headers: &HeaderMap) -> Result<Trail, String> {
    let Some(field) = headers.get(TRAIL_HEADER) else { return Ok(Trail::default()) };
    let read = field.to_str().ok().and_then(|text| text.parse().ok());
    read.ok_or_else(|| format!("{TRAIL_HEADER} must be UUIDs joined by commas, 8 at most; send the request anew\n"))
}

/// Why a request that changes something goes no further: it would go in a circle, or through too many brokers. Reading
/// goes nowhere else, and tells who is here.
fn refusal(trail: &Trail, own: Option<Uuid>, method: &Method) -> Option<(StatusCode, String)> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let words = if own.is_some_and(|own| trail.brokers().contains(&own)) {
        format!(
            "the request has come through this broker already, by way of {trail}: remove the site that leads back\n"
        )
    } else if trail.is_full() {
        format!("the request has come through {} brokers, more than may stand behind one another\n", Trail::MOST)
    } else {
        return None;
    };
    Some((StatusCode::LOOP_DETECTED, words))
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, error::ErrorImATeapot, middleware::from_fn, test, web};

    use super::*;

    #[test]
    async fn a_clients_id_is_taken_if_it_is_plain() {
        let taken = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(id).unwrap());
            of_client(&headers).is_some()
        };
        let longest = "x".repeat(LONGEST);
        for id in ["a", "0-9_A:z.", &longest] {
            assert!(taken(id), "{id}");
        }
        let too_long = "x".repeat(LONGEST + 1);
        for id in ["", "a b", "a\tb", "a\"", "ü", "{}", "a/b", &too_long] {
            assert!(!taken(id), "{id}");
        }
        assert_eq!(of_client(&HeaderMap::new()), None);
    }

    #[test]
    async fn a_request_that_goes_in_a_circle_is_refused() {
        let [own, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let trail = |brokers: &[Uuid]| {
            brokers.iter().fold(Trail::default(), |trail, broker| trail.followed_by(*broker).unwrap())
        };
        let status = |trail: &Trail, method: Method| refusal(trail, Some(own), &method).map(|(status, _)| status);
        let looped = Some(StatusCode::LOOP_DETECTED);
        assert_eq!(status(&trail(&[]), Method::POST), None);
        assert_eq!(status(&trail(&[other]), Method::POST), None);
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(status(&trail(&[other, own]), method.clone()), looped);
            assert_eq!(status(&trail(&[other; Trail::MOST]), method), looped);
        }
        assert_eq!(status(&trail(&[other, own]), Method::GET), None, "who reads may learn that it is a circle");
    }

    #[test]
    async fn the_trail_is_in_scope_and_a_malformed_one_is_refused() {
        let app = App::new().wrap(from_fn(follow)).route(
            "/",
            web::post().to(async || HttpResponse::Ok().body(request::trail().unwrap_or_default().to_string())),
        );
        let app = test::init_service(app).await;
        let call = async |trail: &str| {
            let request = test::TestRequest::post().uri("/").insert_header((TRAIL_HEADER, trail)).to_request();
            let response = test::call_service(&app, request).await;
            (response.status(), String::from_utf8(test::read_body(response).await.to_vec()).unwrap())
        };
        let way = format!("{},{}", Uuid::from_u128(7), Uuid::from_u128(8));
        assert_eq!(call(&way).await, (StatusCode::OK, way.clone()));
        assert_eq!(call("").await, (StatusCode::OK, String::new()));
        for bad in ["x", "7;8", &[way.as_str(); 5].join(",")] {
            assert_eq!(call(bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    async fn the_id_is_in_scope_and_on_every_answer() {
        let app = App::new()
            .wrap(from_fn(follow))
            .route("/", web::get().to(async || HttpResponse::Ok().body(request::current().unwrap_or_default())))
            .route("/error", web::get().to(async || Err::<HttpResponse, _>(ErrorImATeapot("no"))));
        let app = test::init_service(app).await;
        let call = async |path: &str, id: &str| {
            let request = test::TestRequest::with_uri(path).insert_header((HEADER, id)).to_request();
            let response = test::call_service(&app, request).await;
            let answered = response.headers().get(HEADER).unwrap().to_str().unwrap().to_owned();
            (answered, test::read_body(response).await)
        };
        let (answered, body) = call("/", "mine:1").await;
        assert_eq!((answered.as_str(), body.as_ref()), ("mine:1", b"mine:1".as_slice()));
        let (answered, body) = call("/", "not mine").await;
        assert_eq!(answered.as_bytes(), body.as_ref());
        assert_eq!(answered.parse::<Uuid>().unwrap().get_version_num(), 7);
        for path in ["/error", "/nowhere"] {
            assert_eq!(call(path, "mine").await.0, "mine", "{path}");
        }
    }

    /// Something behind the door that fails without an answer.
    async fn fail(_: ServiceRequest, _: Next<impl MessageBody>) -> Result<ServiceResponse, Error> {
        Err(ErrorImATeapot("no answer"))
    }

    #[test]
    async fn a_failure_without_an_answer_has_the_id_too() {
        let app = test::init_service(App::new().wrap(from_fn(fail)).wrap(from_fn(follow))).await;
        let request = test::TestRequest::get().insert_header((HEADER, "mine")).to_request();
        let error = test::try_call_service(&app, request).await.err().unwrap();
        let response = error.error_response();
        assert_eq!(
            (response.status().as_u16(), response.headers().get(HEADER).unwrap().as_bytes()),
            (418, &b"mine"[..])
        );
    }
}
