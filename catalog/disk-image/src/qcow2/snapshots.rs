use super::{
    header::{Header, LARGEST_L1, guest_size},
    refused,
};
use crate::{FactValue, ImageError, source::ImageFile};

const HEAD: u64 = 40;
/// QEMU's own bound.
const LONGEST_EXTRA: u32 = 1024;
/// Names that are kept to show them.
const MOST_NAMES: usize = 20;

/// The table of internal snapshots, whose entries have been checked one by one.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// Where the table ends in the file.
    pub(super) end: u64,
    /// All of them, in the table's order.
    pub(super) all: Vec<Snapshot>,
    /// What the first ones are called: name and id, cleaned.
    pub(super) names: Vec<String>,
    /// The one that was asked for.
    pub(super) selected: Option<Snapshot>,
}

/// The disk as it was, and perhaps the state of a machine, which is nobody's business here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot {
    /// Where its entry stands in the file.
    pub(super) place: u64,
    /// Where its L1 table stands.
    pub(super) l1_offset: u64,
    /// Entries of that, which may be more than the disk's (a machine's state stands behind it) or fewer.
    pub(super) l1_entries: u64,
    /// What the guest saw, in bytes.
    pub(super) size: u64,
}

impl Snapshots {
    /// Reads the table. `wanted` is an id, or else a name, of which the first entry that has it is taken.
    pub(super) fn read(header: &Header, source: &ImageFile, wanted: Option<&str>) -> Result<Self, ImageError> {
        let mut found = Self::default();
        let mut by_name = None;
        let mut at = header.snapshots_offset;
        for _ in 0..header.snapshots {
            let (snapshot, [id, name], end) = read_entry(header, source, at)?;
            if let Some(wanted) = wanted {
                if id == wanted.as_bytes() {
                    found.selected = found.selected.or(Some(snapshot));
                }
                if name == wanted.as_bytes() {
                    by_name = by_name.or(Some(snapshot));
                }
            }
            if found.names.len() < MOST_NAMES {
                found.names.push(format!("{} (id {})", cleaned(&name), cleaned(&id)));
            }
            found.all.push(snapshot);
            at = end;
        }
        found.end = at;
        found.selected = found.selected.or(by_name);
        match wanted {
            Some(wanted) if found.selected.is_none() => Err(found.unknown(wanted)),
            _ => Ok(found),
        }
    }

    fn unknown(&self, wanted: &str) -> ImageError {
        let instead = match self.all.len() {
            0 => "the image has none; open the disk as it is".into(),
            all if all > self.names.len() => format!("it has {all}, the first are {}", self.names.join(", ")),
            _ => format!("it has {}", self.names.join(", ")),
        };
        ImageError::Unsupported { what: format!("a snapshot {wanted:?} that the image does not have"), instead }
    }
}

fn cleaned(name: &[u8]) -> String {
    FactValue::from(String::from_utf8_lossy(name).into_owned()).to_string()
}

/// An entry, its id and name, and where the next one stands.
fn read_entry(header: &Header, source: &ImageFile, at: u64) -> Result<(Snapshot, [Vec<u8>; 2], u64), ImageError> {
    let cut_off = || refused("snapshot table entry", at, "leads out of the file; it may have been cut off");
    if at.checked_add(HEAD).is_none_or(|end| end > source.length()) {
        return Err(cut_off());
    }
    let head: [u8; HEAD as usize] = source.read_array(at)?;
    let u16_at = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let u32_at = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let l1_offset = u64::from(u32_at(0)) << 32 | u64::from(u32_at(4));
    let l1_entries = u64::from(u32_at(8));
    let (id, name, extra) = (u16_at(12), u16_at(14), u32_at(36));
    if extra > LONGEST_EXTRA {
        return Err(refused("snapshot extra_data_size", at + 36, format!("is {extra}, more than {LONGEST_EXTRA}")));
    }
    let names = at + HEAD + u64::from(extra);
    let end = names + u64::from(id) + u64::from(name);
    if end > source.length() {
        return Err(cut_off());
    }
    // The first eight bytes of extra data are the length of the machine's state.
    let size = if extra >= 16 {
        let place = at + HEAD + 8;
        guest_size(u64::from_be_bytes(source.read_array(place)?), place)?
    } else {
        header.size
    };
    if l1_entries * 8 > LARGEST_L1 {
        return Err(refused("snapshot l1_size", at + 8, format!("is {l1_entries} entries, more than 32 MiB of table")));
    }
    if l1_entries > 0 {
        if l1_offset == 0 || !l1_offset.is_multiple_of(header.cluster()) {
            return Err(refused("snapshot l1_table_offset", at, "is not a cluster's beginning behind the header"));
        }
        if l1_offset.checked_add(l1_entries * 8).is_none_or(|end| end > source.length()) {
            return Err(refused("snapshot l1_table_offset", at, "leads out of the file; it may have been cut off"));
        }
    }
    let mut id = vec![0; usize::from(id)];
    let mut name = vec![0; usize::from(name)];
    source.read_padded(names, &mut id)?;
    source.read_padded(names + id.len() as u64, &mut name)?;
    Ok((Snapshot { place: at, l1_offset, l1_entries, size }, [id, name], end.next_multiple_of(8)))
}
