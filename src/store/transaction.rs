//! Writing transactions on PostgreSQL; on SQLite the [`super::writer`] makes them.

use std::time::Duration;

use diesel::connection::SimpleConnection;

use super::{DbConnection, StoreError};

/// How often a serialisable transaction is tried before its conflict is reported.
const SERIALISATION_TRIES: u32 = 40;
/// Longest pause between two tries.
const LONGEST_PAUSE_MILLIS: u64 = 64;

/// How a transaction is kept apart from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// As if it were alone; it is tried again when it was not.
    Serializable,
    /// It sees what others commit meanwhile, and locks the rows that it depends on itself.
    Locking,
}

/// One writing transaction, tried again when it collides. diesel's own `transaction()` loses updates.
pub(super) fn write_tx<T>(
    connection: &mut DbConnection,
    isolation: Isolation,
    work: impl Fn(&mut DbConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let transaction = Transaction::begin(connection, isolation)?;
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
    match error {
        StoreError::Statement(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => true,
        // diesel has no name for this one (SQLSTATE 40P01): two that locked the same rows in another order.
        StoreError::Statement(Error::DatabaseError(_, told)) => told.message() == "deadlock detected",
        _ => false,
    }
}

/// An open transaction, rolled back unless committed, even when the work panics: the connection goes back to the pool.
struct Transaction<'a> {
    connection: &'a mut DbConnection,
    open: bool,
}

impl<'a> Transaction<'a> {
    fn begin(connection: &'a mut DbConnection, isolation: Isolation) -> Result<Self, StoreError> {
        connection.batch_execute(match isolation {
            Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Isolation::Locking => "BEGIN ISOLATION LEVEL READ COMMITTED",
        })?;
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
