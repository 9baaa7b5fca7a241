//! Which of the log's entries are to be replayed (MS-VHDX 2.3).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    REGION_TABLE_AT,
    fields::{CHECKSUM_AT, Fields, Guid, checksum},
    header::{Header, LOG_LENGTH},
    refused,
    replay::{Content, LOG_SECTOR, LoggedFile},
};
use crate::{ImageError, source::ImageFile};

/// The most that a log with entries may take, in bytes; writers make 1 MiB.
const LARGEST_LOG: u64 = 64 << 20;
/// The most writes that are replayed: a few megabytes of bookkeeping.
const MOST_DESCRIPTORS: u64 = 128 << 10;
/// How far a log may let the file grow, in bytes: what may have been lost when a system died, and no bomb.
const MOST_GROWTH: u64 = 4 << 30;

const SECTOR_LENGTH: usize = 4096;
const ENTRY_HEADER: u64 = 64;
const DESCRIPTOR: usize = 32;
const DESCRIPTOR_LENGTH: u64 = DESCRIPTOR as u64;
const ENTRY_SIGNATURE: &[u8] = b"loge";

const FLUSHED_FILE_OFFSET: u64 = 48;
const LAST_FILE_OFFSET: u64 = 56;

/// What became of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogState {
    /// There was nothing to do: the last writer closed the image.
    Empty,
    /// The last writer stopped before it logged anything.
    Unused,
    /// So many entries were replayed.
    Replayed(usize),
}

/// Reads the log, and gives the file as it is with its log written to it.
pub(super) fn replay(header: &Header, source: ImageFile) -> Result<(LoggedFile, LogState), ImageError> {
    let mut file = LoggedFile::new(source.clone());
    if header.log_guid == Guid::ZERO {
        return Ok((file, LogState::Empty));
    }
    let log = Ring { source, place: header.log.clone(), guid: header.log_guid };
    if log.place.end - log.place.start > LARGEST_LOG {
        return Err(refused(
            "LogLength",
            header.at + LOG_LENGTH as u64,
            "is more than 64 MiB, and there is something to replay",
        ));
    }
    let (entries, met) = log.entries()?;
    let active = active_sequence(&entries);
    if active.is_empty() {
        // Who dies after having announced a log, and before the first entry, has changed nothing yet.
        return if met {
            let problem = "has entries and no whole sequence of them: the image is damaged; \
                           repair it with the program that wrote it";
            Err(refused("log", log.place.start, problem))
        } else {
            Ok((file, LogState::Unused))
        };
    }
    let length = log.source.length();
    let mut descriptors = 0;
    for entry in &active {
        let at = log.place_of(entry.sector);
        if entry.flushed > length {
            let problem = format!("is {}, but the file has {length} bytes: it was cut off", entry.flushed);
            return Err(refused("FlushedFileOffset", at + FLUSHED_FILE_OFFSET, problem));
        }
        if entry.last > length.saturating_add(MOST_GROWTH) {
            let problem = format!("is {}, much more than the file has", entry.last);
            return Err(refused("LastFileOffset", at + LAST_FILE_OFFSET, problem));
        }
        file.extend(entry.last);
        descriptors += u64::from(entry.descriptors);
        if descriptors > MOST_DESCRIPTORS {
            return Err(refused("DescriptorCount", at + 24, "makes more writes than are replayed; repair it first"));
        }
    }
    for entry in &active {
        log.write(entry, &mut file)?;
    }
    Ok((file, LogState::Replayed(active.len())))
}

/// An entry that is whole.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where it begins, in sectors of the log.
    sector: u64,
    /// Its length, in sectors.
    length: u64,
    /// Where the next one would begin.
    next: u64,
    /// Where the oldest entry begins that was not known to be written yet when this was made.
    tail: u64,
    sequence: u64,
    descriptors: u32,
    flushed: u64,
    last: u64,
}

