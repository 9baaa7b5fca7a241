//! Disk images: one neutral, sparse view of what a guest sees, readers that give it, and writers.
//!
//! An image is hostile until read: readers open nothing but the file they are given, check every number against that
//! file before use, and hold a few megabytes at most, whatever a header claims.

mod cancel;
mod compare;
pub mod container;
pub mod convert;
mod digest;
mod error;
mod format;
pub mod layout;
mod neighbours;
mod opening;
mod probe;
pub mod qcow2;
mod raw;
mod reader;
mod source;
mod table;
mod uuid;
pub mod vdi;
pub mod vhd;
pub mod vhdx;
mod view;
pub mod vmdk;

pub use cancel::Cancellable;
pub use compare::{Difference, first_difference};
pub use digest::{ContentDigest, ContentHasher, InvalidDigest, content_digest};
pub use error::ImageError;
pub use format::{ForeignFormat, ImageFormat, UnknownFormat};
pub use opening::{Opening, open, open_file};
pub use raw::RawImage;
pub use reader::{Fact, FactValue, ImageReader};
pub use view::{DiskView, Extent, ExtentKind, LARGEST_DISK, Piece, SECTOR, for_each_piece};
