//! The format of OpenNebula's marketplaces (AppMarket): JSON that its driver `one` reads, and others serve.
//!
//! There is no standard; what is written here is what the drivers of OpenNebula 5.12 to 7.4 take, and what is read is
//! what the public marketplace of OpenNebula answers.

mod agent;
mod entry;
mod foreign;
mod foreign_file;
mod lenient;

pub use agent::Release;
pub use entry::{Entry, OfferedFile, entry_id};
pub use foreign::{ForeignAppliance, ForeignListing, ListingError};
pub use foreign_file::{FileChecksum, ForeignFile};
