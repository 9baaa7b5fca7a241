//! Every request has an id, from the client or from here, under which everything that it causes can be found.

use std::time::Instant;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web,
};
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
) -> Result<ServiceResponse<impl MessageBody>, Error> {
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
    let begun = Instant::now();
    let from = request.app_data::<web::Data<Addresses>>().map(|addresses| addresses.client(request.request()));
    let serve = async {
        if let Some(from) = from {
            request::came_from(from.to_string());
        }
        next.call(request).await
    };
    let outcome = request::scope(id.as_str(), serve).instrument(span.clone()).await;
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
