//! How people come into projects and out of them: by a decision of those who may, by an invitation, or by asking.

use std::{fmt, time::Duration};

use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use super::{
    Role, Scope, account,
    told::{self, Told},
    unguessable::Unguessable,
};
use crate::{
    config::Registration,
    request,
    store::{
        Db, DbConnection, StoreError, Timestamp,
        grant::{self, Grant, Origin, Place},
        invitation::{self, ListedInvitation, NewInvitation},
        member::{self, ProjectId, Standing, UserId},
        registration::{self, ListedRequest},
        user,
    },
};

/// An invitation holds for at most so many days.
pub const MOST_DAYS: u32 = 90;
/// So many may accept one invitation.
pub const MOST_USES: u32 = 1000;
/// A note or a request has at most so many letters.
const LONGEST_WORDS: usize = 1000;
const DAY: u64 = 24 * 60 * 60;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider {
    /// A user, as far as their roles go.
    User(UserId),
    /// Whoever has the command line of the server.
    Operator,
}

impl Decider {
    fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Operator => None,
        }
    }

    /// # Errors
    /// [`StoreError::OverRights`] if they may not; the database failed.
    fn check(self, connection: &mut DbConnection, place: &Place) -> Result<(), StoreError> {
        let Self::User(user) = self else { return Ok(()) };
        let may = match place {
            Place::Project(project) => account::may_manage(connection, user, *project)?,
            Place::Site(_) | Place::Federation => looks_after_everything(connection, user)?,
        };
        if may { Ok(()) } else { Err(StoreError::OverRights("only a manager of the project decides on that".into())) }
    }
}

/// Whether the user decides on everything.
///
/// # Errors
/// The database failed.
pub fn looks_after_everything(connection: &mut DbConnection, user: UserId) -> Result<bool, StoreError> {
    let is_active = user::find(connection, user)?.is_some_and(|user| user.standing == Standing::Active);
    let grants = grant::of_user(connection, user)?;
    Ok(is_active && grants.iter().any(|grant| grant.place == Place::Federation))
}

/// Why something about members is not done.
#[derive(Debug, Error)]
pub enum MembershipError {
    /// Who asks for it may not decide on it.
    #[error("{0}")]
    NotAllowed(String),
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing, or not any more.
    #[error("there is no {0}, or it was used or withdrawn, or its time is over")]
    NotThere(&'static str),
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for MembershipError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OverRights(words) => Self::NotAllowed(words),
            StoreError::Refused(words) => Self::Invalid(words),
            error => Self::Store(error),
        }
    }
}

/// Gives a role, for as long as nobody takes it.
///
/// # Errors
/// They may not; there is no such user; the role is not held at such a place; the database failed.
pub async fn give(db: &Db, by: Decider, to: UserId, role: Role, place: Place) -> Result<(), MembershipError> {
    check_place(role, &place)?;
    let actor = request::actor();
    let given = db.write(move |connection| {
        by.check(connection, &place)?;
        let Some(user) = user::find(connection, to)? else {
            return Err(StoreError::Refused("there is no such user".into()));
        };
        let who = actor.as_ref().map_or_else(|| "somebody".to_owned(), |actor| actor.user.clone());
        let new = Grant {
            role,
            place: place.clone(),
            origin: Origin::Operator,
            reason: format!("given by {who}"),
            expires_at: None,
        };
        let is_there = grant::of_origin(connection, to, Origin::Operator)?;
        if is_there.iter().any(|grant| (grant.role, &grant.place) == (role, &place)) {
            return Ok(());
        }
        put(connection, &user, &new, actor.as_ref())
    });
    Ok(given.await?)
}

/// Takes a role away, however its holder came to it; one of a mapping comes back with the next sign-in, as long as the
/// provider says so. Answers whether it was there.
///
/// # Errors
/// They may not; the database failed.
pub async fn take(db: &Db, by: Decider, from: UserId, role: Role, place: Place) -> Result<bool, MembershipError> {
    let actor = request::actor();
    let taken = db.write(move |connection| {
        by.check(connection, &place)?;
        let held = grant::of_user(connection, from)?;
        let these: Vec<_> = held.into_iter().filter(|one| (one.role, &one.place) == (role, &place)).collect();
        if !grant::remove(connection, from, role, &place, None)? {
            return Ok(false);
        }
        let Some(user) = user::find(connection, from)? else { return Ok(true) };
        let changes = these.iter().map(|grant| told::grant_change(connection, "taken", grant));
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        let body = json!({ "of": user.name, "of_id": user.id.0, "origin": "operator", "changes": changes });
        told::record(connection, told_at(&place, "grant.changed", body), actor.as_ref())?;
        Ok(true)
    });
    Ok(taken.await?)
}

