use super::{
    ENTRIES, TABLE,
    directory::check_directory,
    header::Header,
    memory::{Memory, Page},
    occupied::Occupied,
    packed::LEAST_PACKED,
    refused,
    walk::{Walk, words},
};
use crate::{ExtentKind, ImageError, SECTOR, source::ImageFile};

/// Grains that are held against each other at a time when they do not stand in order, four bytes each.
const WINDOW: usize = 2 << 20;
/// How often all tables are read for that, at most: 64 Mi grains. A file of 2 TiB has half as many of 64 KiB.
const MOST_PASSES: usize = 32;

/// The map from a sparse extent's grains to its file.
#[derive(Debug)]
pub(super) struct GrainTables {
    /// Which of the directory's entries lead to a table that says anything, one bit for each.
    speaking: Vec<u64>,
    /// The grain that stands last in the file, by its number, and the sector where it begins.
    pub(super) last: Option<(u64, u32)>,
}

/// Where a grain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// Never written.
    Absent,
    /// Nothing but zeros.
    Zero,
    /// From this sector of the file on.
    At(u32),
}

impl Grain {
    fn of(entry: u32, zero_grains: bool) -> Self {
        match entry {
            0 => Self::Absent,
            1 if zero_grains => Self::Zero,
            sector => Self::At(sector),
        }
    }

    pub(super) fn kind(self) -> ExtentKind {
        match self {
            Self::Absent => ExtentKind::Absent,
            Self::Zero => ExtentKind::Zero,
            Self::At(_) => ExtentKind::Data,
        }
    }
}

/// A grain, what follows it in its table, and where that stands.
pub(super) struct Found {
    /// `None` when the whole table is absent.
    table: Option<(u64, Page)>,
    index: usize,
    /// Entries that follow in the table or its absence, this one included.
    pub(super) left: u64,
    zero_grains: bool,
}

impl Found {
    /// The grain so many behind the one that was looked up, within [`Found::left`].
    pub(super) fn grain(&self, behind: u64) -> Grain {
        let entry = self.table.as_ref().and_then(|(_, entries)| {
            let index = self.index.checked_add(usize::try_from(behind).ok()?)?;
            entries.get(index).copied()
        });
        Grain::of(entry.unwrap_or(0), self.zero_grains)
    }

    /// Where the entry stands in the file, for errors.
    pub(super) fn place(&self) -> u64 {
        self.table.as_ref().map_or(0, |(place, _)| place + self.index as u64 * 4)
    }

    /// How many grains are of one kind, within the table or its absence.
    pub(super) fn run(&self) -> u64 {
        if self.table.is_none() {
            return self.left;
        }
        let kind = self.grain(0).kind();
        (1..self.left).find(|behind| self.grain(*behind).kind() != kind).unwrap_or(self.left)
    }
}

impl GrainTables {
    /// Reads the directory and every table once to check them.
    ///
    /// What holds afterwards: every table and grain lies in the file and not upon another one, upon a directory, or
    /// upon header, descriptor and footer. For compressed grains, of which only the beginning is known here, no two
    /// begin at one place, and the last one in the file begins before its end.
    pub(super) fn read(header: &Header, source: &ImageFile) -> Result<Self, ImageError> {
        let walk = Walk { source, directory: header.directory, entries: header.entries };
        let occupied = check_directory(header, walk)?;
        let mut check = Check {
            header,
            occupied: &occupied,
            length: source.length(),
            needed: 0,
            ascending: true,
            last: None,
            speaking: vec![0; usize::try_from(header.entries.div_ceil(64)).unwrap_or(0)],
        };
        walk.tables(|number, place, table| check.table(number, place, table))?;
        if !check.ascending {
            check_apart(header, walk)?;
        }
        Ok(Self { speaking: check.speaking, last: check.last })
    }

    /// Looks up a grain, which must be one of the disk's.
    pub(super) fn find(
        &self,
        header: &Header,
        source: &ImageFile,
        (memory, extent): (&Memory, u32),
        grain: u64,
    ) -> Result<Found, ImageError> {
        let (number, index) = (grain / ENTRIES, grain % ENTRIES);
        let left = (ENTRIES - index).min(header.grains() - grain);
        let index = usize::try_from(index).unwrap_or(0);
        let zero_grains = header.zero_grains;
        let word = usize::try_from(number / 64).ok().and_then(|word| self.speaking.get(word));
        if word.is_none_or(|word| word >> (number % 64) & 1 == 0) {
            return Ok(Found { table: None, index, left, zero_grains });
        }
        let page = memory.page(extent, source, header.directory + number / ENTRIES * TABLE)?;
        let sector = usize::try_from(number % ENTRIES).ok().and_then(|index| page.get(index).copied()).unwrap_or(0);
        let place = u64::from(sector) * SECTOR;
        Ok(Found { table: Some((place, memory.page(extent, source, place)?)), index, left, zero_grains })
    }
}

