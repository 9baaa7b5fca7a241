use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use super::{MEBIBYTE, bat_entries, chunk_ratio, metadata::Metadata, refused, regions::Regions, replay::LoggedFile};
use crate::ImageError;

const ENTRY_LENGTH: u64 = 8;
const PAGE_ENTRIES: u64 = 8192;
/// 8 MiB, whatever the disk's size.
const MOST_PAGES: usize = 128;
/// How far into the file payload may stand, in bytes: twice what the largest disk needs.
const FARTHEST: u64 = 128 << 40;

/// What the table says of a payload block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Never written.
    Absent,
    /// Zeros that were written or unmapped.
    Zero,
    /// Its bytes stand from here on in the file.
    Stored(u64),
    /// A state that is reserved, or that only a file with a parent can have.
    Invalid(u64),
}

impl Block {
    fn of(entry: u64) -> Self {
        match entry & 0b111 {
            0 | 1 => Self::Absent,
            2 | 3 => Self::Zero,
            6 => Self::Stored(entry & !(MEBIBYTE - 1)),
            state => Self::Invalid(state),
        }
    }
}

/// The block allocation table (MS-VHDX 2.5), read in pages, of which few are kept.
#[derive(Debug)]
pub(super) struct Blocks {
    offset: u64,
    entries: u64,
    ratio_bits: u32,
    /// The newest at the back, by number.
    pages: Mutex<VecDeque<(u64, Arc<[u64]>)>>,
}

impl Blocks {
    /// Takes the table, and checks all of it.
    ///
    /// What holds afterwards: the guest's bytes of every block lie in the file, not upon anything else, and not upon
    /// those of another block.
    pub(super) fn read(file: &LoggedFile, regions: &Regions, metadata: &Metadata) -> Result<Self, ImageError> {
        let ratio = chunk_ratio(metadata.logical_sector_size.into(), metadata.block_size);
        let blocks = metadata.size.div_ceil(metadata.block_size);
        let entries = bat_entries(blocks, ratio);
        let room = (regions.bat.end - regions.bat.start) / ENTRY_LENGTH;
        if entries > room {
            let problem = format!("has room for {room} entries, but the disk's size needs {entries}");
            return Err(refused("BAT", regions.bat.start, problem));
        }
        let offset = regions.bat.start;
        let table = Self { offset, entries, ratio_bits: ratio.trailing_zeros(), pages: Mutex::default() };
        let mut taken = Taken::default();
        for number in 0..entries.div_ceil(PAGE_ENTRIES) {
            let page = table.load(file, number)?;
            for (index, entry) in (number * PAGE_ENTRIES..).zip(&page) {
                // Some writers leave anything in the entries of sector bitmaps, which nothing uses.
                if *entry != 0 && index % (ratio + 1) != ratio {
                    let block = index - index / (ratio + 1);
                    let needed = metadata.block_size.min(metadata.size - block * metadata.block_size);
                    check(Block::of(*entry), needed, metadata.block_size, file, regions, &mut taken)
                        .map_err(|problem| refused("BAT entry", offset + index * ENTRY_LENGTH, problem))?;
                }
            }
        }
        Ok(table)
    }

    /// Looks blocks up, one after another.
    pub(super) fn walk<'a>(&'a self, file: &'a LoggedFile) -> Walk<'a> {
        Walk { blocks: self, file, page: None }
    }

    fn index(&self, block: u64) -> u64 {
        block + (block >> self.ratio_bits)
    }

    /// Where the entry of a block stands in the file, for errors.
    pub(super) fn place_of_entry(&self, block: u64) -> u64 {
        self.offset + self.index(block) * ENTRY_LENGTH
    }

    fn page(&self, file: &LoggedFile, number: u64) -> Result<Arc<[u64]>, ImageError> {
        {
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = pages.iter().rposition(|(held, _)| *held == number) {
                if place + 1 < pages.len()
                    && let Some(used) = pages.remove(place)
                {
                    pages.push_back(used);
                }
                if let Some((_, page)) = pages.back() {
                    return Ok(Arc::clone(page));
                }
            }
        }
        // Two threads may read the same page: that costs a read, a lock held over a read would cost all of them.
        let page: Arc<[u64]> = self.load(file, number)?.into();
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        while pages.len() >= MOST_PAGES {
            pages.pop_front();
        }
        pages.push_back((number, Arc::clone(&page)));
        Ok(page)
    }

