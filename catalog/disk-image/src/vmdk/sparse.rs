use std::sync::Arc;

use super::{
    descriptor::Descriptor,
    header::Header,
    memory::Memory,
    packed, refused,
    tables::{Grain, GrainTables},
};
use crate::{Extent, ImageError, SECTOR, source::ImageFile};

/// The longest extent that is put together, in bytes: bounds the work of one question about a huge sparse disk.
const LONGEST_EXTENT: u64 = 1 << 30;

/// A hosted sparse extent, compressed or not.
#[derive(Debug)]
pub(super) struct SparseExtent {
    source: ImageFile,
    pub(super) header: Header,
    pub(super) descriptor: Descriptor,
    tables: GrainTables,
    /// Which of the image's extents this is, to remember its tables by.
    number: u32,
}

impl SparseExtent {
    /// Checks header, embedded descriptor and tables, all of them.
    pub(super) fn open(source: ImageFile, number: u32) -> Result<Self, ImageError> {
        let header = Header::read(&source)?;
        let mut text = vec![0; usize::try_from(header.descriptor.end - header.descriptor.start).unwrap_or(0)];
        source.read_padded(header.descriptor.start, &mut text)?;
        let descriptor = Descriptor::read(&text, header.descriptor.start)?;
        let tables = GrainTables::read(&header, &source)?;
        if let Some((grain, sector)) = tables.last.filter(|_| header.compressed)
            && let Some(problem) = packed::problem_of_last(&header, &source, grain, sector)?
        {
            let problem = format!("{problem}; the file may have been cut off");
            return Err(refused("last grain", u64::from(sector) * SECTOR, format!("is {problem}")));
        }
        Ok(Self { source, header, descriptor, tables, number })
    }

    /// Bytes that the guest sees.
    pub(super) fn size(&self) -> u64 {
        self.header.capacity * SECTOR
    }

    pub(super) fn damage(&self, most: usize) -> Result<Vec<String>, ImageError> {
        super::directory::redundant_damage(&self.header, &self.source, most)
    }

    /// Fills the buffer from `offset` of the extent on; it must lie within.
    pub(super) fn read_at(&self, memory: &Memory, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        let bytes = self.header.grain_bytes();
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let grain = at / bytes;
            let found = self.tables.find(&self.header, &self.source, (memory, self.number), grain)?;
            let first = found.grain(0);
            let left = (rest.len() as u64 + at % bytes).div_ceil(bytes).min(found.left);
            let run = match first {
                Grain::At(sector) if self.header.compressed => {
                    let behind = (1..found.left).map(|behind| found.grain(behind));
                    let next = behind.into_iter().find_map(|grain| match grain {
                        Grain::At(next) => Some(next),
                        _ => None,
                    });
                    // Grains need not stand in order: then nothing is known of what follows.
                    let next = next.filter(|next| *next > sector);
                    let length = usize::try_from(bytes - at % bytes).unwrap_or(usize::MAX).min(rest.len());
                    let unpacked = self.read_packed(memory, (grain, sector, next), at % bytes, &mut rest[..length])?;
                    unpacked.map_err(|problem| {
                        refused("grain table entry", found.place(), format!("leads to {problem}"))
                    })?;
                    1
                }
                Grain::At(sector) => {
                    let follows = |behind: &u64| {
                        let expected = u64::from(sector) + behind * self.header.grain;
                        found.grain(*behind) == u32::try_from(expected).map_or(Grain::Absent, Grain::At)
                    };
                    (1..left).take_while(follows).count() as u64 + 1
                }
                _ if found.run() >= left => left,
                _ => found.run(),
            };
            let length = usize::try_from(run * bytes - at % bytes).unwrap_or(usize::MAX).min(rest.len());
            let (part, behind) = rest.split_at_mut(length);
            match first {
                Grain::At(_) if self.header.compressed => {}
                Grain::At(sector) => self.source.read_padded(u64::from(sector) * SECTOR + at % bytes, part)?,
                Grain::Absent | Grain::Zero => part.fill(0),
            }
            at += length as u64;
            rest = behind;
        }
        Ok(())
    }

    /// The extent of one kind that holds byte `from`, which lies within.
    pub(super) fn extent_at(&self, memory: &Memory, from: u64) -> Result<Extent, ImageError> {
        let bytes = self.header.grain_bytes();
        let most = LONGEST_EXTENT.min(self.size() - from);
        let mut end = from;
        let mut kind = None;
        while end - from < most {
            let found = self.tables.find(&self.header, &self.source, (memory, self.number), end / bytes)?;
            let here = found.grain(0).kind();
            if *kind.get_or_insert(here) != here {
                break;
            }
            end = (end / bytes + found.run()) * bytes;
        }
        let kind = kind.unwrap_or(crate::ExtentKind::Absent);
        Ok(Extent { offset: from, length: (end - from).min(most), kind })
    }

    /// Fills the buffer with a part of one compressed grain.
    fn read_packed(
        &self,
        memory: &Memory,
        which: (u64, u32, Option<u32>),
        within: u64,
        buffer: &mut [u8],
    ) -> Result<Result<(), String>, ImageError> {
        let bytes = self.header.grain_bytes();
        if buffer.len() as u64 == bytes {
            return memory.with_room(|room| packed::unpack(&self.header, &self.source, room, which, buffer));
        }
        let grain = which.0;
        let whole = match memory.unpacked(self.number, grain) {
            Some(whole) => whole,
            None => {
                let mut whole = vec![0; usize::try_from(bytes).unwrap_or(0)];
                let unpacked =
                    memory.with_room(|room| packed::unpack(&self.header, &self.source, room, which, &mut whole))?;
                if let Err(problem) = unpacked {
                    return Ok(Err(problem));
                }
                let whole: Arc<[u8]> = whole.into();
                memory.remember(self.number, grain, &whole);
                whole
            }
        };
        let within = usize::try_from(within).unwrap_or(0);
        buffer.copy_from_slice(&whole[within..within + buffer.len()]);
        Ok(Ok(()))
    }
}
