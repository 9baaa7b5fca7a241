//! Several reads of one moment.

use diesel::connection::SimpleConnection;

use super::{DbConnection, StoreError};

/// Runs queries that only read and all see the state of the same moment, whatever others write meanwhile.
///
/// # Errors
/// What the work answers; the database failed.
pub(super) fn read_snapshot<T>(
    connection: &mut DbConnection,
    work: impl FnOnce(&mut DbConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.batch_execute(match connection {
        DbConnection::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        DbConnection::Sqlite(_) => "BEGIN",
    })?;
    let snapshot = Snapshot(connection);
    work(snapshot.0)
}

/// Ended in any case: the connection goes back to the pool.
struct Snapshot<'a>(&'a mut DbConnection);

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.batch_execute("ROLLBACK") {
            tracing::warn!(%error, "a reading transaction could not be ended");
        }
    }
}
