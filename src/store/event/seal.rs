//! Giving events their places, by one process at a time.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    backend::Backend,
    connection::SimpleConnection,
    pg::PgConnection,
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, Bool, HasSqlType, Text},
};

use super::{
    TOPIC,
    chain::{FIRST, Link},
    last_position, sealed,
};
use crate::store::{
    DbConnection, StoreError,
    schema::{events, revisions},
};

/// How many rows one statement writes.
const BATCH: usize = 200;

/// Gives up to `most` unsealed events their places, the oldest id first, and answers how many that were. One process
/// seals at a time; another one that tries meanwhile does not wait, and answers 0. Nothing else can be done in the same
/// transaction before it.
///
/// # Errors
/// The database failed.
pub fn seal(connection: &mut DbConnection, most: i64) -> Result<usize, StoreError> {
    if let DbConnection::Postgres(connection) = connection
        && !is_our_turn(connection)?
    {
        return Ok(0);
    }
    let unsealed = events::table.filter(events::position.is_null()).order(events::id.asc()).limit(most).select((
        events::id,
        events::at,
        events::kind,
        events::project_id,
        events::entity_id,
        events::request_id,
        events::body,
    ));
    let links: Vec<Link> = on_either!(connection, either => unsealed.load(either))?;
    if links.is_empty() {
        return Ok(0);
    }
    let mut previous = last_seal(connection)?;
    // Where the end of the log is missing, the places of what was there are not given again, and the gap stays.
    let mut position = last_position(connection)?.max(sealed(connection)?);
    for batch in links.chunks(BATCH) {
        let mut places = Vec::with_capacity(batch.len());
        for link in batch {
            position += 1;
            let seal = link.seal(&previous, position);
            previous.clone_from(&seal);
            places.push((link.id.clone(), position, seal));
        }
        let given = on_either!(connection, either => Places(&places).execute(either))?;
        if given != batch.len() {
            return Err(StoreError::NotCommitted(format!("{given} of {} events could be sealed", batch.len())));
        }
    }
    let counted = diesel::insert_into(revisions::table)
        .values((revisions::topic.eq(TOPIC), revisions::revision.eq(position)))
        .on_conflict(revisions::topic)
        .do_update()
        .set(revisions::revision.eq(position));
    on_either!(connection, either => counted.execute(either))?;
    Ok(links.len())
}

/// Whether no other process seals. The right to it ends with the transaction, after what it has written can be seen.
fn is_our_turn(connection: &mut PgConnection) -> Result<bool, StoreError> {
    // The lock keeps others out, so that nothing has to be serialised. It would be in the way: each statement here has
    // to see what was committed before it got the lock, and a reader of the whole end of the log would make those who
    // write events meanwhile try again.
    connection.batch_execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")?;
    // The number only has to be the same for all replicas.
    let turn = diesel::select(diesel::dsl::sql::<Bool>("pg_try_advisory_xact_lock(8427511361)"));
    Ok(turn.get_result(connection)?)
}

fn last_seal(connection: &mut DbConnection) -> Result<String, StoreError> {
    let query = events::table
        .filter(events::position.is_not_null())
        .order(events::position.desc())
        .limit(1)
        .select(events::seal);
    let found: Option<Option<String>> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.flatten().unwrap_or_else(|| FIRST.to_owned()))
}

/// `UPDATE … FROM (VALUES …)`, of ids, positions and seals.
struct Places<'a>(&'a [(String, i64, String)]);

impl QueryId for Places<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> RunQueryDsl<C> for Places<'_> {}

impl<DB> QueryFragment<DB> for Places<'_>
where
    DB: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // Its text depends on the number of rows.
        out.unsafe_to_cache_prepared();
        // Both databases call the columns of VALUES so.
        out.push_sql("UPDATE events SET position = place.column2, seal = place.column3 FROM (VALUES ");
        for (index, (id, position, seal)) in self.0.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", (" });
            out.push_bind_param::<Text, _>(id)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(position)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(seal)?;
            out.push_sql(")");
        }
        out.push_sql(") AS place WHERE events.id = place.column1 AND events.position IS NULL");
        Ok(())
    }
}
