//! Both databases have the same tables, columns and indices.

use std::collections::BTreeSet;

use diesel::{
    QueryableByName, RunQueryDsl,
    sql_types::{Bool, Text},
};

use crate::store::{DbConnection, connection::connect};

#[derive(Debug, QueryableByName, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

#[derive(Debug, QueryableByName, PartialEq, Eq, PartialOrd, Ord)]
struct Index {
    #[diesel(sql_type = Text)]
    table_name: String,
    /// Empty for one that belongs to a constraint: each database names those in its own way.
    #[diesel(sql_type = Text)]
    index_name: String,
    /// Separated by commas, with `-` after a descending one.
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Bool)]
    uniqueness: bool,
    #[diesel(sql_type = Bool)]
    partial: bool,
}

/// What can be compared of a schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    columns: BTreeSet<Column>,
    indices: BTreeSet<Index>,
}

impl Schema {
    /// Reads it from the database.
    pub fn of(address: &str) -> Self {
        let (columns, indices) = match connect(address).unwrap() {
            DbConnection::Postgres(mut connection) => (
                diesel::sql_query(POSTGRES_COLUMNS).load(&mut connection).unwrap(),
                diesel::sql_query(POSTGRES_INDICES).load(&mut connection).unwrap(),
            ),
            DbConnection::Sqlite(mut connection) => (
                diesel::sql_query(SQLITE_COLUMNS).load(&mut connection).unwrap(),
                diesel::sql_query(SQLITE_INDICES).load(&mut connection).unwrap(),
            ),
        };
        Self { columns: columns.into_iter().collect(), indices: indices.into_iter().collect() }
    }

    /// Fails where the two differ, and tells in what.
    pub fn assert_same(&self, other: &Self) {
        let columns: Vec<_> = self.columns.symmetric_difference(&other.columns).collect();
        assert!(columns.is_empty(), "columns of only one: {columns:#?}");
        let indices: Vec<_> = self.indices.symmetric_difference(&other.indices).collect();
        assert!(indices.is_empty(), "indices of only one: {indices:#?}");
    }

    /// Whether there is an index of this name over these columns.
    pub fn has_index(&self, name: &str, columns: &str) -> bool {
        self.indices.iter().any(|found| found.index_name == name && found.columns == columns)
    }
}

const POSTGRES_COLUMNS: &str = "
    SELECT table_name::text, column_name::text, upper(data_type) AS kind, is_nullable = 'YES' AS nullable
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_diesel%'";

const SQLITE_COLUMNS: &str = "
    SELECT t.name AS table_name, c.name AS column_name, upper(c.type) AS kind, NOT c.\"notnull\" AS nullable
    FROM sqlite_master AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'";

const POSTGRES_INDICES: &str = "
    SELECT t.relname::text AS table_name,
           CASE WHEN constraint_of.oid IS NULL THEN i.relname::text ELSE '' END AS index_name,
           (SELECT string_agg(a.attname || CASE WHEN x.indoption[k.place - 1] & 1 = 1 THEN '-' ELSE '' END, ','
                              ORDER BY k.place)
            FROM unnest(x.indkey::smallint[]) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.number) AS columns,
           x.indisunique AS uniqueness, x.indpred IS NOT NULL AS partial
    FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_class AS t ON t.oid = x.indrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace AND n.nspname = 'public'
    LEFT JOIN pg_constraint AS constraint_of ON constraint_of.conindid = i.oid AND constraint_of.contype IN ('p', 'u')
    WHERE t.relname NOT LIKE '\\_\\_diesel%'";

const SQLITE_INDICES: &str = "
    SELECT t.name AS table_name, CASE WHEN i.origin = 'c' THEN i.name ELSE '' END AS index_name,
           (SELECT group_concat(c.name || CASE WHEN c.\"desc\" THEN '-' ELSE '' END, ',' ORDER BY c.seqno)
            FROM pragma_index_xinfo(i.name) AS c WHERE c.key) AS columns,
           i.\"unique\" AS uniqueness, i.partial AS partial
    FROM sqlite_master AS t, pragma_index_list(t.name) AS i
    WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'";
