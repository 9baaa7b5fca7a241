//! `VMware`'s VMDK: hosted sparse extents, stream-optimised ones, and descriptors of extents in files of their own.
//!
//! The reader shows disks that need nothing but the files that were handed over with them: snapshots, encrypted disks
//! and whatever names a path or device is refused. `header` and `descriptor` check the numbers and words, `tables`
//! the maps, all before the first guest byte is given.

mod description;
mod descriptor;
mod directory;
mod header;
mod image;
mod memory;
mod occupied;
mod packed;
mod parts;
mod sparse;
mod sparse_format;
mod stream_format;
mod stream_tables;
mod tables;
mod walk;

pub use description::flat_descriptor;
pub use sparse_format::SparseVmdkFormat;
pub use stream_format::{DEFAULT_LEVEL, StreamCursor, StreamVmdkFormat};

use image::VmdkImage;

use crate::{ImageError, ImageFormat, ImageReader, opening::Opening, source::ImageFile};

/// What a hosted sparse extent begins with.
const MAGIC: [u8; 4] = *b"KDMV";
/// Entries of a grain table.
const ENTRIES: u64 = 512;
/// Bytes of a grain table.
const TABLE: u64 = ENTRIES * 4;
/// The most that a grain directory may take, in bytes.
const LARGEST_DIRECTORY: u64 = 32 << 20;

/// A refusal that names the field and where it stands.
fn refused(field: &'static str, offset: u64, problem: impl Into<String>) -> ImageError {
    ImageError::Refused { format: ImageFormat::Vmdk, field, offset, problem: problem.into() }
}

/// What a disk that cannot be written is answered with.
fn unwritable(problem: impl Into<String>) -> ImageError {
    ImageError::Unwritable { format: ImageFormat::Vmdk, problem: problem.into() }
}

/// Opens a VMDK.
pub(crate) fn open(source: ImageFile, opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    let image = if source.read_array(0)? == MAGIC {
        VmdkImage::of_extent(source)?
    } else {
        VmdkImage::of_descriptor(&source, opening)?
    };
    Ok(Box::new(image))
}
