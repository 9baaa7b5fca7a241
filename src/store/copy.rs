//! A store of one database taken over into another one: how a site that has outgrown a file moves to PostgreSQL.
//!
//! Rows travel as JSON, which both databases write and read themselves, so that no table needs code of its own and none
//! is forgotten: the columns are those that the target has.

use diesel::{
    QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{BigInt, Text},
};

use super::{
    DbConnection, StoreError,
    connection::{Address, migrate},
};

/// Every table, those first that others refer to. `revisions` is last: its triggers count what is copied before.
const TABLES: [&str; 30] = [
    "projects",
    "users",
    "app_tokens",
    "identities",
    "confirmations",
    "passwords",
    "login_links",
    "sessions",
    "spent",
    "grants",
    "quotas",
    "invitations",
    "registrations",
    "device_requests",
    "authorization_codes",
    "appliances",
    "appliance_versions",
    "entities",
    "entity_mixins",
    "entity_attributes",
    "sagas",
    "saga_log",
    "intents",
    "user_mixins",
    "tombstones",
    "events",
    "reservations",
    "idempotency_keys",
    "orphans",
    "revisions",
];
/// What concerns running processes alone.
const LEFT_OUT: [&str; 2] = ["replicas", "watches"];
/// Rows of one statement.
const PAGE: i64 = 2000;

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    /// Its place in the primary key, from 1.
    #[diesel(sql_type = BigInt)]
    pk: i64,
}

#[derive(QueryableByName)]
struct Page {
    #[diesel(sql_type = Text)]
    rows: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Copies everything from a SQLite file into an empty PostgreSQL database, and answers how many rows of each table those
/// were. Blocking. All or nothing. The caller knows that nobody writes to the file.
///
/// # Errors
/// The target is not empty, or not PostgreSQL; a database failed.
pub fn to_postgres(from: &str, to: &str) -> Result<Vec<(&'static str, i64)>, StoreError> {
    let (from, to) = (Address::parse(from), Address::parse(to));
    if matches!(from, Address::Postgres(_)) || matches!(to, Address::Sqlite(_)) {
        let reason = "a SQLite file is copied to PostgreSQL: let the database be the file, and --to postgres://…";
        return Err(StoreError::Refused(reason.into()));
    }
    drop(migrate(&from)?);
    drop(migrate(&to)?);
    let (mut source, mut target) = (from.connect()?, to.connect()?);
    check_tables(&mut source)?;
    for table in ["projects", "users", "entities", "events", "appliances"] {
        if count(&mut target, table)? > 0 {
            let reason = format!("the target has {table} already; give an empty database (`createdb NAME`)");
            return Err(StoreError::Refused(reason));
        }
    }
    // One moment of the source, and all or nothing of the target.
    source.batch_execute("BEGIN")?;
    target.batch_execute("BEGIN; DELETE FROM revisions;")?;
    let mut copied = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        copied.push((table, copy(&mut source, &mut target, table)?));
    }
    for (table, rows) in &copied {
        let arrived = count(&mut target, table)?;
        if arrived != *rows {
            return Err(StoreError::Refused(format!("{rows} rows of {table} were copied and {arrived} have arrived")));
        }
    }
    target.batch_execute("COMMIT")?;
    Ok(copied)
}

/// A table that nobody has told this module of would be lost silently.
fn check_tables(source: &mut DbConnection) -> Result<(), StoreError> {
    let DbConnection::Sqlite(source) = source else { return Ok(()) };
    let tables: Vec<Name> = diesel::sql_query(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
         AND name <> '__diesel_schema_migrations'",
    )
    .load(source)?;
    let unknown = tables
        .into_iter()
        .find(|table| !TABLES.contains(&table.name.as_str()) && !LEFT_OUT.contains(&table.name.as_str()));
    match unknown {
        Some(table) => Err(StoreError::Refused(format!("this version does not know how to copy table {}", table.name))),
        None => Ok(()),
    }
}

fn copy(source: &mut DbConnection, target: &mut DbConnection, table: &str) -> Result<i64, StoreError> {
    let (DbConnection::Sqlite(source), DbConnection::Postgres(target)) = (source, target) else { return Ok(0) };
    let columns: Vec<Column> =
        diesel::sql_query("SELECT name, pk FROM pragma_table_info($1)").bind::<Text, _>(table).load(source)?;
    // Links after what they begin at.
    let links_last = columns.iter().any(|column| column.name == "source").then_some("source IS NOT NULL");
    let key = columns.iter().filter(|column| column.pk > 0).map(|column| column.name.as_str());
    let order: Vec<&str> = links_last.into_iter().chain(key).collect();
    let fields: Vec<String> = columns.iter().map(|column| format!("'{0}', {0}", column.name)).collect();
    // Table and columns are our own; values travel in the document.
    let page = format!(
        "SELECT coalesce(json_group_array(json_object({fields})), '[]') AS rows, count(*) AS count \
         FROM (SELECT * FROM {table} ORDER BY {order} LIMIT $1 OFFSET $2)",
        fields = fields.join(", "),
        order = order.join(", "),
    );
    let insert = format!("INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)");
    let mut copied = 0;
    loop {
        let read = diesel::sql_query(&page).bind::<BigInt, _>(PAGE).bind::<BigInt, _>(copied);
        let Page { rows, count } = read.get_result(source)?;
        if count == 0 {
            return Ok(copied);
        }
        diesel::sql_query(&insert).bind::<Text, _>(rows).execute(target)?;
        copied += count;
    }
}

fn count(connection: &mut DbConnection, table: &str) -> Result<i64, StoreError> {
    let count: Count = diesel::sql_query(format!("SELECT count(*) AS count FROM {table}")).get_result(connection)?;
    Ok(count.count)
}
