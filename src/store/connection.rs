use std::{path::PathBuf, sync::Arc, time::Duration};

use diesel::{Connection as _, connection::SimpleConnection, pg::PgConnection, sqlite::SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::sync::Semaphore;

use super::StoreError;

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// How many connections one process holds. SQLite has one writer anyway; readers rarely queue behind eight.
const CONNECTIONS: u32 = 8;
/// How often a serialisable transaction is tried on PostgreSQL before its conflict is reported.
const SERIALISATION_TRIES: u32 = 40;
/// Longest pause between two tries.
const LONGEST_PAUSE_MILLIS: u64 = 64;

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
enum Address {
    Postgres(String),
    Sqlite(PathBuf),
}

impl Address {
    /// A `postgres://` address, or else a file.
    fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::Postgres(text.to_owned())
        } else {
            Self::Sqlite(PathBuf::from(text.strip_prefix("sqlite://").unwrap_or(text)))
        }
    }

    /// For people: never with a password.
    fn shown(&self) -> String {
        match self {
            Self::Postgres(url) => {
                url.rsplit_once('@').map_or_else(|| url.clone(), |(_, host)| format!("postgres://{host}"))
            }
            Self::Sqlite(path) => path.display().to_string(),
        }
    }

    fn connect(&self) -> Result<DbConnection, StoreError> {
        let refused = |reason: String| StoreError::Open { database: self.shown(), reason };
        match self {
            Self::Postgres(url) => {
                PgConnection::establish(url).map(DbConnection::Postgres).map_err(|error| refused(error.to_string()))
            }
            Self::Sqlite(path) => {
                let mut connection =
                    SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| refused(error.to_string()))?;
                // FULL, since an acknowledged create must outlive a power cut, not only a crash of the process.
                connection
                    .batch_execute(
                        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                         PRAGMA foreign_keys = ON;",
                    )
                    .map_err(|error| refused(error.to_string()))?;
                Ok(DbConnection::Sqlite(connection))
            }
        }
    }
}

struct Connections(Address);

impl r2d2::ManageConnection for Connections {
    type Connection = DbConnection;
    type Error = StoreError;

    fn connect(&self) -> Result<DbConnection, StoreError> {
        self.0.connect()
    }

    fn is_valid(&self, connection: &mut DbConnection) -> Result<(), StoreError> {
        Ok(connection.batch_execute("SELECT 1")?)
    }

    fn has_broken(&self, _connection: &mut DbConnection) -> bool {
        false
    }
}

/// The database, shared by all tasks of the process.
#[derive(Clone)]
pub struct Db {
    pool: r2d2::Pool<Connections>,
    // Blocking threads wait here, without occupying a thread, until a connection is free.
    turns: Arc<Semaphore>,
}

impl Db {
    /// Opens the database and brings its schema up to date. Blocking.
    ///
    /// # Errors
    /// The database cannot be reached or is of a newer version.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let address = Address::parse(address);
        migrate(&address)?;
        let shown = address.shown();
        let pool = r2d2::Pool::builder()
            .max_size(CONNECTIONS)
            .min_idle(Some(1))
            // A file is never gone, and asking PostgreSQL each time costs a round trip.
            .test_on_check_out(matches!(address, Address::Postgres(_)))
            .connection_timeout(Duration::from_secs(10))
            .build(Connections(address))
            .map_err(|error| StoreError::Open { database: shown, reason: error.to_string() })?;
        Ok(Self { pool, turns: Arc::new(Semaphore::new(CONNECTIONS as usize)) })
    }

    /// Runs queries that only read.
    ///
    /// # Errors
    /// What the work answers, or that no connection could be had.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.on_thread(work).await
    }

    /// Runs work that writes, in one transaction that nothing else can see half done or write between. The work may
    /// run several times, and must have no effect outside the database.
    ///
    /// # Errors
    /// What the work answers; everything is undone then.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.on_thread(move |connection| write_tx(connection, &work)).await
    }

    async fn on_thread<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| StoreError::Interrupted)?;
        let pool = self.pool.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut connection = pool.get().map_err(|error| StoreError::Pool(error.to_string()))?;
            work(&mut connection)
        })
        .await
        .map_err(|_| StoreError::Interrupted)?
    }
}

