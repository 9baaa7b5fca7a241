//! People whom a provider vouches for: who they are here, and what they get.

use std::time::Duration;

use serde_json::json;
use thiserror::Error;

use super::{
    identity::Claims,
    mapping::{self, Given, Rule, TooManyRoles, Whereabouts},
    name,
    told::{self, Told},
};
use crate::{
    request::{self, Actor},
    store::{
        Db, DbConnection, StoreError, Timestamp,
        confirmation::{self, RefreshToken},
        grant::{self, Grant, Origin, Place},
        member::{self, Standing, UserId},
        user::{self, User},
    },
};

/// Of two first sign-ins of a person at once, one is tried again.
const TRIES: usize = 3;

/// What decides on people's roles.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The mapping.
    pub mapping: Vec<Rule>,
    /// For how long its roles hold after the provider has spoken last.
    pub valid_for: Duration,
}

/// On which occasion the provider has told of the person.
#[derive(Clone)]
pub enum Occasion {
    /// They have signed in; with a refresh token, sealed, if there is one.
    SignIn(Option<String>),
    /// The provider was asked whether it still knows them; with the next refresh token, sealed, if there is one.
    Confirmation(Option<String>),
    /// They have shown an access token of the provider.
    AccessToken,
}

/// Somebody whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The user that they are here.
    pub user: UserId,
    /// By which they are addressed here.
    pub name: String,
    /// Whether they get in.
    pub standing: Standing,
}

