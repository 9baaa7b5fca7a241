use super::{
    TABLE,
    header::Header,
    occupied::{Occupied, Scattered},
    refused,
    walk::Walk,
};
use crate::{ImageError, SECTOR, source::ImageFile};

/// Checks that each table lies in the file, and not upon anything else; answers what is occupied by all of them.
///
/// The redundant tables are never read for the guest's bytes: the primary ones decide, and an image whose primary
/// tables are damaged is refused. They count as occupied as far as they lie in the file.
pub(super) fn check_directory(header: &Header, walk: Walk<'_>) -> Result<Occupied, ImageError> {
    let mut occupied = Occupied::of(header);
    let at_start = |field, problem: &str| refused(field, 0, problem);
    if occupied.fixed_overlap() {
        return Err(at_start("header", "names tables and a descriptor that lie upon each other or upon itself"));
    }
    let scattered = |_: Scattered| refused("gdOffset", 56, "leads to more separate tables than are read");
    let length = walk.source.length();
    walk.entries(|number, sector| {
        let refuse = |problem| Err(refused("grain directory entry", walk.directory + number * 4, problem));
        let start = u64::from(sector);
        if start * SECTOR + TABLE > length {
            return refuse("leads out of the file; it may have been cut off");
        }
        if occupied.meets_fixed(&(start..start + TABLE / SECTOR)) {
            return refuse("leads into the image's own tables");
        }
        occupied.add(sector).map_err(scattered)
    })?;
    if let Some(redundant) = header.redundant {
        let second = Walk { directory: redundant, ..walk };
        let mut first = Cursor::new(walk);
        second.entries(|number, sector| {
            let lies_in_file = u64::from(sector) * SECTOR + TABLE <= length;
            // Some writers let both directories name the same tables.
            if lies_in_file && first.entry(number)? != sector {
                occupied.add(sector).map_err(scattered)
            } else {
                Ok(())
            }
        })?;
    }
    if let Some(sector) = occupied.overlapping_table() {
        let mut clash = None;
        let first = Some(("grain directory entry", header.directory));
        let second = header.redundant.map(|directory| ("redundant grain directory entry", directory));
        for (field, directory) in [first, second].into_iter().flatten() {
            Walk { directory, ..walk }.entries(|number, other| {
                if other == sector {
                    clash = Some((field, directory + number * 4));
                }
                Ok(())
            })?;
        }
        let (field, at) = clash.unwrap_or(("gdOffset", 56));
        return Err(refused(field, at, "leads into the grain table of another entry"));
    }
    Ok(occupied)
}

/// Where the redundant tables differ from the primary ones: one sentence each, at most so many.
pub(super) fn redundant_damage(header: &Header, source: &ImageFile, most: usize) -> Result<Vec<String>, ImageError> {
    let Some(redundant) = header.redundant else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut second = Cursor::new(Walk { source, directory: redundant, entries: header.entries });
    let [mut one, mut other] = [[0; TABLE as usize]; 2];
    Walk { source, directory: header.directory, entries: header.entries }.entries(|number, sector| {
        if found.len() >= most {
            return Ok(());
        }
        let copy = second.entry(number)?;
        source.read_padded(u64::from(sector) * SECTOR, &mut one)?;
        source.read_padded(u64::from(copy) * SECTOR, &mut other)?;
        if copy == 0 || one != other {
            found.push(format!("grain table {number} and its redundant copy differ; the first one counts"));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Looks entries up that are asked for in order.
struct Cursor<'a> {
    walk: Walk<'a>,
    first: u64,
    sectors: Vec<u8>,
}

impl<'a> Cursor<'a> {
    fn new(walk: Walk<'a>) -> Self {
        Self { walk, first: 0, sectors: Vec::new() }
    }

    fn entry(&mut self, number: u64) -> Result<u32, ImageError> {
        const PAGE: u64 = 4096;
        if self.sectors.is_empty() || number >= self.first + PAGE {
            self.first = number - number % PAGE;
            self.sectors.resize(PAGE as usize * 4, 0);
            self.walk.source.read_padded(self.walk.directory + self.first * 4, &mut self.sectors)?;
        }
        let at = usize::try_from((number - self.first) * 4).unwrap_or(usize::MAX);
        let mut sector = [0; 4];
        if let Some(bytes) = self.sectors.get(at..at.saturating_add(4)) {
            sector.copy_from_slice(bytes);
        }
        Ok(u32::from_le_bytes(sector))
    }
}