/// One writing transaction: `BEGIN IMMEDIATE` on SQLite, serialisable with retries on PostgreSQL. diesel's own
/// `transaction()` loses updates on one and fails with "database is locked" on the other when it reads first.
fn write_tx<T>(
    connection: &mut DbConnection,
    work: impl Fn(&mut DbConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let begin = match connection {
        DbConnection::Postgres(_) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        DbConnection::Sqlite(_) => "BEGIN IMMEDIATE",
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let transaction = Transaction::begin(connection, begin)?;
        let outcome = match work(transaction.connection) {
            Ok(value) => transaction.commit().map(|()| value),
            Err(error) => Err(error),
        };
        match outcome {
            // Those who collided once collide again unless they part; this thread is one for blocking.
            Err(error) if is_serialisation_failure(&error) && tries < SERIALISATION_TRIES => {
                std::thread::sleep(Duration::from_millis(random_below(LONGEST_PAUSE_MILLIS.min(1 << tries.min(6)))));
            }
            outcome => return outcome,
        }
    }
}

fn random_below(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    // Without random bytes there is no pause, and the tries are still bounded.
    getrandom::fill(&mut bytes).map_or(0, |()| u64::from_ne_bytes(bytes) % limit.max(1))
}

fn is_serialisation_failure(error: &StoreError) -> bool {
    use diesel::result::{DatabaseErrorKind, Error};
    matches!(error, StoreError::Statement(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)))
}

/// An open transaction, rolled back unless committed, even when the work panics: the connection goes back to the pool.
struct Transaction<'a> {
    connection: &'a mut DbConnection,
    open: bool,
}

impl<'a> Transaction<'a> {
    fn begin(connection: &'a mut DbConnection, begin: &str) -> Result<Self, StoreError> {
        connection.batch_execute(begin)?;
        Ok(Self { connection, open: true })
    }

    fn commit(mut self) -> Result<(), StoreError> {
        self.connection.batch_execute("COMMIT")?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.connection.batch_execute("ROLLBACK")
        {
            tracing::warn!(%error, "a transaction could not be rolled back");
        }
    }
}

fn migrate(address: &Address) -> Result<(), StoreError> {
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
    outcome.map_err(|error| StoreError::Migration(error.to_string()))
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
    use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

    use super::*;
    use crate::store::schema::projects::dsl;

    fn insert(connection: &mut DbConnection, name: &str) -> Result<(), StoreError> {
        diesel::insert_into(dsl::projects)
            .values((dsl::id.eq(name), dsl::name.eq(name), dsl::created_at.eq(0)))
            .execute(connection)?;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_increment_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        db.write(|connection| insert(connection, "counter")).await.unwrap();
        let increments = (0..100).map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                db.write(|connection| {
                    let before: i64 = dsl::projects.select(dsl::created_at).first(connection)?;
                    diesel::update(dsl::projects).set(dsl::created_at.eq(before + 1)).execute(connection)?;
                    Ok(())
                })
                .await
            })
        });
        for increment in increments.collect::<Vec<_>>() {
            increment.await.unwrap().unwrap();
        }
        let after: i64 = db.read(|c| Ok(dsl::projects.select(dsl::created_at).first(c)?)).await.unwrap();
        assert_eq!(after, 100);
    }

    #[tokio::test]
    async fn failed_work_leaves_nothing_and_a_usable_connection() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        let failed: Result<(), StoreError> = db
            .write(|connection| {
                insert(connection, "one")?;
                insert(connection, "one")
            })
            .await;
        assert!(failed.unwrap_err().is_duplicate());
        let panicked: Result<(), StoreError> = db
            .write(|connection| {
                insert(connection, "two")?;
                panic!("in the middle");
            })
            .await;
        assert!(matches!(panicked, Err(StoreError::Interrupted)));
        for _ in 0..2 * CONNECTIONS {
            db.write(|_| Ok(())).await.unwrap();
        }
        let count: i64 = db.read(|c| Ok(dsl::projects.count().get_result(c)?)).await.unwrap();
        assert_eq!(count, 0);
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(Address::parse("postgres://u:secret@h/db").shown(), "postgres://h/db");
    }
}
