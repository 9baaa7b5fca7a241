//! By what we are let in, and how a token is got where one is needed.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use backend::BackendError;
use backend_http::{Answer, Caller, Method, Mode, RequestBuilder, Url, quoted};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{options::Authorization, secret::Secret};

const TOKEN_HEADER: &str = "x-auth-token";
/// How a server points to its Keystone (section 7.5 of our notes).
const POINTERS: [&str; 2] = ["keystone uri=", "snf-auth uri="];
const DEADLINE: Duration = Duration::from_secs(15);
const LONGEST_TOKEN: usize = 16 << 10;

/// Puts credentials on requests.
pub(crate) struct Credentials {
    authorization: Authorization,
    endpoint: Url,
    token: RwLock<Option<Arc<str>>>,
}

/// Which Keystone is spoken to, and in which version.
struct Keystone<'a> {
    user: &'a str,
    password: &'a Secret,
    project: Option<&'a str>,
    domain: &'a str,
    uri: Url,
}

impl Credentials {
    pub(crate) fn new(authorization: Authorization, endpoint: Url) -> Self {
        Self { authorization, endpoint, token: RwLock::new(None) }
    }

    /// The request with what is known at present.
    pub(crate) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Authorization::None => request,
            Authorization::Basic { user, password } => request.basic_auth(user, Some(password.reveal())),
            Authorization::Bearer { token } => request.bearer_auth(token.reveal()),
            Authorization::AuthToken { token } => request.header(TOKEN_HEADER, token.reveal()),
            Authorization::Keystone { .. } => match self.token() {
                Some(token) => request.header(TOKEN_HEADER, token.as_ref()),
                None => request,
            },
        }
    }

    fn token(&self) -> Option<Arc<str>> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After a refusal: whether there is something new to be shown. Nothing of the refused request has happened.
    ///
    /// # Errors
    /// The Keystone does not let us in, cannot be reached, or is one that nobody has named.
    pub(crate) async fn renew(&self, caller: &Caller, refusal: &Answer) -> Result<bool, BackendError> {
        let Authorization::Keystone { user, password, project, domain, uri } = &self.authorization else {
            return Ok(false);
        };
        let uri = match uri {
            Some(uri) => uri.clone(),
            None => self.pointed_at(refusal)?,
        };
        let keystone = Keystone { user, password, project: project.as_deref(), domain, uri };
        let token = keystone.token(caller).await?;
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = Some(token.into());
        Ok(true)
    }

    /// The Keystone that the server names. Credentials follow it only to the server's own host, and never from TLS to
    /// plain text.
    fn pointed_at(&self, refusal: &Answer) -> Result<Url, BackendError> {
        let fields = refusal.headers.get_all("www-authenticate").iter();
        let named = fields.filter_map(|field| pointer(field.to_str().ok()?)).next();
        let named = named.ok_or_else(|| {
            BackendError::Unauthorized("the server names no Keystone; give its address as auth.uri".into())
        })?;
        let is_own = named.host_str() == self.endpoint.host_str();
        let is_plain = named.scheme() != "https" && self.endpoint.scheme() == "https";
        if !is_own || is_plain || !matches!(named.scheme(), "http" | "https") {
            let shown = quoted(named.as_str());
            return Err(BackendError::Unauthorized(format!(
                "the server points to the Keystone at {shown}, which is not its own host; if that is right, give it \
                 as auth.uri"
            )));
        }
        Ok(named)
    }
}

/// The address in `Keystone uri='…'`.
fn pointer(field: &str) -> Option<Url> {
    let plain = field.to_ascii_lowercase();
    let start = POINTERS.iter().find(|start| plain.starts_with(**start))?.len();
    let rest = field.get(start..)?;
    let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    rest.get(1..)?.split(quote).next()?.parse().ok()
}

#[derive(Deserialize)]
struct AccessDocument {
    access: AccessV2,
}

#[derive(Deserialize)]
struct AccessV2 {
    token: TokenV2,
}

#[derive(Deserialize)]
struct TokenV2 {
    id: String,
}

impl Keystone<'_> {
    async fn token(&self, caller: &Caller) -> Result<String, BackendError> {
        let is_v3 = self.uri.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "v3"));
        let (below, body) = if is_v3 { ("auth/tokens", self.v3()) } else { ("tokens", self.v2()) };
        let mut url = self.uri.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        // Some servers name only the host of their Keystone.
        let version = if base.is_empty() { "/v2.0" } else { "" };
        url.set_path(&format!("{base}{version}/{below}"));
        let request = caller.request(Method::POST, url).json(&body);
        // A token that is lost on its way is no loss.
        let answer = caller.send(request, Mode::Look, DEADLINE).await?;
        if !answer.status.is_success() {
            let (status, said) = (answer.status.as_u16(), answer.excerpt());
            return Err(BackendError::Unauthorized(format!("Keystone answers {status}: {said}")));
        }
        let token = if is_v3 {
            answer.header("x-subject-token").map(str::to_owned)
        } else {
            Some(answer.json::<AccessDocument>()?.access.token.id)
        };
        let is_plain = |token: &String| {
            !token.is_empty() && token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        token.filter(is_plain).ok_or_else(|| BackendError::Failed("Keystone answers without a token".into()))
    }

    fn v2(&self) -> Value {
        let credentials = json!({ "username": self.user, "password": self.password.reveal() });
        let mut auth = json!({ "passwordCredentials": credentials });
        if let Some(project) = self.project {
            auth["tenantName"] = project.into();
        }
        json!({ "auth": auth })
    }

    fn v3(&self) -> Value {
        let domain = json!({ "name": self.domain });
        let user = json!({ "name": self.user, "password": self.password.reveal(), "domain": domain });
        let mut auth = json!({ "identity": { "methods": ["password"], "password": { "user": user } } });
        if let Some(project) = self.project {
            auth["scope"] = json!({ "project": { "name": project, "domain": domain } });
        }
        json!({ "auth": auth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keystone_is_read_from_what_servers_send() {
        let read = |field: &str| pointer(field).map(|url| url.to_string());
        assert_eq!(read("Keystone uri='https://host:5000/v2.0'").as_deref(), Some("https://host:5000/v2.0"));
        assert_eq!(read("snf-auth uri=\"https://host/x\"").as_deref(), Some("https://host/x"));
        for other in ["Basic realm=\"x\"", "Keystone uri=", "Keystone uri=https://x", "Keystone uri='no url'"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
