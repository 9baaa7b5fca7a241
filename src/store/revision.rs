//! Whether something has changed since it was read: for what is asked on every request and changes now and then.
//!
//! Each topic has a revision in the database, which triggers raise in the transaction of the change itself, whichever
//! process makes it. What was read *after* its revision holds for as long as the revision stays. On SQLite even the
//! revision is not asked for again unless some other connection has written (`PRAGMA data_version`); a reader never
//! writes, so everybody else's writes are another connection's.

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};

use super::{DbConnection, StoreError, schema::revisions};

/// What changes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Tokens, users and projects.
    Login,
    /// Appliances and user mixins.
    Catalogue,
}

impl Topic {
    const ALL: [Self; 2] = [Self::Login, Self::Catalogue];

    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Catalogue => "catalogue",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Login => 0,
            Self::Catalogue => 1,
        }
    }
}

/// How often something of the topic has changed.
pub(super) fn revision(connection: &mut DbConnection, topic: Topic) -> Result<i64, StoreError> {
    Ok(revisions::table
        .filter(revisions::topic.eq(topic.as_str()))
        .select(revisions::revision)
        .get_result(connection)?)
}

/// A connection to SQLite that only reads, and what it has seen of the revisions.
pub(super) struct Reader {
    pub(super) connection: DbConnection,
    seen: Option<(i64, [i64; Topic::ALL.len()])>,
}

impl Reader {
    pub(super) fn new(connection: DbConnection) -> Self {
        Self { connection, seen: None }
    }

    /// How often something of the topic has changed.
    pub(super) fn revision(&mut self, topic: Topic) -> Result<i64, StoreError> {
        // Asked first: a change between the two makes the next caller look again.
        let version: i64 = on_either!(&mut self.connection, either => DataVersion.get_result(either))?;
        let revisions = match self.seen {
            Some((seen, revisions)) if seen == version => revisions,
            _ => {
                let mut revisions = [0; Topic::ALL.len()];
                for topic in Topic::ALL {
                    revisions[topic.index()] = revision(&mut self.connection, topic)?;
                }
                self.seen = Some((version, revisions));
                revisions
            }
        };
        Ok(revisions[topic.index()])
    }
}

/// SQLite's mark of the last change by another connection.
#[derive(QueryId)]
struct DataVersion;

impl Query for DataVersion {
    type SqlType = BigInt;
}

impl<C> RunQueryDsl<C> for DataVersion {}

impl<DB: Backend> QueryFragment<DB> for DataVersion {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("PRAGMA data_version");
        Ok(())
    }
}
