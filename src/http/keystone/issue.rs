use super::{
    Asked,
    asked::{Scope, Shown, Whose},
    fault::Fault,
};
use crate::{
    login::{
        Right,
        gate::Known,
        keystone::{KeystoneToken, StandsFor},
    },
    store::{Timestamp, live_member::OwnProject},
};

/// A token, and what is told about it.
pub struct Token {
    /// What is sealed in it.
    pub token: KeystoneToken,
    /// As the client keeps it.
    pub text: String,
    /// Whose it is.
    pub known: Known,
    /// Where it acts.
    pub project: Option<OwnProject>,
    /// In which way it was got.
    pub method: &'static str,
}

impl Token {
    /// The names of the roles that the rights amount to, as OpenStack calls them.
    pub fn roles(&self) -> Vec<&'static str> {
        let Some(project) = &self.project else { return Vec::new() };
        let named = [(Right::Read, "reader"), (Right::Operate, "member"), (Right::Manage, "manager")];
        named.into_iter().filter(|(right, _)| project.rights.has(*right)).map(|(_, name)| name).collect()
    }
}

/// A token for what was shown.
pub async fn exchange(asked: &Asked<'_>, shown: &Shown, scope: &Scope) -> Result<Token, Fault> {
    let known = asked.known(shown.credentials()).await?;
    let fits = match (&shown.whose, &known.stands_for) {
        (Whose::WithId(user), _) => known.user.0 == *user,
        (Whose::TokenWithId(wanted), StandsFor::AppToken(token)) => wanted == token,
        (Whose::TokenWithId(_), StandsFor::Provider(..)) | (Whose::Nobodys, _) => false,
        (Whose::Named(name), _) => *name == known.user_name,
        (Whose::Anybodys, _) => true,
    };
    if !fits {
        return Err(Fault::Unauthenticated);
    }
    scoped(asked, known, scope, shown.method).await
}

/// A token for somebody who is known.
pub async fn scoped(asked: &Asked<'_>, mut known: Known, scope: &Scope, method: &'static str) -> Result<Token, Fault> {
    // Whom a provider vouches for may go from one project to another; an app token has one.
    if matches!((&known.stands_for, scope), (StandsFor::Provider(..), Scope::Project(_) | Scope::Nowhere)) {
        known.project = None;
    }
    let project = match scope {
        Scope::Nowhere => None,
        Scope::Unsaid if known.project.is_none() => None,
        Scope::Unsaid => asked.gate.projects(&known).await?.into_iter().find(|own| Some(own.id) == known.project),
        Scope::Project(wanted) => {
            // OpenStack's clients take 401 for "not there"; they try the next project then.
            match asked.gate.choose(&known, Some(wanted)).await {
                Ok(Some(project)) => Some(project),
                Ok(None) | Err(crate::login::gate::GateError::Refused(_)) => return Err(Fault::Unauthenticated),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let chosen = project.as_ref().map(|project| project.id);
    let token = KeystoneToken::new(known.stands_for.clone(), chosen, Timestamp::now(), Some(known.expires_at));
    let text = token.seal(asked.gate.secret()).map_err(|error| {
        tracing::error!(%error, "no token can be made");
        Fault::Gate(crate::login::gate::GateError::Away("no token can be made at present".into()))
    })?;
    tracing::info!(user = known.user_name, token = %token.id, method, "a Keystone token was given out");
    Ok(Token { token, text, known, project, method })
}
