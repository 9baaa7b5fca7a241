use std::ops::Range;

use super::refused;
use crate::{ImageError, source::ImageFile};

const END: u32 = 0;
const DATA_FILE_NAME: u32 = 0x4441_5441;
const FULL_DISK_ENCRYPTION: u32 = 0x0537_be77;
const BITMAPS: u32 = 0x2385_2875;
const BITMAPS_LENGTH: u32 = 24;

/// Where the directory of dirty bitmaps stands, as the file claims: nobody has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitmapDirectory {
    pub(super) bitmaps: u32,
    /// In bytes.
    pub(super) length: u64,
    pub(super) offset: u64,
}

/// Walks the header extensions, which stand in `area` of the file, and refuses those that point out of the image.
///
/// Others (feature names, bitmaps, the format of a backing file that is not there) do not concern a reader; their
/// own sizes and offsets are not followed.
pub(super) fn check_extensions(source: &ImageFile, area: Range<u64>) -> Result<Option<BitmapDirectory>, ImageError> {
    let mut found = None;
    let mut at = area.start;
    // Each turn takes 8 bytes at least, of a cluster at most.
    while at.saturating_add(8) <= area.end {
        let [kind, length] = halves(source.read_array(at)?);
        if at + 8 + u64::from(length) > area.end && kind != END {
            return Err(refused("header extension length", at + 4, format!("is {length}, beyond the first cluster")));
        }
        match kind {
            END => break,
            DATA_FILE_NAME => {
                return Err(refused("data file name extension", at, "names another file; convert the image first"));
            }
            FULL_DISK_ENCRYPTION => {
                return Err(refused("encryption header extension", at, "says that the image is encrypted"));
            }
            BITMAPS if length == BITMAPS_LENGTH => {
                let [bitmaps, _] = halves(source.read_array(at + 8)?);
                let length = u64::from_be_bytes(source.read_array(at + 16)?);
                let offset = u64::from_be_bytes(source.read_array(at + 24)?);
                found = Some(BitmapDirectory { bitmaps, length, offset });
            }
            _ => {}
        }
        at += 8 + u64::from(length).next_multiple_of(8);
    }
    Ok(found)
}

fn halves(bytes: [u8; 8]) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}
