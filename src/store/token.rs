//! App tokens: stored hashed, shown once.

use std::sync::Arc;

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::{
    Cached, Db, DbConnection, StoreError, Timestamp, Topic, grant,
    member::{ProjectId, Standing, UserId},
    row::parse_id,
    schema::{app_tokens, projects, users},
};
use crate::login::Rights;

/// How many tokens' rows are kept in memory.
const MOST_KEPT: usize = 10_000;

/// A token to be remembered.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its public half.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// The project that it acts in.
    pub project: ProjectId,
    /// SHA-256 of its secret half, in hexadecimal digits.
    pub secret_hash: String,
    /// From when on it is void.
    pub expires_at: Timestamp,
    /// What it is called by its owner.
    pub name: String,
    /// What it is for, and no more.
    pub rights: Rights,
}

/// A remembered token that may be used now, if its secret fits.
#[derive(Debug, Clone)]
pub struct LiveToken {
    /// Its user.
    pub user: UserId,
    /// The name of its user.
    pub user_name: String,
    /// The project that it acts in.
    pub project: ProjectId,
    /// SHA-256 of its secret half, in hexadecimal digits.
    pub secret_hash: String,
    /// What it allows now: what it was made for, as far as its user has the right to it.
    pub rights: Rights,
    /// From when on it is void.
    pub expires_at: Timestamp,
    /// From when on its user's roles have to be looked at again.
    certain_until: Option<Timestamp>,
}

/// Tokens that were looked up before.
pub(super) struct LiveTokens(Cached<Uuid, LiveToken>);

impl Default for LiveTokens {
    fn default() -> Self {
        Self(Cached::new(Topic::Login, MOST_KEPT))
    }
}

/// A token as its owner sees it in a list.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ListedToken {
    /// Its public half.
    pub id: String,
    /// The user's name.
    pub user: String,
    /// The project's name.
    pub project: String,
    /// What it is called by its owner.
    pub name: String,
    /// What it is for; its owner's rights may be less by now.
    pub rights: String,
    /// When it was made.
    pub created_at: String,
    /// From when on it is void.
    pub expires_at: String,
    /// Since when it has been revoked.
    pub revoked_at: Option<String>,
}

/// Remembers a new token.
///
/// # Errors
/// The database failed.
pub fn insert(connection: &mut DbConnection, token: &NewToken) -> Result<(), StoreError> {
    diesel::insert_into(app_tokens::table)
        .values((
            app_tokens::id.eq(token.id.to_string()),
            app_tokens::user_id.eq(token.user.0.to_string()),
            app_tokens::project_id.eq(token.project.0.to_string()),
            app_tokens::secret_hash.eq(&token.secret_hash),
            app_tokens::created_at.eq(Timestamp::now().0),
            app_tokens::expires_at.eq(token.expires_at.0),
            app_tokens::name.eq(&token.name),
            app_tokens::rights.eq(token.rights.to_string()),
        ))
        .execute(connection)?;
    Ok(())
}

/// The token of this id, unless it has expired or was revoked, or its user may not get in any more. Its rights are those
/// that its user has at this moment.
///
/// # Errors
/// The database failed.
pub async fn find_live(db: &Db, id: Uuid) -> Result<Option<Arc<LiveToken>>, StoreError> {
    let mut found = db.tokens().0.find(db, id, move |connection| find(connection, id)).await?;
    // Time passes without a write.
    let now = Timestamp::now();
    if found.as_ref().is_some_and(|token| token.certain_until.is_some_and(|until| until <= now)) {
        found = db.read_brief(move |connection| find(connection, id)).await?.map(Arc::new);
    }
    Ok(found.filter(|token| token.expires_at > now))
}

