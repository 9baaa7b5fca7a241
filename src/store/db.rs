//! The database as the rest of the program holds it.

use std::{
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use tokio::sync::Semaphore;

use crate::measured;

use super::{
    DbConnection, EventBell, StoreError, Topic,
    connection::{Address, migrate},
    event,
    revision::{self, Reader},
    session::LiveSessions,
    token::LiveTokens,
    transaction::{Isolation, write_tx},
    writer::Writer,
};

/// How many connections one process holds for work on threads. Readers rarely queue behind eight.
const CONNECTIONS: u32 = 8;
/// How many brief reads of SQLite run at once; one more finds a thread.
const BRIEF_READERS: usize = 4;

/// A connection that did its work so lately is taken for good; any other one is asked first, since its server may have
/// been started anew.
const TRUSTED: Duration = Duration::from_millis(500);

struct Connections(Address);

/// A connection, and when it last did its work.
struct Pooled {
    connection: DbConnection,
    worked_at: Option<Instant>,
}

impl r2d2::ManageConnection for Connections {
    type Connection = Pooled;
    type Error = StoreError;

    fn connect(&self) -> Result<Pooled, StoreError> {
        Ok(Pooled { connection: self.0.connect_reader()?, worked_at: None })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), StoreError> {
        if pooled.worked_at.is_some_and(|at| at.elapsed() < TRUSTED) {
            return Ok(());
        }
        Ok(pooled.connection.batch_execute("SELECT 1")?)
    }

    fn has_broken(&self, _pooled: &mut Pooled) -> bool {
        false
    }
}

/// The database, shared by all tasks of the process.
#[derive(Clone)]
pub struct Db {
    readers: Pool,
    /// Of their own, so that nobody who reads queues behind those who write; SQLite has one writer instead.
    writers: Option<Pool>,
    sqlite: Option<Arc<Sqlite>>,
    tokens: Arc<LiveTokens>,
    sessions: Arc<LiveSessions>,
    bell: EventBell,
}

/// What only a database in a file has.
struct Sqlite {
    writer: Writer,
    address: Address,
    /// Opened when they are needed first.
    brief: [Mutex<Option<Reader>>; BRIEF_READERS],
}

impl Db {
    /// Opens the database and brings its schema up to date. Blocking.
    ///
    /// # Errors
    /// The database cannot be reached or is of a newer version.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let address = Address::parse(address);
        event::set_clock(&mut migrate(&address)?)?;
        let shown = address.shown();
        let refused = |reason: String| StoreError::Open { database: shown, reason };
        let is_file = matches!(address, Address::Sqlite(_));
        let readers = Pool::new(&address)?;
        let writers = if is_file { None } else { Some(Pool::new(&address)?) };
        let mut sqlite = None;
        if is_file {
            let writer = Writer::start(address.connect()?).map_err(|error| refused(error.to_string()))?;
            sqlite = Some(Arc::new(Sqlite { writer, address, brief: Default::default() }));
        }
        let (tokens, sessions) = (Arc::default(), Arc::default());
        Ok(Self { readers, writers, sqlite, tokens, sessions, bell: EventBell::default() })
    }

    /// Whoever seals events rings it, and whoever waits for them listens.
    pub fn event_bell(&self) -> &EventBell {
        &self.bell
    }

    /// Whether other processes may work on the same database.
    pub fn is_shared(&self) -> bool {
        self.sqlite.is_none()
    }

    /// Runs queries that only read, on a thread for blocking.
    ///
    /// # Errors
    /// What the work answers, or that no connection could be had.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        measure("read", self.on_thread(work)).await
    }

    /// Runs queries that read a few rows by their keys. On SQLite the calling thread does it, since the way to another
    /// one takes longer than the work; whatever may take a millisecond belongs into [`Db::read`].
    ///
    /// # Errors
    /// What the work answers, or that no connection could be had.
    pub async fn read_brief<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.brief(work).await
    }

    pub(super) async fn brief<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        if let Some(mut slot) = self.sqlite.as_ref().and_then(|sqlite| sqlite.free_reader())
            && let Some(reader) = slot.as_mut()
        {
            return work(&mut reader.connection);
        }
        self.on_thread(work).await
    }

    /// How often something of the topic has changed, all commits so far included.
    pub(super) async fn revision(&self, topic: Topic) -> Result<i64, StoreError> {
        if let Some(mut slot) = self.sqlite.as_ref().and_then(|sqlite| sqlite.free_reader())
            && let Some(reader) = slot.as_mut()
        {
            return reader.revision(topic);
        }
        self.on_thread(move |connection| revision::revision(connection, topic)).await
    }

    /// The tokens that were looked up before.
    pub(super) fn tokens(&self) -> &LiveTokens {
        &self.tokens
    }

    /// The sessions that were looked up before.
    pub(super) fn sessions(&self) -> &LiveSessions {
        &self.sessions
    }

    /// Runs work that writes, in one transaction that nothing else can see half done or write between. The work may
    /// run several times, and must have no effect outside the database. The answer comes when it is on the disk.
    ///
    /// # Errors
    /// What the work answers; everything is undone then.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        match &self.sqlite {
            Some(sqlite) => measure("write", sqlite.writer.write(work)).await,
            None => measure("write", self.writing(Isolation::Serializable, work)).await,
        }
    }

    /// As [`Db::write`], for work that locks the rows it depends on before it reads them: on PostgreSQL it does not
    /// collide with whoever writes other rows, and sees what others commit while it runs.
    ///
    /// # Errors
    /// What the work answers; everything is undone then.
    pub async fn write_locking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        match &self.sqlite {
            Some(sqlite) => measure("write", sqlite.writer.write(work)).await,
            None => measure("write", self.writing(Isolation::Locking, work)).await,
        }
    }

    async fn writing<T, F>(&self, isolation: Isolation, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let Some(writers) = &self.writers else { return Err(StoreError::Interrupted) };
        on_thread(writers, move |connection| write_tx(connection, isolation, &work)).await
    }

    async fn on_thread<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        on_thread(&self.readers, work).await
    }
}

