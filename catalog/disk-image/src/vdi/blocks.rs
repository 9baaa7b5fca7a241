use super::{FREE, ZERO, header::Header, refused, used::Used};
use crate::{ImageError, source::ImageFile, table::Table};

/// Where each block of a disk lies.
#[derive(Debug)]
pub(super) struct Blocks {
    map: Table<4>,
    /// Where the first block of the file stands, in bytes.
    data: u64,
    block: u64,
    /// Blocks that are there.
    pub(super) stored: u64,
}

/// What the map says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Never written.
    Absent,
    /// Discarded or zeroed.
    Zero,
    /// From this byte of the file on.
    Stored(u64),
}

impl Blocks {
    /// Reads the whole map once to check it.
    ///
    /// What holds afterwards: every block's guest bytes lie in the file behind the map, and no block of the file is
    /// shown twice.
    pub(super) fn read(header: &Header, source: &ImageFile) -> Result<Self, ImageError> {
        let Some(map) = Table::new(source, header.map, header.blocks) else {
            return Err(refused("offset_bmap", 340, "leads the map out of the file"));
        };
        let mut blocks = Self { map, data: header.data, block: header.block, stored: 0 };
        blocks.stored = blocks.check(header, source.length())?;
        Ok(blocks)
    }

    fn check(&self, header: &Header, file_length: u64) -> Result<u64, ImageError> {
        let mut used = Used::below(header.blocks);
        let mut stored = 0;
        self.map.for_each(header.needed(), |index, entry| {
            let Place::Stored(place) = self.place_of(entry) else { return Ok(()) };
            let refuse = |problem: String| Err(refused("block map entry", self.map.place(index), problem));
            let number = u32::from_le_bytes(entry);
            match used.add(number) {
                None => return refuse(format!("is {number}, of {} blocks in all", header.blocks)),
                Some(false) => return refuse(format!("is {number}, like that of another block")),
                Some(true) => {}
            }
            // The file may end where the disk does, within its last block.
            let visible = (header.size - index * header.block).min(header.block);
            if place + visible > file_length {
                return refuse("leads out of the file; it may have been cut off".to_owned());
            }
            stored += 1;
            Ok(())
        })?;
        Ok(stored)
    }

    /// Where a block lies.
    pub(super) fn place(&self, block: u64) -> Result<Place, ImageError> {
        // Behind the map's end stands what means that a block was never written.
        Ok(self.place_of(self.map.get(block)?))
    }

    /// How many blocks from this one on, which is not stored, are like it; a long run may come in parts.
    pub(super) fn like(&self, block: u64) -> Result<u64, ImageError> {
        self.map.repeats(block)
    }

    fn place_of(&self, entry: [u8; 4]) -> Place {
        match u32::from_le_bytes(entry) {
            FREE => Place::Absent,
            ZERO => Place::Zero,
            number => Place::Stored(self.data + u64::from(number) * self.block),
        }
    }
}