/// Writes the role and the event, and lets in who has waited for one.
fn put(
    connection: &mut DbConnection,
    user: &user::User,
    new: &Grant,
    actor: Option<&request::Actor>,
) -> Result<(), StoreError> {
    grant::put(connection, user.id, new)?;
    if user.standing == Standing::Pending {
        user::set_standing(connection, user.id, Standing::Active)?;
    }
    let changes = [told::grant_change(connection, "given", new)?];
    let origin = new.origin.as_str();
    let body = json!({ "of": user.name, "of_id": user.id.0, "origin": origin, "changes": changes });
    told::record(connection, told_at(&new.place, "grant.changed", body), actor)
}

fn told_at(place: &Place, kind: &'static str, body: serde_json::Value) -> Told {
    match place {
        Place::Project(project) => Told::of(*project, kind, body),
        Place::Site(_) | Place::Federation => Told::new(kind, body),
    }
}

fn check_place(role: Role, place: &Place) -> Result<(), MembershipError> {
    let fits = match place {
        Place::Project(_) => role.scope() == Scope::Project,
        Place::Site(_) => role.scope() == Scope::Site,
        Place::Federation => role.scope() == Scope::Federation,
    };
    let where_it_is = match role.scope() {
        Scope::Project => "in a project",
        Scope::Site => "at a site",
        Scope::Federation => "everywhere",
    };
    if fits { Ok(()) } else { Err(MembershipError::Invalid(format!("the role {role} is held {where_it_is}"))) }
}

/// An invitation that somebody wants to have made.
#[derive(Debug, Clone)]
pub struct Invite {
    /// Into which project.
    pub project: ProjectId,
    /// As what: a role that is held in projects.
    pub role: Role,
    /// For whom it is, in words.
    pub note: String,
    /// For how many days.
    pub days: u32,
    /// How many may accept it.
    pub uses: u32,
}

/// Makes an invitation. The answer is the only place where its secret can ever be read.
///
/// # Errors
/// They may not; it makes no sense; the database failed.
pub async fn invite(db: &Db, by: Decider, wanted: Invite) -> Result<(Uuid, Unguessable), MembershipError> {
    let Invite { project, role, note, days, uses } = wanted;
    check_place(role, &Place::Project(project))?;
    let note = words("the note", &note)?;
    if days == 0 || days > MOST_DAYS || uses == 0 || uses > MOST_USES {
        let reason = format!("an invitation holds for 1 to {MOST_DAYS} days and for 1 to {MOST_USES} people");
        return Err(MembershipError::Invalid(reason));
    }
    let secret = Unguessable::generate()?;
    let new = NewInvitation {
        id: Uuid::now_v7(),
        secret_hash: secret.hash(),
        project,
        role,
        note,
        created_by: by.user(),
        expires_at: Timestamp::now().plus(Duration::from_secs(u64::from(days) * DAY)),
        uses: i32::try_from(uses).unwrap_or(i32::MAX),
    };
    let (id, actor) = (new.id, request::actor());
    db.write(move |connection| {
        by.check(connection, &Place::Project(project))?;
        invitation::insert(connection, &new)?;
        let body = json!({
            "invitation": new.id, "role": role.as_str(), "note": new.note, "uses": new.uses,
            "expires_at": new.expires_at.to_string(),
        });
        told::record(connection, Told::of(project, "invitation.created", body), actor.as_ref())
    })
    .await?;
    Ok((id, secret))
}

/// What an invitation offers, for its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The project's name.
    pub project: String,
    /// As what.
    pub role: Role,
    /// For whom it is, in words.
    pub note: String,
    /// Until when.
    pub expires_at: String,
}

/// What the invitation of this secret offers, without using it.
///
/// # Errors
/// There is none; the database failed.
pub async fn offer(db: &Db, secret: &Unguessable) -> Result<Offer, MembershipError> {
    let hash = secret.hash();
    let found = db.read(move |connection| {
        let Some(found) = valid(connection, &hash)? else { return Ok(None) };
        let project = member::project_name(connection, found.project)?.unwrap_or_default();
        Ok(Some(Offer { project, role: found.role, note: found.note, expires_at: found.expires_at.to_string() }))
    });
    found.await?.ok_or(MembershipError::NotThere("invitation"))
}

