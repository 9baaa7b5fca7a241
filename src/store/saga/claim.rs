//! Who works on what: claims, and how much is under way at a site.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Bool, Integer, Nullable, Text},
};

use super::{PRIORITY_BEGUN, Row, Saga, UNFINISHED};
use crate::store::{DbConnection, StoreError, Timestamp, schema::sagas};

diesel::define_sql_function! {
    /// The first that is not null.
    fn coalesce(value: Nullable<BigInt>, otherwise: BigInt) -> BigInt;
}

/// What is claimed.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// For whom.
    pub owner: &'a str,
    /// At which site.
    pub site: &'a str,
    /// Under which rules.
    pub operation: &'a str,
    /// Of this priority or a higher one.
    pub priority: i32,
    /// How many.
    pub most: i64,
}

/// Takes due sagas that nobody holds, those of the highest priority and then the oldest first, and the right to write
/// for each. What waited past its time is left alone.
///
/// # Errors
/// The database failed.
pub fn claim(connection: &mut DbConnection, claim: &Claim<'_>) -> Result<Vec<Saga>, StoreError> {
    let now = Timestamp::now().0;
    let due = sagas::table
        .filter(sagas::site.eq(claim.site))
        .filter(sagas::operation.eq(claim.operation))
        .filter(sagas::priority.ge(claim.priority))
        .filter(sagas::owner.is_null())
        .filter(sagas::blocked_by.is_null())
        // As text, so that the index of exactly this condition is used.
        .filter(diesel::dsl::sql::<Bool>("state IN ('running', 'unwinding')"))
        .filter(sagas::run_at.le(now))
        .filter(sagas::begun_at.is_not_null().or(coalesce(sagas::expires_at, i64::MAX).gt(now)))
        .order((sagas::priority.desc(), sagas::run_at.asc(), sagas::id.asc()))
        .limit(claim.most);
    let mut rows: Vec<Row> = match connection {
        // Several replicas claim at once: nobody waits for what another one is just taking.
        DbConnection::Postgres(connection) => due.for_update().skip_locked().load(connection)?,
        DbConnection::Sqlite(connection) => due.load(connection)?,
    };
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    // One version of each row; what has begun goes before what has not.
    let begun = sql::<Nullable<BigInt>>("coalesce(begun_at, ").bind::<BigInt, _>(now).sql(")");
    let priority =
        sql::<Integer>(&format!("CASE WHEN priority < {PRIORITY_BEGUN} THEN {PRIORITY_BEGUN} ELSE priority END"));
    diesel::update(sagas::table.filter(sagas::id.eq_any(&ids)))
        .set((
            sagas::owner.eq(claim.owner),
            sagas::fence.eq(sagas::fence + 1),
            sagas::updated_at.eq(now),
            sagas::begun_at.eq(begun),
            sagas::priority.eq(priority),
        ))
        .execute(connection)?;
    for row in &mut rows {
        row.owner = Some(claim.owner.to_owned());
        row.fence += 1;
        row.priority = row.priority.max(PRIORITY_BEGUN);
    }
    rows.into_iter().map(Row::saga).collect()
}

/// The operations of which something is due at a site and held by nobody. A claim of any other would find nothing.
///
/// # Errors
/// The database failed.
pub fn due(connection: &mut DbConnection, site: &str) -> Result<Vec<String>, StoreError> {
    // From one operation to the next, each by the index, so that it takes no longer when many are due. What has waited
    // past its time is among them, as long as it is there.
    let next = |after: &str| {
        format!(
            "SELECT min(operation) AS operation FROM sagas WHERE site = $1 AND owner IS NULL AND blocked_by IS NULL \
             AND state IN ('running', 'unwinding'){after}"
        )
    };
    let query = diesel::sql_query(format!(
        "WITH RECURSIVE due (operation) AS ({} UNION ALL SELECT ({}) FROM due WHERE due.operation IS NOT NULL) \
         SELECT operation FROM due WHERE operation IS NOT NULL",
        next(""),
        next(" AND sagas.operation > due.operation"),
    ))
    .bind::<Text, _>(site);
    let rows: Vec<DueOperation> = on_either!(connection, either => query.load(either))?;
    Ok(rows.into_iter().map(|row| row.operation).collect())
}

