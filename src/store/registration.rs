//! People who have asked to be let in.

use diesel::{ExpressionMethods, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use serde::Serialize;
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    member::{ProjectId, UserId},
    row::parse_id,
    schema::{projects, registrations, users},
};

/// Most open requests, of all projects together.
pub const MOST_OPEN: i64 = 1000;

/// Somebody asks; what they asked before and nobody has decided on is withdrawn.
///
/// # Errors
/// The database failed.
pub fn insert(
    connection: &mut DbConnection,
    user: UserId,
    project: Option<ProjectId>,
    words: &str,
) -> Result<Uuid, StoreError> {
    let before = registrations::table
        .filter(registrations::user_id.eq(user.0.to_string()))
        .filter(registrations::decided_at.is_null());
    on_either!(connection, either => diesel::delete(before).execute(either))?;
    let id = Uuid::now_v7();
    let row = (
        registrations::id.eq(id.to_string()),
        registrations::user_id.eq(user.0.to_string()),
        registrations::project_id.eq(project.map(|project| project.0.to_string())),
        registrations::words.eq(words),
        registrations::created_at.eq(Timestamp::now().0),
    );
    on_either!(connection, either => diesel::insert_into(registrations::table).values(row).execute(either))?;
    Ok(id)
}

/// A request that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// Who has asked.
    pub user: UserId,
    /// For which project, if one was meant that there is.
    pub project: Option<ProjectId>,
}

/// The request, if nobody has decided on it.
///
/// # Errors
/// The database failed.
pub fn find_open(connection: &mut DbConnection, id: Uuid) -> Result<Option<OpenRequest>, StoreError> {
    let query = registrations::table
        .filter(registrations::id.eq(id.to_string()))
        .filter(registrations::decided_at.is_null())
        .select((registrations::user_id, registrations::project_id));
    let found: Option<(String, Option<String>)> =
        on_either!(connection, either => query.get_result(either).optional())?;
    let parse = |id: &str| parse_id("registrations", id);
    let read = |(user, project): (String, Option<String>)| {
        let project = project.map(|project| parse(&project)).transpose()?.map(ProjectId);
        Ok(OpenRequest { user: UserId(parse(&user)?), project })
    };
    found.map(read).transpose()
}

/// Somebody has decided; answers whether nobody had before.
///
/// # Errors
/// The database failed.
pub fn decide(
    connection: &mut DbConnection,
    id: Uuid,
    by: Option<UserId>,
    outcome: &'static str,
) -> Result<bool, StoreError> {
    let open =
        registrations::table.filter(registrations::id.eq(id.to_string())).filter(registrations::decided_at.is_null());
    let set = (
        registrations::decided_at.eq(Timestamp::now().0),
        registrations::decided_by.eq(by.map(|user| user.0.to_string())),
        registrations::outcome.eq(outcome),
    );
    Ok(on_either!(connection, either => diesel::update(open).set(set).execute(either))? == 1)
}

/// How many wait for a decision.
///
/// # Errors
/// The database failed.
pub fn count_open(connection: &mut DbConnection) -> Result<i64, StoreError> {
    Ok(registrations::table.filter(registrations::decided_at.is_null()).count().get_result(connection)?)
}

/// Whether the user waits for a decision.
///
/// # Errors
/// The database failed.
pub fn waits(connection: &mut DbConnection, user: UserId) -> Result<bool, StoreError> {
    let query = registrations::table
        .filter(registrations::user_id.eq(user.0.to_string()))
        .filter(registrations::decided_at.is_null());
    Ok(query.count().get_result::<i64>(connection)? > 0)
}

/// A request as those who decide see it.
#[derive(Debug, Clone, Serialize)]
pub struct ListedRequest {
    /// What it is decided by.
    pub id: String,
    /// Who has asked.
    pub user: String,
    /// What their provider calls them.
    pub display_name: Option<String>,
    /// Where their provider says mail goes; nobody has checked that.
    pub email: Option<String>,
    /// For which project, if one was meant that there is.
    pub project: Option<String>,
    /// That project.
    #[serde(skip)]
    pub project_id: Option<ProjectId>,
    /// What they have said.
    pub words: String,
    /// When.
    pub created_at: String,
}

/// The requests that wait for a decision, the oldest first.
///
/// # Errors
/// The database failed.
pub fn list_open(connection: &mut DbConnection) -> Result<Vec<ListedRequest>, StoreError> {
    type Columns = (String, (String, Option<String>, Option<String>), Option<String>, Option<String>, String, i64);
    let query = registrations::table
        .inner_join(users::table.on(users::id.eq(registrations::user_id)))
        .left_join(projects::table.on(projects::id.nullable().eq(registrations::project_id)))
        .filter(registrations::decided_at.is_null())
        .order(registrations::created_at.asc())
        .limit(MOST_OPEN)
        .select((
            registrations::id,
            (users::name, users::display_name, users::email),
            registrations::project_id,
            projects::name.nullable(),
            registrations::words,
            registrations::created_at,
        ));
    let rows: Vec<Columns> = on_either!(connection, either => query.load(either))?;
    let read = |(id, (user, display_name, email), project_id, project, words, created_at): Columns| {
        let project_id = project_id.map(|id| parse_id("registrations", &id)).transpose()?.map(ProjectId);
        let created_at = Timestamp(created_at).to_string();
        Ok(ListedRequest { id, user, display_name, email, project, project_id, words, created_at })
    };
    rows.into_iter().map(read).collect()
}
