//! WHAT IS REMEMBERED: diesel over SQLite (default) or PostgreSQL, one file per aggregate.
//!
//! Reads go through [`Db::read`], everything that writes through [`Db::write`], which is the only transaction that
//! is safe for read-then-write on both databases.

pub mod appliance;
mod connection;
pub mod entity;
mod error;
pub mod intent;
pub mod member;
mod row;
pub mod saga;
mod schema;
#[cfg(test)]
mod tests;
mod time;
pub mod token;
pub mod tombstone;
pub mod user_mixin;

pub use connection::{Db, DbConnection};
pub use error::StoreError;
pub use time::Timestamp;
