//! Links that let their holder in once.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{DbConnection, StoreError, Timestamp, member::UserId, row::parse_id, schema::login_links};

/// Remembers a link by the hash of its secret. Those that have expired are forgotten.
///
/// # Errors
/// The database failed.
pub fn insert(
    connection: &mut DbConnection,
    secret_hash: &str,
    user: UserId,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let expired = login_links::table.filter(login_links::expires_at.le(Timestamp::now().0));
    on_either!(connection, either => diesel::delete(expired).execute(either))?;
    let row = (
        login_links::secret_hash.eq(secret_hash),
        login_links::user_id.eq(user.0.to_string()),
        login_links::expires_at.eq(expires_at.0),
    );
    on_either!(connection, either => diesel::insert_into(login_links::table).values(row).execute(either))?;
    Ok(())
}

/// Whom the link would let in, without using it up.
///
/// # Errors
/// The database failed.
pub fn look(connection: &mut DbConnection, secret_hash: &str) -> Result<Option<UserId>, StoreError> {
    let query = login_links::table
        .filter(login_links::secret_hash.eq(secret_hash))
        .filter(login_links::expires_at.gt(Timestamp::now().0))
        .select(login_links::user_id);
    let found: Option<String> = on_either!(connection, either => query.get_result(either).optional())?;
    found.map(|user| parse_id("login_links", &user).map(UserId)).transpose()
}

/// Uses the link up, and answers whom it lets in; of several at once, one hears it.
///
/// # Errors
/// The database failed.
pub fn consume(connection: &mut DbConnection, secret_hash: &str) -> Result<Option<UserId>, StoreError> {
    let Some(user) = look(connection, secret_hash)? else { return Ok(None) };
    let this = login_links::table.filter(login_links::secret_hash.eq(secret_hash));
    let gone = on_either!(connection, either => diesel::delete(this).execute(either))?;
    Ok((gone == 1).then_some(user))
}

/// Makes all links of the user void.
///
/// # Errors
/// The database failed.
pub fn revoke_of_user(connection: &mut DbConnection, user: UserId) -> Result<(), StoreError> {
    let these = login_links::table.filter(login_links::user_id.eq(user.0.to_string()));
    on_either!(connection, either => diesel::delete(these).execute(either))?;
    Ok(())
}