#[derive(diesel::QueryableByName)]
struct DueOperation {
    #[diesel(sql_type = Text)]
    operation: String,
}

/// Lets nobody else claim at this site until the transaction ends, so that what is counted stays true.
pub(in crate::store) fn lock_site(connection: &mut DbConnection, site: &str) -> Result<(), StoreError> {
    if let DbConnection::Postgres(connection) = connection {
        diesel::sql_query("SELECT pg_advisory_xact_lock(8427511, hashtext($1))")
            .bind::<Text, _>(site)
            .execute(connection)?;
    }
    Ok(())
}

/// How many sagas of a site are held, by operation. Whoever claims by it claims in the same transaction: until its end,
/// nobody else does at this site.
///
/// # Errors
/// The database failed.
pub fn active(connection: &mut DbConnection, site: &str) -> Result<Vec<(String, i64)>, StoreError> {
    lock_site(connection, site)?;
    let held = sagas::table
        .filter(sagas::site.eq(site))
        .filter(sagas::owner.is_not_null())
        .filter(diesel::dsl::sql::<Bool>("state IN ('running', 'unwinding')"))
        .group_by(sagas::operation)
        .select((sagas::operation, diesel::dsl::count_star()));
    Ok(on_either!(connection, either => held.load(either))?)
}

/// How many sagas of a site were begun since then, by operation.
///
/// # Errors
/// The database failed.
pub fn started_since(
    connection: &mut DbConnection,
    site: &str,
    since: Timestamp,
) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(sagas::table
        .filter(sagas::site.eq(site))
        .filter(sagas::begun_at.ge(since.0))
        .group_by(sagas::operation)
        .select((sagas::operation, diesel::dsl::count_star()))
        .load(connection)?)
}

/// How many sagas wait: site, operation, count.
///
/// # Errors
/// The database failed.
pub fn waiting(connection: &mut DbConnection) -> Result<Vec<(String, String, i64)>, StoreError> {
    let waiting = sagas::table
        .filter(sagas::begun_at.is_null())
        .filter(diesel::dsl::sql::<Bool>("state IN ('running', 'unwinding')"))
        .group_by((sagas::site, sagas::operation))
        .select((sagas::site, sagas::operation, diesel::dsl::count_star()));
    Ok(on_either!(connection, either => waiting.load(either))?)
}

/// Sagas that have waited past their time, at most so many, for the caller to end in the same transaction.
///
/// # Errors
/// The database failed.
pub fn expired(connection: &mut DbConnection, most: i64) -> Result<Vec<Saga>, StoreError> {
    let late = sagas::table
        .filter(sagas::begun_at.is_null())
        .filter(diesel::dsl::sql::<Bool>("state IN ('running', 'unwinding')"))
        .filter(sagas::expires_at.le(Timestamp::now().0))
        .limit(most);
    let rows: Vec<Row> = match connection {
        DbConnection::Postgres(connection) => late.for_update().skip_locked().load(connection)?,
        DbConnection::Sqlite(connection) => late.load(connection)?,
    };
    rows.into_iter().map(Row::saga).collect()
}

/// Takes all sagas from an owner, who may not write for them any more.
///
/// # Errors
/// The database failed.
pub fn release(connection: &mut DbConnection, owner: &str) -> Result<usize, StoreError> {
    let held = sagas::table.filter(sagas::owner.eq(owner)).filter(sagas::state.eq_any(UNFINISHED));
    Ok(diesel::update(held)
        .set((sagas::owner.eq(None::<String>), sagas::fence.eq(sagas::fence + 1), sagas::run_at.eq(Timestamp::now().0)))
        .execute(connection)?)
}
