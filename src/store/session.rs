//! Browsers that are signed in.
//!
//! The cookie's secret is not here, only its hash; what a provider has given is sealed by whoever writes it.

use std::sync::Arc;

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};
use serde::Serialize;

use super::{
    Cached, Db, DbConnection, StoreError, Timestamp, Topic,
    grant::{self, Grant},
    member::{self, ProjectId, Standing, UserId},
    row::parse_id,
    schema::{sessions, users},
};
use crate::login::Rights;

/// How many sessions' rows are kept in memory.
const MOST_KEPT: usize = 10_000;
/// Most sessions of one user; one more ends the oldest.
const MOST_OF_USER: i64 = 20;
/// What is kept of the name that a browser gives itself, in characters.
const LONGEST_AGENT: usize = 200;

/// A session to be remembered.
#[derive(Clone)]
pub struct NewSession {
    /// SHA-256 of the cookie's secret, in hexadecimal digits.
    pub secret_hash: String,
    /// Who is signed in.
    pub user: UserId,
    /// Through which provider; none for local users.
    pub provider: Option<String>,
    /// What the provider calls the session (`sid`).
    pub provider_session: Option<String>,
    /// The provider's ID token, sealed.
    pub id_token: Option<String>,
    /// The project that is chosen.
    pub project: Option<ProjectId>,
    /// Where the browser is.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
    /// From when on it is over, used or not.
    pub expires_at: Timestamp,
}

/// A session that holds now.
#[derive(Debug, Clone)]
pub struct LiveSession {
    /// Who is signed in.
    pub user: UserId,
    /// Their name.
    pub user_name: String,
    /// Whether they are let in, or wait for that. Who was shut out has no live session.
    pub standing: Standing,
    /// Through which provider.
    #[expect(dead_code, reason = "no page tells it yet")]
    pub provider: Option<String>,
    /// The project that is chosen; they may have no right in it any more.
    pub project: Option<ProjectId>,
    /// Their roles.
    pub grants: Vec<Grant>,
    /// From when on it is over.
    pub expires_at: Timestamp,
    certain_until: Option<Timestamp>,
}

impl LiveSession {
    /// What they may do in the project; nothing unless they are let in.
    pub fn rights_in(&self, project: ProjectId) -> Rights {
        match self.standing {
            Standing::Active => grant::rights_in(&self.grants, project).0,
            Standing::Pending | Standing::Disabled => Rights::NONE,
        }
    }

    /// The project that the session acts in: the chosen one, or else the only one that they have a role in.
    pub fn acts_in(&self) -> Option<ProjectId> {
        if let Some(chosen) = self.project.filter(|project| !self.rights_in(*project).is_empty()) {
            return Some(chosen);
        }
        let mut own: Vec<_> = self.grants.iter().filter_map(Grant::project).collect();
        own.sort();
        own.dedup();
        match own[..] {
            [only] if !self.rights_in(only).is_empty() => Some(only),
            _ => None,
        }
    }
}

/// Sessions that were looked up before.
pub(super) struct LiveSessions(Cached<String, LiveSession>);

impl Default for LiveSessions {
    fn default() -> Self {
        Self(Cached::new(Topic::Login, MOST_KEPT))
    }
}

/// Remembers a new session. Those that are over are forgotten, and the user's oldest if there are too many.
///
/// # Errors
/// The database failed.
pub fn insert(connection: &mut DbConnection, session: &NewSession) -> Result<(), StoreError> {
    remove_some(connection, session.user)?;
    let agent: String = session.user_agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect();
    let row = (
        sessions::secret_hash.eq(&session.secret_hash),
        sessions::user_id.eq(session.user.0.to_string()),
        sessions::provider.eq(session.provider.as_deref()),
        sessions::provider_session.eq(session.provider_session.as_deref()),
        sessions::id_token.eq(session.id_token.as_deref()),
        sessions::project_id.eq(session.project.map(|project| project.0.to_string())),
        sessions::address.eq(&session.address),
        sessions::user_agent.eq(agent),
        sessions::created_at.eq(Timestamp::now().0),
        sessions::expires_at.eq(session.expires_at.0),
    );
    on_either!(connection, either => diesel::insert_into(sessions::table).values(row).execute(either))?;
    Ok(())
}

