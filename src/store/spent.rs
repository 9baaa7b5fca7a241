//! What may be used once: nonces, the ids of logout tokens.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{DbConnection, StoreError, Timestamp, schema::spent};

/// No key is longer, in bytes.
const LONGEST: usize = 255;

/// Spends the key, and answers whether nobody has before. It is remembered until the given time, from when on what it
/// stands for is void anyway.
///
/// # Errors
/// The key is too long; the database failed.
pub fn spend(connection: &mut DbConnection, key: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
    if key.len() > LONGEST {
        return Err(StoreError::Refused(format!("what is spent has a name of at most {LONGEST} bytes")));
    }
    let insert = diesel::insert_into(spent::table)
        .values((spent::key.eq(key), spent::expires_at.eq(expires_at.0)))
        .on_conflict(spent::key)
        .do_nothing();
    let first = on_either!(connection, either => insert.execute(either))? == 1;
    if first {
        remove_expired(connection)?;
    }
    Ok(first)
}

fn remove_expired(connection: &mut DbConnection) -> Result<(), StoreError> {
    let expired = spent::table.filter(spent::expires_at.lt(Timestamp::now().0));
    on_either!(connection, either => diesel::delete(expired).execute(either))?;
    Ok(())
}

/// How many are remembered.
///
/// # Errors
/// The database failed.
#[cfg(test)]
pub fn count(connection: &mut DbConnection) -> Result<i64, StoreError> {
    Ok(spent::table.count().get_result(connection)?)
}

/// Whether the key was spent.
///
/// # Errors
/// The database failed.
pub fn is_spent(connection: &mut DbConnection, key: &str) -> Result<bool, StoreError> {
    let found = spent::table.filter(spent::key.eq(key)).select(spent::expires_at);
    let found: Option<i64> = on_either!(connection, either => found.get_result(either).optional())?;
    Ok(found.is_some())
}
