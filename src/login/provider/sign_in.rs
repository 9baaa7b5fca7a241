use openidconnect::{
    AuthorizationCode, CsrfToken, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    TokenResponse,
    core::CoreAuthenticationFlow,
    core::{CoreIdToken, CoreTokenType},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{
    Begun, CallbackAnswer, Finished, ProviderError, SignedIn, Spent, address,
    client::Client,
    id_token::{self, Occasion, Vouched},
    signed::{Distrust, LEEWAY},
    token_answer::{self, TokenAnswer},
    userinfo::{self, Said},
};
use crate::login::{identity::Claims, local_path::LocalPath, secret::Secret};

/// What the cookie is sealed for.
const PURPOSE: &str = "login cookie";
/// How long people may take at the provider, in seconds.
const PATIENCE: i64 = 600;
/// Random bytes in `state` and `nonce`.
const RANDOM_BYTES: u32 = 32;
/// A code is not longer, in bytes; nor is what else a browser brings.
const LONGEST_CODE: usize = 4096;
/// Tokens that are longer are not kept, in bytes: no address holds them when signing out.
const LONGEST_KEPT: usize = 8 << 10;

/// A sign-in under way. Only the browser holds it, sealed.
#[derive(Serialize, Deserialize)]
struct Pending {
    provider: String,
    base: String,
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    begun_at: i64,
}

impl Client {
    /// Where the provider sends people back to.
    pub(super) fn redirect_address(&self, base: &str) -> String {
        format!("{base}/login/callback/{}", self.name())
    }

    pub(super) async fn begin(&self, base: &str, next: &LocalPath, secret: &Secret) -> Result<Begun, ProviderError> {
        let discovery = self.discovery().await.map_err(|error| self.asked(error))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.typed(&discovery)?.set_redirect_uri(self.redirect(base)?);
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new_random_len(RANDOM_BYTES),
                || Nonce::new_random_len(RANDOM_BYTES),
            )
            .add_scopes(self.scopes(discovery.offers_offline_access))
            .set_pkce_challenge(challenge);
        if let Some(prompt) = &self.config.prompt {
            request = request.add_extra_param("prompt", prompt);
        }
        if let Some(longest) = self.config.max_age {
            request = request.set_max_age(std::time::Duration::from_secs(longest.into()));
        }
        let (location, state, nonce) = request.url();
        let pending = Pending {
            provider: self.name().to_owned(),
            base: base.to_owned(),
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            next: next.as_str().to_owned(),
            begun_at: self.clock.now(),
        };
        // A structure of texts always has a JSON form.
        let plain = serde_json::to_vec(&pending).unwrap_or_default();
        Ok(Begun { location: location.into(), cookie: secret.seal(PURPOSE, &plain)? })
    }

    pub(super) async fn finish(
        &self,
        base: &str,
        cookie: &str,
        answer: &CallbackAnswer,
        secret: &Secret,
    ) -> Result<Finished, ProviderError> {
        let pending = self.pending(base, cookie, answer, secret)?;
        let discovery = self.discovery().await.map_err(|error| self.asked(error))?;
        match &answer.iss {
            Some(issuer) if *issuer != self.config.issuer => {
                return Err(ProviderError::Unrequested { problem: "it is from another provider" });
            }
            None if discovery.names_issuer => {
                return Err(ProviderError::Unrequested { problem: "it does not say which provider it is from" });
            }
            _ => (),
        }
        if let Some(error) = &answer.error {
            return Err(self.refused(error, answer.error_description.as_deref()));
        }
        let Some(code) = answer.code.as_ref().filter(|code| (1..=LONGEST_CODE).contains(&code.len())) else {
            return Err(ProviderError::Unrequested { problem: "it brings no code" });
        };
        let code = AuthorizationCode::new(code.clone());
        let client = self.typed(&discovery)?.set_redirect_uri(self.redirect(base)?);
        let tokens = client
            .exchange_code(code.clone())
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier))
            .request_async(&self.web)
            .await;
        let tokens = tokens.map_err(|error| match token_answer::of(error) {
            TokenAnswer::Refused { error, description } => self.refused(&error, description.as_deref()),
            TokenAnswer::Nothing(error) => self.asked(error),
        })?;
        if *tokens.token_type() != CoreTokenType::Bearer {
            return Err(self.untrusted("access token", Distrust::because("it is none that can be shown as it is")));
        }
        let Some(token) = tokens.id_token() else {
            return Err(self.untrusted("ID token", Distrust::because("there is none")));
        };
        let nonce = Nonce::new(pending.nonce);
        let occasion = Occasion::SignIn { nonce: &nonce, code: &code };
        let vouched = id_token::check(self, token, tokens.access_token(), &occasion).await?;
        let claims = match self.userinfo(tokens.access_token().secret(), &vouched.identity.subject).await? {
            Said::Claims(said) => self.claims(vouched, Some(said))?,
            Said::Nothing => self.claims(vouched, None)?,
            // Without what it does not say here, groups would seem to be gone.
            Said::Refused => {
                let why = "the provider itself does not take it, when asked about the person";
                return Err(self.untrusted("access token", Distrust::because(why)));
            }
        };
        let signed_in = SignedIn {
            provider: self.name().to_owned(),
            sid: sid(&claims),
            claims,
            id_token: kept(token),
            refresh_token: tokens
                .refresh_token()
                .map(|token| token.secret().clone())
                .filter(|token| token.len() <= LONGEST_KEPT),
        };
        let spent = Spent::new("login", &self.config.issuer, &pending.state, pending.begun_at + PATIENCE + LEEWAY);
        Ok(Finished { signed_in, next: LocalPath::or_account(Some(&pending.next)), spent })
    }

    /// The sign-in that an answer belongs to, if this browser began it, here, for this provider, not long ago.
    fn pending(
        &self,
        base: &str,
        cookie: &str,
        answer: &CallbackAnswer,
        secret: &Secret,
    ) -> Result<Pending, ProviderError> {
        let unrequested = |problem| ProviderError::Unrequested { problem };
        let plain = secret.open(PURPOSE, cookie).ok_or(unrequested("its cookie is missing or changed"))?;
        let pending: Pending =
            serde_json::from_slice(&plain).map_err(|_| unrequested("its cookie is of another kind"))?;
        let state = answer.state.as_deref().ok_or(unrequested("it has no state"))?;
        if !bool::from(state.as_bytes().ct_eq(pending.state.as_bytes())) {
            return Err(unrequested("its state is of another sign-in"));
        }
        if pending.provider != self.name() {
            return Err(unrequested("it came to the door of another provider"));
        }
        if pending.base != base {
            return Err(unrequested("it was begun under another address of this server"));
        }
        if !(0..PATIENCE).contains(&(self.clock.now() - pending.begun_at)) {
            return Err(unrequested("it took longer than ten minutes"));
        }
        Ok(pending)
    }

    /// Claims of somebody, with what was said besides.
    pub(super) fn claims(
        &self,
        vouched: Vouched,
        said: Option<serde_json::Map<String, serde_json::Value>>,
    ) -> Result<Claims, ProviderError> {
        let mut all = vouched.claims;
        userinfo::add(&mut all, said.unwrap_or_default());
        Claims::new(vouched.identity, all)
            .map_err(|source| ProviderError::Claims { provider: self.name().to_owned(), source })
    }

    pub(super) fn refused(&self, error: &str, description: Option<&str>) -> ProviderError {
        ProviderError::Refused {
            provider: self.name().to_owned(),
            error: super::error::quote(error),
            description: description.map(super::error::quote),
        }
    }

    fn redirect(&self, base: &str) -> Result<RedirectUrl, ProviderError> {
        address::parsed(base)
            .and_then(|_| RedirectUrl::new(self.redirect_address(base)).map_err(|_| "it is not an address"))
            .map_err(|problem| ProviderError::Misconfigured {
                provider: self.name().to_owned(),
                problem: format!("people cannot be sent back to this server at {base:?}: {problem}"),
            })
    }

    fn scopes(&self, offers_offline_access: bool) -> Vec<Scope> {
        let usual = || {
            let more = offers_offline_access.then_some("offline_access");
            ["profile", "email"].into_iter().chain(more).map(str::to_owned).collect()
        };
        let scopes = self.config.scopes.clone().unwrap_or_else(usual);
        // The library asks for `openid` itself.
        scopes.into_iter().filter(|scope| scope != "openid").map(Scope::new).collect()
    }
}

/// An ID token as it is kept for signing out.
pub(super) fn kept(token: &CoreIdToken) -> String {
    let token = token.to_string();
    if token.len() > LONGEST_KEPT { String::new() } else { token }
}

pub(super) fn sid(claims: &Claims) -> Option<String> {
    claims.all.get("sid").and_then(serde_json::Value::as_str).filter(|sid| sid.len() <= 255).map(str::to_owned)
}