fn remove_some(connection: &mut DbConnection, user: UserId) -> Result<(), StoreError> {
    let over = sessions::table.filter(sessions::expires_at.le(Timestamp::now().0));
    let found: i64 = over.count().get_result(connection)?;
    if found > 0 {
        on_either!(connection, either => diesel::delete(over).execute(either))?;
    }
    let too_many = sessions::table
        .filter(sessions::user_id.eq(user.0.to_string()))
        .order((sessions::created_at.desc(), sessions::secret_hash.asc()))
        .offset(MOST_OF_USER - 1)
        .limit(MOST_OF_USER)
        .select(sessions::secret_hash);
    let too_many: Vec<String> = on_either!(connection, either => too_many.load(either))?;
    if !too_many.is_empty() {
        let these = sessions::table.filter(sessions::secret_hash.eq_any(&too_many));
        diesel::delete(these).execute(connection)?;
    }
    Ok(())
}

/// The session of this secret's hash, unless it is over or its user was shut out. The roles are those of this moment.
///
/// # Errors
/// The database failed.
pub async fn find_live(db: &Db, secret_hash: &str) -> Result<Option<Arc<LiveSession>>, StoreError> {
    let read = |hash: String| move |connection: &mut DbConnection| find(connection, &hash);
    let mut found = db.sessions().0.find(db, secret_hash.to_owned(), read(secret_hash.to_owned())).await?;
    // Time passes without a write.
    let now = Timestamp::now();
    if found.as_ref().is_some_and(|session| session.certain_until.is_some_and(|until| until <= now)) {
        found = db.read_brief(read(secret_hash.to_owned())).await?.map(Arc::new);
    }
    Ok(found.filter(|session| session.expires_at > now))
}

fn find(connection: &mut DbConnection, secret_hash: &str) -> Result<Option<LiveSession>, StoreError> {
    type Columns = (String, String, String, Option<String>, Option<String>, i64);
    let query = sessions::table
        .inner_join(users::table.on(users::id.eq(sessions::user_id)))
        .filter(sessions::secret_hash.eq(secret_hash))
        .filter(users::standing.ne(Standing::Disabled.as_str()))
        .select((
            users::id,
            users::name,
            users::standing,
            sessions::provider,
            sessions::project_id,
            sessions::expires_at,
        ));
    let found: Option<Columns> = on_either!(connection, either => query.get_result(either).optional())?;
    let Some((user, user_name, standing, provider, project, expires_at)) = found else { return Ok(None) };
    let standing = member::parse_standing(&user, &standing)?;
    let user = UserId(parse_id("users", &user)?);
    let project = project.map(|id| parse_id("sessions", &id).map(ProjectId)).transpose()?;
    let grants = grant::of_user(connection, user)?;
    let certain_until = grants.iter().filter_map(|grant| grant.expires_at).min();
    let expires_at = Timestamp(expires_at);
    Ok(Some(LiveSession { user, user_name, standing, provider, project, grants, expires_at, certain_until }))
}

/// A session that has just ended.
#[derive(Clone)]
pub struct Ended {
    /// Whose it was.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests look at it"))]
    pub user: UserId,
    /// Through which provider.
    pub provider: Option<String>,
    /// The provider's ID token, sealed.
    pub id_token: Option<String>,
}

/// Ends the session, and answers what it was.
///
/// # Errors
/// The database failed.
pub fn end(connection: &mut DbConnection, secret_hash: &str) -> Result<Option<Ended>, StoreError> {
    let this = sessions::table.filter(sessions::secret_hash.eq(secret_hash));
    let query = this.select((sessions::user_id, sessions::provider, sessions::id_token));
    type Columns = (String, Option<String>, Option<String>);
    let found: Option<Columns> = on_either!(connection, either => query.get_result(either).optional())?;
    let Some((user, provider, id_token)) = found else { return Ok(None) };
    on_either!(connection, either => diesel::delete(this).execute(either))?;
    Ok(Some(Ended { user: UserId(parse_id("sessions", &user)?), provider, id_token }))
}

