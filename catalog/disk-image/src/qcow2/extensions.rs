use std::ops::Range;

use super::refused;
use crate::{ImageError, source::ImageFile};

const END: u32 = 0;
const DATA_FILE_NAME: u32 = 0x4441_5441;
const FULL_DISK_ENCRYPTION: u32 = 0x0537_be77;

/// Walks the header extensions, which stand in `area` of the file, and refuses those that point out of the image.
///
/// Others (feature names, bitmaps, the format of a backing file that is not there) do not concern a reader; their
/// own sizes and offsets are not followed.
pub(super) fn check_extensions(source: &ImageFile, area: Range<u64>) -> Result<(), ImageError> {
    let mut at = area.start;
    // Each turn takes 8 bytes at least, of a cluster at most.
    while at.saturating_add(8) <= area.end {
        let mut head = [0; 8];
        source.read_padded(at, &mut head)?;
        let [kind, length] = [&head[..4], &head[4..]].map(|half| u32::from_be_bytes(half.try_into().unwrap_or([0; 4])));
        match kind {
            END => return Ok(()),
            DATA_FILE_NAME => {
                return Err(refused("data file name extension", at, "names another file; convert the image first"));
            }
            FULL_DISK_ENCRYPTION => {
                return Err(refused("encryption header extension", at, "says that the image is encrypted"));
            }
            _ => {}
        }
        let next = at + 8 + u64::from(length).next_multiple_of(8);
        if at + 8 + u64::from(length) > area.end {
            return Err(refused("header extension length", at + 4, format!("is {length}, beyond the first cluster")));
        }
        at = next;
    }
    Ok(())
}
