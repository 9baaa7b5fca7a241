//! A request sent and what came back: the evidence of a report.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    client::conn::http1::SendRequest,
    http::{HeaderName, HeaderValue, Method, Request as HttpRequest},
};
use serde::Serialize;

use crate::{
    CheckError,
    address::Address,
    answer::Answer,
    connection::Connector,
    options::Options,
    request::{CredentialUse, Request},
};

pub(crate) type RequestBody = Full<Bytes>;

/// Largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 16 << 20;
/// What a report shows of a body, in bytes.
const SHOWN_LIMIT: usize = 8 << 10;
/// An idle connection is not used after that: the server may be closing it, and a request would be lost.
const IDLE_LIMIT: Duration = Duration::from_secs(2);
const USER_AGENT: &str = concat!("occi-check/", env!("CARGO_PKG_VERSION"), " OCCI/1.2");

/// What an exchange was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To have something to look at.
    Preparation,
    /// The rule itself.
    Check,
}

/// A request sent and what came back, without secrets.
#[derive(Debug, Clone, Serialize)]
pub struct Exchange {
    /// What it was for.
    pub purpose: Purpose,
    /// The HTTP method.
    pub method: String,
    /// The path and query that were asked for.
    pub target: String,
    /// Header fields as they were sent.
    pub request_headers: Vec<(String, String)>,
    /// The body sent, cut if long.
    pub request_body: String,
    /// The answer's status; absent when there was no answer.
    pub status: Option<u16>,
    /// The answer's header fields.
    pub answer_headers: Vec<(String, String)>,
    /// The answer's body, cut if long.
    pub answer_body: String,
    /// Why there was no answer.
    pub problem: Option<String>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

/// Sends requests to one server.
pub(crate) struct Client {
    pub(crate) address: Address,
    connector: Connector,
    own: Option<(&'static str, String)>,
    secrets: Vec<String>,
    timeout: Duration,
    idle: Mutex<Option<(SendRequest<RequestBody>, bool, Instant)>>,
}

impl Client {
    pub(crate) fn new(options: &Options) -> Result<Self, CheckError> {
        let address = Address::parse(&options.url)?;
        Ok(Self {
            connector: Connector::new(address.clone(), options)?,
            address,
            own: options.credentials.header(),
            secrets: options.credentials.secrets(),
            timeout: options.timeout,
            idle: Mutex::new(None),
        })
    }

    /// Sends the request and reads the whole answer.
    ///
    /// The exchange is complete in either case; without an answer it says why.
    pub(crate) async fn send(&self, request: &Request, purpose: Purpose) -> (Exchange, Result<Answer, String>) {
        let began = Instant::now();
        let headers = self.headers_of(request);
        let result = match self.address.path(&request.target) {
            None => Err(format!("{} is on another server, which is not asked", request.target)),
            Some(path) => {
                let waiting = self.ask(request, &path, &headers);
                match tokio::time::timeout(self.timeout, waiting).await {
                    Ok(result) => result,
                    Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs())),
                }
            }
        };
        let mut exchange = Exchange {
            purpose,
            method: request.method.to_owned(),
            target: self.clean(&request.target),
            request_headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), self.clean_header(name, value)))
                .collect(),
            request_body: self.clean(&shown(&request.body)),
            status: None,
            answer_headers: Vec::new(),
            answer_body: String::new(),
            problem: None,
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        match &result {
            Ok(answer) => {
                exchange.status = Some(answer.status);
                exchange.answer_headers =
                    answer.headers.iter().map(|(name, value)| (name.clone(), self.clean(&cut(value)))).collect();
                exchange.answer_body = self.clean(&shown(&answer.body));
            }
            Err(problem) => exchange.problem = Some(self.clean(problem)),
        }
        (exchange, result)
    }

    fn headers_of(&self, request: &Request) -> Vec<(String, String)> {
        let mut headers = vec![("Host".to_owned(), self.address.authority.clone())];
        let agent = request.user_agent.as_deref().unwrap_or(USER_AGENT);
        headers.push(("User-Agent".to_owned(), agent.to_owned()));
        match &request.credentials {
            CredentialUse::Own => headers.extend(self.own.clone().map(|(name, value)| (name.to_owned(), value))),
            CredentialUse::Absent => {}
            CredentialUse::Wrong(value) => headers.push(("Authorization".to_owned(), value.clone())),
        }
        headers.extend(request.headers.iter().cloned());
        headers
    }

    async fn ask(&self, request: &Request, path: &str, headers: &[(String, String)]) -> Result<Answer, String> {
        let mut sender = match self.take_idle(request.title_case) {
            Some(sender) => sender,
            None => self.connector.connect(request.title_case).await?,
        };
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
        let body = Full::new(Bytes::from(request.body.clone()));
        let mut http = HttpRequest::builder().method(method).uri(path).body(body).map_err(|error| error.to_string())?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?;
            http.headers_mut().append(name, value);
        }
        let response = sender.send_request(http).await.map_err(|error| format!("the request failed: {error}"))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await;
        let body = body.map_err(|error| format!("the answer's body failed: {error}"))?.to_bytes();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        self.keep(sender, request.title_case);
        Ok(Answer { status: head.status.as_u16(), headers, body: body.to_vec() })
    }

    fn take_idle(&self, title_case: bool) -> Option<SendRequest<RequestBody>> {
        let taken = self.idle.lock().ok()?.take();
        let (sender, is_title_case, since) = taken?;
        let is_usable = is_title_case == title_case && since.elapsed() < IDLE_LIMIT && sender.is_ready();
        is_usable.then_some(sender)
    }

    fn keep(&self, sender: SendRequest<RequestBody>, title_case: bool) {
        if let Ok(mut idle) = self.idle.lock() {
            *idle = Some((sender, title_case, Instant::now()));
        }
    }

    fn clean_header(&self, name: &str, value: &str) -> String {
        let is_secret = ["Authorization", "X-Auth-Token"].iter().any(|secret| name.eq_ignore_ascii_case(secret));
        if is_secret { "(not shown)".to_owned() } else { self.clean(&cut(value)) }
    }

    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret, "(not shown)");
        }
        text
    }

    /// Words of a server without our secrets.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        self.clean(text)
    }
}

fn shown(body: &[u8]) -> String {
    cut(&String::from_utf8_lossy(body))
}

fn cut(text: &str) -> String {
    if text.len() <= SHOWN_LIMIT {
        return text.to_owned();
    }
    let end = (0..=SHOWN_LIMIT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… ({} bytes more)", &text[..end], text.len() - end)
}
