use super::{HEADER, UNUSED, footer::Found, header::Header, refused};
use crate::{ImageError, SECTOR, source::ImageFile, table::Table};

/// Where each block of a dynamic disk lies.
#[derive(Debug)]
pub(super) struct Blocks {
    table: Table<4>,
    bitmap: u64,
    /// Blocks that the disk has; the table may have room for more.
    count: u64,
}

impl Blocks {
    /// Reads the whole table once to check it.
    ///
    /// What holds afterwards: every block lies wholly before the final footer, and not upon the header, the table or
    /// another block, in part or as a whole.
    pub(super) fn read(header: &Header, found: &Found, source: &ImageFile) -> Result<Self, ImageError> {
        // An empty table lies nowhere.
        let offset = if header.table_entries == 0 { 0 } else { header.table };
        let Some(table) = Table::new(source, offset, header.table_entries) else {
            return Err(refused("table_offset", header.place + 16, "leads the table out of the file"));
        };
        let blocks = Self { table, bitmap: header.bitmap(), count: header.blocks(found.footer.size) };
        blocks.check(header, found.end)?;
        Ok(blocks)
    }

    fn check(&self, header: &Header, end_of_disk: u64) -> Result<(), ImageError> {
        let stride = self.bitmap + header.block;
        let tables = [
            0..SECTOR,
            header.place..header.place + HEADER as u64,
            header.table..header.table + header.table_entries * 4,
        ];
        let (mut stored, mut latest, mut is_ascending) = (0_usize, 0, true);
        self.table.for_each(self.count, |index, entry| {
            let Some(start) = place_of(entry) else { return Ok(()) };
            let end = start + stride;
            let refuse = |problem: &str| Err(refused("BAT entry", self.table.place(index), problem));
            if end > end_of_disk {
                return refuse("leads the block out of the file or upon the footer; the file may have been cut off");
            }
            if tables.iter().any(|table| start < table.end && table.start < end) {
                return refuse("leads into the image's own tables");
            }
            is_ascending &= start >= latest;
            latest = latest.max(end);
            stored += 1;
            Ok(())
        })?;
        if is_ascending { Ok(()) } else { self.check_overlaps(stored, stride) }
    }

    /// Looks for blocks upon each other when they do not follow each other: 16 MiB of memory at most, for as many
    /// blocks as the table really has.
    fn check_overlaps(&self, stored: usize, stride: u64) -> Result<(), ImageError> {
        let mut sectors = Vec::with_capacity(stored);
        self.table.for_each(self.count, |_, entry| {
            sectors.extend(place_of(entry).map(|_| u32::from_be_bytes(entry)));
            Ok(())
        })?;
        sectors.sort_unstable();
        let upon = |pair: &&[u32]| u64::from(pair[1] - pair[0]) * SECTOR < stride;
        let Some(&[first, second]) = sectors.windows(2).find(upon) else { return Ok(()) };
        let mut met_first = false;
        self.table.for_each(self.count, |index, entry| {
            let sector = u32::from_be_bytes(entry);
            // Two equal ones: the latter is to blame.
            if sector == second && (first != second || met_first) {
                return Err(refused(
                    "BAT entry",
                    self.table.place(index),
                    "leads the block upon that of another entry",
                ));
            }
            met_first |= sector == first;
            Ok(())
        })
    }

    /// Where the data of a block lies, in bytes; `None` when it is not there.
    pub(super) fn data_of(&self, block: u64) -> Result<Option<u64>, ImageError> {
        Ok(place_of(self.table.get(block)?).map(|start| start + self.bitmap))
    }

    /// How many blocks from this one on, which is not there, are not there either; a long run may come in parts.
    pub(super) fn absent_from(&self, block: u64) -> Result<u64, ImageError> {
        self.table.repeats(block)
    }
}

/// Where a block begins, with its bitmap, in bytes.
fn place_of(entry: [u8; 4]) -> Option<u64> {
    let sector = u32::from_be_bytes(entry);
    (sector != UNUSED).then_some(u64::from(sector) * SECTOR)
}
