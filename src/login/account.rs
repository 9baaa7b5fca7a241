//! What people see of themselves, and what they do about it.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use super::{
    AppToken, Right, Rights, Role,
    token::TokenError,
    told::{self, Told},
};
use crate::{
    request,
    store::{
        Db, DbConnection, StoreError, Timestamp,
        grant::{self, Grant, Place},
        member::{self, ProjectId, Standing, UserId},
        quota::{self, Limits},
        reservation::{self, Usage},
        session::{self, ListedSession},
        token::{self, ListedToken, NewToken, TokensOf},
        user::{self, User},
    },
};

/// Most projects of one account page.
const MOST_PROJECTS: usize = 200;
/// Most live tokens of one user.
const MOST_TOKENS: i64 = 100;
/// No token is made for longer, in days.
pub const MOST_DAYS: u32 = 366;
/// What a token is called at most, in characters.
const LONGEST_NAME: usize = 64;
const DAY: u64 = 24 * 60 * 60;

/// Everything that somebody's account page shows.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Who it is.
    pub user: User,
    /// Roles that are held in no project.
    pub roles: Vec<HeldRole>,
    /// Where they may do something, by name.
    pub projects: Vec<AccountProject>,
    /// Their live tokens, the newest last.
    pub tokens: Vec<ListedToken>,
    /// Browsers that are signed in, the newest first.
    pub sessions: Vec<ListedSession>,
}

/// A role, and why it is held.
#[derive(Debug, Clone, Serialize)]
pub struct HeldRole {
    /// Which.
    pub role: Role,
    /// The site that it is held at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// How they came to it: `mapping`, `invitation`, `registration`, `operator`.
    pub origin: &'static str,
    /// Why, in words for people.
    pub reason: String,
    /// Until when, if it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A project as one of its members sees it.
#[derive(Debug, Clone, Serialize)]
pub struct AccountProject {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// What they are there; empty for who looks after everything.
    pub roles: Vec<HeldRole>,
    /// What they may do there.
    #[serde(serialize_with = "as_text")]
    pub rights: Rights,
    /// What may be taken, by all and by them.
    pub quota: Quota,
}

fn as_text<S: serde::Serializer>(rights: &Rights, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rights)
}

/// What a project and one of its members may take, take, and have left.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quota {
    /// All of the project together.
    pub project: Share,
    /// The member alone.
    pub own: Share,
}

/// Limits, and what is left of them. No number, no limit.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Share {
    /// At most so much.
    pub limit: Limits,
    /// So much is taken.
    pub used: Usage,
    /// So much is left.
    pub left: Limits,
}

impl Share {
    fn new(limit: Limits, used: Usage) -> Self {
        Self { limit, used, left: limit.left(used) }
    }
}

/// What the project and the member may take, take, and have left.
///
/// # Errors
/// The database failed.
pub fn quota_of(connection: &mut DbConnection, project: ProjectId, user: UserId) -> Result<Quota, StoreError> {
    let limits = quota::applying(connection, project, Some(user))?;
    let whole = reservation::taken(connection, project, None)?;
    let own = reservation::taken(connection, project, Some(user))?;
    Ok(Quota { project: Share::new(limits.project, whole), own: Share::new(limits.member, own) })
}

/// Everything about the user. `None` if there is no such user any more.
///
/// # Errors
/// The database failed.
pub async fn account(db: &Db, id: UserId) -> Result<Option<Account>, StoreError> {
    db.read(move |connection| {
        let Some(user) = user::find(connection, id)? else { return Ok(None) };
        let grants = grant::of_user(connection, id)?;
        let projects = projects_of(connection, id, &grants)?;
        let elsewhere = grants.iter().filter(|grant| grant.project().is_none());
        let roles = elsewhere.map(held).collect();
        let tokens = token::list(connection, TokensOf::UserAlive(id))?;
        let sessions = session::list(connection, id)?;
        Ok(Some(Account { user, roles, projects, tokens, sessions }))
    })
    .await
}

fn held(grant: &Grant) -> HeldRole {
    let site = match &grant.place {
        Place::Site(site) => Some(site.clone()),
        Place::Project(_) | Place::Federation => None,
    };
    HeldRole {
        role: grant.role,
        site,
        origin: grant.origin.as_str(),
        reason: grant.reason.clone(),
        expires_at: grant.expires_at.map(|end| end.to_string()),
    }
}

fn projects_of(
    connection: &mut DbConnection,
    user: UserId,
    grants: &[Grant],
) -> Result<Vec<AccountProject>, StoreError> {
    let everywhere = grants.iter().any(|grant| grant.place == Place::Federation);
    let names = member::project_names(connection)?;
    let is_held = |project: &ProjectId| grants.iter().any(|grant| grant.project() == Some(*project));
    let mut found: Vec<_> = names.into_iter().filter(|(id, _)| everywhere || is_held(id)).collect();
    // Those that they are in come before those that they look after.
    found.sort_by(|(a, a_name), (b, b_name)| (!is_held(a), a_name).cmp(&(!is_held(b), b_name)));
    found.truncate(MOST_PROJECTS);
    let mut projects = Vec::with_capacity(found.len());
    for (id, name) in found {
        let roles = grants.iter().filter(|grant| grant.project() == Some(id)).map(held).collect();
        let (rights, _) = grant::rights_in(grants, id);
        let quota = quota_of(connection, id, user)?;
        projects.push(AccountProject { id: id.0, name, roles, rights, quota });
    }
    Ok(projects)
}

