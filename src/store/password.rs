//! Passwords of users without a provider, as hashes that are slow to try.

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl, dsl::exists};

use super::{
    DbConnection, StoreError, Timestamp,
    member::{Standing, UserId},
    row::parse_id,
    schema::{passwords, users},
};

/// The user's password from now on, as a hash in PHC form.
///
/// # Errors
/// The database failed.
pub fn set(connection: &mut DbConnection, user: UserId, hash: &str) -> Result<(), StoreError> {
    let (hash, changed_at) = (passwords::hash.eq(hash), passwords::changed_at.eq(Timestamp::now().0));
    let put = diesel::insert_into(passwords::table)
        .values((passwords::user_id.eq(user.0.to_string()), hash, changed_at))
        .on_conflict(passwords::user_id)
        .do_update()
        .set((hash, changed_at));
    on_either!(connection, either => put.execute(either))?;
    Ok(())
}

/// From now on the user has none; answers whether there was one.
///
/// # Errors
/// The database failed.
pub fn remove(connection: &mut DbConnection, user: UserId) -> Result<bool, StoreError> {
    let this = passwords::table.filter(passwords::user_id.eq(user.0.to_string()));
    Ok(on_either!(connection, either => diesel::delete(this).execute(either))? == 1)
}

/// The user of this name and their hash, if they have one and may get in.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, user_name: &str) -> Result<Option<(UserId, String)>, StoreError> {
    let query = users::table
        .inner_join(passwords::table.on(passwords::user_id.eq(users::id)))
        .filter(users::name.eq(user_name))
        .filter(users::standing.eq(Standing::Active.as_str()))
        .select((users::id, passwords::hash));
    let found: Option<(String, String)> = on_either!(connection, either => query.get_result(either).optional())?;
    found.map(|(user, hash)| Ok((UserId(parse_id("users", &user)?), hash))).transpose()
}

/// Whether anybody who may get in has one.
///
/// # Errors
/// The database failed.
pub fn any(connection: &mut DbConnection) -> Result<bool, StoreError> {
    let those = users::table
        .inner_join(passwords::table.on(passwords::user_id.eq(users::id)))
        .filter(users::standing.eq(Standing::Active.as_str()));
    let query = diesel::select(exists(those));
    Ok(on_either!(connection, either => query.get_result(either))?)
}