/// What must hold for every entry of every table.
struct Check<'a> {
    header: &'a Header,
    occupied: &'a Occupied,
    length: u64,
    /// Sectors that all grains so far take at least.
    needed: u64,
    /// Every grain so far stands behind the one before.
    ascending: bool,
    last: Option<(u64, u32)>,
    speaking: Vec<u64>,
}

impl Check<'_> {
    fn table(&mut self, number: u64, place: u64, table: &[u8]) -> Result<(), ImageError> {
        let first = number * ENTRIES;
        let grains = (first..self.header.grains()).zip(words(table)).zip((place..).step_by(4));
        let mut speaks = false;
        for ((grain, entry), at) in grains {
            match Grain::of(entry, self.header.zero_grains) {
                Grain::Absent => continue,
                Grain::Zero => {}
                Grain::At(sector) => self.entry(grain, sector, at)?,
            }
            speaks = true;
        }
        if speaks && let Some(word) = usize::try_from(number / 64).ok().and_then(|word| self.speaking.get_mut(word)) {
            *word |= 1 << (number % 64);
        }
        Ok(())
    }

    fn entry(&mut self, grain: u64, sector: u32, at: u64) -> Result<(), ImageError> {
        let header = self.header;
        let refuse = |problem: &str| Err(refused("grain table entry", at, problem));
        let start = u64::from(sector);
        let least = if header.compressed {
            LEAST_PACKED
        } else {
            // The last grain may be as short as the disk needs it.
            header.grain.min(header.capacity - grain * header.grain) * SECTOR
        };
        if start * SECTOR + least > self.length {
            return refuse("leads out of the file; it may have been cut off");
        }
        if self.occupied.meets(&(start..start + least.div_ceil(SECTOR))) {
            return refuse("leads into the image's own tables");
        }
        self.needed += least.div_ceil(SECTOR);
        if self.needed > self.length.div_ceil(SECTOR) {
            return refuse("needs more bytes than the file has: grains are used more than once");
        }
        match self.last {
            Some((_, last)) if u64::from(last) + step(header) > start => {
                self.ascending = false;
                if last < sector {
                    self.last = Some((grain, sector));
                }
            }
            _ => self.last = Some((grain, sector)),
        }
        Ok(())
    }
}

/// Sectors between the beginnings of two grains, at least.
fn step(header: &Header) -> u64 {
    if header.compressed { 1 } else { header.grain }
}

/// Refuses grains that lie upon each other, of tables that name them in no order.
fn check_apart(header: &Header, walk: Walk<'_>) -> Result<(), ImageError> {
    let each = |take: &mut dyn FnMut(u32, u64) -> Result<(), ImageError>| {
        walk.tables(|number, place, table| {
            let used = usize::try_from(header.grains() - number * ENTRIES).unwrap_or(usize::MAX);
            for (entry, at) in words(table).take(used).zip((place..).step_by(4)) {
                if let Grain::At(sector) = Grain::of(entry, header.zero_grains) {
                    take(sector, at)?;
                }
            }
            Ok(())
        })
    };
    let mut from = 0;
    let mut window = Vec::new();
    for _ in 0..MOST_PASSES {
        let mut to = u32::MAX;
        window.clear();
        each(&mut |sector, _| {
            if (from..=to).contains(&sector) {
                window.push(sector);
                if window.len() >= 2 * WINDOW {
                    window.select_nth_unstable(WINDOW);
                    window.truncate(WINDOW);
                    to = window.iter().copied().max().unwrap_or(to);
                }
            }
            Ok(())
        })?;
        window.sort_unstable();
        let clash = window.windows(2).find(|pair| u64::from(pair[1]) - u64::from(pair[0]) < step(header));
        if let Some(&[_, sector]) = clash {
            let mut last = 0;
            each(&mut |other, at| {
                last = if other == sector { at } else { last };
                Ok(())
            })?;
            return Err(refused("grain table entry", last, "leads into a grain of another entry"));
        }
        if to == u32::MAX {
            return Ok(());
        }
        from = to;
    }
    Err(refused("gdOffset", 56, "leads to more grains, in no order, than are read; convert the image first"))
}
