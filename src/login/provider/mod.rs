//! Providers of identities, over OpenID Connect. Nothing here knows the database or the web server: what must be
//! remembered of a visitor travels in a sealed cookie.
//!
//! A sign-in passes `sign_in` (there and back), `id_token` (who) and `userinfo` (what else is known). Later `refresh`
//! asks again, `logout` ends. Programs come by `bearer`, with a token that is checked by its signature (`signed`) or
//! by asking (`introspection`). What providers publish about themselves is in `discovery` and `keys`, kept by
//! `cached`; all of it comes in by `web`.

mod address;
mod algorithm;
mod bearer;
mod cached;
mod client;
mod clock;
mod config;
mod discovery;
mod error;
#[cfg(test)]
pub mod hostile;
mod id_token;
mod introspection;
mod keys;
mod logout;
mod outcome;
mod refresh;
mod sign_in;
mod signed;
#[cfg(test)]
mod tests;
mod token_answer;
mod userinfo;
mod web;

use std::sync::Arc;

pub use address::AddressRule;
pub use clock::Clock;
pub use config::ProviderConfig;
pub use error::ProviderError;
pub use outcome::{Bearer, Begun, CallbackAnswer, Finished, Listed, LoggedOut, SignedIn, Spent, Unconfirmed};
pub use web::Web;

use crate::login::{identity::Identity, local_path::LocalPath, secret::Secret};

/// The providers that are configured. Nothing of visitors is kept here.
#[derive(Clone)]
pub struct Providers {
    room: Arc<Room>,
}

struct Room {
    clients: Vec<Arc<client::Client>>,
    public_url: Option<String>,
    secret: Secret,
    presented: bearer::Presented,
}

impl Providers {
    /// Reads what is configured; asks nobody. `public_url` is what browsers call this server, if that is known once
    /// for all.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn new(
        configured: &[ProviderConfig],
        public_url: Option<&str>,
        secret: &Secret,
    ) -> Result<Self, ProviderError> {
        Self::with_clock(configured, public_url, secret, &Clock::default())
    }

    fn with_clock(
        configured: &[ProviderConfig],
        public_url: Option<&str>,
        secret: &Secret,
        clock: &Clock,
    ) -> Result<Self, ProviderError> {
        let wrong = |config: &ProviderConfig, problem: String| ProviderError::Misconfigured {
            provider: config.name.clone(),
            problem,
        };
        let mut clients: Vec<Arc<client::Client>> = Vec::new();
        let Some(first) = configured.first() else { return Ok(Self::holding(clients, None, secret, clock)) };
        let web = web::Web::new().map_err(|problem| wrong(first, problem))?;
        for config in configured {
            for other in &clients {
                if other.config.name == config.name {
                    return Err(wrong(config, "there are two of this name; rename one".to_owned()));
                }
                if other.config.issuer == config.issuer {
                    let problem = format!("it has the same issuer as {:?}; keep one of them", other.config.name);
                    return Err(wrong(config, problem));
                }
                // A token that only its provider can read does not say which that is.
                if other.config.introspection && config.introspection {
                    let problem = format!("introspection is on here and for {:?}; keep it for one", other.config.name);
                    return Err(wrong(config, problem));
                }
            }
            clients.push(Arc::new(client::Client::new(config, web.clone(), clock.clone())?));
        }
        let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
        if let Some(problem) = public_url.as_deref().and_then(|url| address::parsed(url).err()) {
            return Err(wrong(first, format!("the public address of this server cannot be used: {problem}")));
        }
        Ok(Self::holding(clients, public_url, secret, clock))
    }

    fn holding(clients: Vec<Arc<client::Client>>, public_url: Option<String>, secret: &Secret, clock: &Clock) -> Self {
        let presented = bearer::Presented::new(clock.clone());
        Self { room: Arc::new(Room { clients, public_url, secret: secret.clone(), presented }) }
    }

    /// All of them, as configured.
    pub fn listed(&self) -> Vec<Listed> {
        let listed = |client: &Arc<client::Client>| {
            let (name, title) = (client.config.name.clone(), client.config.title.clone());
            Listed { title: if title.is_empty() { name.clone() } else { title }, name }
        };
        self.room.clients.iter().map(listed).collect()
    }

    /// The redirect to the provider, and what the cookie must hold until the browser is back. `base` is what the
    /// browser calls us; a configured public address takes its place.
    ///
    /// # Errors
    /// There is no such provider, or it cannot be asked.
    pub async fn begin(&self, provider: &str, base: &str, next: &LocalPath) -> Result<Begun, ProviderError> {
        self.client(provider)?.begin(self.base(base), next, &self.room.secret).await
    }

    /// Who came back from the provider. Before anybody is let in, the caller has to remember what is spent.
    ///
    /// # Errors
    /// The answer does not belong to a sign-in of this browser; the provider refused, cannot be asked, or is not
    /// believed.
    pub async fn finish(
        &self,
        provider: &str,
        base: &str,
        cookie: &str,
        answer: &CallbackAnswer,
    ) -> Result<Finished, ProviderError> {
        self.client(provider)?.finish(self.base(base), cookie, answer, &self.room.secret).await
    }

    /// Asks a provider whether it still vouches for somebody, and what it says about them now.
    ///
    /// # Errors
    /// It does not, or cannot be asked.
    pub async fn confirm(
        &self,
        provider: &str,
        identity: &Identity,
        refresh_token: &str,
    ) -> Result<SignedIn, Unconfirmed> {
        match self.client(provider) {
            Ok(client) if client.config.issuer == identity.issuer => client.confirm(identity, refresh_token).await,
            // It was taken out of the configuration, or is another one now: nobody is left to vouch.
            Ok(_) => Err(Unconfirmed::Ended(format!("the provider {provider:?} has another issuer now"))),
            Err(error) => Err(Unconfirmed::Ended(error.to_string())),
        }
    }

    /// Who presents an access token of a provider that was made for us. `None` for anything else. What was found is
    /// believed for 30 seconds.
    ///
    /// # Errors
    /// The provider cannot be asked, or says more about the person than is taken.
    pub async fn bearer(&self, token: &str) -> Result<Option<Bearer>, ProviderError> {
        self.room.presented.find(&self.room.clients, token).await
    }

    /// Whose sessions a provider ends. Before the caller ends them it has to remember what is spent.
    ///
    /// # Errors
    /// There is no such provider, it cannot be asked, or the token is not believed.
    pub async fn logout_token(&self, provider: &str, token: &str) -> Result<LoggedOut, ProviderError> {
        self.client(provider)?.logout_token(token).await
    }

    /// Where the browser goes to sign out at the provider too; it comes back to our `/login`. `None` if the provider
    /// has no such place or cannot be asked.
    pub async fn end_session(&self, provider: &str, id_token: Option<&str>, base: &str) -> Option<String> {
        self.client(provider).ok()?.end_session(id_token, self.base(base)).await
    }

    fn base<'a>(&'a self, base: &'a str) -> &'a str {
        self.room.public_url.as_deref().unwrap_or(base.trim_end_matches('/'))
    }

    fn client(&self, name: &str) -> Result<&Arc<client::Client>, ProviderError> {
        let found = self.room.clients.iter().find(|client| client.config.name == name);
        found.ok_or_else(|| ProviderError::Unknown { provider: error::quote(name).chars().take(32).collect() })
    }
}
