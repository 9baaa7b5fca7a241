//! People: what they are called, who they are to providers, and whether they get in.

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};
use serde::Serialize;
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    member::{Standing, UserId},
    row::parse_id,
    schema::{identities, users},
};
use crate::login::identity::Identity;

/// Most users of one list.
pub const MOST_LISTED: i64 = 10_000;

/// A person or a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Its id.
    #[serde(serialize_with = "as_uuid")]
    pub id: UserId,
    /// By which it is addressed; nobody else has it.
    pub name: String,
    /// Whether it gets in.
    pub standing: Standing,
    /// What a provider calls the person; never a key.
    pub display_name: Option<String>,
    /// Where a provider says mail goes; never a key.
    pub email: Option<String>,
}

fn as_uuid<S: serde::Serializer>(id: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&id.0)
}

type Columns = (String, String, String, Option<String>, Option<String>);
const COLUMNS: (users::id, users::name, users::standing, users::display_name, users::email) =
    (users::id, users::name, users::standing, users::display_name, users::email);

fn read((id, name, standing, display_name, email): Columns) -> Result<User, StoreError> {
    let standing = super::member::parse_standing(&id, &standing)?;
    Ok(User { id: UserId(parse_id("users", &id)?), name, standing, display_name, email })
}

/// The user of this id.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, id: UserId) -> Result<Option<User>, StoreError> {
    let query = users::table.filter(users::id.eq(id.0.to_string())).select(COLUMNS);
    let found: Option<Columns> = on_either!(connection, either => query.get_result(either).optional())?;
    found.map(read).transpose()
}

/// The user of this name.
///
/// # Errors
/// The database failed.
pub fn find_by_name(connection: &mut DbConnection, name: &str) -> Result<Option<User>, StoreError> {
    let query = users::table.filter(users::name.eq(name)).select(COLUMNS);
    let found: Option<Columns> = on_either!(connection, either => query.get_result(either).optional())?;
    found.map(read).transpose()
}

/// The user who is this to a provider.
///
/// # Errors
/// The database failed.
pub fn of_identity(connection: &mut DbConnection, identity: &Identity) -> Result<Option<User>, StoreError> {
    let query = users::table
        .inner_join(identities::table.on(identities::user_id.eq(users::id)))
        .filter(identities::issuer.eq(&identity.issuer))
        .filter(identities::subject.eq(&identity.subject))
        .select(COLUMNS);
    let found: Option<Columns> = on_either!(connection, either => query.get_result(either).optional())?;
    found.map(read).transpose()
}

/// Who the user is to providers: issuer, subject, and the name of the provider at the time.
///
/// # Errors
/// The database failed.
pub fn identities(connection: &mut DbConnection, id: UserId) -> Result<Vec<(Identity, String)>, StoreError> {
    let query = identities::table
        .filter(identities::user_id.eq(id.0.to_string()))
        .order(identities::created_at.asc())
        .select((identities::issuer, identities::subject, identities::provider));
    let rows: Vec<(String, String, String)> = on_either!(connection, either => query.load(either))?;
    Ok(rows.into_iter().map(|(issuer, subject, provider)| (Identity { issuer, subject }, provider)).collect())
}

/// All users, by name, at most [`MOST_LISTED`].
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut DbConnection) -> Result<Vec<User>, StoreError> {
    let query = users::table.order(users::name.asc()).limit(MOST_LISTED).select(COLUMNS);
    let rows: Vec<Columns> = on_either!(connection, either => query.load(either))?;
    rows.into_iter().map(read).collect()
}

/// A new user; [`StoreError::is_duplicate`] if the name is taken.
///
/// # Errors
/// The name is taken; the database failed.
pub fn insert(connection: &mut DbConnection, name: &str, standing: Standing) -> Result<User, StoreError> {
    let id = Uuid::now_v7();
    let row = (
        users::id.eq(id.to_string()),
        users::name.eq(name),
        users::created_at.eq(Timestamp::now().0),
        users::standing.eq(standing.as_str()),
    );
    on_either!(connection, either => diesel::insert_into(users::table).values(row).execute(either))?;
    Ok(User { id: UserId(id), name: name.to_owned(), standing, display_name: None, email: None })
}

/// From now on, the user is this to the provider.
///
/// # Errors
/// Somebody is so already; the database failed.
pub fn bind(
    connection: &mut DbConnection,
    user: UserId,
    identity: &Identity,
    provider: &str,
) -> Result<(), StoreError> {
    let row = (
        identities::issuer.eq(&identity.issuer),
        identities::subject.eq(&identity.subject),
        identities::user_id.eq(user.0.to_string()),
        identities::provider.eq(provider),
        identities::created_at.eq(Timestamp::now().0),
    );
    on_either!(connection, either => diesel::insert_into(identities::table).values(row).execute(either))?;
    Ok(())
}

/// What a provider says of the person, for people to read.
///
/// # Errors
/// The database failed.
pub fn describe(
    connection: &mut DbConnection,
    user: UserId,
    display_name: Option<&str>,
    email: Option<&str>,
) -> Result<(), StoreError> {
    let row = users::table.filter(users::id.eq(user.0.to_string()));
    let described = (users::display_name.eq(display_name), users::email.eq(email));
    on_either!(connection, either => diesel::update(row).set(described).execute(either))?;
    Ok(())
}

/// Lets the user in or shuts them out, and answers whether there is one who was not so already.
///
/// # Errors
/// The database failed.
pub fn set_standing(connection: &mut DbConnection, user: UserId, standing: Standing) -> Result<bool, StoreError> {
    let others = users::table.filter(users::id.eq(user.0.to_string())).filter(users::standing.ne(standing.as_str()));
    let set = users::standing.eq(standing.as_str());
    Ok(on_either!(connection, either => diesel::update(others).set(set).execute(either))? == 1)
}
