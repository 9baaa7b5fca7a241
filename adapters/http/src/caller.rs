use std::{path::Path, sync::Arc, time::Duration};

use backend::{BackendError, request};
use bytes::BytesMut;
use reqwest::{Client, ClientBuilder, Method, Proxy, RequestBuilder, Response, redirect::Policy};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use url::Url;

use crate::{Answer, Download, Options, OptionsError, trust};

/// Whether a call may be sent a second time when its connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It only looks: a connection that breaks under it, as idle ones do, is no reason to give up. It is sent a second
    /// time, once.
    Look,
    /// It changes something: it is sent once.
    Change,
}

/// Calls one service.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    name: Arc<str>,
    longest_answer: usize,
    turns: Arc<Semaphore>,
}

impl Caller {
    /// Nothing is called yet.
    ///
    /// # Errors
    /// [`OptionsError`] for certificates or a proxy that cannot be used.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        let unusable = |error: &reqwest::Error| OptionsError(format!("no HTTP client: {}", innermost(error)));
        let mut builder = builder(options.authorities.as_deref())?
            .connect_timeout(options.connect)
            .pool_idle_timeout(options.idle)
            .pool_max_idle_per_host(if options.idle.is_zero() { 0 } else { options.most_at_once })
            .tcp_nodelay(true)
            .user_agent(concat!("tombolo/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &options.proxy {
            builder = builder.proxy(Proxy::all(proxy.clone()).map_err(|error| unusable(&error))?);
        }
        Ok(Self {
            client: builder.build().map_err(|error| unusable(&error))?,
            name: options.name.as_str().into(),
            longest_answer: options.longest_answer,
            turns: Arc::new(Semaphore::new(options.most_at_once)),
        })
    }

    /// Who is called, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A request to be completed, with the id of the request on whose behalf it is made.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        match request::current() {
            Some(id) => request.header(request::HEADER, id.as_str()),
            None => request,
        }
    }

    /// Sends, and takes the whole answer within `deadline`, the time until there is room for the call included.
    ///
    /// # Errors
    /// [`BackendError::Unreachable`] when there is no answer, [`BackendError::Failed`] when it is too long.
    pub async fn send(&self, request: RequestBuilder, mode: Mode, deadline: Duration) -> Result<Answer, BackendError> {
        let until = Instant::now() + deadline;
        let _turn = self.turn(until).await?;
        let again = (mode == Mode::Look).then(|| request.try_clone()).flatten();
        match (self.attempt(request, until).await, again) {
            (Err(Broken::Connection(_)), Some(again)) => self.attempt(again, until).await,
            (outcome, _) => outcome,
        }
        .map_err(|broken| broken.into_error(&self.name))
    }

    /// Sends, and takes the beginning of an answer within `deadline`; what is no success is taken wholly. For each
    /// chunk of the body the reader has to keep time itself.
    ///
    /// # Errors
    /// [`BackendError::Unreachable`] when there is no answer; the [`Answer`] that is no success.
    pub async fn begin(
        &self,
        request: RequestBuilder,
        deadline: Duration,
    ) -> Result<Result<Download, Answer>, BackendError> {
        let until = Instant::now() + deadline;
        let turn = self.turn(until).await?;
        let began = async {
            let response = self.response(request, until).await?;
            if response.status().is_success() {
                return Ok(Ok(Download::of(response, turn)));
            }
            self.whole(response, until).await.map(Err)
        };
        began.await.map_err(|broken: Broken| broken.into_error(&self.name))
    }

    /// Services have few workers: who asks for more at once only queues there instead of here.
    async fn turn(&self, until: Instant) -> Result<OwnedSemaphorePermit, BackendError> {
        let busy = || BackendError::Unreachable(format!("{}: all connections are busy", self.name));
        timeout_at(until, Arc::clone(&self.turns).acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())
    }

    async fn attempt(&self, request: RequestBuilder, until: Instant) -> Result<Answer, Broken> {
        let response = self.response(request, until).await?;
        self.whole(response, until).await
    }

    async fn response(&self, request: RequestBuilder, until: Instant) -> Result<Response, Broken> {
        let sent = timeout_at(until, request.send()).await.map_err(|_| Broken::Slow)?;
        sent.map_err(|error| Broken::of(&error))
    }

    async fn whole(&self, mut response: Response, until: Instant) -> Result<Answer, Broken> {
        let (status, headers) = (response.status(), response.headers().clone());
        let most = self.longest_answer;
        if response.content_length().is_some_and(|length| length > most as u64) {
            return Err(Broken::TooLong(most));
        }
        let mut body = BytesMut::new();
        loop {
            let chunk = timeout_at(until, response.chunk()).await.map_err(|_| Broken::Slow)?;
            let Some(chunk) = chunk.map_err(|error| Broken::of(&error))? else { break };
            if body.len() + chunk.len() > most {
                return Err(Broken::TooLong(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze(), name: Arc::clone(&self.name) })
    }
}

/// What every client begins with: no redirects, no proxy but a configured one, and TLS that needs nobody to have chosen
/// a provider of cryptography for the whole process.
///
/// # Errors
/// [`OptionsError`] for authorities' certificates that cannot be used.
pub fn builder(authorities: Option<&Path>) -> Result<ClientBuilder, OptionsError> {
    let tls = trust::tls(authorities)?;
    Ok(Client::builder().no_proxy().redirect(Policy::none()).tls_backend_preconfigured(tls))
}

enum Broken {
    Slow,
    TooLong(usize),
    /// Before or while something was answered.
    Connection(String),
    Other(String),
}

impl Broken {
    fn of(error: &reqwest::Error) -> Self {
        let words = innermost(error);
        if error.is_timeout() {
            Self::Slow
        } else if error.is_connect() || error.is_builder() {
            // Another try would meet the same.
            Self::Other(words)
        } else {
            Self::Connection(words)
        }
    }

    fn into_error(self, name: &str) -> BackendError {
        match self {
            Self::Slow => BackendError::Unreachable(format!("{name}: no answer in time")),
            Self::TooLong(most) => BackendError::Failed(format!("{name} answers with more than {most} bytes")),
            Self::Connection(why) | Self::Other(why) => BackendError::Unreachable(format!("{name}: {why}")),
        }
    }
}

/// The innermost cause is the one that tells: connection refused, certificate expired. It names no address, which
/// might hold credentials.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.source().is_none() && std::ptr::addr_eq(cause, error as &dyn std::error::Error) {
        return "the connection cannot be made or broke".to_owned();
    }
    cause.to_string()
}