impl Entry {
    /// Sectors with the header and the descriptors; the data follows.
    fn descriptor_sectors(&self) -> u64 {
        (ENTRY_HEADER + u64::from(self.descriptors) * DESCRIPTOR_LENGTH).div_ceil(LOG_SECTOR)
    }

    /// Which bytes of one of those sectors are descriptors.
    fn descriptors_in(&self, sector: u64) -> Range<usize> {
        let end = ENTRY_HEADER + u64::from(self.descriptors) * DESCRIPTOR_LENGTH - sector * LOG_SECTOR;
        let start = if sector == 0 { ENTRY_HEADER } else { 0 };
        usize::try_from(start).unwrap_or(0)..usize::try_from(end.min(LOG_SECTOR)).unwrap_or(0)
    }
}

/// The entries that are to be replayed, the oldest first.
///
/// Entries that follow each other in the log, with numbers that follow each other, are a run. The newest run counts
/// whose last entry names one of the same run as the oldest that is needed.
fn active_sequence(entries: &BTreeMap<u64, Entry>) -> Vec<Entry> {
    let successor = |entry: &Entry| {
        entries.get(&entry.next).copied().filter(|next| Some(next.sequence) == entry.sequence.checked_add(1))
    };
    let followers: BTreeSet<u64> = entries.values().filter_map(successor).map(|entry| entry.sector).collect();
    let mut active: Vec<Entry> = Vec::new();
    for first in entries.values().filter(|entry| !followers.contains(&entry.sector)) {
        let run: Vec<Entry> = std::iter::successors(Some(*first), successor).collect();
        let newest = run.last().unwrap_or(first);
        let oldest = run.iter().position(|entry| entry.sector == newest.tail);
        if let Some(oldest) = oldest
            && active.last().is_none_or(|held| held.sequence < newest.sequence)
        {
            active = run[oldest..].to_vec();
        }
    }
    active
}

/// The log as the ring of sectors that it is.
struct Ring {
    source: ImageFile,
    place: Range<u64>,
    guid: Guid,
}

impl Ring {
    fn sectors(&self) -> u64 {
        (self.place.end - self.place.start) / LOG_SECTOR
    }

    fn place_of(&self, sector: u64) -> u64 {
        self.place.start + sector % self.sectors() * LOG_SECTOR
    }

    fn read(&self, sector: u64) -> Result<[u8; SECTOR_LENGTH], ImageError> {
        self.source.read_array(self.place_of(sector))
    }

    /// All whole entries by their first sector, and whether there are any of ours at all, whole or not.
    fn entries(&self) -> Result<(BTreeMap<u64, Entry>, bool), ImageError> {
        let mut entries = BTreeMap::new();
        let mut met = false;
        for sector in 0..self.sectors() {
            let head = self.read(sector)?;
            if !head.starts_with(ENTRY_SIGNATURE) || Fields(&head).guid(32) != self.guid {
                continue;
            }
            met = true;
            if let Some(entry) = self.whole(sector, &head)? {
                entries.insert(sector, entry);
            }
        }
        Ok((entries, met))
    }

