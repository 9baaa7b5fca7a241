use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{ImageError, source::ImageFile};

const PAGE: u64 = 64 << 10;
/// 8 MiB, whatever a header claims.
const MOST_PAGES: usize = 128;

/// A table of numbers in an image's file, read in pages as they are needed, of which few are kept.
#[derive(Debug)]
pub(crate) struct Table<const WIDTH: usize> {
    source: ImageFile,
    /// Where it stands in the file, in bytes.
    offset: u64,
    entries: u64,
    /// The newest at the back, by number.
    pages: Mutex<VecDeque<(u64, Arc<[u8]>)>>,
}

impl<const WIDTH: usize> Table<WIDTH> {
    /// A table of `entries` numbers of `WIDTH` bytes; `None` when it leaves the file.
    pub(crate) fn new(source: &ImageFile, offset: u64, entries: u64) -> Option<Self> {
        let end = entries.checked_mul(WIDTH as u64).and_then(|length| length.checked_add(offset))?;
        if end > source.length() {
            return None;
        }
        Some(Self { source: source.clone(), offset, entries, pages: Mutex::default() })
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Where an entry stands in the file, for errors.
    pub(crate) fn place(&self, index: u64) -> u64 {
        self.offset + index * WIDTH as u64
    }

    /// The bytes of an entry; those behind the table's end are all ones, which no format uses for a place.
    pub(crate) fn get(&self, index: u64) -> Result<[u8; WIDTH], ImageError> {
        let mut bytes = [0xff; WIDTH];
        if index < self.entries {
            let within = index * WIDTH as u64;
            let page = self.page(within / PAGE)?;
            // Entries never straddle pages: the page's size is a multiple of every width used.
            let at = usize::try_from(within % PAGE).unwrap_or(0);
            if let Some(entry) = page.get(at..at + WIDTH) {
                bytes.copy_from_slice(entry);
            }
        }
        Ok(bytes)
    }

    /// How many entries from `index` on are the same as that one, at least one; a long run may come in parts.
    pub(crate) fn repeats(&self, index: u64) -> Result<u64, ImageError> {
        if index >= self.entries {
            return Ok(u64::MAX - index);
        }
        let within = index * WIDTH as u64;
        let page = self.page(within / PAGE)?;
        let at = usize::try_from(within % PAGE).unwrap_or(0);
        let entries = page.get(at..).unwrap_or(&[]).as_chunks::<WIDTH>().0;
        let run = entries.first().map_or(1, |first| entries.iter().take_while(|entry| *entry == first).count());
        Ok(run as u64)
    }

    /// Hands over the first `count` entries in order, for checks of a whole table; none of it is kept.
    pub(crate) fn for_each(
        &self,
        count: u64,
        mut take: impl FnMut(u64, [u8; WIDTH]) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        let length = count.min(self.entries) * WIDTH as u64;
        let mut bytes = vec![0; usize::try_from(length.min(PAGE)).unwrap_or(0)];
        let (mut at, mut index) = (0, 0);
        while at < length {
            let left = usize::try_from((length - at).min(PAGE)).unwrap_or(0);
            let page = &mut bytes[..left];
            self.source.read_padded(self.offset + at, page)?;
            for entry in page.as_chunks::<WIDTH>().0 {
                take(index, *entry)?;
                index += 1;
            }
            at += left as u64;
        }
        Ok(())
    }

    fn page(&self, number: u64) -> Result<Arc<[u8]>, ImageError> {
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
        let length = (self.entries * WIDTH as u64 - number * PAGE).min(PAGE);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.source.read_padded(self.offset + number * PAGE, &mut bytes)?;
        let page: Arc<[u8]> = bytes.into();
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        while pages.len() >= MOST_PAGES {
            pages.pop_front();
        }
        pages.push_back((number, Arc::clone(&page)));
        Ok(page)
    }
}
