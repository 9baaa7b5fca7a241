use std::{fs::File, io::Read, sync::Arc};

use openidconnect::{
    AuthType, AuthUrl, ClientId, ClientSecret, EndpointNotSet, EndpointSet, IssuerUrl, JsonWebKeySet, TokenUrl,
    core::CoreClient,
};

use super::{
    ProviderConfig, ProviderError,
    address::AddressRule,
    cached::Cached,
    clock::Clock,
    discovery::{self, Discovery},
    keys::{self, Keys},
    signed::Distrust,
    web::{AskError, Web},
};

/// A secret of ours is not longer, in bytes.
const LONGEST_SECRET: u64 = 4096;

/// The library's client, ready to send people to the provider and to ask for tokens.
pub(super) type TypedClient =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

/// We, as a client of one provider.
pub(super) struct Client {
    pub config: ProviderConfig,
    pub clock: Clock,
    pub web: Web,
    secret: Option<String>,
    rule: AddressRule,
    discovery: Cached<Discovery>,
    keys: Cached<Keys>,
}

impl Client {
    /// Reads the configuration; asks nobody.
    pub fn new(config: &ProviderConfig, web: Web, clock: Clock) -> Result<Self, ProviderError> {
        let wrong = |problem: String| ProviderError::Misconfigured { provider: config.name.clone(), problem };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if config.name.is_empty() || config.name.len() > 32 || !config.name.chars().all(is_name) {
            return Err(wrong("its name must be 1 to 32 lower-case letters, digits or hyphens".to_owned()));
        }
        if config.client_id.is_empty() {
            return Err(wrong(
                "client_id is empty; the provider gave one when Tombolo was registered there".to_owned(),
            ));
        }
        if config.signing_algorithms.is_empty() {
            return Err(wrong("signing_algorithms is empty; leave it out for the usual ones".to_owned()));
        }
        let rule = AddressRule::of_issuer(&config.issuer, config.allow_http)
            .map_err(|problem| wrong(format!("the issuer {:?} cannot be used: {problem}", config.issuer)))?;
        let secret = match (&config.client_secret, &config.client_secret_file) {
            (Some(_), Some(_)) => {
                return Err(wrong("both client_secret and client_secret_file are given; keep one".to_owned()));
            }
            (Some(secret), None) => Some(secret.reveal().to_owned()),
            (None, Some(path)) => {
                let mut text = String::new();
                let read = File::open(path).and_then(|file| file.take(LONGEST_SECRET).read_to_string(&mut text));
                read.map_err(|error| wrong(format!("cannot read client_secret_file {}: {error}", path.display())))?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
        };
        if secret.as_ref().is_some_and(String::is_empty) {
            return Err(wrong("the client secret is empty; leave it out for a public client".to_owned()));
        }
        let (discovery, keys) = (Cached::new(), Cached::new());
        Ok(Self { config: config.clone(), clock, web, secret, rule, discovery, keys })
    }

    /// What proves to the provider who we are; `None` for a public client.
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// An error of this provider.
    pub fn asked(&self, error: AskError) -> ProviderError {
        ProviderError::asked(self.name(), error)
    }

    /// One of its tokens is not believed.
    pub fn untrusted(&self, what: &'static str, distrust: Distrust) -> ProviderError {
        let provider = self.name().to_owned();
        match distrust {
            Distrust::UnknownKey => ProviderError::UnknownKey { provider, what },
            Distrust::Because(why) => ProviderError::Untrusted { provider, what, problem: super::error::quote(&why) },
        }
    }

    /// What the provider says about itself.
    pub async fn discovery(&self) -> Result<Arc<Discovery>, AskError> {
        let fetch = || async {
            let address = discovery::address_of(&self.config.issuer);
            let document = self.web.get("its discovery document", &address, discovery::LONGEST_DOCUMENT).await?;
            Discovery::read(&document, &self.config.issuer, &self.rule)
        };
        self.discovery.get(self.clock.now(), fetch).await
    }

    /// The provider's keys.
    pub async fn keys(&self) -> Result<Arc<Keys>, AskError> {
        self.keys.get(self.clock.now(), || self.fetch_keys()).await
    }

    async fn fetch_keys(&self) -> Result<Keys, AskError> {
        let discovery = self.discovery().await?;
        Keys::read(&self.web.get("its keys", discovery.keys.as_str(), keys::LONGEST_DOCUMENT).await?)
    }

    /// Does something that needs the provider's keys; once more with new ones if there was none that fits.
    pub async fn with_keys<T>(
        &self,
        mut check: impl FnMut(&Keys) -> Result<T, Distrust>,
    ) -> Result<Checked<T>, AskError> {
        let first = check(&*self.keys().await?);
        if !matches!(first, Err(Distrust::UnknownKey)) {
            return Ok(first);
        }
        Ok(check(&*self.keys.look_again(self.clock.now(), || self.fetch_keys()).await?))
    }

    /// The library's client.
    pub fn typed(&self, discovery: &Discovery) -> Result<TypedClient, ProviderError> {
        let issuer = self.issuer()?;
        let client = CoreClient::new(self.client_id(), issuer, JsonWebKeySet::new(Vec::new()))
            .set_auth_type(if discovery.secret_in_body { AuthType::RequestBody } else { AuthType::BasicAuth })
            .set_auth_uri(AuthUrl::from_url(discovery.authorization.clone()))
            .set_token_uri(TokenUrl::from_url(discovery.token.clone()));
        Ok(match &self.secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
            None => client,
        })
    }

    pub fn client_id(&self) -> ClientId {
        ClientId::new(self.config.client_id.clone())
    }

    pub fn issuer(&self) -> Result<IssuerUrl, ProviderError> {
        IssuerUrl::new(self.config.issuer.clone()).map_err(|error| ProviderError::Misconfigured {
            provider: self.name().to_owned(),
            problem: format!("the issuer is not an address: {error}"),
        })
    }

    /// Whether something made for these was made for us, or for whom we stand in for.
    pub fn is_audience(&self, audience: &str) -> bool {
        audience == self.config.client_id || self.config.audiences.iter().any(|known| known == audience)
    }
}

/// What came of a check, once there were keys to do it with.
pub(super) type Checked<T> = Result<T, Distrust>;
