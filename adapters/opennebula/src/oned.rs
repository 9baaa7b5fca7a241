use std::time::Duration;

use backend::BackendError;
use backend_http::{Caller, Method, Mode, Options, StatusCode, Url, header::CONTENT_TYPE};

use crate::{
    OpenNebulaOptions,
    document::Document,
    names::Id,
    rpc::{Answer, Call, Refusal, Value, read_answer},
    session::{Session, TOKEN_HOLDS},
    xml::{Bounds, Element, read},
};

/// For questions.
const LOOK: Duration = Duration::from_secs(20);
/// For changes, which the service does before it answers, but for what its drivers do.
const CHANGE: Duration = Duration::from_secs(60);
/// The longest answer, in bytes: a page of machines with all that belongs to them is a few MiB.
const LONGEST_ANSWER: usize = 32 << 20;

/// The daemon, as it is called.
pub(crate) struct Oned {
    http: Caller,
    endpoint: Url,
    session: Session,
}

/// An answer with what its HTTP says beside it.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    /// The service's clock.
    pub(crate) date: Option<String>,
}

impl Oned {
    pub(crate) fn new(options: &OpenNebulaOptions) -> Result<Self, BackendError> {
        let host = options.endpoint.host_str().unwrap_or("nowhere");
        let mut http = Options::new(format!("OpenNebula at {host}"));
        http.authorities.clone_from(&options.authorities);
        http.proxy.clone_from(&options.proxy);
        // The daemon closes after each answer, and an idle connection would take one of its few from others.
        http.idle = Duration::ZERO;
        http.longest_answer = LONGEST_ANSWER;
        http.most_at_once = options.calls_at_once;
        Ok(Self {
            http: Caller::new(&http).map_err(|error| BackendError::Refused(error.to_string()))?,
            endpoint: options.endpoint.clone(),
            session: Session::new(&options.user, &options.secret, options.login_tokens),
        })
    }

    /// The answer of a call that changes nothing.
    pub(crate) async fn look(&self, call: &Call) -> Result<Answer, BackendError> {
        self.call(call, Mode::Look).await.map(|reply| reply.answer)
    }

    /// The answer of a call that changes something. It is never sent twice.
    pub(crate) async fn change(&self, call: &Call) -> Result<Answer, BackendError> {
        self.call(call, Mode::Change).await.map(|reply| reply.answer)
    }

    /// The value of a call that changes something, where every refusal is one.
    pub(crate) async fn changed(&self, call: &Call) -> Result<Value, BackendError> {
        self.change(call).await?.map_err(BackendError::from)
    }

    /// The text that a call answers.
    pub(crate) async fn text(&self, call: &Call) -> Result<String, BackendError> {
        self.look(call).await?.map_err(BackendError::from)?.text()
    }

    /// The document that a call answers.
    pub(crate) async fn element(&self, call: &Call) -> Result<Element, BackendError> {
        let text = self.text(call).await?;
        read(&text, Bounds::OBJECT).map_err(|why| nonsense(call, &why))
    }

    /// The object of this kind and name.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] where there is none.
    pub(crate) async fn object<D: Document>(&self, method: &'static str, id: Id) -> Result<D, BackendError> {
        let call = Call::new(method).with(id);
        let element = self.element(&call).await?;
        if element.name != D::ELEMENT {
            return Err(nonsense(&call, &format_args!("{} where {} is due", element.name, D::ELEMENT)));
        }
        Ok(D::read(&element)?)
    }

    /// The same, or nothing where there is none.
    pub(crate) async fn object_if_known<D: Document>(
        &self,
        method: &'static str,
        id: Id,
    ) -> Result<Option<D>, BackendError> {
        match self.object(method, id).await {
            Ok(object) => Ok(Some(object)),
            Err(BackendError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the call in our session; where that is one of a login token that is not accepted any more, once more in a
    /// new one. A call that was not accepted has done nothing.
    pub(crate) async fn call(&self, call: &Call, mode: Mode) -> Result<Reply, BackendError> {
        let Some(place) = self.session.token() else {
            return self.send(call, &self.session.with_secret(), mode).await;
        };
        let known = place.lock().await.clone();
        let token = match known {
            Some(token) => token,
            None => self.renewed(None).await?,
        };
        let reply = self.send(call, &self.session.with_token(&token), mode).await?;
        match &reply.answer {
            Err(refusal) if refusal.is_unauthenticated() => {}
            _ => return Ok(reply),
        }
        let token = self.renewed(Some(&token)).await?;
        self.send(call, &self.session.with_token(&token), mode).await
    }

    /// A login token other than the one that failed. Who comes second takes what the first one got.
    async fn renewed(&self, failed: Option<&str>) -> Result<String, BackendError> {
        let Some(place) = self.session.token() else { return Ok(String::new()) };
        let mut place = place.lock().await;
        if let Some(token) = place.as_ref().filter(|token| Some(token.as_str()) != failed) {
            return Ok(token.clone());
        }
        let login = Call::new("one.user.login").with(self.session.user()).with("").with(TOKEN_HOLDS).with(-1);
        let reply = self.send(&login, &self.session.with_secret(), Mode::Change).await?;
        let token = reply.answer.map_err(BackendError::from)?.text()?;
        *place = Some(token.clone());
        Ok(token)
    }

    async fn send(&self, call: &Call, session: &str, mode: Mode) -> Result<Reply, BackendError> {
        let deadline = if mode == Mode::Look { LOOK } else { CHANGE };
        let request = self.http.request(Method::POST, self.endpoint.clone());
        let request = request.header(CONTENT_TYPE, "text/xml").body(call.body(session));
        let answer = self.http.send(request, mode, deadline).await?;
        if answer.status != StatusCode::OK {
            return Err(self.no_answer(answer.status));
        }
        let date = answer.header("date").map(ToOwned::to_owned);
        Ok(Reply { answer: read_answer(&answer.body)?, date })
    }

    /// The daemon's own errors are 200; anything else comes from its HTTP server or from something in front of it.
    fn no_answer(&self, status: StatusCode) -> BackendError {
        let name = self.http.name();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                BackendError::Unauthorized(format!("{name}: something in front of it answers {status}"))
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => BackendError::Failed(format!(
                "{name} answers {status}; the endpoint must be that of oned and end in /RPC2"
            )),
            // Whether oned has done what was asked nobody can tell then.
            status if status.is_server_error() => BackendError::Unreachable(format!("{name} answers {status}")),
            status => BackendError::Failed(format!("{name} answers {status}")),
        }
    }
}

fn nonsense(call: &Call, why: &dyn std::fmt::Display) -> BackendError {
    BackendError::Failed(format!("OpenNebula answers {} with nonsense: {why}", call.method))
}

/// The value, or nothing where the object was not there.
pub(crate) fn unless_unknown(answer: Answer) -> Result<Option<Value>, BackendError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(refusal) if refusal.is_unknown() => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// What became of an allocate.
pub(crate) enum Allocated {
    /// There is a new object.
    New(Id),
    /// There is one of this name already, which an earlier ask may have made.
    NameTaken(Refusal),
}

/// Reads the answer to an allocate.
pub(crate) fn allocated(answer: Answer) -> Result<Allocated, BackendError> {
    match answer {
        Ok(value) => Ok(Allocated::New(Id::answered(value.number()?)?)),
        Err(refusal) if refusal.is_name_taken() => Ok(Allocated::NameTaken(refusal)),
        Err(refusal) => Err(refusal.into()),
    }
}
