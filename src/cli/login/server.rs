//! The server that a token is wanted of. What it says is checked before it is believed, shown or opened: its address may
//! have been a stranger's.

use anyhow::{Context, bail, ensure};
use openidconnect::http::Request;
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::printable;
use crate::login::provider::{AddressRule, Web};

/// No answer is longer, in bytes.
const LONGEST: usize = 64 << 10;
/// No token is longer, in bytes.
const LONGEST_TOKEN: usize = 4096;
/// A token that says to last for longer is shown as one that lasts so many seconds.
const LONGEST_LIFE: u64 = 400 * 24 * 60 * 60;

/// A server, and where on it what is asked.
pub struct Server {
    /// Its address, as it was given, without a slash at the end.
    pub url: String,
    rule: AddressRule,
    metadata: Metadata,
    web: Web,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: String,
    revocation_endpoint: String,
}

/// A token that was handed out.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub token: String,
    /// Whose it is, as the server says.
    pub user: String,
    /// The project that it acts in.
    pub project: String,
    /// What it is for.
    pub rights: String,
    /// For how many seconds it is good.
    pub expires_in: u64,
}

#[derive(Deserialize)]
struct Answered {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: u64,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    project: String,
    #[serde(default)]
    user: String,
}

/// A no, with its name.
#[derive(Debug)]
pub struct No {
    /// As the protocol names it.
    pub error: String,
    /// In words.
    pub description: String,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Server {
    /// The server at this address, which must be `https` unless it is on this very computer.
    pub async fn find(url: &str) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let rule = AddressRule::of_issuer(&url, true).map_err(|_| {
            anyhow::anyhow!("{}: a server's address is https://…, without a query", printable(&url, 80))
        })?;
        let web = Web::new().map_err(anyhow::Error::msg)?;
        let place = format!("{url}/.well-known/oauth-authorization-server");
        let request = Request::get(&place).header("accept", "application/json").body(Vec::new())?;
        let answer = web.ask(request, LONGEST).await.with_context(|| format!("{url} cannot be asked"))?;
        ensure!(
            answer.status() == 200,
            "{url} does not say how to sign in (it answers {}); is it a Tombolo?",
            answer.status().as_u16()
        );
        let metadata: Metadata = read(answer.body()).with_context(|| format!("what {url} says is no metadata"))?;
        // Otherwise one server could have us sign in at another.
        ensure!(
            metadata.issuer.trim_end_matches('/') == url,
            "{url} calls itself {}; if that is where you want to sign in, use this address",
            printable(&metadata.issuer, 120)
        );
        let server = Self { url, rule, metadata, web };
        let Metadata { authorization_endpoint, token_endpoint, device_authorization_endpoint, .. } = &server.metadata;
        let places = [authorization_endpoint, token_endpoint, device_authorization_endpoint];
        for place in places.into_iter().chain([&server.metadata.revocation_endpoint]) {
            server.own(place)?;
        }
        Ok(server)
    }

    /// An address that the server has named, if it is one of its own.
    pub fn own(&self, address: &str) -> anyhow::Result<Url> {
        let named = self.rule.check(address).map_err(anyhow::Error::msg);
        let named = named.with_context(|| format!("{} names an odd address", self.url))?;
        let own = Url::parse(&self.url)?;
        ensure!(
            named.origin() == own.origin(),
            "{} names an address of another server: {}",
            self.url,
            printable(named.as_str(), 120)
        );
        Ok(named)
    }

    /// As the server names itself.
    pub fn issuer(&self) -> &str {
        &self.metadata.issuer
    }

    /// The page on which a person lets in a program that waits on this computer.
    pub fn consent_page(&self, fields: &[(&str, &str)]) -> anyhow::Result<Url> {
        let mut page = self.own(&self.metadata.authorization_endpoint)?;
        page.query_pairs_mut().extend_pairs(fields);
        Ok(page)
    }

    /// Begins to wait.
    pub async fn begin<T: DeserializeOwned>(&self, fields: &[(&str, &str)]) -> anyhow::Result<T> {
        match self.post(&self.metadata.device_authorization_endpoint, fields).await? {
            Ok(body) => read(&body).with_context(|| format!("what {} says is no code for a terminal", self.url)),
            Err(no) => bail!("{} lets no terminal wait: {} ({})", self.url, no.error, no.description),
        }
    }

    /// Asks for the token that somebody has agreed to.
    pub async fn token(&self, fields: &[(&str, &str)]) -> anyhow::Result<Result<Granted, No>> {
        let body = match self.post(&self.metadata.token_endpoint, fields).await? {
            Ok(body) => body,
            Err(no) => return Ok(Err(no)),
        };
        let answered: Answered = read(&body).with_context(|| format!("what {} says is no token", self.url))?;
        let Answered { access_token, token_type, expires_in, scope, project, user } = answered;
        let is_plain = access_token.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(
            token_type.eq_ignore_ascii_case("bearer")
                && is_plain
                && !access_token.is_empty()
                && access_token.len() <= LONGEST_TOKEN,
            "{} has given a token that cannot be used",
            self.url
        );
        Ok(Ok(Granted {
            token: access_token,
            user: printable(&user, 80),
            project: printable(&project, 80),
            rights: printable(&scope, 80),
            expires_in: expires_in.min(LONGEST_LIFE),
        }))
    }

    /// Gives a token back: it opens nothing from now on.
    pub async fn give_back(&self, token: &str) -> anyhow::Result<()> {
        match self.post(&self.metadata.revocation_endpoint, &[("token", token)]).await? {
            Ok(_) => Ok(()),
            Err(no) => bail!("{} ({})", no.error, no.description),
        }
    }

    async fn post(&self, place: &str, fields: &[(&str, &str)]) -> anyhow::Result<Result<Vec<u8>, No>> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(place)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into_bytes())?;
        let answer = self.web.ask(request, LONGEST).await.with_context(|| format!("{} cannot be asked", self.url))?;
        let status = answer.status();
        if status == 200 {
            return Ok(Ok(answer.into_body()));
        }
        let refused = read::<Refused>(answer.body()).ok().map(|refused| No {
            error: printable(&refused.error, 60),
            description: printable(&refused.error_description, 200),
        });
        refused.map(Err).with_context(|| format!("{} answers {}", self.url, status.as_u16()))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).map_err(|error| anyhow::anyhow!("{}", printable(&error.to_string(), 200)))
}
