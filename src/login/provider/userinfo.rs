use openidconnect::http::Request;
use serde_json::{Map, Value};

use super::{
    ProviderError,
    client::Client,
    signed::{self, Distrust, Signed},
    web::{AskError, LONGEST_ANSWER},
};

const WHAT: &str = "what it says about a person";

/// Claims of a token that nothing said later changes: who it is, for whom, and when.
const FIXED: [&str; 12] =
    ["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "auth_time", "nonce", "at_hash", "c_hash", "sid"];

/// What a provider says about a person, if it does.
pub(super) enum Said {
    /// This.
    Claims(Map<String, Value>),
    /// The access token is not taken there.
    Refused,
    /// The provider has no such door, or it is not to be used.
    Nothing,
}

impl Client {
    /// Asks about the person whom an access token is for. What comes must be about the same subject.
    pub(super) async fn userinfo(&self, access_token: &str, subject: &str) -> Result<Said, ProviderError> {
        let discovery = self.discovery().await.map_err(|error| self.asked(error))?;
        let Some(address) = discovery.userinfo.as_ref().filter(|_| self.config.userinfo) else {
            return Ok(Said::Nothing);
        };
        let request = Request::get(address.as_str())
            .header("authorization", format!("Bearer {access_token}"))
            .header("accept", "application/json, application/jwt")
            .body(Vec::new())
            .map_err(|_| self.untrusted("access token", Distrust::because("it has characters that no header takes")))?;
        let answer =
            self.web.ask(request, LONGEST_ANSWER).await.map_err(|error| self.asked(AskError::of(WHAT, error)))?;
        match answer.status().as_u16() {
            200 => (),
            401 | 403 => return Ok(Said::Refused),
            status => return Err(self.asked(AskError::away(WHAT, format!("it answers {status}")))),
        }
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_signed = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/jwt"));
        let untrusted = |distrust| self.untrusted("answer about a person", distrust);
        let claims = if is_signed {
            self.open_userinfo(answer.body()).await?
        } else {
            serde_json::from_slice(answer.body()).map_err(|_| untrusted(Distrust::because("it is no JSON object")))?
        };
        if signed::text(&claims, "sub") != Some(subject) {
            return Err(untrusted(Distrust::because("it is about somebody else")));
        }
        Ok(Said::Claims(claims))
    }

    async fn open_userinfo(&self, body: &[u8]) -> Result<Map<String, Value>, ProviderError> {
        let token = String::from_utf8_lossy(body);
        let check = |keys: &_| {
            let signed = Signed::open(token.trim(), keys, &self.config.signing_algorithms)?;
            if signed.text("iss").is_some_and(|issuer| issuer != self.config.issuer) {
                return Err(Distrust::because("it is from another issuer"));
            }
            let audiences = signed::audiences(&signed.claims);
            if !audiences.is_empty() && !audiences.contains(&self.config.client_id.as_str()) {
                return Err(Distrust::because("it is for another client"));
            }
            Ok(signed.claims)
        };
        let checked = self.with_keys(check).await.map_err(|error| self.asked(error))?;
        checked.map_err(|distrust| self.untrusted("answer about a person", distrust))
    }
}

/// Adds what was said later to what a token said.
pub(super) fn add(claims: &mut Map<String, Value>, said: Map<String, Value>) {
    for (name, value) in said {
        if !FIXED.contains(&name.as_str()) {
            claims.insert(name, value);
        }
    }
}