/// Ends all sessions of the user but the one with this secret's hash, and answers how many.
///
/// # Errors
/// The database failed.
pub fn end_of_user(connection: &mut DbConnection, user: UserId, but: Option<&str>) -> Result<usize, StoreError> {
    let these = sessions::table
        .filter(sessions::user_id.eq(user.0.to_string()))
        .filter(sessions::secret_hash.ne(but.unwrap_or_default()));
    Ok(on_either!(connection, either => diesel::delete(these).execute(either))?)
}

/// Ends the sessions that came through the provider: those that it calls `sid`, or those of the user, or, with both,
/// those that are both. Answers whose they were, each as often as there were sessions.
///
/// # Errors
/// The database failed.
pub fn end_by_provider(
    connection: &mut DbConnection,
    provider: &str,
    sid: Option<&str>,
    user: Option<UserId>,
) -> Result<Vec<UserId>, StoreError> {
    if sid.is_none() && user.is_none() {
        return Ok(Vec::new());
    }
    let query = sessions::table.filter(sessions::provider.eq(provider)).select((
        sessions::secret_hash,
        sessions::user_id,
        sessions::provider_session,
    ));
    type Columns = (String, String, Option<String>);
    let rows: Vec<Columns> = match (sid, user) {
        (Some(sid), _) => {
            let these = query.filter(sessions::provider_session.eq(sid));
            on_either!(connection, either => these.load(either))?
        }
        (None, user) => {
            let these = query.filter(sessions::user_id.eq(user.map(|user| user.0.to_string()).unwrap_or_default()));
            on_either!(connection, either => these.load(either))?
        }
    };
    let mut users = Vec::new();
    for (hash, owner, _) in rows {
        let owner = UserId(parse_id("sessions", &owner)?);
        if user.is_none_or(|user| user == owner) && end(connection, &hash)?.is_some() {
            users.push(owner);
        }
    }
    Ok(users)
}

/// Chooses the project that the session acts in, and answers whether there is such a session. The caller has made sure
/// that its user has a role there.
///
/// # Errors
/// The database failed.
pub fn set_project(connection: &mut DbConnection, secret_hash: &str, project: ProjectId) -> Result<bool, StoreError> {
    let this = sessions::table.filter(sessions::secret_hash.eq(secret_hash));
    let set = sessions::project_id.eq(project.0.to_string());
    Ok(on_either!(connection, either => diesel::update(this).set(set).execute(either))? == 1)
}

/// A session as its user sees it in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedSession {
    /// Since when.
    pub created_at: String,
    /// Until when.
    pub expires_at: String,
    /// Through which provider.
    pub provider: Option<String>,
    /// Where the browser was.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
    /// What it is found by; never shown.
    #[serde(skip)]
    pub secret_hash: String,
}

/// The user's sessions, the newest first.
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut DbConnection, user: UserId) -> Result<Vec<ListedSession>, StoreError> {
    type Columns = (i64, i64, Option<String>, String, String, String);
    let query = sessions::table
        .filter(sessions::user_id.eq(user.0.to_string()))
        .filter(sessions::expires_at.gt(Timestamp::now().0))
        .order(sessions::created_at.desc())
        .select((
            sessions::created_at,
            sessions::expires_at,
            sessions::provider,
            sessions::address,
            sessions::user_agent,
            sessions::secret_hash,
        ));
    let rows: Vec<Columns> = on_either!(connection, either => query.load(either))?;
    let read = |(created_at, expires_at, provider, address, user_agent, secret_hash): Columns| ListedSession {
        created_at: Timestamp(created_at).to_string(),
        expires_at: Timestamp(expires_at).to_string(),
        provider,
        address,
        user_agent,
        secret_hash,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// How many there are, over or not.
///
/// # Errors
/// The database failed.
#[cfg(test)]
pub fn count(connection: &mut DbConnection) -> Result<i64, StoreError> {
    Ok(sessions::table.count().get_result(connection)?)
}