    fn load(&self, file: &LoggedFile, number: u64) -> Result<Vec<u64>, ImageError> {
        let first = number * PAGE_ENTRIES;
        let length = self.entries.saturating_sub(first).min(PAGE_ENTRIES) * ENTRY_LENGTH;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_padded(self.offset + first * ENTRY_LENGTH, &mut bytes)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry)).collect())
    }
}

/// Looks blocks up, and holds on to the page of the table that it met last.
pub(super) struct Walk<'a> {
    blocks: &'a Blocks,
    file: &'a LoggedFile,
    page: Option<(u64, Arc<[u64]>)>,
}

impl Walk<'_> {
    pub(super) fn block(&mut self, block: u64) -> Result<Block, ImageError> {
        let index = self.blocks.index(block);
        let number = index / PAGE_ENTRIES;
        let page = match &self.page {
            Some((held, page)) if *held == number => page,
            _ => &self.page.insert((number, self.blocks.page(self.file, number)?)).1,
        };
        let entry = usize::try_from(index % PAGE_ENTRIES).ok().and_then(|i| page.get(i).copied());
        Ok(Block::of(entry.unwrap_or(0)))
    }
}

fn check(
    block: Block,
    needed: u64,
    block_size: u64,
    file: &LoggedFile,
    regions: &Regions,
    taken: &mut Taken,
) -> Result<(), String> {
    let start = match block {
        Block::Absent | Block::Zero => return Ok(()),
        Block::Invalid(7) => return Err("is of a block that is partly in a parent; merge the image first".into()),
        Block::Invalid(state) => return Err(format!("has the state {state}, which is reserved")),
        Block::Stored(start) => start,
    };
    // The last block may be as short as the disk.
    if start.checked_add(needed).is_none_or(|end| end > file.length()) {
        return Err("leads out of the file; it may have been cut off".into());
    }
    let place = start..start.saturating_add(block_size);
    if regions.overlap(&place) {
        return Err("leads into the headers, the log or a region".into());
    }
    if place.end > FARTHEST {
        return Err("leads farther than 128 TiB into the file; convert the image first".into());
    }
    if !taken.take(start / MEBIBYTE, block_size / MEBIBYTE) {
        return Err("leads to bytes of another block".into());
    }
    Ok(())
}

/// Which mebibytes of the file hold payload, a bit each, in pages of 4 KiB.
#[derive(Default)]
struct Taken {
    pages: BTreeMap<u64, Box<[u64; 512]>>,
}

impl Taken {
    /// Takes so many from `first` on; false when one was taken before.
    fn take(&mut self, first: u64, count: u64) -> bool {
        const BITS: u64 = 512 * 64;
        let mut at = first;
        while at < first + count {
            let page = self.pages.entry(at / BITS).or_insert_with(|| Box::new([0; 512]));
            let (word, bit) = (usize::try_from(at % BITS / 64).unwrap_or(0), at % 64);
            let length = (64 - bit).min(first + count - at);
            let mask = u64::MAX >> (64 - length) << bit;
            if page[word] & mask != 0 {
                return false;
            }
            page[word] |= mask;
            at += length;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::ImageFile;

    #[test]
    fn no_block_stands_farther_than_any_disk_needs() {
        let mut file = LoggedFile::new(ImageFile::adopt(tempfile::tempfile().unwrap()).unwrap());
        file.extend(1 << 60);
        let mut taken = Taken::default();
        let mut found = |start| {
            let regions = Regions::default();
            check(Block::Stored(start), MEBIBYTE, MEBIBYTE, &file, &regions, &mut taken).err().unwrap_or_default()
        };
        assert_eq!(found(FARTHEST - MEBIBYTE), "");
        assert!(found(FARTHEST).contains("128 TiB"));
        assert!(found(1 << 59).contains("128 TiB"));
        assert!(found(1 << 60).contains("out of the file"));
        assert!(found(u64::MAX << 20).contains("out of the file"));
    }

    #[test]
    fn mebibytes_are_taken_once() {
        let mut taken = Taken::default();
        for (first, count, free) in [
            (3, 1, true),
            (4, 256, true),
            (2, 1, true),
            (2, 2, false),
            (259, 1, false),
            (260, 64, true),
            (32_760, 16, true),
            (32_768, 1, false),
            (32_776, 1, true),
        ] {
            assert_eq!(taken.take(first, count), free, "{first} {count}");
        }
    }
}
