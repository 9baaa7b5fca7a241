use std::ops::Range;

use super::{
    LARGEST_BLOCK, SMALLEST_BLOCK,
    fields::{Fields, Guid},
    refused,
    replay::LoggedFile,
};
use crate::{ImageError, LARGEST_DISK};

pub(super) const FILE_PARAMETERS: Guid = Guid::new(0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76b);
pub(super) const VIRTUAL_DISK_SIZE: Guid = Guid::new(0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8);
pub(super) const VIRTUAL_DISK_ID: Guid = Guid::new(0xbeca_12ab_b2e6_4523_93ef_c309_e000_c746);
pub(super) const LOGICAL_SECTOR_SIZE: Guid = Guid::new(0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5f);
pub(super) const PHYSICAL_SECTOR_SIZE: Guid = Guid::new(0xcda3_48c7_445d_4471_9cc9_e988_5251_c556);
const PARENT_LOCATOR: Guid = Guid::new(0xa8d3_5f2d_b30b_454d_abf7_d3d8_4834_ab0c);

/// What the table takes; items stand behind it.
pub(super) const TABLE_LENGTH: usize = 64 << 10;
pub(super) const ENTRIES: usize = 32;
pub(super) const ENTRY_LENGTH: usize = 32;
const MOST_ENTRIES: u16 = 2047;
const LONGEST_ITEM: u64 = 1 << 20;

const IS_USER: u32 = 1;
pub(super) const IS_VIRTUAL_DISK: u32 = 1 << 1;
pub(super) const IS_REQUIRED: u32 = 1 << 2;

const LEAVE_BLOCKS_ALLOCATED: u32 = 1;
const HAS_PARENT: u32 = 1 << 1;

/// What the metadata says of the disk (MS-VHDX 2.6), checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata {
    /// In bytes.
    pub(super) block_size: u64,
    /// Blocks that hold nothing keep their place: the disk was made to be fixed.
    pub(super) fixed: bool,
    /// Guest-visible, in bytes.
    pub(super) size: u64,
    pub(super) disk_id: Guid,
    pub(super) logical_sector_size: u32,
    pub(super) physical_sector_size: u32,
}

impl Metadata {
    pub(super) fn read(file: &LoggedFile, region: &Range<u64>) -> Result<Self, ImageError> {
        let items = Items::read(file, region)?;
        let (parameters, at) = items.get::<8>("File Parameters", FILE_PARAMETERS)?;
        let parameters = Fields(&parameters);
        let block_size = u64::from(parameters.u32(0));
        if !block_size.is_power_of_two() || !(SMALLEST_BLOCK..=LARGEST_BLOCK).contains(&block_size) {
            return Err(refused("BlockSize", at, format!("is {block_size}, no power of two from 1 MiB to 256 MiB")));
        }
        if parameters.u32(4) & HAS_PARENT != 0 {
            return Err(refused("HasParent", at + 4, PARENT));
        }
        let [logical, physical] = [
            items.get::<4>("Logical Sector Size", LOGICAL_SECTOR_SIZE)?,
            items.get::<4>("Physical Sector Size", PHYSICAL_SECTOR_SIZE)?,
        ];
        let sector_size = |field, (bytes, at): ([u8; 4], u64)| match u32::from_le_bytes(bytes) {
            size @ (512 | 4096) => Ok(size),
            other => Err(refused(field, at, format!("is {other}, neither 512 nor 4096"))),
        };
        let logical_sector_size = sector_size("LogicalSectorSize", logical)?;
        let (size, at) = items.get::<8>("Virtual Disk Size", VIRTUAL_DISK_SIZE)?;
        let size = u64::from_le_bytes(size);
        if size > LARGEST_DISK {
            return Err(refused("VirtualDiskSize", at, format!("is {size} bytes; at most {LARGEST_DISK} are read")));
        }
        if !size.is_multiple_of(logical_sector_size.into()) {
            let problem = format!("is {size} bytes, not a multiple of the {logical_sector_size} of a sector");
            return Err(refused("VirtualDiskSize", at, problem));
        }
        Ok(Self {
            block_size,
            fixed: parameters.u32(4) & LEAVE_BLOCKS_ALLOCATED != 0,
            size,
            disk_id: Fields(&items.get::<16>("Virtual Disk ID", VIRTUAL_DISK_ID)?.0).guid(0),
            logical_sector_size,
            physical_sector_size: sector_size("PhysicalSectorSize", physical)?,
        })
    }
}

