//! Microsoft's VHDX, version 1 (MS-VHDX).
//!
//! The reader shows fixed and dynamic files that stand alone. A log that was left behind is replayed in memory
//! (`replay`): whatever is read after that, tables and guest bytes, is read through it. `header`, `regions` and
//! `metadata` check the numbers, `blocks` the whole block allocation table, all before the first guest byte is given.

mod blocks;
mod fields;
mod header;
mod image;
mod log;
mod metadata;
mod plan;
mod regions;
mod replay;

pub use plan::DynamicVhdxFormat;

use crate::{ImageError, ImageFormat, ImageReader, opening::Opening, source::ImageFile};

/// The unit of all places in the file, in bytes.
const MEBIBYTE: u64 = 1 << 20;
/// Where the first region may begin: identifier, headers and region tables stand before.
const HEADER_SECTION: u64 = MEBIBYTE;
/// Where the first header and the first region table stand; the seconds stand 64 KiB behind them.
const HEADER_AT: u64 = 64 << 10;
const REGION_TABLE_AT: u64 = 192 << 10;
const COPY_DISTANCE: u64 = 64 << 10;

/// The most that a block allocation table may take, in bytes: enough for 64 TiB in blocks of 4 MiB.
const LARGEST_BAT: u64 = 128 << 20;
const SMALLEST_BLOCK: u64 = 1 << 20;
const LARGEST_BLOCK: u64 = 256 << 20;

/// A refusal that names the field and where it stands.
fn refused(field: &'static str, offset: u64, problem: impl Into<String>) -> ImageError {
    ImageError::Refused { format: ImageFormat::Vhdx, field, offset, problem: problem.into() }
}

/// Opens a VHDX.
pub(crate) fn open(source: ImageFile, _opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    Ok(Box::new(image::VhdxImage::over(source)?))
}

/// Payload blocks that stand before each sector bitmap's entry in the block allocation table (MS-VHDX 2.5).
fn chunk_ratio(logical_sector_size: u64, block_size: u64) -> u64 {
    const SECTORS_PER_BITMAP: u64 = 1 << 23;
    SECTORS_PER_BITMAP * logical_sector_size / block_size
}

/// Entries of a block allocation table, with those of sector bitmaps, which nothing uses without a parent.
fn bat_entries(blocks: u64, chunk_ratio: u64) -> u64 {
    blocks + blocks.saturating_sub(1) / chunk_ratio
}
