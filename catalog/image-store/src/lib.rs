//! Images by the digest of what a guest sees, each stored once.
//!
//! All calls block; whoever is asynchronous runs them on a thread for blocking work. Several processes may use one
//! store at the same time.

mod checksum;
mod error;
mod incoming;
mod rendered_image;
mod renderings;
mod store;

pub use checksum::Checksums;
pub use error::StoreError;
pub use rendered_image::RenderedImage;
pub use renderings::Renderings;
pub use store::{ImageStore, StoredImage};
