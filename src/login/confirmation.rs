//! Providers are asked again about those who use this server, so that who is shut out there is soon shut out here.
//!
//! Whoever asks has taken the user's row of `confirmations` for a while, so that of all replicas one asks: a refresh
//! token may count once. In between, and while a provider is away, what it has said before goes on to count, until its
//! roles expire.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

use super::{
    Rules,
    people::{self, Occasion},
    provider::{Providers, Unconfirmed},
    sealed,
    secret::Secret,
};
use crate::store::{Db, StoreError, confirmation, member::UserId, user};

/// See [`Pace`].
const LONGEST_BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// A request waits no longer for a provider.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who asks has so long for it; if the provider is away, it is not asked again before.
const LEASE: Duration = Duration::from_secs(30);
/// So many users are told apart at once. One that does not fit is looked up more often, and that is all.
const MOST_KEPT: u64 = 10_000;

/// Asks providers again.
#[derive(Clone)]
pub struct Confirmations {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    providers: Providers,
    secret: Secret,
    rules: Rules,
    pace: Pace,
    seen: Cache<UserId, Arc<Seen>>,
}

/// How long a provider's word counts.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From this age on, what a provider has said is asked for again, beside the request.
    ages: Duration,
    /// From this age on, the request waits for the answer.
    stale: Duration,
    /// The database is asked about a user's age this often. With `stale` it makes no more than a minute, which is what
    /// is promised.
    looks: Duration,
}

impl Pace {
    /// Requests wait for the provider when its word is so old.
    pub fn stale_after(stale: Duration) -> Self {
        Self { ages: stale / 5 * 4, stale, looks: (stale / 5).min(LONGEST_BETWEEN_LOOKS) }
    }
}

/// When a user's age was looked at here. Who holds `turn` looks; others wait for them.
#[derive(Default)]
struct Seen {
    looked: Mutex<Option<Instant>>,
    turn: tokio::sync::Mutex<()>,
}

impl Seen {
    fn is_recent(&self, looks: Duration) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_some_and(|at| at.elapsed() < looks)
    }

    fn note(&self) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// How old a provider's word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Ageing,
    Stale,
}

impl Confirmations {
    /// Asks these providers, and lets these rules decide on what they say.
    pub fn new(db: &Db, providers: &Providers, secret: &Secret, rules: Rules, pace: Pace) -> Self {
        let seen = Cache::builder().max_capacity(MOST_KEPT).time_to_idle(4 * pace.looks).build();
        let (db, providers, secret) = (db.clone(), providers.clone(), secret.clone());
        Self { inner: Arc::new(Inner { db, providers, secret, rules, pace, seen }) }
    }

    /// The user does something here: if their provider has not been asked for a while, it is. Answers whether something
    /// may have changed since the user was looked up.
    pub async fn keep(&self, user: UserId) -> bool {
        let looks = self.inner.pace.looks;
        let seen = self.inner.seen.get_with(user, Arc::default);
        if seen.is_recent(looks) {
            return false;
        }
        let turn = seen.turn.lock().await;
        if seen.is_recent(looks) {
            // Somebody else has looked while we waited.
            return true;
        }
        let age = match self.inner.age(user).await {
            Ok(age) => age,
            Err(error) => {
                tracing::warn!(%error, "whether a provider has to be asked again cannot be found out");
                return false;
            }
        };
        if age == Age::Fresh {
            seen.note();
            return false;
        }
        let asking = {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move { inner.ask(user).await })
        };
        if age == Age::Stale {
            // Cut short here, it goes on by itself: what the provider gives must not be lost.
            let _ = tokio::time::timeout(PATIENCE, asking).await;
        }
        seen.note();
        drop(turn);
        age == Age::Stale
    }
}

impl Inner {
    async fn age(&self, id: UserId) -> Result<Age, StoreError> {
        let Pace { ages, stale, .. } = self.pace;
        self.db
            .read_brief(move |connection| {
                Ok(if !confirmation::is_due(connection, id, ages)? {
                    Age::Fresh
                } else if confirmation::is_due(connection, id, stale)? {
                    Age::Stale
                } else {
                    Age::Ageing
                })
            })
            .await
    }

    async fn ask(&self, id: UserId) {
        if let Err(error) = self.try_ask(id).await {
            tracing::warn!(%error, "what a provider says about a user now could not be kept");
        }
    }

    async fn try_ask(&self, id: UserId) -> Result<(), anyhow::Error> {
        let ages = self.pace.ages;
        let claimed = self.db.write(move |connection| {
            let Some(due) = confirmation::claim(connection, id, ages, LEASE)? else { return Ok(None) };
            let of_provider = |(_, provider): &(_, String)| *provider == due.provider;
            let identity = user::identities(connection, id)?.into_iter().rfind(of_provider);
            Ok(identity.map(|(identity, _)| (due, identity)))
        });
        let Some((due, identity)) = claimed.await? else { return Ok(()) };
        let provider = due.provider;
        let Some(token) = sealed::open(&self.secret, sealed::REFRESH_TOKEN, &due.refresh_token) else {
            // The server's secret is another one now; nobody can ask any more.
            let reason = "the refresh token can no longer be read";
            return Ok(people::forget_by_provider(&self.db, id, &provider, reason).await?);
        };
        match self.providers.confirm(&provider, &identity, &token).await {
            Ok(signed_in) => {
                // A provider that gives no new one goes on to take the old one.
                let next = signed_in.refresh_token.unwrap_or(token);
                let next = sealed::seal(&self.secret, sealed::REFRESH_TOKEN, &next)?;
                let occasion = Occasion::Confirmation(Some(next));
                people::admit(&self.db, &self.rules, &provider, &signed_in.claims, occasion).await?;
            }
            Err(Unconfirmed::Ended(reason)) => {
                tracing::info!(user = %id.0, provider, reason, "a provider does not vouch for a user any more");
                people::forget_by_provider(&self.db, id, &provider, &reason).await?;
            }
            Err(Unconfirmed::Away { reason, refresh_token }) => {
                tracing::warn!(provider, reason, "a provider cannot be asked; what it has said before counts");
                if let Some(next) = refresh_token {
                    let next = sealed::seal(&self.secret, sealed::REFRESH_TOKEN, &next)?;
                    self.db.write(move |connection| confirmation::keep_token(connection, id, &next)).await?;
                }
            }
        }
        Ok(())
    }
}
