use base64::{Engine, engine::general_purpose::STANDARD};
use openidconnect::http::Request;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    ProviderError,
    client::Client,
    signed::{self, Distrust},
    web::AskError,
};

const WHAT: &str = "what an access token is worth";
/// An answer is not longer, in bytes.
const LONGEST: usize = 256 << 10;
/// Until when an answer without an end is believed, in seconds.
const UNSAID_END: i64 = 30;

impl Client {
    /// Asks the provider about an access token that only it can read (RFC 7662). `None` if it is worth nothing to us.
    pub(super) async fn introspected(&self, token: &str) -> Result<Option<Map<String, Value>>, ProviderError> {
        let discovery = self.discovery().await.map_err(|error| self.asked(error))?;
        let (Some(address), Some(secret)) = (&discovery.introspection, self.secret()) else {
            return Ok(None);
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", "access_token");
        let mut request = Request::post(address.as_str())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        if discovery.secret_in_body {
            form.append_pair("client_id", &self.config.client_id).append_pair("client_secret", secret);
        } else {
            // Each half is encoded as in a form before they are joined (RFC 6749, 2.3.1).
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&self.config.client_id), encoded(secret));
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        }
        let request = request
            .body(form.finish().into_bytes())
            .map_err(|_| self.asked(AskError::Unfit("its introspection_endpoint is no address".to_owned())))?;
        let answer = self.web.ask(request, LONGEST).await.map_err(|error| self.asked(AskError::of(WHAT, error)))?;
        if answer.status() != 200 {
            return Err(self.asked(AskError::away(WHAT, format!("it answers {}", answer.status().as_u16()))));
        }
        let claims: Map<String, Value> = serde_json::from_slice(answer.body()).map_err(|_| {
            self.asked(AskError::Unfit("its answer about an access token is no JSON object".to_owned()))
        })?;
        match self.check_introspected(claims) {
            Ok(claims) => Ok(Some(claims)),
            Err(Distrust::UnknownKey) => Ok(None),
            Err(Distrust::Because(why)) => {
                tracing::debug!(provider = self.name(), why, "an access token is not taken");
                Ok(None)
            }
        }
    }

    fn check_introspected(&self, mut claims: Map<String, Value>) -> Result<Map<String, Value>, Distrust> {
        let text = |name| signed::text(&claims, name);
        if claims.get("active") != Some(&Value::Bool(true)) {
            return Err(Distrust::because("the provider says that it is worth nothing"));
        }
        // A refresh token is active as well; only an access token has a type.
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(Distrust::because("it is no access token that can be shown as it is"));
        }
        if text("iss").is_some_and(|issuer| issuer != self.config.issuer) {
            return Err(Distrust::because("it is from another issuer"));
        }
        let audiences = signed::audiences(&claims);
        let is_ours = if audiences.is_empty() {
            text("client_id").is_some_and(|client| self.is_audience(client))
        } else {
            audiences.iter().any(|audience| self.is_audience(audience))
        };
        if !is_ours {
            return Err(Distrust::because("it is made for somebody else"));
        }
        if claims.contains_key("cnf") {
            return Err(Distrust::because("it is bound to a key, which was not shown"));
        }
        let now = self.clock.now();
        if !claims.contains_key("exp") {
            claims.insert("exp".to_owned(), Value::from(now + UNSAID_END));
        }
        signed::check_time(&claims, now)?;
        claims.insert("iss".to_owned(), Value::from(self.config.issuer.as_str()));
        Ok(claims)
    }
}
