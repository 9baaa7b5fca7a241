//! App tokens: stored hashed, shown once.

use std::sync::Arc;

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::{
    Cached, Db, DbConnection, StoreError, Timestamp, Topic,
    member::{ProjectId, UserId},
    row::parse_id,
    schema::{app_tokens, projects, users},
};

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
}

/// A remembered token that may be used now, if its secret fits.
#[derive(Debug, Clone)]
pub struct LiveToken {
    /// The name of its user.
    pub user_name: String,
    /// The project that it acts in.
    pub project: ProjectId,
    /// SHA-256 of its secret half, in hexadecimal digits.
    pub secret_hash: String,
    /// From when on it is void.
    expires_at: Timestamp,
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
        ))
        .execute(connection)?;
    Ok(())
}

/// The token of this id, unless it has expired or was revoked.
///
/// # Errors
/// The database failed.
pub async fn find_live(db: &Db, id: Uuid) -> Result<Option<Arc<LiveToken>>, StoreError> {
    let found = db.tokens().0.find(db, id, move |connection| find(connection, id)).await?;
    // Time passes without a write.
    Ok(found.filter(|token| token.expires_at > Timestamp::now()))
}

fn find(connection: &mut DbConnection, id: Uuid) -> Result<Option<LiveToken>, StoreError> {
    let found: Option<(String, String, String, i64)> = app_tokens::table
        .inner_join(users::table.on(users::id.eq(app_tokens::user_id)))
        .filter(app_tokens::id.eq(id.to_string()))
        .filter(app_tokens::revoked_at.is_null())
        .select((users::name, app_tokens::project_id, app_tokens::secret_hash, app_tokens::expires_at))
        .get_result(connection)
        .optional()?;
    found
        .map(|(user_name, project, secret_hash, expires_at)| {
            let project = ProjectId(parse_id("app_tokens", &project)?);
            Ok(LiveToken { user_name, project, secret_hash, expires_at: Timestamp(expires_at) })
        })
        .transpose()
}

/// All tokens, the newest last.
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut DbConnection) -> Result<Vec<ListedToken>, StoreError> {
    let rows: Vec<(String, String, String, i64, i64, Option<i64>)> = app_tokens::table
        .inner_join(users::table.on(users::id.eq(app_tokens::user_id)))
        .inner_join(projects::table.on(projects::id.eq(app_tokens::project_id)))
        .order(app_tokens::id.asc())
        .select((
            app_tokens::id,
            users::name,
            projects::name,
            app_tokens::created_at,
            app_tokens::expires_at,
            app_tokens::revoked_at,
        ))
        .load(connection)?;
    Ok(rows
        .into_iter()
        .map(|(id, user, project, created_at, expires_at, revoked_at)| ListedToken {
            id,
            user,
            project,
            created_at: Timestamp(created_at).to_string(),
            expires_at: Timestamp(expires_at).to_string(),
            revoked_at: revoked_at.map(|at| Timestamp(at).to_string()),
        })
        .collect())
}

/// Makes a token void from now on. Answers whether there was one to revoke.
///
/// # Errors
/// The database failed.
pub fn revoke(connection: &mut DbConnection, id: Uuid) -> Result<bool, StoreError> {
    let live = app_tokens::table.filter(app_tokens::id.eq(id.to_string())).filter(app_tokens::revoked_at.is_null());
    Ok(diesel::update(live).set(app_tokens::revoked_at.eq(Timestamp::now().0)).execute(connection)? == 1)
}
