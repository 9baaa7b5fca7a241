//! The database under a server, asked from beside it.

use std::time::Duration;

use diesel::{
    Connection as _, PgConnection, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Text},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A connection beside the server's own.
pub enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(diesel::QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

impl Database {
    /// As durable as the server's own connections.
    pub fn connect(kind: Kind, address: &str) -> Self {
        match kind {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::establish(address).expect("the database");
                connection
                    .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
                    .expect("pragmas");
                Self::Sqlite(connection)
            }
            Kind::Postgres => Self::Postgres(PgConnection::establish(address).expect("the database")),
        }
    }

    /// What the query answers in its column `number`.
    pub fn numbers(&mut self, query: &str) -> Vec<i64> {
        let rows: Vec<Number> = match self {
            Self::Sqlite(connection) => sql_query(query).load(connection),
            Self::Postgres(connection) => sql_query(query).load(connection),
        }
        .expect("numbers");
        rows.into_iter().map(|row| row.number).collect()
    }

    /// What the query answers in its column `word`.
    pub fn words(&mut self, query: &str) -> Vec<String> {
        let rows: Vec<Word> = match self {
            Self::Sqlite(connection) => sql_query(query).load(connection),
            Self::Postgres(connection) => sql_query(query).load(connection),
        }
        .expect("words");
        rows.into_iter().map(|row| row.word).collect()
    }

    pub fn count(&mut self, query: &str) -> i64 {
        self.numbers(query).first().copied().expect("one number")
    }

    pub fn execute(&mut self, statement: &str) {
        match self {
            Self::Sqlite(connection) => connection.batch_execute(statement),
            Self::Postgres(connection) => connection.batch_execute(statement),
        }
        .expect("a statement");
    }

    /// Sagas that have not ended.
    pub fn unfinished(&mut self) -> i64 {
        self.count("SELECT count(*) AS number FROM sagas WHERE state IN ('running', 'unwinding')")
    }

    /// Transactions so far, those that only read included, where the database counts them.
    pub fn transactions(&mut self) -> Option<i64> {
        let query = "SELECT xact_commit AS number FROM pg_stat_database WHERE datname = current_database()";
        matches!(self, Self::Postgres(_)).then(|| self.count(query))
    }

    /// Bytes of its log so far, where the database counts them.
    pub fn log_bytes(&mut self) -> Option<i64> {
        let query = "SELECT CAST(pg_current_wal_lsn() - '0/0'::pg_lsn AS BIGINT) AS number";
        matches!(self, Self::Postgres(_)).then(|| self.count(query))
    }

    /// Waits until no saga is unfinished.
    pub fn settle(&mut self, limit: Duration) {
        let begin = std::time::Instant::now();
        loop {
            let left = self.unfinished();
            if left == 0 {
                return;
            }
            assert!(begin.elapsed() < limit, "{left} sagas have not ended in {limit:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