/// Measures how long somebody waits for the database, the waiting for his turn included.
async fn measure<T>(kind: &'static str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let outcome = work.await;
    metrics::histogram!(measured::STORE_SECONDS, "kind" => kind).record(began.elapsed());
    outcome
}

/// Connections for work on threads.
#[derive(Clone)]
struct Pool {
    connections: r2d2::Pool<Connections>,
    // Work waits here, without occupying a thread, until a connection is free.
    turns: Arc<Semaphore>,
}

impl Pool {
    fn new(address: &Address) -> Result<Self, StoreError> {
        let is_file = matches!(address, Address::Sqlite(_));
        let connections = r2d2::Pool::builder()
            .max_size(CONNECTIONS)
            // None is opened ahead: a command that ends meanwhile would leave a thread within libpq, which the end of
            // the process does not survive.
            .min_idle(Some(0))
            // A file is never gone; a server may have been started anew.
            .test_on_check_out(!is_file)
            .connection_timeout(Duration::from_secs(10))
            .build(Connections(address.clone()));
        match connections {
            Ok(connections) => Ok(Self { connections, turns: Arc::new(Semaphore::new(CONNECTIONS as usize)) }),
            Err(error) => Err(StoreError::Open { database: address.shown(), reason: error.to_string() }),
        }
    }
}

async fn on_thread<T, E, F>(pool: &Pool, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
{
    let turn = Arc::clone(&pool.turns).acquire_owned().await.map_err(|_| StoreError::Interrupted)?;
    let connections = pool.connections.clone();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut pooled = connections.get().map_err(|error| StoreError::Pool(error.to_string()))?;
        // Whoever fails, for whatever reason, or panics leaves it in doubt.
        pooled.worked_at = None;
        let done = work(&mut pooled.connection)?;
        pooled.worked_at = Some(Instant::now());
        Ok(done)
    })
    .await
    .map_err(|_| StoreError::Interrupted)?
}

impl Sqlite {
    /// A connection that nobody uses at this moment.
    fn free_reader(&self) -> Option<MutexGuard<'_, Option<Reader>>> {
        let mut slot = self.brief.iter().find_map(|slot| match slot.try_lock() {
            Ok(slot) => Some(slot),
            // Work that panicked while reading has broken nothing.
            Err(TryLockError::Poisoned(slot)) => Some(slot.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })?;
        if slot.is_none() {
            // Without one, a thread tries in its turn and reports what is wrong.
            *slot = self.address.connect_reader().ok().map(Reader::new);
        }
        Some(slot)
    }
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
        for _ in 0..16 {
            db.write(|_| Ok(())).await.unwrap();
        }
        let count: i64 = db.read(|c| Ok(dsl::projects.count().get_result(c)?)).await.unwrap();
        assert_eq!(count, 0);
    }

    #[tokio::test]
    async fn reading_never_writes_and_goes_on_without_a_free_reader() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        assert!(db.read(|connection| insert(connection, "one")).await.is_err());
        assert!(db.read_brief(|connection| insert(connection, "one")).await.is_err());
        let sqlite = Arc::clone(db.sqlite.as_ref().unwrap());
        let taken: Vec<_> = sqlite.brief.iter().map(|slot| slot.lock().unwrap()).collect();
        let count: i64 = db.read_brief(|c| Ok(dsl::projects.count().get_result(c)?)).await.unwrap();
        assert_eq!((count, db.revision(Topic::Login).await.unwrap()), (0, 0));
        drop(taken);
        db.write(|connection| insert(connection, "one")).await.unwrap();
        assert_eq!(db.revision(Topic::Login).await.unwrap(), 1);
        assert_eq!(db.revision(Topic::Catalogue).await.unwrap(), 0);
    }
}
