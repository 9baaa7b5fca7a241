//! Connections to either database, and the schema that they find there.

use std::path::PathBuf;

use diesel::{Connection as _, connection::SimpleConnection, pg::PgConnection, sqlite::SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::StoreError;

pub(super) const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
pub(super) const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// A connection to either database; the same queries run on both.
#[derive(diesel::MultiConnection)]
pub enum DbConnection {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite, bundled.
    Sqlite(SqliteConnection),
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Postgres(String),
    Sqlite(PathBuf),
}

impl Address {
    /// A `postgres://` address, or else a file.
    pub(super) fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::Postgres(text.to_owned())
        } else {
            Self::Sqlite(PathBuf::from(text.strip_prefix("sqlite://").unwrap_or(text)))
        }
    }

    /// For people: never with a password.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Postgres(url) => {
                url.rsplit_once('@').map_or_else(|| url.clone(), |(_, host)| format!("postgres://{host}"))
            }
            Self::Sqlite(path) => path.display().to_string(),
        }
    }

    pub(super) fn connect(&self) -> Result<DbConnection, StoreError> {
        let refused = |reason: String| StoreError::Open { database: self.shown(), reason };
        match self {
            Self::Postgres(url) => {
                PgConnection::establish(url).map(DbConnection::Postgres).map_err(|error| refused(error.to_string()))
            }
            Self::Sqlite(path) => {
                let mut connection =
                    SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| refused(error.to_string()))?;
                // FULL, since an acknowledged create must outlive a power cut, not only a crash of the process. What a
                // savepoint may have to restore is lost with the process anyway, so it need not be a temporary file.
                connection
                    .batch_execute(
                        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                         PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
                    )
                    .map_err(|error| refused(error.to_string()))?;
                Ok(DbConnection::Sqlite(connection))
            }
        }
    }
}

impl Address {
    /// A connection that only reads.
    pub(super) fn connect_reader(&self) -> Result<DbConnection, StoreError> {
        let mut connection = self.connect()?;
        if matches!(connection, DbConnection::Sqlite(_)) {
            // There is one writer; nothing gets past it by mistake.
            connection.batch_execute("PRAGMA query_only = ON")?;
        }
        Ok(connection)
    }
}

/// A connection of a test's own, to a database in whatever state.
#[cfg(test)]
pub(super) fn connect(address: &str) -> Result<DbConnection, StoreError> {
    Address::parse(address).connect()
}

/// Brings the schema up to date, on a connection that is of use for more.
pub(super) fn migrate(address: &Address) -> Result<DbConnection, StoreError> {
    let mut connection = address.connect()?;
    let outcome = match &mut connection {
        DbConnection::Postgres(connection) => {
            // Several replicas may start at once; the lock ends with this connection. The number only has to be
            // the same for all of them.
            connection.batch_execute("SELECT pg_advisory_lock(8427511360)")?;
            connection.run_pending_migrations(POSTGRES_MIGRATIONS).map(|_| ())
        }
        DbConnection::Sqlite(connection) => migrate_sqlite(connection),
    };
    outcome.map_err(|error| StoreError::Migration(error.to_string()))?;
    Ok(connection)
}

/// Commands beside a running server open the same file: the loser of a race sees "table exists" and looks again.
fn migrate_sqlite(connection: &mut SqliteConnection) -> diesel::migration::Result<()> {
    let migrated = connection.run_pending_migrations(SQLITE_MIGRATIONS).map(|_| ());
    if migrated.is_err() && !connection.has_pending_migration(SQLITE_MIGRATIONS)? {
        return Ok(());
    }
    migrated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(Address::parse("postgres://u:secret@h/db").shown(), "postgres://h/db");
    }
}
