use openidconnect::{OAuth2TokenResponse, RefreshToken, TokenResponse, core::CoreTokenResponse};
use serde_json::{Map, Value, json};

use super::{
    ProviderError, SignedIn, Unconfirmed,
    client::Client,
    id_token::{self, Occasion, Vouched},
    sign_in,
    signed::Distrust,
    token_answer::{self, TokenAnswer},
    userinfo::Said,
};
use crate::login::identity::{Claims, Identity};

/// Why somebody is not confirmed, before it is known what is to be kept.
enum Doubt {
    Ended(ProviderError),
    Away(ProviderError),
}

impl From<ProviderError> for Doubt {
    /// A provider that says something wrong does not vouch for anybody; one that is away says nothing.
    fn from(error: ProviderError) -> Self {
        if error.is_passing() { Self::Away(error) } else { Self::Ended(error) }
    }
}

impl Doubt {
    fn unconfirmed(self, refresh_token: Option<&RefreshToken>) -> Unconfirmed {
        match self {
            Self::Ended(error) => Unconfirmed::Ended(error.to_string()),
            Self::Away(error) => Unconfirmed::Away {
                reason: error.to_string(),
                refresh_token: refresh_token.map(|token| token.secret().clone()),
            },
        }
    }
}

impl Client {
    /// Asks the provider whether it still vouches for somebody, and what it says about them now.
    pub(super) async fn confirm(&self, identity: &Identity, refresh_token: &str) -> Result<SignedIn, Unconfirmed> {
        let old = RefreshToken::new(refresh_token.to_owned());
        let tokens = self.refreshed(&old).await.map_err(|doubt| doubt.unconfirmed(None))?;
        let claims = self.claims_again(identity, &tokens).await;
        let claims = claims.map_err(|doubt| doubt.unconfirmed(tokens.refresh_token()))?;
        Ok(SignedIn {
            provider: self.name().to_owned(),
            sid: sign_in::sid(&claims),
            claims,
            id_token: tokens.id_token().map(sign_in::kept).unwrap_or_default(),
            // A provider that gives no new one means the old one to go on.
            refresh_token: Some(tokens.refresh_token().unwrap_or(&old).secret().clone()),
        })
    }

    async fn refreshed(&self, old: &RefreshToken) -> Result<CoreTokenResponse, Doubt> {
        let discovery = self.discovery().await.map_err(|error| self.asked(error))?;
        // A configuration that makes no sense says nothing about the person.
        let client = self.typed(&discovery).map_err(Doubt::Away)?;
        let tokens = client.exchange_refresh_token(old).request_async(&self.web).await;
        tokens.map_err(|error| match token_answer::of(error) {
            TokenAnswer::Refused { error, description } => {
                let refused = self.refused(&error, description.as_deref());
                // Only this is about the person; everything else is about us or the request.
                if error == "invalid_grant" { Doubt::Ended(refused) } else { Doubt::Away(refused) }
            }
            TokenAnswer::Nothing(error) => Doubt::Away(self.asked(error)),
        })
    }

    async fn claims_again(&self, identity: &Identity, tokens: &CoreTokenResponse) -> Result<Claims, Doubt> {
        let access_token = tokens.access_token();
        let vouched = match tokens.id_token() {
            Some(token) => Some(id_token::check(self, token, access_token, &Occasion::Refresh).await?),
            None => None,
        };
        if vouched.as_ref().is_some_and(|vouched| vouched.identity != *identity) {
            let why = Distrust::because("it is about somebody else than the one who signed in");
            return Err(Doubt::Ended(self.untrusted("ID token", why)));
        }
        let said = match self.userinfo(access_token.secret(), &identity.subject).await? {
            Said::Claims(said) => Some(said),
            Said::Nothing => None,
            Said::Refused => {
                return Err(Doubt::Ended(self.refused("it does not tell about the person any more", None)));
            }
        };
        if vouched.is_none() && said.is_none() {
            let why = Distrust::because("neither an ID token nor an answer about the person came with a new one");
            return Err(Doubt::Away(self.untrusted("access token", why)));
        }
        let vouched = vouched.unwrap_or_else(|| Vouched { identity: identity.clone(), claims: about(identity) });
        Ok(self.claims(vouched, said)?)
    }
}

fn about(identity: &Identity) -> Map<String, Value> {
    Map::from_iter([("iss".to_owned(), json!(identity.issuer)), ("sub".to_owned(), json!(identity.subject))])
}
