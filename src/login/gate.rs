//! Who may pass, by whatever they show: one of our app tokens, a Keystone token that we gave for something, or an access
//! token of a provider.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use super::{
    AppToken, Credentials, Principal, Proof, Rights, Rules,
    keystone::{KeystoneToken, StandsFor},
    people::{self, AdmissionError, Occasion},
    provider::{Bearer, ProviderError, Providers},
    secret::Secret,
};
use crate::store::{
    self, Db, StoreError, Timestamp,
    live_member::{LiveMembers, OwnProject},
    member::{self, ProjectId, Standing, UserId},
    spent,
};

/// So many projects are listed for somebody who may act in all.
const MOST_LISTED: usize = 1000;
/// So many are named in a message.
const MOST_NAMED: usize = 20;
/// What a provider's token says is looked at anew after this; so long does a request after the first write nothing.
const ADMITTED_FOR: Duration = Duration::from_secs(30);
/// So many people with such tokens are kept in mind.
const MOST_ADMITTED: u64 = 10_000;

/// Finds out who asks. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    secret: Secret,
    members: LiveMembers,
    vouching: Option<Vouching>,
}

/// Who can vouch for people, and what they get for it.
struct Vouching {
    providers: Providers,
    rules: Rules,
    /// By the hash of the token: who it was, when it was last looked at.
    admitted: Cache<[u8; 32], (UserId, String)>,
}

/// Why somebody who is known does not pass, or nobody can say who it is.
#[derive(Debug, Error)]
pub enum GateError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They are known, and may not do this, or must say more.
    #[error("{0}")]
    Refused(String),
    /// The provider that knows them cannot be asked.
    #[error("{0}")]
    Away(String),
}

/// Somebody who is known; not yet where they want to act.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub user_name: String,
    /// What they have shown.
    pub by: Proof,
    /// The project that what they have shown is bound to.
    pub project: Option<ProjectId>,
    /// From when on what they have shown is void.
    pub expires_at: Timestamp,
    /// What a Keystone token would stand for that they get.
    pub stands_for: StandsFor,
    /// The Keystone token that they have shown, if it was one.
    pub keystone: Option<KeystoneToken>,
    /// What an app token allows.
    token_rights: Option<Rights>,
}

impl Gate {
    /// A gate to this store for our own tokens, which this secret seals.
    #[cfg(test)]
    pub fn new(db: Db, secret: Secret) -> Self {
        Self { inner: Arc::new(Inner { db, secret, members: LiveMembers::default(), vouching: None }) }
    }

    /// A gate to this store for our own tokens, which this secret seals, and for those of these providers.
    pub fn with_providers(db: Db, secret: Secret, providers: Providers, rules: Rules) -> Self {
        let admitted = Cache::builder().max_capacity(MOST_ADMITTED).time_to_live(ADMITTED_FOR).build();
        let vouching = Some(Vouching { providers, rules, admitted });
        Self { inner: Arc::new(Inner { db, secret, members: LiveMembers::default(), vouching }) }
    }

    /// What Keystone tokens are sealed with.
    pub fn secret(&self) -> &Secret {
        &self.inner.secret
    }

    /// The store.
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// Who asks, and for which project. `None` for what is unknown, wrong, expired or revoked; which of these is not
    /// told.
    ///
    /// # Errors
    /// They must name another project, or one at all; the provider or the database failed.
    pub async fn principal(&self, credentials: &Credentials) -> Result<Option<Principal>, GateError> {
        let Some(known) = self.known(credentials).await? else { return Ok(None) };
        let project = self.choose(&known, credentials.project.as_deref()).await?;
        Ok(project.map(|project| Principal {
            user: known.user,
            user_name: known.user_name,
            project: project.id,
            rights: project.rights,
            by: known.by,
        }))
    }

    /// Who shows this.
    ///
    /// # Errors
    /// The provider or the database failed.
    pub async fn known(&self, credentials: &Credentials) -> Result<Option<Known>, GateError> {
        let secret = credentials.secret.as_str();
        let known = if let Ok(token) = secret.parse::<AppToken>() {
            let live = self.app_token(token.id).await?;
            live.filter(|(_, secret_hash)| token.fits(secret_hash)).map(|(known, _)| known)
        } else if KeystoneToken::is_like(secret) {
            self.keystone_token(secret).await?
        } else {
            self.provider_token(secret).await?
        };
        // Over Basic the user name must be the right one; other schemes name none.
        Ok(known.filter(|known| credentials.user.as_ref().is_none_or(|name| *name == known.user_name)))
    }

    async fn app_token(&self, id: Uuid) -> Result<Option<(Known, String)>, StoreError> {
        let live = store::token::find_live(&self.inner.db, id).await?;
        // Who has lost every right in the project is nobody there.
        Ok(live.filter(|live| !live.rights.is_empty()).map(|live| {
            let known = Known {
                user: live.user,
                user_name: live.user_name.clone(),
                by: Proof::Token(id),
                project: Some(live.project),
                expires_at: live.expires_at,
                stands_for: StandsFor::AppToken(id),
                keystone: None,
                token_rights: Some(live.rights),
            };
            (known, live.secret_hash.clone())
        }))
    }

    async fn keystone_token(&self, text: &str) -> Result<Option<Known>, StoreError> {
        let Some(token) = KeystoneToken::open(&self.inner.secret, text, Timestamp::now()) else { return Ok(None) };
        let key = token.spent_key();
        if self.inner.db.read_brief(move |connection| spent::is_spent(connection, &key)).await? {
            return Ok(None);
        }
        let known = match (&token.stands_for, token.user()) {
            (StandsFor::AppToken(id), _) => self.app_token(*id).await?.map(|(known, _)| known),
            (StandsFor::Provider(provider, _), Some(user)) => self.vouched(user, provider, token.expires_at()).await?,
            (StandsFor::Provider(..), None) => None,
        };
        Ok(known.map(|known| Known {
            project: known.project.or(token.project()),
            expires_at: known.expires_at.min(token.expires_at()),
            keystone: Some(token),
            ..known
        }))
    }

