use std::{sync::Arc, time::Duration};

use backend::BackendError;
use backend_http::{Answer, Body, Download, Method, Mode, RequestBuilder, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{cloud::Cloud, keystone::Token, refusal, service::Service};

/// The pause after a service says that it is asked too often, and does not say how long to wait.
const USUAL_PAUSE: Duration = Duration::from_secs(1);

/// One call of a service, to be completed and sent.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    cloud: &'a Cloud,
    service: Service,
    method: Method,
    path: Vec<String>,
    query: Vec<(String, String)>,
    body: Option<Value>,
    about: String,
    deadline: Duration,
}

impl<'a> Call<'a> {
    pub(crate) fn new(cloud: &'a Cloud, service: Service, method: Method, path: &[&str], about: String) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        let deadline = cloud.options.patience.answer();
        Self { cloud, service, method, path, query: Vec::new(), body: None, about, deadline }
    }

    pub(crate) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Replaces the whole query, as the link to another page has it.
    pub(crate) fn with_query(mut self, query: Vec<(String, String)>) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn about(&self) -> &str {
        &self.about
    }

    fn is_change(&self) -> bool {
        self.method != Method::GET
    }

    /// The answer, which is a success.
    pub(crate) async fn send(self) -> Result<Answer, BackendError> {
        let answer = self.answer().await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(refusal::of(&answer, &self.about, self.is_change()))
    }

    /// The answer, which is a success, as JSON of this shape.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, BackendError> {
        self.send().await?.json()
    }

    /// Whether there was something: an object that the service does not know is none, and no failure.
    pub(crate) async fn send_if_there(self) -> Result<bool, BackendError> {
        match self.send().await {
            Ok(_) => Ok(true),
            Err(BackendError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The answer, whatever its status: a token that is not accepted is renewed once, and who is asked to wait waits
    /// as long as there is time.
    pub(crate) async fn answer(&self) -> Result<Answer, BackendError> {
        let until = Instant::now() + self.deadline;
        let mut token = self.cloud.session.token().await?;
        let mut renewed = false;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mode = if self.is_change() { Mode::Change } else { Mode::Look };
            let request = self.request(&token).await?;
            let request = match &self.body {
                Some(body) => request.json(body),
                None => request,
            };
            let answer = self.cloud.caller.send(request, mode, left).await?;
            if answer.status == StatusCode::UNAUTHORIZED {
                if renewed {
                    return Ok(answer);
                }
                renewed = true;
                token = self.cloud.session.token_instead_of(&token).await?;
                continue;
            }
            self.cloud.session.prove(&token).await;
            match self.pause(&answer) {
                Some(pause) if Instant::now() + pause < until => sleep(pause).await,
                _ => return Ok(answer),
            }
        }
    }

    /// How long to wait before the call is sent again, if that may help. Who is asked too often has done nothing; a
    /// service that is out of order may have.
    fn pause(&self, answer: &Answer) -> Option<Duration> {
        let asked = answer.retry_after().map(Duration::from_secs);
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS => Some(asked.unwrap_or(USUAL_PAUSE)),
            StatusCode::PAYLOAD_TOO_LARGE => asked.filter(|pause| !pause.is_zero()),
            StatusCode::SERVICE_UNAVAILABLE if !self.is_change() => asked,
            _ => None,
        }
        .map(|pause| pause.max(Duration::from_millis(100)))
    }

    /// Sends bytes, once, within the deadline; the caller watches whether they move.
    pub(crate) async fn upload(self, bytes: Body, length: u64, deadline: Duration) -> Result<(), BackendError> {
        let token = self.cloud.session.token().await?;
        let request = self.request(&token).await?;
        let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
        let request = request.header(header::CONTENT_LENGTH, length).body(bytes);
        let answer = self.cloud.caller.send(request, Mode::Change, deadline).await?;
        if answer.status.is_success() { Ok(()) } else { Err(refusal::of(&answer, &self.about, true)) }
    }

    /// The beginning of an answer whose body is long.
    pub(crate) async fn download(self) -> Result<Download, BackendError> {
        let token = self.cloud.session.token().await?;
        let begun = self.cloud.caller.begin(self.request(&token).await?, self.deadline).await?;
        begun.map_err(|answer| refusal::of(&answer, &self.about, false))
    }

    async fn request(&self, token: &Arc<Token>) -> Result<RequestBuilder, BackendError> {
        let endpoint = self.cloud.endpoint(self.service, token)?;
        let mut url: Url = self.service.base(&endpoint, &token.project);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut request = self.cloud.caller.request(self.method.clone(), url);
        request = request.header("x-auth-token", token.header.clone()).header(header::ACCEPT, "application/json");
        if let (Some(name), Some(version)) =
            (self.service.versioned_as(), self.cloud.version(self.service, token).await?)
        {
            request = request.header("openstack-api-version", format!("{name} {version}"));
        }
        Ok(request)
    }
}
