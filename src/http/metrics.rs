//! `/metrics`: the figures of this process, as Prometheus reads them.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web,
};
use metrics_exporter_prometheus::PrometheusHandle;
use subtle::ConstantTimeEq;

use super::{not_allowed, plain};
use crate::{config::MetricsConfig, measured};

/// The version of the format (Prometheus' exposition formats).
const MEDIA: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures, and who may read them.
#[derive(Clone)]
pub struct Figures {
    handle: PrometheusHandle,
    token: String,
}

impl Figures {
    /// What is collected, behind the configured token.
    pub fn new(handle: PrometheusHandle, config: &MetricsConfig) -> Self {
        Self { handle, token: config.token.clone() }
    }

    fn opens_to(&self, request: &HttpRequest) -> bool {
        if self.token.is_empty() {
            return true;
        }
        let presented = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let presented = presented.and_then(|value| value.split_once(' '));
        presented.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer") && token.trim().as_bytes().ct_eq(self.token.as_bytes()).into()
        })
    }
}

/// The door.
pub async fn door(request: HttpRequest, figures: web::Data<Figures>) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    if !figures.opens_to(&request) {
        let mut response = plain(StatusCode::UNAUTHORIZED, "the token of [metrics] in the configuration is needed\n");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer realm=\"metrics\""));
        return response;
    }
    // The figures of the last seconds are sorted into their buckets here; other requests need not wait for that.
    let rendered = web::block(move || {
        measured::look_at_process();
        figures.handle.render()
    })
    .await;
    match rendered {
        Ok(text) => HttpResponse::Ok().content_type(MEDIA).body(text),
        Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the server is ending\n"),
    }
}

/// Counts and measures an answered request.
pub fn observe(method: &Method, status: StatusCode, elapsed: Duration) {
    // A client may invent methods; a label may not have as many values.
    let (method, kind) = match *method {
        Method::GET => ("GET", "light"),
        Method::HEAD => ("HEAD", "light"),
        Method::POST => ("POST", "heavy"),
        Method::PUT => ("PUT", "heavy"),
        Method::DELETE => ("DELETE", "heavy"),
        _ => ("other", "heavy"),
    };
    let class = match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    ::metrics::counter!(measured::HTTP_REQUESTS, "method" => method, "class" => class).increment(1);
    ::metrics::histogram!(measured::HTTP_REQUEST_SECONDS, "kind" => kind).record(elapsed);
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test};

    use super::*;

    fn figures(token: &str) -> Figures {
        let handle = measured::recorder().unwrap().handle();
        Figures::new(handle, &MetricsConfig { token: token.to_owned() })
    }

    async fn ask(token: &str, authorization: Option<&str>) -> (u16, String) {
        let app = App::new().app_data(web::Data::new(figures(token))).route("/metrics", web::route().to(door));
        let app = test::init_service(app).await;
        let mut request = test::TestRequest::with_uri("/metrics");
        if let Some(authorization) = authorization {
            request = request.insert_header((header::AUTHORIZATION, authorization));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let media = response.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        (response.status().as_u16(), media)
    }

    #[test]
    async fn with_a_token_nobody_else_reads() {
        let token = "sixteen characters"; // any text: the configuration has checked it
        assert_eq!(ask("", None).await, (200, MEDIA.to_owned()));
        assert_eq!(ask("", Some("Bearer whatever")).await.0, 200);
        assert_eq!(ask(token, Some(&format!("Bearer {token}"))).await.0, 200);
        assert_eq!(ask(token, Some(&format!("bearer  {token}"))).await.0, 200);
        for wrong in [None, Some("Bearer "), Some("Bearer sixteen"), Some("Basic sixteen characters"), Some(token)] {
            assert_eq!(ask(token, wrong).await.0, 401, "{wrong:?}");
        }
    }

    #[test]
    async fn invented_methods_and_statuses_add_no_labels() {
        let recorder = measured::recorder().unwrap();
        ::metrics::with_local_recorder(&recorder, || {
            for number in 0..50 {
                let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
                observe(&method, StatusCode::from_u16(900 + number).unwrap(), Duration::from_millis(3));
            }
            observe(&Method::GET, StatusCode::OK, Duration::from_millis(3));
        });
        let text = recorder.handle().render();
        let counters: Vec<&str> = text.lines().filter(|line| line.starts_with(measured::HTTP_REQUESTS)).collect();
        assert_eq!(counters.len(), 2, "{text}");
        assert!(text.contains("{method=\"other\",class=\"5xx\"} 50"), "{text}");
        assert!(text.contains("kind=\"light\",le=\"0.005\"} 1\n"), "{text}");
    }
}