    /// Somebody with an access token of a provider, who becomes known here as at a sign-in.
    async fn provider_token(&self, token: &str) -> Result<Option<Known>, GateError> {
        let Some(vouching) = &self.inner.vouching else { return Ok(None) };
        let bearer = match vouching.providers.bearer(token).await {
            Ok(Some(bearer)) => bearer,
            Ok(None) => return Ok(None),
            Err(error) if error.is_passing() => return Err(GateError::Away(error.to_string())),
            Err(error @ ProviderError::Claims { .. }) => return Err(GateError::Refused(error.to_string())),
            Err(error) => {
                tracing::debug!(%error, "a provider's token is not taken");
                return Ok(None);
            }
        };
        let hash: [u8; 32] = Sha256::digest(token).into();
        let (user, provider) = match vouching.admitted.get(&hash) {
            Some(known) => known,
            None => {
                let Some(user) = self.admit(vouching, &bearer).await? else { return Ok(None) };
                let known = (user, bearer.provider.clone());
                vouching.admitted.insert(hash, known.clone());
                known
            }
        };
        let until = Timestamp(bearer.expires_at.saturating_mul(1_000_000));
        Ok(self.vouched(user, &provider, until).await?)
    }

    async fn admit(&self, vouching: &Vouching, bearer: &Bearer) -> Result<Option<UserId>, GateError> {
        let (db, rules) = (&self.inner.db, &vouching.rules);
        let admitted = people::admit(db, rules, &bearer.provider, &bearer.claims, Occasion::AccessToken).await;
        let admitted = admitted.map_err(|error| match error {
            AdmissionError::Store(error) => GateError::Store(error),
            refused @ AdmissionError::Mapping(_) => GateError::Refused(refused.to_string()),
        })?;
        match admitted.standing {
            Standing::Active => Ok(Some(admitted.user)),
            Standing::Disabled => Ok(None),
            Standing::Pending => Err(GateError::Refused(format!(
                "you are known here as {}, but nobody has let you in yet: sign in with a browser and ask, or open an \
                 invitation that you have",
                admitted.name
            ))),
        }
    }

    /// Somebody whom the provider has vouched for, as long as it is known as theirs and they get in.
    async fn vouched(&self, user: UserId, provider: &str, until: Timestamp) -> Result<Option<Known>, StoreError> {
        let member = self.inner.members.find(&self.inner.db, user).await?;
        let member = member.filter(|member| member.providers.iter().any(|known| known == provider));
        Ok(member.map(|member| Known {
            user,
            user_name: member.name.clone(),
            by: Proof::Provider(provider.to_owned()),
            project: None,
            expires_at: until,
            stands_for: StandsFor::Provider(provider.to_owned(), user.0),
            keystone: None,
            token_rights: None,
        }))
    }

    /// Where they may act by what they have shown.
    ///
    /// # Errors
    /// The database failed.
    pub async fn projects(&self, known: &Known) -> Result<Vec<OwnProject>, StoreError> {
        if let (Some(id), Some(rights)) = (known.project, known.token_rights) {
            let name = self.inner.db.read_brief(move |connection| member::project_name(connection, id)).await?;
            return Ok(name.map(|name| OwnProject { id, name, rights }).into_iter().collect());
        }
        let Some(member) = self.inner.members.find(&self.inner.db, known.user).await? else { return Ok(Vec::new()) };
        if !member.is_everywhere() {
            return Ok(member.projects.clone());
        }
        let all = self.inner.db.read(member::project_names).await?;
        let of = |(id, name)| OwnProject { id, name, rights: member.rights_in(id) };
        Ok(all.into_iter().take(MOST_LISTED).map(of).collect())
    }

    /// The project to act in: the one that is named by name or id, or that what they have shown is bound to, or their
    /// only one. `None` if they have no right anywhere any more.
    ///
    /// # Errors
    /// It is none of theirs, or they have several and none is named; the database failed.
    pub async fn choose(&self, known: &Known, wanted: Option<&str>) -> Result<Option<OwnProject>, GateError> {
        // What every request with an app token does asks nothing more of the database.
        if let (None, Some(id), Some(rights)) = (wanted, known.project, known.token_rights) {
            return Ok(Some(OwnProject { id, name: String::new(), rights }));
        }
        let mut projects = self.projects(known).await?;
        if let Some(bound) = known.project {
            projects.retain(|project| project.id == bound);
        }
        let Some(wanted) = wanted else {
            return match projects.len() {
                0 | 1 => Ok(projects.pop()),
                _ => Err(GateError::Refused(format!(
                    "you are in several projects; say in X-Project which one is meant: {}",
                    named(&projects)
                ))),
            };
        };
        if projects.is_empty() {
            return Ok(None);
        }
        let id = Uuid::try_parse(wanted).ok().map(ProjectId);
        let found = projects.iter().find(|project| Some(project.id) == id || project.name == wanted);
        found.cloned().map(Some).ok_or_else(|| {
            let wanted: String = wanted.chars().filter(|c| !c.is_control()).take(64).collect();
            GateError::Refused(format!(
                "you cannot act in a project {wanted:?} by this; you can in: {}",
                named(&projects)
            ))
        })
    }
}

fn named(projects: &[OwnProject]) -> String {
    let names: Vec<_> = projects.iter().take(MOST_NAMED).map(|project| project.name.as_str()).collect();
    let more = if projects.len() > MOST_NAMED { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}
