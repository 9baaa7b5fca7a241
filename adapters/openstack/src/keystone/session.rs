use std::{sync::Arc, time::Duration};

use backend::BackendError;
use backend_http::{Answer, Caller, Method, Mode, StatusCode, header};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::{
    login,
    token::{Token, subject},
};
use crate::{Credentials, Named, OpenStackOptions, refusal};

/// After a refused login the next one waits this long, and twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Gets tokens, one at a time, and not at all for a while after a refusal: whoever tries wrong passwords again and
/// again is locked out of many a Keystone.
pub(crate) struct Session {
    caller: Caller,
    keystone: Url,
    credentials: Credentials,
    project: Option<Named>,
    deadline: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    refused: Option<Refused>,
}

struct Refused {
    until: Instant,
    pause: Duration,
    error: BackendError,
}

impl Session {
    pub(crate) fn new(options: &OpenStackOptions, caller: Caller) -> Self {
        Self {
            caller,
            keystone: v3(&options.auth_url),
            credentials: options.auth.clone(),
            project: options.project.clone(),
            deadline: options.patience.answer(),
            state: Mutex::new(State::default()),
        }
    }

    /// A token that holds for some minutes at least.
    pub(crate) async fn token(&self) -> Result<Arc<Token>, BackendError> {
        // Who waits here waits for the one login that is under way.
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| token.is_fresh()) {
            return Ok(Arc::clone(token));
        }
        self.renew(&mut state).await
    }

    /// Another token, since a service does not accept this one.
    pub(crate) async fn token_instead_of(&self, spent: &Arc<Token>) -> Result<Arc<Token>, BackendError> {
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| !Arc::ptr_eq(token, spent) && token.is_fresh()) {
            return Ok(Arc::clone(token));
        }
        state.token = None;
        if !spent.is_proved() {
            // A new one would not be accepted either.
            let error = BackendError::Unauthorized("a service refuses the token that Keystone has just given".into());
            state.refuse(error.clone());
            return Err(error);
        }
        self.renew(&mut state).await
    }

    async fn renew(&self, state: &mut State) -> Result<Arc<Token>, BackendError> {
        if let Some(refused) = state.refused.as_ref().filter(|refused| Instant::now() < refused.until) {
            return Err(refused.error.clone());
        }
        match self.log_in().await {
            Ok(token) => {
                let token = Arc::new(token);
                state.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(error) => {
                if !matches!(error, BackendError::Unreachable(_)) {
                    state.refuse(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Forgets that a login was refused: a service has accepted a token since.
    pub(crate) async fn prove(&self, token: &Arc<Token>) {
        if !token.is_proved() {
            token.prove();
            self.state.lock().await.refused = None;
        }
    }

    async fn log_in(&self) -> Result<Token, BackendError> {
        let body = match login::body(&self.credentials, self.project.as_ref()) {
            Some(body) => body,
            None => {
                let unscoped = self.federated().await?;
                let text = unscoped.to_str().map_err(|_| {
                    BackendError::Failed("Keystone answers nonsense: a token that does not print".to_owned())
                })?;
                login::exchange(text, self.project.as_ref())
            }
        };
        let request = self.caller.request(Method::POST, self.below(&["auth", "tokens"])).json(&body);
        // A login changes nothing, and may be sent again on a broken connection.
        let answer = self.caller.send(request, Mode::Look, self.deadline).await?;
        Token::read(&accepted(answer)?)
    }

    /// A token without a scope for an access token (Keystone's federation API, "Request an unscoped OS-FEDERATION
    /// token").
    async fn federated(&self) -> Result<header::HeaderValue, BackendError> {
        let Credentials::OidcAccessToken { identity_provider, protocol, access_token } = &self.credentials else {
            return Err(BackendError::Refused("these credentials need no identity provider".into()));
        };
        let path = ["OS-FEDERATION", "identity_providers", identity_provider, "protocols", protocol, "auth"];
        let request = self.caller.request(Method::POST, self.below(&path)).bearer_auth(access_token.reveal());
        subject(&accepted(self.caller.send(request, Mode::Look, self.deadline).await?)?)
    }

    fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.keystone.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl State {
    fn refuse(&mut self, error: BackendError) {
        let pause = self.refused.as_ref().map_or(FIRST_PAUSE, |refused| (refused.pause * 2).min(LONGEST_PAUSE));
        self.refused = Some(Refused { until: Instant::now() + pause, pause, error });
    }
}

/// What Keystone says when it does not let us in: 401 for wrong credentials, 403 for a project or provider that is
/// closed to us, 404 for a provider that it does not know.
fn accepted(answer: Answer) -> Result<Answer, BackendError> {
    match answer.status {
        StatusCode::CREATED | StatusCode::OK => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(BackendError::Unauthorized(format!("Keystone says: {}", refusal::reason(&answer).words)))
        }
        _ => Err(refusal::of(&answer, "Keystone's door", false)),
    }
}

fn v3(auth_url: &Url) -> Url {
    let mut url = auth_url.clone();
    let last = url.path_segments().and_then(|segments| segments.rev().find(|segment| !segment.is_empty()));
    if last != Some("v3")
        && let Ok(mut path) = url.path_segments_mut()
    {
        path.pop_if_empty().push("v3");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keystone_is_found_below_its_version() {
        for (given, used) in [
            ("http://x:5000", "http://x:5000/v3"),
            ("http://x:5000/", "http://x:5000/v3"),
            ("http://x/identity/v3", "http://x/identity/v3"),
            ("http://x/identity/v3/", "http://x/identity/v3/"),
        ] {
            assert_eq!(v3(&given.parse().unwrap()).as_str(), used);
        }
    }

    #[test]
    fn a_pause_doubles_up_to_its_bound() {
        let mut state = State::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            state.refuse(BackendError::Unauthorized(String::new()));
            pauses.push(state.refused.as_ref().unwrap().pause.as_secs());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
    }
}
