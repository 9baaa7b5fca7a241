use super::{HEADER, HEADER_COOKIE, bitmap_of, checksum, fields::Fields, footer::Found, refused, text};
use crate::{ImageError, SECTOR, source::ImageFile};

const TABLE_OFFSET: usize = 16;
const VERSION: usize = 24;
const MAX_TABLE_ENTRIES: usize = 28;
const BLOCK_SIZE: usize = 32;
const CHECKSUM: usize = 36;
const PARENT_LOCATORS: usize = 576;
const PARENT_LOCATOR: usize = 24;
/// Programs disagree on whether smaller blocks have a bitmap.
const SMALLEST_BLOCK: u64 = 4096;
/// 16 MiB of table: as many as the largest disk needs with blocks of a quarter of the usual size.
const MOST_ENTRIES: u64 = 4 << 20;

/// The numbers of a dynamic disk's header, each checked, alone and against the file.
#[derive(Debug)]
pub(super) struct Header {
    /// Where it stands, in bytes.
    pub(super) place: u64,
    /// Where the block allocation table stands, in bytes.
    pub(super) table: u64,
    pub(super) table_entries: u64,
    /// Bytes of the guest in a block.
    pub(super) block: u64,
}

impl Header {
    /// Bytes of a block in the file before its data.
    pub(super) fn bitmap(&self) -> u64 {
        bitmap_of(self.block)
    }

    /// Blocks of the disk.
    pub(super) fn blocks(&self, size: u64) -> u64 {
        size.div_ceil(self.block)
    }

    pub(super) fn read(source: &ImageFile, found: &Found, place: u64) -> Result<Self, ImageError> {
        if place < SECTOR || place.checked_add(HEADER as u64).is_none_or(|end| end > found.end) {
            return Err(refused("data_offset", found.place + 16, "leads the dynamic disk's header out of the file"));
        }
        let bytes: [u8; HEADER] = source.read_array(place)?;
        let fields = Fields(&bytes);
        let refuse = |field, at: usize, problem: String| Err(refused(field, place + at as u64, problem));
        if !bytes.starts_with(&HEADER_COOKIE) {
            return refuse("header cookie", 0, "is not that of a dynamic disk's header".into());
        }
        if fields.u32(CHECKSUM) != checksum(&bytes, CHECKSUM) {
            return refuse("header checksum", CHECKSUM, "is wrong: the dynamic disk's header is damaged".into());
        }
        let major = fields.u16(VERSION);
        if major != 1 {
            return refuse("header_version", VERSION, format!("is {major}; version 1 is read"));
        }
        for at in (0..8).map(|number| PARENT_LOCATORS + number * PARENT_LOCATOR) {
            if fields.u32(at) != 0 {
                let parent = text::parent_name(&bytes);
                let problem = format!("leads to a parent, {parent:?}, but the disk is no differencing one");
                return refuse("parent_locator_entry", at, problem);
            }
        }
        let block = u64::from(fields.u32(BLOCK_SIZE));
        if block < SMALLEST_BLOCK || !block.is_power_of_two() {
            return refuse("block_size", BLOCK_SIZE, format!("is {block}, not a power of two from 4096 on"));
        }
        let header = Self {
            place,
            table: fields.u64(TABLE_OFFSET),
            table_entries: u64::from(fields.u32(MAX_TABLE_ENTRIES)),
            block,
        };
        header.check_table(found)?;
        Ok(header)
    }

    fn check_table(&self, found: &Found) -> Result<(), ImageError> {
        let refuse = |field, at: usize, problem: String| Err(refused(field, self.place + at as u64, problem));
        let entries = self.table_entries;
        if entries > MOST_ENTRIES {
            let problem = format!("is {entries}; at most {MOST_ENTRIES} are read");
            return refuse("max_table_entries", MAX_TABLE_ENTRIES, problem);
        }
        let needed = self.blocks(found.footer.size);
        if entries < needed {
            let problem = format!("is {entries}, but the disk's size needs {needed}");
            return refuse("max_table_entries", MAX_TABLE_ENTRIES, problem);
        }
        if entries == 0 {
            return Ok(());
        }
        let end = self.table.checked_add(entries * 4).filter(|end| *end <= found.end);
        let Some(end) = end else {
            return refuse(
                "table_offset",
                TABLE_OFFSET,
                "leads the table out of the file; it may have been cut off".into(),
            );
        };
        let header = self.place..self.place + HEADER as u64;
        if self.table < SECTOR || (self.table < header.end && header.start < end) {
            return refuse("table_offset", TABLE_OFFSET, "leads the table upon the headers".into());
        }
        Ok(())
    }
}

/// The name of a differencing disk's parent, for a refusal; empty when there is none to be read.
pub(super) fn parent_of(source: &ImageFile, header: u64) -> Result<String, ImageError> {
    let bytes: [u8; HEADER] = source.read_array(header)?;
    Ok(if bytes.starts_with(&HEADER_COOKIE) { text::parent_name(&bytes) } else { String::new() })
}
