use serde_json::Value;

use super::{
    LoggedOut, ProviderError, Spent,
    client::Client,
    signed::{self, Distrust, LEEWAY, Signed},
};
use crate::login::identity::Identity;

/// What a logout token speaks of.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A logout token is not older, in seconds.
const OLDEST: i64 = 600;
/// Nor longer, in bytes; nor are the names in it.
const LONGEST: usize = 16 << 10;
const LONGEST_NAME: usize = 255;

impl Client {
    /// Checks that the provider itself ends sessions (OpenID Connect Back-Channel Logout 1.0, section 2.6).
    pub(super) async fn logout_token(&self, token: &str) -> Result<LoggedOut, ProviderError> {
        let untrusted = |distrust| self.untrusted("logout token", distrust);
        if !self.config.back_channel_logout {
            return Err(untrusted(Distrust::because("back_channel_logout is off for it")));
        }
        if token.len() > LONGEST {
            return Err(untrusted(Distrust::because("it is too long")));
        }
        let check = |keys: &_| {
            let signed = Signed::open(token, keys, &self.config.signing_algorithms)?;
            self.check_logout(&signed)
        };
        self.with_keys(check).await.map_err(|error| self.asked(error))?.map_err(untrusted)
    }

    fn check_logout(&self, signed: &Signed) -> Result<LoggedOut, Distrust> {
        if !matches!(signed.kind.as_deref(), Some("logout+jwt" | "jwt") | None) {
            return Err(Distrust::because("it is a token of another kind"));
        }
        let now = self.clock.now();
        let ends = signed.check_issuer_and_time(&self.config.issuer, now)?;
        if !signed::audiences(&signed.claims).contains(&self.config.client_id.as_str()) {
            return Err(Distrust::because("it is for another client"));
        }
        match signed::time(&signed.claims, "iat")? {
            Some(made) if made >= now - OLDEST - LEEWAY => (),
            Some(_) => return Err(Distrust::because("it was made long ago")),
            None => return Err(Distrust::because("it does not say when it was made")),
        }
        let is_logout = signed.claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
        if !is_logout || signed.claims.contains_key("nonce") {
            return Err(Distrust::because("it does not speak of a logout"));
        }
        let name = |name: &str| match signed.claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=LONGEST_NAME).contains(&text.len()) => Ok(Some(text.clone())),
            Some(_) => Err(Distrust::because(format!("its {name} is no name"))),
        };
        let id = name("jti")?.ok_or_else(|| Distrust::because("it has no jti, so that it could be shown again"))?;
        let (subject, sid) = (name("sub")?, name("sid")?);
        if subject.is_none() && sid.is_none() {
            return Err(Distrust::because("it does not say whose session ends"));
        }
        if let Some(subject) = &subject {
            Identity::new(&self.config.issuer, subject).map_err(|error| Distrust::because(error.to_string()))?;
        }
        // Until it is too old, whatever it says itself.
        let expires_at = ends.min(now + OLDEST + LEEWAY) + 2 * LEEWAY;
        let spent = Spent::new("logout", &self.config.issuer, &id, expires_at);
        Ok(LoggedOut { issuer: self.config.issuer.clone(), subject, sid, spent })
    }

    /// Where the browser goes to sign out at the provider too, and comes back from to our login page.
    pub(super) async fn end_session(&self, id_token: Option<&str>, base: &str) -> Option<String> {
        let mut address = self.discovery().await.ok()?.end_session.clone()?;
        let mut query = address.query_pairs_mut();
        if let Some(token) = id_token.filter(|token| !token.is_empty()) {
            query.append_pair("id_token_hint", token);
        }
        query.append_pair("client_id", &self.config.client_id);
        query.append_pair("post_logout_redirect_uri", &format!("{base}/login"));
        drop(query);
        Some(address.into())
    }
}