/// Why something about an account is not done.
#[derive(Debug, Error)]
pub enum AccountError {
    /// More than they may.
    #[error("{0}")]
    NotAllowed(String),
    /// Something that nobody can have.
    #[error("{0}")]
    Invalid(String),
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token that somebody wants to have made.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// For whom.
    pub user: UserId,
    /// The project that it acts in.
    pub project: ProjectId,
    /// What it is called; any text.
    pub name: String,
    /// What it is for.
    pub rights: Rights,
    /// For how many days.
    pub days: u32,
}

/// Makes a token for its owner, who must have the rights that it is for. The answer is the only place where the token
/// can ever be read.
///
/// # Errors
/// [`AccountError::NotAllowed`] when the rights are more than the owner's, or there are too many tokens;
/// [`AccountError::Invalid`] for a name, rights or days that no token can have; the database failed.
pub async fn make_token(db: &Db, wanted: TokenRequest) -> Result<AppToken, AccountError> {
    let name = wanted.name.trim();
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(AccountError::Invalid(format!("the name of a token has at most {LONGEST_NAME} letters")));
    }
    if wanted.rights.is_empty() {
        return Err(AccountError::Invalid("a token without any right opens nothing; choose at least read".into()));
    }
    if wanted.days == 0 || wanted.days > MOST_DAYS {
        return Err(AccountError::Invalid(format!("a token holds for 1 to {MOST_DAYS} days")));
    }
    let token = AppToken::generate().map_err(|error| match error {
        TokenError::Randomness(error) => AccountError::Randomness(error),
        other => AccountError::Invalid(other.to_string()),
    })?;
    let new = NewToken {
        id: token.id,
        user: wanted.user,
        project: wanted.project,
        secret_hash: token.secret_hash(),
        expires_at: Timestamp::now().plus(Duration::from_secs(u64::from(wanted.days) * DAY)),
        name: name.to_owned(),
        rights: wanted.rights,
    };
    let actor = request::actor();
    let refused = db
        .write(move |connection| {
            if let Some(reason) = obstacle(connection, &new)? {
                return Ok(Some(reason));
            }
            token::insert(connection, &new)?;
            let body = json!({
                "token_id": new.id, "token_name": new.name, "rights": new.rights.to_string(), "of_id": new.user.0,
                "expires_at": new.expires_at.to_string(),
            });
            told::record(connection, Told::of(new.project, "token.created", body), actor.as_ref())?;
            Ok(None)
        })
        .await?;
    refused.map_or(Ok(token), |reason| Err(AccountError::NotAllowed(reason)))
}

/// Why the token may not be made now.
fn obstacle(connection: &mut DbConnection, new: &NewToken) -> Result<Option<String>, StoreError> {
    let user = user::find(connection, new.user)?;
    if user.is_none_or(|user| user.standing != Standing::Active) {
        return Ok(Some("this account is not let in; ask a manager of your project".into()));
    }
    let grants = grant::of_user(connection, new.user)?;
    let (live, _) = grant::rights_in(&grants, new.project);
    // A project that is not there is one without rights.
    if live.and(new.rights) != new.rights || member::project_name(connection, new.project)?.is_none() {
        let has = if live.is_empty() { "no rights".to_owned() } else { format!("only: {live}") };
        return Ok(Some(format!("you have {has} in this project; a token may do no more than its owner")));
    }
    if token::count_alive(connection, new.user)? >= MOST_TOKENS {
        return Ok(Some(format!("you have {MOST_TOKENS} tokens already; revoke one that is not used any more")));
    }
    Ok(None)
}

/// Makes a token void at once, for its owner, for a manager of its project, or for who looks after everything. Answers
/// whether there was such a token that they may revoke; which of both is not told.
///
/// # Errors
/// The database failed.
pub async fn revoke_token(db: &Db, by: UserId, id: Uuid) -> Result<bool, StoreError> {
    let actor = request::actor();
    db.write(move |connection| {
        let Some((owner, project)) = token::whose(connection, id)? else { return Ok(false) };
        let may = owner == by || may_manage(connection, by, project)?;
        if !may || !token::revoke(connection, id)? {
            return Ok(false);
        }
        let body = json!({ "token_id": id, "of_id": owner.0 });
        told::record(connection, Told::of(project, "token.revoked", body), actor.as_ref())?;
        Ok(true)
    })
    .await
}

/// Whether somebody decides on the project.
///
/// # Errors
/// The database failed.
pub fn may_manage(connection: &mut DbConnection, user: UserId, project: ProjectId) -> Result<bool, StoreError> {
    let is_active = user::find(connection, user)?.is_some_and(|user| user.standing == Standing::Active);
    let (rights, _) = grant::rights_in(&grant::of_user(connection, user)?, project);
    Ok(is_active && rights.has(Right::Manage))
}