/// Why somebody is not admitted.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// The rules give them more than anybody needs.
    #[error(transparent)]
    Mapping(#[from] TooManyRoles),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A provider tells of a person: they are found by issuer and subject, or else become a new user; what the rules give
/// them replaces what rules gave them before. A name or an e-mail address that somebody else has, too, means nothing.
///
/// Whoever has never got any role is [`Standing::Pending`]. Who was shut out stays so, and nothing changes for them.
///
/// # Errors
/// The rules give too much; the database failed.
pub async fn admit(
    db: &Db,
    rules: &Rules,
    provider: &str,
    claims: &Claims,
    occasion: Occasion,
) -> Result<Admitted, AdmissionError> {
    let verdicts = mapping::judge(&rules.mapping, provider, &claims.all)?;
    let gives = verdicts.into_iter().flat_map(|verdict| {
        let reason = format!("rule {}: {}", verdict.number, verdict.rule);
        verdict.gives.into_iter().map(move |given| (given, reason.clone()))
    });
    let admission = Admission {
        provider: provider.to_owned(),
        claims: claims.clone(),
        gives: gives.collect(),
        valid_for: rules.valid_for,
        occasion,
        from: request::address(),
    };
    for _ in 1..TRIES {
        let admission = admission.clone();
        match db.write(move |connection| admission.write(connection)).await {
            Err(error) if error.is_duplicate() => {}
            admitted => return Ok(admitted?),
        }
    }
    Ok(db.write(move |connection| admission.write(connection)).await?)
}

#[derive(Clone)]
struct Admission {
    provider: String,
    claims: Claims,
    gives: Vec<(Given, String)>,
    valid_for: Duration,
    occasion: Occasion,
    from: Option<String>,
}

impl Admission {
    fn write(&self, connection: &mut DbConnection) -> Result<Admitted, StoreError> {
        let user = match user::of_identity(connection, &self.claims.identity)? {
            Some(user) => user,
            None => self.welcome(connection)?,
        };
        if user.standing == Standing::Disabled {
            return Ok(Admitted { user: user.id, name: user.name, standing: user.standing });
        }
        if (&user.display_name, &user.email) != (&self.claims.name, &self.claims.email) {
            user::describe(connection, user.id, self.claims.name.as_deref(), self.claims.email.as_deref())?;
        }
        if self.is_news(connection, user.id)? {
            self.give(connection, &user)?;
        }
        let mut standing = user.standing;
        if standing == Standing::Pending && !grant::of_user(connection, user.id)?.is_empty() {
            standing = Standing::Active;
            user::set_standing(connection, user.id, standing)?;
        }
        if let Occasion::SignIn(_) = self.occasion {
            let body = json!({ "provider": self.provider, "standing": standing.as_str() });
            told::record(connection, Told::new("login.succeeded", body), Some(&self.actor(&user)))?;
        }
        Ok(Admitted { user: user.id, name: user.name, standing })
    }

    /// A new user for somebody who was never here.
    fn welcome(&self, connection: &mut DbConnection) -> Result<User, StoreError> {
        let Claims { identity, name, preferred_username, .. } = &self.claims;
        let described = [preferred_username.as_deref(), name.as_deref(), Some(identity.subject.as_str())];
        for name in name::for_person(described) {
            if user::find_by_name(connection, &name)?.is_some() {
                continue;
            }
            let user = user::insert(connection, &name, Standing::Pending)?;
            user::bind(connection, user.id, identity, &self.provider)?;
            let body = json!({ "provider": self.provider, "issuer": identity.issuer, "subject": identity.subject });
            told::record(connection, Told::new("user.created", body), Some(&self.actor(&user)))?;
            return Ok(user);
        }
        Err(StoreError::Refused("no user name is free for a new person; this is a defect".into()))
    }

    /// Whether the provider has said this after what it has said before: an access token tells what was so when it was
    /// made, which must not bring roles back that were taken since.
    fn is_news(&self, connection: &mut DbConnection, user: UserId) -> Result<bool, StoreError> {
        let (told_at, token) = match &self.occasion {
            Occasion::SignIn(token) | Occasion::Confirmation(token) => {
                (Timestamp::now(), RefreshToken::Now(token.clone()))
            }
            Occasion::AccessToken => {
                let made_at = self.claims.all.get("iat").and_then(serde_json::Value::as_i64).unwrap_or(0);
                let made_at = Timestamp(made_at.saturating_mul(1_000_000)).min(Timestamp::now());
                if confirmation::told_at(connection, user)?.is_some_and(|before| made_at <= before) {
                    return Ok(false);
                }
                (made_at, RefreshToken::Unchanged)
            }
        };
        let valid_until = told_at.plus(self.valid_for);
        confirmation::put(connection, user, &self.provider, &token, told_at, valid_until)?;
        Ok(true)
    }

    /// What the rules give replaces what rules gave before.
    fn give(&self, connection: &mut DbConnection, user: &User) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let expires_at = now.plus(self.valid_for);
        let mut wanted: Vec<Grant> = Vec::new();
        for (given, reason) in &self.gives {
            let Some(place) = self.place(connection, user, given)? else { continue };
            if wanted.iter().all(|grant| (grant.role, &grant.place) != (given.role, &place)) {
                let (reason, expires_at) = (reason.clone(), Some(expires_at));
                wanted.push(Grant { role: given.role, place, origin: Origin::Mapping, reason, expires_at });
            }
        }
        let before = grant::of_origin(connection, user.id, Origin::Mapping)?;
        let mut changes = Vec::new();
        for old in &before {
            if !wanted.iter().any(|new| new.is_same_as(old)) {
                grant::remove(connection, user.id, old.role, &old.place, Some(Origin::Mapping))?;
                changes.push(told::grant_change(connection, "taken", old)?);
            }
        }
        for new in wanted {
            match before.iter().find(|old| old.is_same_as(&new)) {
                // What holds for nearly as long stays: every write has all that is kept in memory read again.
                Some(old) if old.expires_at.is_some_and(|end| end > now.plus(self.valid_for / 8 * 7)) => continue,
                Some(_) => {}
                None => changes.push(told::grant_change(connection, "given", &new)?),
            }
            grant::put(connection, user.id, &new)?;
        }
        if !changes.is_empty() {
            let body = json!({ "of": user.name, "of_id": user.id.0, "origin": "mapping", "changes": changes });
            told::record(connection, Told::new("grant.changed", body), Some(&self.actor(user)))?;
        }
        Ok(())
    }

    fn place(&self, connection: &mut DbConnection, user: &User, given: &Given) -> Result<Option<Place>, StoreError> {
        Ok(match &given.at {
            Whereabouts::Site(site) => Some(Place::Site(site.clone())),
            Whereabouts::Federation => Some(Place::Federation),
            Whereabouts::Project { name, create } => match member::find_project(connection, name)? {
                Some(project) => Some(Place::Project(project)),
                None if *create => {
                    let project = member::ensure_project(connection, name)?;
                    let body = json!({ "name": name, "because": "a mapping rule makes projects" });
                    told::record(connection, Told::of(project, "project.created", body), Some(&self.actor(user)))?;
                    Some(Place::Project(project))
                }
                // `tombolo mapping test` says so.
                None => None,
            },
        })
    }

    fn actor(&self, user: &User) -> Actor {
        let by = format!("provider {}", self.provider);
        Actor { user: user.name.clone(), user_id: Some(user.id.0), from: self.from.clone(), by }
    }
}

/// A provider does not know the person any more: their sessions end, and what rules gave them is void.
///
/// # Errors
/// The database failed.
pub async fn forget_by_provider(db: &Db, user: UserId, provider: &str, reason: &str) -> Result<(), StoreError> {
    let (provider, reason) = (provider.to_owned(), reason.to_owned());
    db.write(move |connection| {
        let taken = grant::of_origin(connection, user, Origin::Mapping)?;
        for grant in &taken {
            grant::remove(connection, user, grant.role, &grant.place, Some(Origin::Mapping))?;
        }
        let ended = crate::store::session::end_by_provider(connection, &provider, None, Some(user))?.len();
        confirmation::end(connection, user)?;
        let Some(user) = user::find(connection, user)? else { return Ok(()) };
        let body = json!({
            "of": user.name, "of_id": user.id.0, "provider": provider, "reason": reason, "sessions": ended,
            "roles": taken.len(),
        });
        told::record(connection, Told::new("login.ended", body), None)
    })
    .await
}
