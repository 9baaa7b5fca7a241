//! Requests to the server, and what its refusals mean.

use std::time::Duration;

use backend::BackendError;
use backend_http::{Answer, Caller, Method, Mode, StatusCode, Url, quoted};
use occi_schema::{MediaType, Rendered};
use uuid::Uuid;

use crate::{authorization::Credentials, trail};

/// For one answer.
const DEADLINE: Duration = Duration::from_secs(18);
/// A request that is done once under its key, however often it is sent.
const REPETITION_HEADER: &str = "idempotency-key";
/// Fields of an answer that the text renderings use.
const MOST_FIELDS: usize = 1024;

/// A request, as far as OCCI is concerned.
pub(crate) struct Asked<'a> {
    pub(crate) method: Method,
    /// The path from the server's root, with a query perhaps.
    pub(crate) path: &'a str,
    /// The rendering in which the answer is wanted.
    pub(crate) accept: MediaType,
    /// What is said.
    pub(crate) content: Option<Rendered>,
    /// A filter, in header fields.
    pub(crate) filter: Vec<(&'static str, String)>,
    /// The key under which it is done once.
    pub(crate) key: Option<Uuid>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(method: Method, path: &'a str, accept: MediaType) -> Self {
        Self { method, path, accept, content: None, filter: Vec::new(), key: None }
    }

    pub(crate) fn saying(self, content: Rendered) -> Self {
        Self { content: Some(content), ..self }
    }
}

/// The way to the server.
pub(crate) struct Connection {
    caller: Caller,
    base: Url,
    credentials: Credentials,
    /// Who we are among brokers.
    pub(crate) broker: Option<Uuid>,
}

impl Connection {
    pub(crate) fn new(caller: Caller, base: Url, credentials: Credentials) -> Self {
        Self { caller, base, credentials, broker: None }
    }

    /// Who is called, for people.
    pub(crate) fn name(&self) -> &str {
        self.caller.name()
    }

    /// The path of something below the configured address.
    pub(crate) fn below(&self, path: &str) -> String {
        format!("{}{path}", self.base.path())
    }

    /// The path in a location that the server gave: a path, or a URL of which only the path counts. Nothing that a
    /// server says sends our credentials to another host.
    pub(crate) fn path_of(&self, location: &str) -> Result<String, BackendError> {
        let nonsense = || BackendError::Failed(format!("a location is no path: {}", quoted(location)));
        let url = self.base.join(location.trim()).map_err(|_| nonsense())?;
        if url.query().is_some() || url.fragment().is_some() || url.cannot_be_a_base() {
            return Err(nonsense());
        }
        Ok(url.path().to_owned())
    }

    /// The answer, whatever its status; when the credentials have run out and there are new ones, the second one.
    ///
    /// # Errors
    /// No answer; no way to get in.
    pub(crate) async fn ask(&self, asked: &Asked<'_>) -> Result<Answer, BackendError> {
        // Boxed, as whatever is awaited on the way to the wire: the futures would add up to more than a stack holds.
        let answer = Box::pin(self.once(asked)).await?;
        if answer.status == StatusCode::UNAUTHORIZED && Box::pin(self.credentials.renew(&self.caller, &answer)).await? {
            return Box::pin(self.once(asked)).await;
        }
        Ok(answer)
    }

    /// The answer that is a success.
    ///
    /// # Errors
    /// What the refusal means; no answer.
    pub(crate) async fn must(&self, asked: &Asked<'_>) -> Result<Answer, BackendError> {
        let answer = Box::pin(self.ask(asked)).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(refusal(&answer, asked.path)) }
    }

    async fn once(&self, asked: &Asked<'_>) -> Result<Answer, BackendError> {
        let mut url = self.base.clone();
        let (path, query) = asked.path.split_once('?').map_or((asked.path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        let mut request = self.credentials.on(self.caller.request(asked.method.clone(), url));
        request = request.header("accept", asked.accept.content_type().split(';').next().unwrap_or_default());
        for (name, value) in &asked.filter {
            request = request.header(*name, value);
        }
        if let Some(key) = asked.key {
            request = request.header(REPETITION_HEADER, key.to_string());
        }
        if let Some(broker) = self.broker {
            request = request.header(trail::HEADER, trail::with(broker));
        }
        if let Some(Rendered { content_type, headers, body }) = &asked.content {
            request = request.header("content-type", *content_type);
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            request = request.body(body.clone());
        } else if asked.method == Method::GET && !asked.filter.is_empty() {
            request = request.header("content-type", MediaType::TextOcci.content_type());
        }
        let mode = if asked.method == Method::GET { Mode::Look } else { Mode::Change };
        Box::pin(self.caller.send(request, mode, DEADLINE)).await
    }
}

/// The fields of an answer that are text.
pub(crate) fn fields(answer: &Answer) -> Vec<(&str, &str)> {
    let fields = answer.headers.iter().take(MOST_FIELDS);
    fields.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

/// What a refusal means.
pub(crate) fn refusal(answer: &Answer, path: &str) -> BackendError {
    let words = words(answer);
    let path = quoted(path);
    match answer.status.as_u16() {
        401 => BackendError::Unauthorized(format!("{path}: {words}")),
        404 | 410 => BackendError::NotFound(format!("{path}: {words}")),
        409 | 412 | 423 => BackendError::Conflict(words),
        // A frontend that has lost its server says the same, and what was asked may have happened.
        429 | 502 | 503 | 504 => {
            let pause = answer.retry_after().map(|seconds| format!("; asks to be left alone for {seconds} s"));
            BackendError::Unreachable(format!("{words}{}", pause.unwrap_or_default()))
        }
        501 => BackendError::Unsupported(format!("do that: {words}")),
        507 => BackendError::Capacity(words),
        508 => BackendError::Refused(words),
        400..=499 => BackendError::Refused(words),
        status => BackendError::Failed(format!("{path} is answered with {status}: {words}")),
    }
}

/// The reason that a refusal gives, in whatever form servers have for it.
fn words(answer: &Answer) -> String {
    #[derive(serde::Deserialize)]
    struct Document {
        message: Option<String>,
        error: Option<String>,
    }
    if let Some(error) = answer.header("x-occi-error") {
        return quoted(error);
    }
    let said = serde_json::from_slice::<Document>(&answer.body).ok().and_then(|known| known.message.or(known.error));
    let said = said.map_or_else(|| answer.excerpt(), |said| quoted(&said));
    match said.trim() {
        "" => format!("{} without a reason", answer.status),
        said => said.to_owned(),
    }
}
