use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use libdeflater::Decompressor;

use super::{TABLE, walk::words};
use crate::{ImageError, source::ImageFile};

/// 1 MiB.
const MOST_PAGES: usize = 512;

/// Entries of a directory or table that are read together.
pub(super) type Page = Arc<[u32]>;

/// What all extents of an image remember together, so that an image of many extents takes no more memory than one.
#[derive(Default)]
pub(super) struct Memory {
    /// The newest at the back, by the extent's number and the page's place in its file.
    pages: Mutex<VecDeque<((u32, u64), Page)>>,
    /// Room to unpack grains in, for as many threads as do so at once.
    rooms: Mutex<Vec<Room>>,
    /// The grain that was unpacked last, by its extent and number: small reads in order meet it again.
    unpacked: Mutex<Option<Unpacked>>,
}

/// A grain's bytes, by its extent and number.
type Unpacked = ((u32, u64), Arc<[u8]>);

/// What one thread unpacks with.
pub(super) struct Room {
    pub(super) decompressor: Decompressor,
    pub(super) packed: Vec<u8>,
}

impl Memory {
    /// The 512 entries that stand at this place.
    pub(super) fn page(&self, extent: u32, source: &ImageFile, place: u64) -> Result<Page, ImageError> {
        let key = (extent, place);
        {
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = pages.iter().rposition(|(held, _)| *held == key) {
                if found + 1 < pages.len()
                    && let Some(used) = pages.remove(found)
                {
                    pages.push_back(used);
                }
                if let Some((_, page)) = pages.back() {
                    return Ok(Arc::clone(page));
                }
            }
        }
        // Two threads may read the same page: that costs a read, a lock held over a read would cost all of them.
        let mut bytes = [0; TABLE as usize];
        source.read_padded(place, &mut bytes)?;
        let page: Page = words(&bytes).collect();
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        while pages.len() >= MOST_PAGES {
            pages.pop_front();
        }
        pages.push_back((key, Arc::clone(&page)));
        Ok(page)
    }

    /// Lends room to unpack in.
    pub(super) fn with_room<T>(&self, work: impl FnOnce(&mut Room) -> T) -> T {
        let lent = self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut room = lent.unwrap_or_else(|| Room { decompressor: Decompressor::new(), packed: Vec::new() });
        let answer = work(&mut room);
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
        answer
    }

    /// The grain, when it is the one that was unpacked last.
    pub(super) fn unpacked(&self, extent: u32, grain: u64) -> Option<Arc<[u8]>> {
        match &*self.unpacked.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((held, bytes)) if *held == (extent, grain) => Some(Arc::clone(bytes)),
            _ => None,
        }
    }

    pub(super) fn remember(&self, extent: u32, grain: u64, bytes: &Arc<[u8]>) {
        *self.unpacked.lock().unwrap_or_else(PoisonError::into_inner) = Some(((extent, grain), Arc::clone(bytes)));
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
