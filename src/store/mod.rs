//! WHAT IS REMEMBERED: diesel over SQLite (default) or PostgreSQL, one file per aggregate.
//!
//! Reads go through [`Db::read`], or [`Db::read_brief`] where it is a few rows by key; what is asked on every request and
//! changes now and then through a [`Cached`]; everything that writes through [`Db::write`], which is the only
//! transaction that is safe for read-then-write on both databases.
//!
//! One row by its unique key is read by `get_result`, not by `first`: that adds `LIMIT ?`, and SQLite plans a prepared
//! statement anew whenever a value is bound there.

/// Runs a query on either database's own connection. The joint one writes the SQL text anew for every run, several
/// times over; where a query runs on every request, that is most of what it costs.
macro_rules! on_either {
    ($connection:expr, $either:ident => $run:expr) => {
        match $connection {
            crate::store::DbConnection::Postgres($either) => $run,
            crate::store::DbConnection::Sqlite($either) => $run,
        }
    };
}

pub mod appliance;
pub mod authorization_code;
pub mod backup;
mod cached;
pub mod confirmation;
mod connection;
pub mod copy;
mod db;
pub mod device;
pub mod entity;
mod error;
pub mod event;
mod event_bell;
pub mod grant;
pub mod idempotency;
pub mod intent;
pub mod invitation;
mod ledger;
pub mod live_member;
pub mod login_link;
pub mod member;
pub mod orphan;
pub mod password;
pub mod quota;
pub mod readiness;
pub mod registration;
pub mod replica;
pub mod reservation;
mod revision;
mod row;
pub mod saga;
mod schema;
pub mod session;
mod snapshot;
pub mod spent;
#[cfg(test)]
pub(crate) mod tests;
mod time;
pub mod token;
pub mod tombstone;
mod transaction;
pub mod user;
pub mod user_mixin;
mod writer;

pub use cached::Cached;
pub use connection::DbConnection;
pub use db::Db;
pub use error::StoreError;
pub use event_bell::EventBell;
pub use revision::Topic;
pub use time::Timestamp;
