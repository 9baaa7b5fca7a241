//! `/healthz`, for those who restart a process that hangs, and `/readyz`, for those who choose where to send requests.
//! Neither asks who is there, so neither tells more than a stranger may know.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web,
};
use tokio_util::sync::CancellationToken;

use super::{not_allowed, plain};
use crate::broker::{Broker, Readiness};

/// The process answers.
pub async fn alive(request: HttpRequest) -> HttpResponse {
    match *request.method() {
        Method::GET | Method::HEAD => plain(StatusCode::OK, "ok\n"),
        _ => not_allowed("GET, HEAD"),
    }
}

/// The process can do its work.
pub async fn ready(
    request: HttpRequest,
    broker: web::Data<Broker>,
    shutdown: web::Data<CancellationToken>,
) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    if shutdown.is_cancelled() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is ending\n");
    }
    let (status, text) = told(&broker.readiness().await);
    plain(status, text)
}

fn told(readiness: &Readiness) -> (StatusCode, String) {
    let (status, mut text) = match readiness.obstacles.as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        obstacles => (StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n"),
    };
    for site in &readiness.away {
        text += &format!("away: site {site}\n");
    }
    (status, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_that_are_away_are_no_obstacle() {
        let away = vec!["lab".to_owned()];
        let readiness = Readiness { obstacles: Vec::new(), away: away.clone() };
        assert_eq!(told(&readiness), (StatusCode::OK, "ready\naway: site lab\n".to_owned()));
        let readiness = Readiness { obstacles: vec!["one".into(), "two".into()], away };
        assert_eq!(told(&readiness), (StatusCode::SERVICE_UNAVAILABLE, "one\ntwo\naway: site lab\n".to_owned()));
    }
}
