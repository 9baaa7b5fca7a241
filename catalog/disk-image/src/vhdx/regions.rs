use std::ops::Range;

use super::{
    COPY_DISTANCE, HEADER_SECTION, LARGEST_BAT, MEBIBYTE, REGION_TABLE_AT,
    fields::{Fields, Guid, is_sound},
    header::Header,
    refused,
    replay::LoggedFile,
};
use crate::ImageError;

pub(super) const BAT: Guid = Guid::new(0x2dc2_7766_f623_4200_9d64_115e_9bfd_4a08);
pub(super) const METADATA: Guid = Guid::new(0x8b7c_a206_4790_4b9a_b8fe_575f_050f_886e);

pub(super) const TABLE_LENGTH: usize = 64 << 10;
const ENTRIES: usize = 16;
const ENTRY_LENGTH: usize = 32;
const MOST_ENTRIES: u32 = 2047;
const REQUIRED: u32 = 1;

/// Where in the file everything but payload stands (MS-VHDX 2.2.3).
#[derive(Debug, Clone, Default)]
pub(super) struct Regions {
    pub(super) bat: Range<u64>,
    pub(super) metadata: Range<u64>,
    /// These, the headers, the log, and what other regions there are, in order and without overlaps.
    taken: Vec<Range<u64>>,
    /// What is odd about the tables' copies.
    pub(super) oddity: Option<&'static str>,
}

impl Regions {
    pub(super) fn read(file: &LoggedFile, header: &Header) -> Result<Self, ImageError> {
        let mut tables = [vec![0; TABLE_LENGTH], vec![0; TABLE_LENGTH]];
        for (at, table) in [REGION_TABLE_AT, REGION_TABLE_AT + COPY_DISTANCE].into_iter().zip(&mut tables) {
            file.read_padded(at, table)?;
        }
        let [first, second] = &tables;
        let (table, at, oddity) = match (is_sound(first, *b"regi"), is_sound(second, *b"regi")) {
            (true, true) if first == second => (first, REGION_TABLE_AT, None),
            (true, true) => (first, REGION_TABLE_AT, Some("the two region tables differ; the first one is used")),
            (true, false) => (first, REGION_TABLE_AT, Some("the second region table is damaged")),
            (false, true) => {
                (second, REGION_TABLE_AT + COPY_DISTANCE, Some("the first region table is damaged; its copy is used"))
            }
            (false, false) => {
                let problem = "is wrong in both region tables; the image is damaged";
                return Err(refused("Checksum", REGION_TABLE_AT + 4, problem));
            }
        };
        Self::of(&Fields(table), at, file.length(), header, oddity)
    }

    fn of(
        table: &Fields<'_>,
        at: u64,
        file_length: u64,
        header: &Header,
        oddity: Option<&'static str>,
    ) -> Result<Self, ImageError> {
        let count = table.u32(8);
        if count > MOST_ENTRIES {
            return Err(refused(
                "EntryCount",
                at + 8,
                format!("is {count}; at most {MOST_ENTRIES} regions are allowed"),
            ));
        }
        let (mut bat, mut metadata) = (None, None);
        let mut taken = vec![(0..HEADER_SECTION, at), (header.log.clone(), header.at)];
        for number in 0..count as usize {
            let entry = ENTRIES + number * ENTRY_LENGTH;
            let place_at = at + entry as u64 + 16;
            let place = place(table, entry, place_at, file_length)?;
            let known = match table.guid(entry) {
                BAT => Some(&mut bat),
                METADATA => Some(&mut metadata),
                other if table.u32(entry + 28) & REQUIRED != 0 => {
                    let problem = format!("marks the region {other}, which is unknown; nothing can be read without it");
                    return Err(refused("Required", place_at + 12, problem));
                }
                _ => None,
            };
            if let Some(known) = known
                && known.replace((place.clone(), place_at)).is_some()
            {
                return Err(refused("Guid", at + entry as u64, "is that of an earlier region too"));
            }
            taken.push((place, place_at));
        }
        taken.retain(|(place, _)| !place.is_empty());
        taken.sort_unstable_by_key(|(place, _)| place.start);
        if let Some(pair) = taken.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
            let at = pair[0].1.max(pair[1].1);
            return Err(refused("FileOffset", at, "leads onto another region, the log or the headers"));
        }
        let missing = |name: &str| refused("region table", at, format!("has no region of the {name}"));
        let (bat, bat_at) = bat.ok_or_else(|| missing("BAT"))?;
        let (metadata, _) = metadata.ok_or_else(|| missing("metadata"))?;
        if bat.end - bat.start > LARGEST_BAT {
            let problem = "of the BAT is more than 128 MiB; convert the image to larger blocks";
            return Err(refused("Length", bat_at + 8, problem));
        }
        Ok(Self { bat, metadata, taken: taken.into_iter().map(|(place, _)| place).collect(), oddity })
    }

    /// Whether any byte of this range is not free for payload.
    pub(super) fn overlap(&self, place: &Range<u64>) -> bool {
        let next = self.taken.partition_point(|taken| taken.end <= place.start);
        self.taken.get(next).is_some_and(|taken| taken.start < place.end)
    }
}

fn place(table: &Fields<'_>, entry: usize, at: u64, file_length: u64) -> Result<Range<u64>, ImageError> {
    let (start, length) = (table.u64(entry + 16), u64::from(table.u32(entry + 24)));
    if start < HEADER_SECTION || !start.is_multiple_of(MEBIBYTE) {
        return Err(refused("FileOffset", at, format!("is {start}, not a multiple of 1 MiB from 1 MiB on")));
    }
    if length == 0 || !length.is_multiple_of(MEBIBYTE) {
        return Err(refused("Length", at + 8, format!("is {length}, not a multiple of 1 MiB")));
    }
    match start.checked_add(length) {
        Some(end) if end <= file_length => Ok(start..end),
        _ => Err(refused("FileOffset", at, "leads out of the file; it may have been cut off")),
    }
}