const PARENT: &str = "makes it a differencing disk, and an image must stand alone; merge it with its parent first";

/// The items that are known, each with where its entry stands in the table.
struct Items<'a> {
    file: &'a LoggedFile,
    region: Range<u64>,
    known: Vec<Item>,
}

#[derive(Debug, Clone)]
struct Item {
    id: Guid,
    entry: u64,
    place: Range<u64>,
}

impl<'a> Items<'a> {
    fn read(file: &'a LoggedFile, region: &Range<u64>) -> Result<Self, ImageError> {
        let mut bytes = vec![0; TABLE_LENGTH];
        file.read_padded(region.start, &mut bytes)?;
        if !bytes.starts_with(b"metadata") {
            return Err(refused("Signature", region.start, "is not that of the metadata table"));
        }
        let table = Fields(&bytes);
        let count = table.u16(10);
        if count > MOST_ENTRIES {
            let problem = format!("is {count}; at most {MOST_ENTRIES} items are allowed");
            return Err(refused("EntryCount", region.start + 10, problem));
        }
        let mut known: Vec<Item> = Vec::new();
        for number in 0..usize::from(count) {
            let at = ENTRIES + number * ENTRY_LENGTH;
            let entry = region.start + at as u64;
            let (id, flags) = (table.guid(at), table.u32(at + 24));
            let place = item_place(&table, at, entry, region)?;
            // A user may give an item any identifier.
            let system = flags & IS_USER == 0;
            match id {
                PARENT_LOCATOR if system => return Err(refused("Parent Locator", entry, PARENT)),
                FILE_PARAMETERS | VIRTUAL_DISK_SIZE | VIRTUAL_DISK_ID | LOGICAL_SECTOR_SIZE | PHYSICAL_SECTOR_SIZE
                    if system =>
                {
                    if known.iter().any(|item| item.id == id) {
                        return Err(refused("ItemId", entry, "is that of an earlier item too"));
                    }
                    known.push(Item { id, entry, place });
                }
                other if flags & IS_REQUIRED != 0 => {
                    let problem = format!("marks the item {other}, which is unknown; nothing can be read without it");
                    return Err(refused("IsRequired", entry + 24, problem));
                }
                _ => {}
            }
        }
        Ok(Self { file, region: region.clone(), known })
    }

    /// The bytes of an item, and where they stand.
    fn get<const N: usize>(&self, name: &str, id: Guid) -> Result<([u8; N], u64), ImageError> {
        let Some(item) = self.known.iter().find(|item| item.id == id) else {
            let problem = format!("has no item {name}; the image is damaged");
            return Err(refused("metadata table", self.region.start, problem));
        };
        let length = item.place.end - item.place.start;
        if length != N as u64 {
            let problem = format!("of the item {name} is {length}, not {N}");
            return Err(refused("Length", item.entry + 20, problem));
        }
        let mut bytes = [0; N];
        self.file.read_padded(item.place.start, &mut bytes)?;
        Ok((bytes, item.place.start))
    }
}

fn item_place(table: &Fields<'_>, at: usize, entry: u64, region: &Range<u64>) -> Result<Range<u64>, ImageError> {
    let [offset, length] = [16, 20].map(|field| u64::from(table.u32(at + field)));
    if length == 0 {
        return Ok(region.start..region.start);
    }
    if length > LONGEST_ITEM {
        return Err(refused("Length", entry + 20, format!("of an item is {length}, more than 1 MiB")));
    }
    if offset < TABLE_LENGTH as u64 || offset + length > region.end - region.start {
        let problem = "of an item leads out of the metadata region's part for items";
        return Err(refused("Offset", entry + 16, problem));
    }
    Ok(region.start + offset..region.start + offset + length)
}
