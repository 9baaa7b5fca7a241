//! When a provider was last asked whether it still knows a user, and what it is asked with.

use std::time::Duration;

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{DbConnection, StoreError, Timestamp, member::UserId, schema::confirmations};

/// What becomes of the refresh token that is kept.
#[derive(Clone)]
pub enum RefreshToken {
    /// It is the provider's last word: this one, sealed, or none.
    Now(Option<String>),
    /// Nothing was said of one.
    Unchanged,
}

/// The provider has told of the user, at that time.
///
/// # Errors
/// The database failed.
pub fn put(
    connection: &mut DbConnection,
    user: UserId,
    provider: &str,
    refresh_token: &RefreshToken,
    told_at: Timestamp,
    valid_until: Timestamp,
) -> Result<(), StoreError> {
    let said = (
        confirmations::provider.eq(provider),
        confirmations::confirmed_at.eq(told_at.0),
        confirmations::valid_until.eq(valid_until.0),
        confirmations::claimed_until.eq(None::<i64>),
    );
    let of_user = confirmations::user_id.eq(user.0.to_string());
    let token = match refresh_token {
        RefreshToken::Now(token) => token.as_deref(),
        RefreshToken::Unchanged => {
            let same = confirmations::table
                .filter(confirmations::user_id.eq(user.0.to_string()))
                .filter(confirmations::provider.eq(provider));
            if on_either!(connection, either => diesel::update(same).set(said).execute(either))? == 1 {
                return Ok(());
            }
            None
        }
    };
    let token = confirmations::refresh_token.eq(token);
    let put = diesel::insert_into(confirmations::table)
        .values((of_user, said, token))
        .on_conflict(confirmations::user_id)
        .do_update()
        .set((said, token));
    on_either!(connection, either => put.execute(either))?;
    Ok(())
}

/// A user whom a provider is to be asked for.
#[derive(Clone)]
pub struct Due {
    /// Which provider.
    pub provider: String,
    /// What it is asked with, sealed.
    pub refresh_token: String,
}

/// Whether the user's provider is to be asked, and by us: it was not for this long, and nobody else is at it. Who hears
/// that it is has the given time for it.
///
/// # Errors
/// The database failed.
pub fn claim(
    connection: &mut DbConnection,
    user: UserId,
    older_than: Duration,
    time: Duration,
) -> Result<Option<Due>, StoreError> {
    let now = Timestamp::now();
    let due = confirmations::table
        .filter(confirmations::user_id.eq(user.0.to_string()))
        .filter(confirmations::refresh_token.is_not_null())
        .filter(confirmations::confirmed_at.le(now.minus(older_than).0))
        .filter(confirmations::claimed_until.is_null().or(confirmations::claimed_until.le(now.0)));
    let claim = confirmations::claimed_until.eq(now.plus(time).0);
    if on_either!(connection, either => diesel::update(due).set(claim).execute(either))? == 0 {
        return Ok(None);
    }
    let query = confirmations::table
        .filter(confirmations::user_id.eq(user.0.to_string()))
        .select((confirmations::provider, confirmations::refresh_token));
    let found: Option<(String, Option<String>)> =
        on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.and_then(|(provider, token)| Some(Due { provider, refresh_token: token? })))
}

/// Whether [`claim`] would find something to do: a question that writes nothing.
///
/// # Errors
/// The database failed.
pub fn is_due(connection: &mut DbConnection, user: UserId, older_than: Duration) -> Result<bool, StoreError> {
    let now = Timestamp::now();
    let due = confirmations::table
        .filter(confirmations::user_id.eq(user.0.to_string()))
        .filter(confirmations::refresh_token.is_not_null())
        .filter(confirmations::confirmed_at.le(now.minus(older_than).0))
        .filter(confirmations::claimed_until.is_null().or(confirmations::claimed_until.le(now.0)))
        .select(confirmations::user_id);
    let found: Option<String> = on_either!(connection, either => due.get_result(either).optional())?;
    Ok(found.is_some())
}

/// When a provider has told of the user last.
///
/// # Errors
/// The database failed.
pub fn told_at(connection: &mut DbConnection, user: UserId) -> Result<Option<Timestamp>, StoreError> {
    let query =
        confirmations::table.filter(confirmations::user_id.eq(user.0.to_string())).select(confirmations::confirmed_at);
    let found: Option<i64> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.map(Timestamp))
}

/// The provider does not know the user any more: it is not asked again, and nothing counts that it has said before.
///
/// # Errors
/// The database failed.
pub fn end(connection: &mut DbConnection, user: UserId) -> Result<(), StoreError> {
    let now = Timestamp::now().0;
    let this = confirmations::table.filter(confirmations::user_id.eq(user.0.to_string()));
    let set = (
        confirmations::refresh_token.eq(None::<String>),
        confirmations::confirmed_at.eq(now),
        confirmations::valid_until.eq(now),
        confirmations::claimed_until.eq(None::<i64>),
    );
    on_either!(connection, either => diesel::update(this).set(set).execute(either))?;
    Ok(())
}

/// The provider has changed what it is asked with, and then said nothing more.
///
/// # Errors
/// The database failed.
pub fn keep_token(connection: &mut DbConnection, user: UserId, refresh_token: &str) -> Result<(), StoreError> {
    let this = confirmations::table
        .filter(confirmations::user_id.eq(user.0.to_string()))
        .filter(confirmations::refresh_token.is_not_null());
    let set = confirmations::refresh_token.eq(refresh_token);
    on_either!(connection, either => diesel::update(this).set(set).execute(either))?;
    Ok(())
}