/// The user becomes what the invitation says, and is let in if they waited for that. Who is so by an invitation already
/// uses nothing up.
///
/// # Errors
/// There is no such invitation, or not any more; the user was shut out; the database failed.
pub async fn accept_invitation(db: &Db, id: UserId, secret: &Unguessable) -> Result<ProjectId, MembershipError> {
    let (hash, actor) = (secret.hash(), request::actor());
    let accepted = db.write(move |connection| {
        let Some(found) = valid(connection, &hash)? else { return Ok(None) };
        let user = user::find(connection, id)?.filter(|user| user.standing != Standing::Disabled);
        let Some(user) = user else {
            return Err(StoreError::OverRights("this account was shut out".into()));
        };
        let place = Place::Project(found.project);
        let held = grant::of_origin(connection, id, Origin::Invitation)?;
        if held.iter().any(|grant| (grant.role, &grant.place) == (found.role, &place)) {
            return Ok(Some(found.project));
        }
        if !invitation::use_one(connection, found.id)? {
            return Ok(None);
        }
        let reason = format!("has accepted invitation {}", found.id);
        let new = Grant { role: found.role, place, origin: Origin::Invitation, reason, expires_at: None };
        put(connection, &user, &new, actor.as_ref())?;
        let body = json!({ "invitation": found.id, "of": user.name, "of_id": user.id.0 });
        told::record(connection, Told::of(found.project, "invitation.accepted", body), actor.as_ref())?;
        Ok(Some(found.project))
    });
    accepted.await?.ok_or(MembershipError::NotThere("invitation"))
}

/// An invitation is worth what the word of who has made it is worth still.
fn valid(connection: &mut DbConnection, hash: &str) -> Result<Option<invitation::Invitation>, StoreError> {
    let Some(found) = invitation::find(connection, hash)? else { return Ok(None) };
    match found.created_by {
        Some(by) if !account::may_manage(connection, by, found.project)? => Ok(None),
        _ => Ok(Some(found)),
    }
}

/// The invitations into a project that can be accepted still.
///
/// # Errors
/// They may not see them; the database failed.
pub async fn invitations(db: &Db, by: Decider, project: ProjectId) -> Result<Vec<ListedInvitation>, MembershipError> {
    let listed = db.read(move |connection| {
        by.check(connection, &Place::Project(project))?;
        invitation::list(connection, Some(project))
    });
    Ok(listed.await?)
}

/// Makes an invitation void.
///
/// # Errors
/// There is none that they may revoke; the database failed.
pub async fn revoke_invitation(db: &Db, by: Decider, id: Uuid) -> Result<(), MembershipError> {
    let actor = request::actor();
    let revoked = db.write(move |connection| {
        let Some(project) = invitation::project_of(connection, id)? else { return Ok(false) };
        if let Err(error) = by.check(connection, &Place::Project(project)) {
            // That there is one is nobody else's business.
            return if matches!(error, StoreError::OverRights(_)) { Ok(false) } else { Err(error) };
        }
        if !invitation::revoke(connection, id)? {
            return Ok(false);
        }
        let body = json!({ "invitation": id });
        told::record(connection, Told::of(project, "invitation.revoked", body), actor.as_ref())?;
        Ok(true)
    });
    if revoked.await? { Ok(()) } else { Err(MembershipError::NotThere("invitation")) }
}

/// Somebody asks to be let in, into a project if they name one. Whether there is a project of this name is not told.
///
/// # Errors
/// Nobody may ask here; it makes no sense; too many have asked; the database failed.
pub async fn ask(
    db: &Db,
    policy: Registration,
    id: UserId,
    project: Option<&str>,
    said: &str,
) -> Result<(), MembershipError> {
    if policy == Registration::Closed {
        let words = "nobody is let in here by asking; a manager of a project can invite you";
        return Err(MembershipError::NotAllowed(words.into()));
    }
    let mut said = words("the text", said)?;
    let project = project.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    if let Some(name) = &project {
        super::name::check_project(name).map_err(|error| MembershipError::Invalid(error.to_string()))?;
        said = format!("for project {name}: {said}");
    }
    let actor = request::actor();
    let asked = db.write(move |connection| {
        let user = user::find(connection, id)?.filter(|user| user.standing != Standing::Disabled);
        let Some(user) = user else {
            return Err(StoreError::OverRights("this account was shut out".into()));
        };
        let is_again = registration::waits(connection, id)?;
        if !is_again && registration::count_open(connection)? >= registration::MOST_OPEN {
            return Err(StoreError::Refused("too many people wait for a decision already; try again later".into()));
        }
        let known = match &project {
            Some(name) => member::find_project(connection, name)?,
            None => None,
        };
        let request = registration::insert(connection, id, known, &said)?;
        let body = json!({ "registration": request, "of": user.name, "of_id": user.id.0 });
        let told = known.map_or_else(
            || Told::new("registration.asked", body.clone()),
            |project| Told::of(project, "registration.asked", body.clone()),
        );
        told::record(connection, told, actor.as_ref())
    });
    Ok(asked.await?)
}

