//! The log of a saga's steps.

use diesel::{
    QueryResult, RunQueryDsl,
    backend::Backend,
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType, Nullable, Text},
};
use uuid::Uuid;

use crate::store::{DbConnection, StoreError, Timestamp};

/// One line of a saga's log.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Which step; none where it is about the whole saga.
    pub step: &'a str,
    /// What has become of it.
    pub event: &'static str,
    /// More, for people.
    pub detail: Option<&'a str>,
}

/// Writes lines of the saga's log.
///
/// # Errors
/// The database failed.
pub fn log<const N: usize>(connection: &mut DbConnection, id: Uuid, lines: [Line<'_>; N]) -> Result<(), StoreError> {
    let saga = id.to_string();
    let lines = Lines { saga: &saga, lines: &lines, at: Timestamp::now().0 };
    on_either!(connection, either => lines.execute(either))?;
    Ok(())
}

/// So many lines in one statement: a saga's lines are written by its owner alone, so that the highest number is known.
struct Lines<'a, const N: usize> {
    saga: &'a str,
    lines: &'a [Line<'a>; N],
    at: i64,
}

// Each number of lines has one text, which is prepared once.
impl<const N: usize> QueryId for Lines<'_, N> {
    type QueryId = Lines<'static, N>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<C, const N: usize> RunQueryDsl<C> for Lines<'_, N> {}

impl<DB, const N: usize> QueryFragment<DB> for Lines<'_, N>
where
    DB: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
    str: ToSql<Text, DB>,
    for<'s> Option<&'s str>: ToSql<Nullable<Text>, DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("INSERT INTO saga_log (saga_id, sequence, step, event, detail, at) SELECT ");
        out.push_bind_param::<Text, _>(self.saga)?;
        // Both databases call the columns of VALUES so.
        out.push_sql(", before.highest + line.column1, line.column2, line.column3, line.column4, ");
        out.push_bind_param::<BigInt, _>(&self.at)?;
        out.push_sql(" FROM (SELECT coalesce(max(sequence), 0) AS highest FROM saga_log WHERE saga_id = ");
        out.push_bind_param::<Text, _>(self.saga)?;
        out.push_sql(") AS before, (VALUES ");
        for (index, line) in self.lines.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", (" });
            out.push_sql(&(index + 1).to_string());
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(line.step)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(line.event)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(&line.detail)?;
            out.push_sql(")");
        }
        out.push_sql(") AS line");
        Ok(())
    }
}
