use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moka::sync::Cache;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{
    Bearer, ProviderError,
    client::Client,
    clock::Clock,
    signed::{self, Distrust, Signed},
    userinfo::{self, Said},
};
use crate::login::identity::{Claims, Identity};

/// How long it is believed what a token was found to be, in seconds. So long does a token live on that its provider
/// takes back.
const BELIEVED: i64 = 30;
/// How long a token is known to be worth nothing, in seconds. Shorter: a new key may come.
const DISBELIEVED: i64 = 10;
/// So many of each are remembered.
const REMEMBERED: u64 = 10_000;
/// Access tokens have so many bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=16_384;
/// So many questions about tokens that only their provider can read are under way at once. Strangers can cause them.
const QUESTIONS: usize = 32;
/// How long a token waits for its turn to be asked about.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is only in tokens that are no access tokens.
const OF_OTHER_TOKENS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

/// Access tokens that were presented a moment ago, by their hashes.
pub(super) struct Presented {
    clock: Clock,
    good: Cache<[u8; 32], Arc<(i64, Bearer)>>,
    bad: Cache<[u8; 32], i64>,
    questions: Semaphore,
}

impl Presented {
    pub fn new(clock: Clock) -> Self {
        let lives = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
        Self {
            clock,
            good: Cache::builder().max_capacity(REMEMBERED).time_to_live(lives(BELIEVED)).build(),
            // Apart, so that a flood of nonsense does not push out what is good.
            bad: Cache::builder().max_capacity(REMEMBERED).time_to_live(lives(DISBELIEVED)).build(),
            questions: Semaphore::new(QUESTIONS),
        }
    }

    /// Who presents an access token of one of these providers. `None` for what is none, or worth nothing to us.
    pub async fn find(&self, clients: &[Arc<Client>], token: &str) -> Result<Option<Bearer>, ProviderError> {
        if !LENGTHS.contains(&token.len()) || !token.bytes().all(is_of_a_token) {
            return Ok(None);
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let now = self.clock.now();
        let is_recent = |at: i64, seconds: i64| (0..seconds).contains(&(now - at));
        if let Some(known) = self.good.get(&hash)
            && is_recent(known.0, BELIEVED)
            && known.1.expires_at > now
        {
            return Ok(Some(known.1.clone()));
        }
        if self.bad.get(&hash).is_some_and(|at| is_recent(at, DISBELIEVED)) {
            return Ok(None);
        }
        let found = self.ask(clients, token).await?;
        match &found {
            Some(bearer) => self.good.insert(hash, Arc::new((now, bearer.clone()))),
            None => self.bad.insert(hash, now),
        }
        Ok(found)
    }

    async fn ask(&self, clients: &[Arc<Client>], token: &str) -> Result<Option<Bearer>, ProviderError> {
        let issuer = issuer_of(token);
        let of_issuer = |client: &&Arc<Client>| issuer.as_ref().is_some_and(|issuer| *issuer == client.config.issuer);
        let taking = || clients.iter().filter(|client| client.config.bearer);
        let client = if issuer.is_some() {
            taking().find(of_issuer)
        } else {
            // Only one provider is ever asked: a token is no other provider's business.
            taking().find(|client| client.config.introspection)
        };
        let Some(client) = client else { return Ok(None) };
        let claims = if issuer.is_some() {
            client.open_access_token(token).await?
        } else {
            let turn = tokio::time::timeout(PATIENCE, self.questions.acquire()).await;
            let Ok(Ok(_turn)) = turn else {
                return Err(ProviderError::Busy { provider: client.name().to_owned() });
            };
            client.introspected(token).await?
        };
        match claims {
            Some(claims) => client.bearer(token, claims).await,
            None => Ok(None),
        }
    }
}

impl Client {
    /// Checks an access token by its signature.
    async fn open_access_token(&self, token: &str) -> Result<Option<Map<String, Value>>, ProviderError> {
        let check = |keys: &_| {
            let signed = Signed::open(token, keys, &self.config.signing_algorithms)?;
            signed.check_issuer_and_time(&self.config.issuer, self.clock.now())?;
            check_is_access_token(&signed)?;
            if !signed::audiences(&signed.claims).iter().any(|audience| self.is_audience(audience)) {
                return Err(Distrust::because("it is made for somebody else"));
            }
            Ok(signed.claims)
        };
        match self.with_keys(check).await.map_err(|error| self.asked(error))? {
            Ok(claims) => Ok(Some(claims)),
            Err(distrust) => {
                let why = self.untrusted("access token", distrust);
                tracing::debug!(provider = self.name(), %why, "an access token is not taken");
                Ok(None)
            }
        }
    }

    async fn bearer(&self, token: &str, mut claims: Map<String, Value>) -> Result<Option<Bearer>, ProviderError> {
        let named = (signed::text(&claims, "iss"), signed::text(&claims, "sub"));
        let (Some(issuer), Some(subject)) = named else { return Ok(None) };
        let refused = |source| ProviderError::Claims { provider: self.name().to_owned(), source };
        let identity = Identity::new(issuer, subject).map_err(refused)?;
        let Ok(Some(expires_at)) = signed::time(&claims, "exp") else { return Ok(None) };
        // Groups are rarely in access tokens. Those of people who signed in may be used to ask for them.
        let is_of_a_person = scopes(&claims).any(|scope| scope == "openid");
        if is_of_a_person {
            match self.userinfo(token, &identity.subject).await? {
                Said::Claims(said) => userinfo::add(&mut claims, said),
                Said::Nothing => (),
                // It fits, but the provider does not take it any more.
                Said::Refused => return Ok(None),
            }
        }
        let claims = Claims::new(identity, claims).map_err(refused)?;
        Ok(Some(Bearer { provider: self.name().to_owned(), claims, expires_at }))
    }
}

/// An ID token says who signed in somewhere, and is shown around; it must open nothing. Where the kind of a token is
/// not told by its type (RFC 9068), it must say what it allows, which ID tokens do not.
fn check_is_access_token(signed: &Signed) -> Result<(), Distrust> {
    match signed.kind.as_deref() {
        Some("at+jwt") => (),
        Some("jwt") | None => {
            let allows = ["scope", "scp"].iter().any(|name| signed.claims.contains_key(*name));
            let called = signed.text("typ").unwrap_or("Bearer");
            let is_other = OF_OTHER_TOKENS.iter().any(|name| signed.claims.contains_key(*name));
            if !allows || is_other || !called.eq_ignore_ascii_case("bearer") {
                return Err(Distrust::because("it is no access token"));
            }
        }
        Some(_) => return Err(Distrust::because("it is no access token")),
    }
    if signed.claims.contains_key("cnf") {
        return Err(Distrust::because("it is bound to a key, which was not shown"));
    }
    Ok(())
}

fn scopes(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    ["scope", "scp"].into_iter().filter_map(|name| claims.get(name)).flat_map(|value| match value {
        Value::String(text) => text.split(' ').collect::<Vec<_>>(),
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    })
}

/// What a bearer token is made of (RFC 6750).
fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// Whom a token claims to be from, if it can be read at all; nothing is checked.
fn issuer_of(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    #[derive(serde::Deserialize)]
    struct Named {
        iss: Option<String>,
    }
    let named: Named = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    // Something signed by nobody we know is not to be asked about either.
    Some(named.iss.unwrap_or_default())
}