/// Whether the user has asked, and nobody has decided yet.
///
/// # Errors
/// The database failed.
pub async fn waits(db: &Db, id: UserId) -> Result<bool, StoreError> {
    db.read(move |connection| registration::waits(connection, id)).await
}

/// The open requests that they may decide on, the oldest first.
///
/// # Errors
/// The database failed.
pub async fn open_requests(db: &Db, by: Decider) -> Result<Vec<ListedRequest>, MembershipError> {
    let listed = db.read(move |connection| {
        let mut requests = registration::list_open(connection)?;
        let Decider::User(user) = by else { return Ok(requests) };
        if looks_after_everything(connection, user)? {
            return Ok(requests);
        }
        let is_active = user::find(connection, user)?.is_some_and(|user| user.standing == Standing::Active);
        let grants = grant::of_user(connection, user)?;
        let manages = |project| grant::rights_in(&grants, project).0.has(super::Right::Manage);
        requests.retain(|request| is_active && request.project_id.is_some_and(manages));
        Ok(requests)
    });
    Ok(listed.await?)
}

/// What is decided on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They get this role in this project; in the one that they have asked for, if none is named.
    Approve(Option<ProjectId>, Role),
    /// They do not.
    Refuse,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.outcome())
    }
}

impl Decision {
    fn outcome(self) -> &'static str {
        match self {
            Self::Approve(..) => "approved",
            Self::Refuse => "refused",
        }
    }
}

/// Decides on a request; of several at once, the first counts.
///
/// # Errors
/// There is none that they may decide on; no project is meant; the database failed.
pub async fn decide(db: &Db, by: Decider, id: Uuid, decision: Decision) -> Result<(), MembershipError> {
    if let Decision::Approve(_, role) = decision {
        check_place(role, &Place::Project(ProjectId(Uuid::nil())))?;
    }
    let actor = request::actor();
    let decided = db.write(move |connection| {
        let Some(open) = registration::find_open(connection, id)? else { return Ok(false) };
        let may_see = match (by, open.project) {
            (Decider::Operator, _) => true,
            (Decider::User(user), Some(project)) => account::may_manage(connection, user, project)?,
            (Decider::User(user), None) => looks_after_everything(connection, user)?,
        };
        let Some(user) = user::find(connection, open.user)?.filter(|_| may_see) else { return Ok(false) };
        if let Decision::Approve(project, role) = decision {
            let Some(project) = project.or(open.project) else {
                return Err(StoreError::Refused("they have named no project; say into which they are let".into()));
            };
            let place = Place::Project(project);
            by.check(connection, &place)?;
            if user.standing == Standing::Disabled {
                return Err(StoreError::Refused(format!("{} was shut out; `tombolo user enable` first", user.name)));
            }
            let reason = format!("has asked, in request {id}");
            let new = Grant { role, place, origin: Origin::Registration, reason, expires_at: None };
            put(connection, &user, &new, actor.as_ref())?;
        }
        if !registration::decide(connection, id, by.user(), decision.outcome())? {
            return Ok(false);
        }
        let body = json!({
            "registration": id, "of": user.name, "of_id": user.id.0, "outcome": decision.outcome(),
        });
        told::record(connection, Told::new("registration.decided", body), actor.as_ref())?;
        Ok(true)
    });
    if decided.await? { Ok(()) } else { Err(MembershipError::NotThere("open request")) }
}

fn words(what: &str, text: &str) -> Result<String, MembershipError> {
    let text = text.trim();
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\r' && c != '\t';
    if text.chars().count() > LONGEST_WORDS || text.chars().any(is_odd) {
        return Err(MembershipError::Invalid(format!("{what} has at most {LONGEST_WORDS} letters")));
    }
    Ok(text.replace('\r', ""))
}
