//! Calls to a node, bounded in time and size.

use std::{path::PathBuf, time::Duration};

use backend::{BackendError, Listing, request};
use jiff::{Timestamp, fmt::rfc2822};
use node_driver::wire::Failure;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{DATE, HeaderMap},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// The list of a full node is far below this.
const MOST_ANSWER_BYTES: usize = 16 << 20;
const CONNECT: Duration = Duration::from_secs(5);

/// Where a node driver is.
#[derive(Clone, PartialEq, Eq)]
pub enum NodeAddress {
    /// On this host.
    Unix(PathBuf),
    /// On another host, over a private network.
    Tcp {
        /// As in `http://node-7:8788`.
        url: String,
        /// The node's token.
        token: String,
    },
}

pub(crate) struct Caller {
    client: Client,
    base: String,
    token: Option<String>,
    /// For people, in messages.
    name: String,
}

impl Caller {
    pub(crate) fn new(address: NodeAddress) -> Result<Self, BackendError> {
        // Environment variables for proxies are about the outside world; a node answers itself or not at all.
        let builder = backend_http::builder(None).map_err(|error| BackendError::Failed(error.to_string()))?;
        let builder = builder.connect_timeout(CONNECT);
        let (builder, base, token, name) = match address {
            NodeAddress::Unix(path) => {
                let name = path.display().to_string();
                (builder.unix_socket(path), "http://node".to_owned(), None, name)
            }
            NodeAddress::Tcp { url, token } => {
                let base = url.trim_end_matches('/').to_owned();
                if !base.starts_with("http://") {
                    let problem = format!("the node's address {base:?} must start with http://");
                    return Err(BackendError::Refused(problem));
                }
                (builder, base.clone(), Some(token), base)
            }
        };
        let client = builder.build().map_err(|error| BackendError::Failed(format!("no HTTP client: {error}")))?;
        Ok(Self { client, base, token, name })
    }

    /// Whether the node sees the same files as we do.
    pub(crate) fn is_local(&self) -> bool {
        self.token.is_none()
    }

    pub(crate) fn request(&self, method: Method, path: &str, deadline: Duration) -> RequestBuilder {
        self.request_stream(method, path).timeout(deadline)
    }

    /// A request for [`Caller::begin`].
    pub(crate) fn request_stream(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = match request::current() {
            Some(id) => request.header(request::HEADER, id.as_str()),
            None => request,
        };
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends, and takes the answer's body as `T`.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, BackendError> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body)
            .map_err(|error| BackendError::Failed(format!("node {} answers nonsense: {error}", self.name)))
    }

    /// Sends, and takes the answer's body as `T`, and the time at which the node says that it answered.
    pub(crate) async fn ask_with_time<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<(T, Option<Timestamp>), BackendError> {
        let (headers, body) = self.exchange(request).await?;
        // In the one form that a server writes (RFC 9110 section 5.6.7).
        let said = headers.get(DATE).and_then(|date| rfc2822::parse(date.to_str().ok()?).ok());
        let answer = serde_json::from_slice(&body)
            .map_err(|error| BackendError::Failed(format!("node {} answers nonsense: {error}", self.name)))?;
        Ok((answer, said.map(|said| said.timestamp())))
    }

    /// Sends, and takes the answer's body as a list, object by object.
    pub(crate) async fn list<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Listing<T>, BackendError> {
        let body = self.send(request).await?;
        Listing::from_json(&body)
            .map_err(|error| BackendError::Failed(format!("node {} answers nonsense: {error}", self.name)))
    }

    /// Sends, and takes from a list the one object that carries the tag. "None" means that none does: where something
    /// cannot be read that may be the one, it is an error.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        is_the_one: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, BackendError> {
        let listing = self.list(request).await?;
        match (listing.objects.into_iter().find(is_the_one), listing.unreadable.first()) {
            (None, Some(why)) => {
                let what = format!("node {} has something with this tag that cannot be read: {why}", self.name);
                Err(BackendError::Failed(what))
            }
            (found, _) => Ok(found),
        }
    }

    /// Sends, and takes any success for an answer.
    pub(crate) async fn tell(&self, request: RequestBuilder) -> Result<(), BackendError> {
        self.send(request).await.map(drop)
    }

    /// Sends, and takes an answer whose body is yet to come; only its beginning has a deadline here.
    pub(crate) async fn begin(&self, request: RequestBuilder, deadline: Duration) -> Result<Response, BackendError> {
        let silent = || BackendError::Unreachable(format!("node {}: no answer in time", self.name));
        let answer = timeout(deadline, request.send()).await.map_err(|_| silent())?;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = timeout(deadline, self.body(answer)).await.map_err(|_| silent())??;
        Err(self.failure(status, &body))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, BackendError> {
        Ok(self.exchange(request).await?.1)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<(HeaderMap, Vec<u8>), BackendError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = self.body(answer).await?;
        if status.is_success() { Ok((headers, body)) } else { Err(self.failure(status, &body)) }
    }

    fn failure(&self, status: StatusCode, body: &[u8]) -> BackendError {
        let said = serde_json::from_slice::<Failure>(body);
        match (status, said) {
            // Whoever it is that asks for credentials, a node or a proxy in front of it.
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, said) => {
                let why = said.map_or_else(|_| status.to_string(), |failure| failure.message);
                BackendError::Unauthorized(format!("node {} says: {}", self.name, short(&why)))
            }
            (_, Ok(failure)) => failure.into(),
            // Not one of ours: a proxy in between, or another service.
            (_, Err(_)) => BackendError::Failed(format!("node {} answers {status}", self.name)),
        }
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, BackendError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > MOST_ANSWER_BYTES {
                return Err(BackendError::Failed(format!("node {} answers without end", self.name)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> BackendError {
        let why = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            // The innermost cause is the one that tells: connection refused, no such file.
            let mut cause: &dyn std::error::Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            cause.to_string()
        };
        BackendError::Unreachable(format!("node {}: {why}", self.name))
    }
}

/// What a stranger says is quoted in bounds.
fn short(text: &str) -> String {
    const MOST_CHARACTERS: usize = 200;
    text.chars().take(MOST_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
