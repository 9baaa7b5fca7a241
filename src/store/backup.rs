//! Copies of the database as it is at one moment, and whether a copy is fit to be put in its place.

use std::path::{Path, PathBuf};

use diesel::{
    Connection, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    dsl::sql,
    migration::MigrationSource,
    pg::PgConnection,
    sql_types::{BigInt, Text},
    sqlite::{Sqlite, SqliteConnection},
};

use super::{
    DbConnection, StoreError,
    connection::{Address, SQLITE_MIGRATIONS},
    event::{Verification, verify},
};

/// The file of a SQLite database, if it is one.
pub fn sqlite_file(address: &str) -> Option<PathBuf> {
    match Address::parse(address) {
        Address::Sqlite(path) => Some(path),
        Address::Postgres(_) => None,
    }
}

/// Copies a SQLite database as it is at this moment into a file that is empty, also while a server works on it.
/// Blocking.
///
/// # Errors
/// The database cannot be read, or the file not be written.
pub fn copy_sqlite(from: &Path, to: &Path) -> Result<(), StoreError> {
    // Opened as for writing, since a connection that only reads may not copy either; nothing is written to it.
    let DbConnection::Sqlite(mut connection) = Address::Sqlite(from.to_owned()).connect()? else {
        return Err(StoreError::Interrupted);
    };
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(to.to_string_lossy()).execute(&mut connection)?;
    Ok(())
}

/// Whether a copy is whole, of this program, and what its log tells; nothing of the latter when an older version has
/// made it. The file is not changed, and nobody may change it meanwhile. Blocking.
///
/// # Errors
/// It is damaged, no database of this program, or of a newer version.
pub fn check_sqlite(path: &Path) -> Result<Option<Verification>, StoreError> {
    let refused = |reason: String| StoreError::Open { database: path.display().to_string(), reason };
    let mut address = String::from("file:");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => address.push(byte.into()),
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address.push_str("?mode=ro&immutable=1");
    let mut connection = SqliteConnection::establish(&address).map_err(|error| refused(error.to_string()))?;

    let damage: Vec<Damage> = diesel::sql_query("PRAGMA integrity_check(3)")
        .load(&mut connection)
        .map_err(|error| refused(error.to_string()))?;
    let words: Vec<&str> = damage.iter().map(|line| line.integrity_check.as_str()).collect();
    if words != ["ok"] {
        return Err(refused(format!("it is damaged: {}", words.join("; "))));
    }
    let applied: Vec<Applied> = diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
        .load(&mut connection)
        .map_err(|_| refused("it is no database of Tombolo".into()))?;
    let known: Vec<String> = MigrationSource::<Sqlite>::migrations(&SQLITE_MIGRATIONS)
        .map_err(|error| StoreError::Migration(error.to_string()))?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    if applied.iter().any(|applied| !known.contains(&applied.version)) {
        return Err(refused("a newer version of Tombolo has made it; use that one".into()));
    }
    if applied.len() < known.len() {
        return Ok(None);
    }
    verify(&mut DbConnection::Sqlite(connection)).map(Some)
}

/// Brings all that was written into the database's one file. Answers whether it could be had alone. Blocking.
///
/// # Errors
/// The database cannot be opened or read; the file may be damaged.
pub fn settle_sqlite(path: &Path) -> Result<bool, StoreError> {
    let mut connection = Address::Sqlite(path.to_owned()).connect()?;
    connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
    drop(connection);
    // The last one to close it removes this.
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    Ok(!Path::new(&log).exists())
}

/// How many others are connected to the PostgreSQL database. Blocking.
///
/// # Errors
/// It cannot be reached.
pub fn other_sessions(address: &str) -> Result<i64, StoreError> {
    let refused = |reason: String| StoreError::Open { database: Address::parse(address).shown(), reason };
    let mut connection = PgConnection::establish(address).map_err(|error| refused(error.to_string()))?;
    let count = sql::<BigInt>(
        "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND backend_type = 'client backend' AND pid <> pg_backend_pid())",
    );
    Ok(diesel::select(count).get_result(&mut connection)?)
}

#[derive(QueryableByName)]
struct Damage {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}
