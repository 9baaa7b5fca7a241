use thiserror::Error;

/// How the databases say that they are in trouble, where diesel has no name for it.
const IN_TROUBLE: [&str; 14] = [
    "database or disk is full",
    "disk I/O error",
    "readonly database",
    "database is locked",
    "No space left on device",
    "could not extend file",
    "could not write",
    "terminating connection",
    "server closed the connection",
    "no connection to the server",
    "the database system is",
    "in a read-only transaction",
    "could not open file",
    "deadlock detected",
];

/// What can go wrong with what is remembered.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("cannot open the database {database}: {reason}")]
    Open {
        /// Its address, without a password.
        database: String,
        /// The database's words.
        reason: String,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database: {0}")]
    Migration(String),
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Statement(#[from] diesel::result::Error),
    /// No connection could be had.
    #[error("no database connection is free: {0}")]
    Pool(String),
    /// A row holds what this version cannot read.
    #[error("row {id} of {table} is unreadable: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// What was wrong.
        reason: String,
    },
    /// Another owner has taken the saga over; what this one wanted to write is void.
    #[error("saga {0} has been taken over by another owner")]
    Fenced(uuid::Uuid),
    /// A group of writes could not be committed as a whole.
    #[error("nothing was written, the transaction could not be completed: {0}")]
    NotCommitted(String),
    /// The work itself decided that it must not be done; nothing was written.
    #[error("{0}")]
    Refused(String),
    /// Who asks for it has no right to it; nothing was written.
    #[error("{0}")]
    OverRights(String),
    /// It would take more than may be taken; nothing was written.
    #[error("{0}")]
    OverQuota(String),
    /// Another request was sent under this key before.
    #[error("the Idempotency-Key {0:?} belongs to another request; send this one under a new key")]
    Different(String),
    /// The work on a database thread was ended by the shutdown.
    #[error("the database work was interrupted")]
    Interrupted,
}

impl StoreError {
    /// Whether the database itself is in trouble (away, full, only readable, overloaded), so that the same work may succeed
    /// later without anybody changing it.
    pub fn is_passing(&self) -> bool {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        match self {
            Self::Open { .. } | Self::Pool(_) | Self::NotCommitted(_) | Self::Interrupted => true,
            Self::Statement(Error::DatabaseError(kind, told)) => match kind {
                Kind::SerializationFailure
                | Kind::ClosedConnection
                | Kind::UnableToSendCommand
                | Kind::ReadOnlyTransaction => true,
                Kind::Unknown => IN_TROUBLE.iter().any(|words| told.message().contains(words)),
                _ => false,
            },
            Self::Statement(Error::BrokenTransactionManager) => true,
            _ => false,
        }
    }

    /// Whether the statement broke a rule of uniqueness.
    pub fn is_duplicate(&self) -> bool {
        use diesel::result::{DatabaseErrorKind, Error};
        matches!(self, Self::Statement(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)))
    }
}
