//! Images by the digest of what a guest sees, each stored once.
//!
//! All calls block; whoever is asynchronous runs them on a thread for blocking work. Several processes may use one
//! store at the same time.

mod error;
mod incoming;
mod store;

pub use error::StoreError;
pub use store::{ImageStore, StoredImage};