fn find(connection: &mut DbConnection, id: Uuid) -> Result<Option<LiveToken>, StoreError> {
    let query = app_tokens::table
        .inner_join(users::table.on(users::id.eq(app_tokens::user_id)))
        .filter(app_tokens::id.eq(id.to_string()))
        .filter(app_tokens::revoked_at.is_null())
        .filter(users::standing.eq(Standing::Active.as_str()))
        .select((
            users::id,
            users::name,
            app_tokens::project_id,
            app_tokens::secret_hash,
            app_tokens::rights,
            app_tokens::expires_at,
        ));
    let found: Option<(String, String, String, String, String, i64)> =
        on_either!(connection, either => query.get_result(either).optional())?;
    let Some((user, user_name, project, secret_hash, rights, expires_at)) = found else { return Ok(None) };
    let user = UserId(parse_id("users", &user)?);
    let project = ProjectId(parse_id("app_tokens", &project)?);
    let made_for = rights.parse::<Rights>().map_err(|error| StoreError::Unreadable {
        table: "app_tokens",
        id: id.to_string(),
        reason: error.to_string(),
    })?;
    let (live, certain_until) = grant::rights_in(&grant::of_user(connection, user)?, project);
    let rights = made_for.and(live);
    let expires_at = Timestamp(expires_at);
    Ok(Some(LiveToken { user, user_name, project, secret_hash, rights, expires_at, certain_until }))
}

/// Whose tokens are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensOf {
    /// Everybody's, void ones included.
    All,
    /// A user's that are not void.
    UserAlive(UserId),
}

/// These tokens, the newest last.
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut DbConnection, of: TokensOf) -> Result<Vec<ListedToken>, StoreError> {
    let query = app_tokens::table
        .inner_join(users::table.on(users::id.eq(app_tokens::user_id)))
        .inner_join(projects::table.on(projects::id.eq(app_tokens::project_id)))
        .order(app_tokens::id.asc())
        .select((
            app_tokens::id,
            users::name,
            projects::name,
            (app_tokens::created_at, app_tokens::expires_at, app_tokens::revoked_at),
            (app_tokens::name, app_tokens::rights),
        ));
    let alive = query.filter(app_tokens::revoked_at.is_null()).filter(app_tokens::expires_at.gt(Timestamp::now().0));
    type Columns = (String, String, String, (i64, i64, Option<i64>), (String, String));
    let rows: Vec<Columns> = match of {
        TokensOf::All => on_either!(connection, either => query.load(either))?,
        TokensOf::UserAlive(user) => {
            let theirs = alive.filter(app_tokens::user_id.eq(user.0.to_string()));
            on_either!(connection, either => theirs.load(either))?
        }
    };
    Ok(rows
        .into_iter()
        .map(|(id, user, project, (created_at, expires_at, revoked_at), (name, rights))| ListedToken {
            id,
            user,
            project,
            name,
            rights,
            created_at: Timestamp(created_at).to_string(),
            expires_at: Timestamp(expires_at).to_string(),
            revoked_at: revoked_at.map(|at| Timestamp(at).to_string()),
        })
        .collect())
}

/// How many tokens of the user are not void.
///
/// # Errors
/// The database failed.
pub fn count_alive(connection: &mut DbConnection, user: UserId) -> Result<i64, StoreError> {
    let alive = app_tokens::table
        .filter(app_tokens::user_id.eq(user.0.to_string()))
        .filter(app_tokens::revoked_at.is_null())
        .filter(app_tokens::expires_at.gt(Timestamp::now().0));
    Ok(alive.count().get_result(connection)?)
}

/// Whose the token is, and the project that it acts in.
///
/// # Errors
/// The database failed.
pub fn whose(connection: &mut DbConnection, id: Uuid) -> Result<Option<(UserId, ProjectId)>, StoreError> {
    let query = app_tokens::table
        .filter(app_tokens::id.eq(id.to_string()))
        .select((app_tokens::user_id, app_tokens::project_id));
    let found: Option<(String, String)> = on_either!(connection, either => query.get_result(either).optional())?;
    let read = |(user, project): (String, String)| {
        Ok((UserId(parse_id("app_tokens", &user)?), ProjectId(parse_id("app_tokens", &project)?)))
    };
    found.map(read).transpose()
}

/// Makes a token void from now on. Answers whether there was one to revoke.
///
/// # Errors
/// The database failed.
pub fn revoke(connection: &mut DbConnection, id: Uuid) -> Result<bool, StoreError> {
    let live = app_tokens::table.filter(app_tokens::id.eq(id.to_string())).filter(app_tokens::revoked_at.is_null());
    Ok(diesel::update(live).set(app_tokens::revoked_at.eq(Timestamp::now().0)).execute(connection)? == 1)
}