    /// The entry that begins in this sector, when all of it was written.
    fn whole(&self, sector: u64, head: &[u8; SECTOR_LENGTH]) -> Result<Option<Entry>, ImageError> {
        let fields = Fields(head);
        let [length, tail] = [8, 12].map(|at| u64::from(fields.u32(at)));
        let entry = Entry {
            sector,
            length: length / LOG_SECTOR,
            next: (sector + length / LOG_SECTOR) % self.sectors(),
            tail: tail / LOG_SECTOR,
            sequence: fields.u64(16),
            descriptors: fields.u32(24),
            flushed: fields.u64(48),
            last: fields.u64(56),
        };
        let aligned = length.is_multiple_of(LOG_SECTOR) && tail.is_multiple_of(LOG_SECTOR);
        if !aligned || entry.sequence == 0 || entry.length > self.sectors() {
            return Ok(None);
        }
        let data_from = entry.descriptor_sectors();
        let mut data_to = data_from;
        let mut sum = 0;
        for i in 0..entry.length {
            let bytes = if i == 0 { *head } else { self.read(sector + i)? };
            // Another entry begins here. To stop bounds the work: no sector is looked at for two entries.
            if i > 0 && bytes.starts_with(ENTRY_SIGNATURE) {
                return Ok(None);
            }
            if i < data_from {
                let Some(data) = count_data(&entry, &bytes[entry.descriptors_in(i)]) else { return Ok(None) };
                data_to += data;
            } else if i < data_to && !is_data(&bytes, entry.sequence) {
                return Ok(None);
            }
            sum = if i == 0 { checksum(&bytes) } else { crc32c::crc32c_append(sum, &bytes) };
        }
        // An entry may be longer, to fill a sector of the disk that it was written to.
        Ok((entry.length >= data_to && sum == fields.u32(CHECKSUM_AT)).then_some(entry))
    }

    /// Writes what an entry says.
    fn write(&self, entry: &Entry, file: &mut LoggedFile) -> Result<(), ImageError> {
        let mut data = entry.sector + entry.descriptor_sectors();
        for i in 0..entry.descriptor_sectors() {
            let bytes = self.read(entry.sector + i)?;
            let range = entry.descriptors_in(i);
            let place = self.place_of(entry.sector + i) + range.start as u64;
            for (number, descriptor) in bytes[range].chunks_exact(DESCRIPTOR).enumerate() {
                let at = place + number as u64 * DESCRIPTOR_LENGTH;
                let fields = Fields(descriptor);
                let start = fields.u64(16);
                let (length, content) = if descriptor.starts_with(b"desc") {
                    let content = Content::Sector {
                        logged: self.place_of(data),
                        leading: fields.bytes(8),
                        trailing: fields.bytes(4),
                    };
                    data += 1;
                    (LOG_SECTOR, content)
                } else {
                    (fields.u64(8), Content::Zeros)
                };
                let place = self.checked_target(start, length, at, file.length())?;
                file.write(place, content);
            }
        }
        Ok(())
    }

    /// Where a descriptor at `at` may write: not to the headers, which lead to the log, nor to the log itself.
    fn checked_target(&self, start: u64, length: u64, at: u64, file: u64) -> Result<Range<u64>, ImageError> {
        let refuse = |problem| Err(refused("FileOffset", at + 16, problem));
        let Some(end) = start.checked_add(length).filter(|end| *end <= file) else {
            return refuse("of the log's descriptor leads out of the file");
        };
        if start < REGION_TABLE_AT || (start < self.place.end && end > self.place.start) {
            return refuse("of the log's descriptor leads into the headers or the log itself");
        }
        Ok(start..end)
    }
}

/// How many of an entry's descriptors are followed by data; `None` when any of them is not the entry's.
fn count_data(entry: &Entry, descriptors: &[u8]) -> Option<u64> {
    let mut data = 0;
    for descriptor in descriptors.chunks_exact(DESCRIPTOR) {
        let fields = Fields(descriptor);
        if fields.u64(24) != entry.sequence || !fields.u64(16).is_multiple_of(LOG_SECTOR) {
            return None;
        }
        match &descriptor[..4] {
            b"desc" => data += 1,
            b"zero" if fields.u64(8).is_multiple_of(LOG_SECTOR) => {}
            _ => return None,
        }
    }
    Some(data)
}

/// Whether a sector holds the data of the entry with this number: the number stands in two halves, at both ends.
fn is_data(bytes: &[u8; SECTOR_LENGTH], sequence: u64) -> bool {
    let fields = Fields(bytes);
    let [high, low] = [4, SECTOR_LENGTH - 4].map(|at| u64::from(fields.u32(at)));
    bytes.starts_with(b"data") && (high << 32 | low) == sequence
}
