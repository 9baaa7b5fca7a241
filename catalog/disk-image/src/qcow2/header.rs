use super::{
    compressed::Compression,
    extensions::{BitmapDirectory, check_extensions},
    geometry::Geometry,
    refused,
};
use crate::{ImageError, LARGEST_DISK, SECTOR, source::ImageFile};

/// The most that an L1 table may take, in bytes: QEMU's own bound.
pub(super) const LARGEST_L1: u64 = 32 << 20;
/// The most that a refcount table may take, in bytes: QEMU's own bound.
pub(super) const LARGEST_REFCOUNT_TABLE: u64 = 8 << 20;
/// QEMU's own bound.
const MOST_SNAPSHOTS: u32 = 65536;
pub(super) const SMALLEST_CLUSTER_BITS: u32 = 9;
pub(super) const LARGEST_CLUSTER_BITS: u32 = 21;
/// 32 subclusters of at least a sector each.
const SMALLEST_CLUSTER_BITS_WITH_SUBCLUSTERS: u32 = 14;

const VERSION_2_LENGTH: u64 = 72;
const SHORTEST_VERSION_3_LENGTH: u64 = 104;
/// All fields that are known to this reader.
const KNOWN_LENGTH: usize = 112;

const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA_FILE: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const READABLE: u64 = DIRTY | CORRUPT | COMPRESSION_TYPE | EXTENDED_L2;
/// Among the compatible features.
const LAZY_REFCOUNTS: u64 = 1;
/// Among the features that a program which does not know them clears.
const BITMAPS_ARE_CONSISTENT: u64 = 1;
const VERSION_2_REFCOUNT_ORDER: u32 = 4;

/// A header whose every number has been checked, alone and against the file's length.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) geometry: Geometry,
    /// Guest-visible, in bytes.
    pub(super) size: u64,
    /// Where the table of L1 entries stands, in bytes; zero for a disk without bytes.
    pub(super) l1_offset: u64,
    /// Entries of it, at least as many as the guest's size needs.
    pub(super) l1_entries: u64,
    pub(super) refcount_table: std::ops::Range<u64>,
    /// Bits of a refcount: two to the power of this.
    pub(super) refcount_order: u32,
    pub(super) snapshots: u32,
    /// Where their table stands, in bytes; checked when there are any.
    pub(super) snapshots_offset: u64,
    pub(super) compression: Compression,
    /// Not closed properly: refcounts may be stale, guest data is not concerned.
    pub(super) dirty: bool,
    /// QEMU has found contradictions in the tables, and stopped writing.
    pub(super) corrupt: bool,
    pub(super) lazy_refcounts: bool,
    pub(super) bitmaps: Option<BitmapDirectory>,
    /// Whether the bitmaps belong to the disk as it is now, and their clusters to them.
    pub(super) bitmaps_are_consistent: bool,
}

impl Header {
    pub(super) fn cluster(&self) -> u64 {
        self.geometry.cluster()
    }

    pub(super) fn read(source: &ImageFile) -> Result<Self, ImageError> {
        if source.length() < VERSION_2_LENGTH {
            return Err(refused("header", 0, "is cut off: the file is too short for one"));
        }
        let mut bytes = [0; KNOWN_LENGTH];
        source.read_padded(0, &mut bytes)?;
        let fields = Fields(&bytes);

        if bytes[..4] != super::MAGIC {
            return Err(refused("magic", 0, "is not that of qcow2"));
        }
        let version = fields.u32(4);
        if !matches!(version, 2 | 3) {
            return Err(refused("version", 4, format!("is {version}; versions 2 and 3 are read")));
        }
        let features = Features::read(&fields, version)?;
        let cluster_bits = fields.u32(20);
        let smallest =
            if features.extended_l2 { SMALLEST_CLUSTER_BITS_WITH_SUBCLUSTERS } else { SMALLEST_CLUSTER_BITS };
        if !(smallest..=LARGEST_CLUSTER_BITS).contains(&cluster_bits) {
            return Err(refused("cluster_bits", 20, format!("is {cluster_bits}, not {smallest} to 21")));
        }
        let cluster = 1_u64 << cluster_bits;
        if features.header_length > cluster {
            return Err(refused("header_length", 100, "is more than a cluster"));
        }
        refuse_references(&fields)?;
        let bitmaps = check_extensions(source, features.header_length..cluster)?;

        let geometry = Geometry { version, cluster_bits, extended_l2: features.extended_l2 };
        let header = Self {
            geometry,
            size: guest_size(fields.u64(24), 24)?,
            l1_offset: fields.u64(40),
            l1_entries: fields.u32(36).into(),
            refcount_table: refcount_table(&fields, cluster, source.length())?,
            refcount_order: features.refcount_order,
            snapshots: fields.u32(60),
            snapshots_offset: fields.u64(64),
            compression: features.compression,
            dirty: features.dirty,
            corrupt: features.corrupt,
            lazy_refcounts: features.lazy_refcounts,
            bitmaps,
            bitmaps_are_consistent: features.bitmaps_are_consistent,
        };
        header.check_l1(source.length())?;
        header.check_snapshots(source.length())?;
        // A disk without bytes has no table, wherever the header says that it stands.
        if header.size == 0 {
            return Ok(Self { l1_entries: 0, l1_offset: 0, ..header });
        }
        Ok(header)
    }

    fn check_l1(&self, file_length: u64) -> Result<(), ImageError> {
        let claimed = self.l1_entries;
        let needed = self.size.div_ceil(self.geometry.bytes_per_l1_entry());
        if claimed * 8 > LARGEST_L1 {
            return Err(refused("l1_size", 36, format!("is {claimed} entries, more than 32 MiB of table")));
        }
        if claimed < needed {
            return Err(refused("l1_size", 36, format!("is {claimed}, but the disk's size needs {needed} entries")));
        }
        if needed == 0 {
            return Ok(());
        }
        if self.l1_offset == 0 || !self.l1_offset.is_multiple_of(self.cluster()) {
            return Err(refused("l1_table_offset", 40, "is not a cluster's beginning behind the header"));
        }
        if self.l1_offset.checked_add(needed * 8).is_none_or(|end| end > file_length) {
            return Err(refused("l1_table_offset", 40, "leads out of the file; it may have been cut off"));
        }
        Ok(())
    }

    fn check_snapshots(&self, file_length: u64) -> Result<(), ImageError> {
        let (count, offset) = (self.snapshots, self.snapshots_offset);
        if count > MOST_SNAPSHOTS {
            return Err(refused("nb_snapshots", 60, format!("is {count}, more than {MOST_SNAPSHOTS}")));
        }
        if count == 0 {
            return Ok(());
        }
        if offset == 0 || !offset.is_multiple_of(self.cluster()) {
            return Err(refused("snapshots_offset", 64, "is not a cluster's beginning behind the header"));
        }
        if offset >= file_length {
            return Err(refused("snapshots_offset", 64, "leads out of the file; it may have been cut off"));
        }
        Ok(())
    }
}

/// The size of a disk or snapshot, which the field at `at` gives.
pub(super) fn guest_size(size: u64, at: u64) -> Result<u64, ImageError> {
    if size > LARGEST_DISK {
        return Err(refused("size", at, format!("is {size} bytes; at most {LARGEST_DISK} are read")));
    }
    if !size.is_multiple_of(SECTOR) {
        // QEMU drops the odd tail, others show it: there is no one disk to agree on.
        return Err(refused("size", at, format!("is {size} bytes, not a multiple of 512; resize the image first")));
    }
    Ok(size)
}

fn refuse_references(fields: &Fields<'_>) -> Result<(), ImageError> {
    if fields.u64(8) != 0 {
        return Err(refused(
            "backing_file_offset",
            8,
            "names a backing file, and an image must stand alone; flatten it first (qemu-img convert)",
        ));
    }
    match fields.u32(32) {
        0 => Ok(()),
        method => Err(refused("crypt_method", 32, format!("is {method}: the image is encrypted; decrypt it first"))),
    }
}

/// The counts themselves do not matter to a reader, but the table must not lie upon others.
fn refcount_table(fields: &Fields<'_>, cluster: u64, file_length: u64) -> Result<std::ops::Range<u64>, ImageError> {
    let (start, clusters) = (fields.u64(48), u64::from(fields.u32(56)));
    if clusters == 0 {
        return Ok(0..0);
    }
    if start == 0 || !start.is_multiple_of(cluster) {
        return Err(refused("refcount_table_offset", 48, "is not a cluster's beginning behind the header"));
    }
    let length = clusters * cluster;
    if length > LARGEST_REFCOUNT_TABLE.max(cluster) {
        return Err(refused("refcount_table_clusters", 56, format!("is {clusters}, more than 8 MiB of table")));
    }
    match start.checked_add(length) {
        Some(end) if start < file_length => Ok(start..end),
        _ => Err(refused("refcount_table_offset", 48, "leads out of the file; it may have been cut off")),
    }
}

/// What version 3 says beyond version 2.
struct Features {
    header_length: u64,
    compression: Compression,
    extended_l2: bool,
    dirty: bool,
    corrupt: bool,
    lazy_refcounts: bool,
    bitmaps_are_consistent: bool,
    refcount_order: u32,
}

impl Features {
    fn read(fields: &Fields<'_>, version: u32) -> Result<Self, ImageError> {
        if version == 2 {
            return Ok(Self {
                header_length: VERSION_2_LENGTH,
                compression: Compression::Deflate,
                extended_l2: false,
                dirty: false,
                corrupt: false,
                lazy_refcounts: false,
                bitmaps_are_consistent: false,
                refcount_order: VERSION_2_REFCOUNT_ORDER,
            });
        }
        let incompatible = fields.u64(72);
        if incompatible & EXTERNAL_DATA_FILE != 0 {
            return Err(refused(
                "incompatible_features",
                72,
                "asks for an external data file, and an image must stand alone; convert it first",
            ));
        }
        if incompatible & !READABLE != 0 {
            let unknown = incompatible & !READABLE;
            return Err(refused("incompatible_features", 72, format!("has unknown bits {unknown:#x}")));
        }
        let refcount_order = fields.u32(96);
        if refcount_order > 6 {
            return Err(refused("refcount_order", 96, format!("is {refcount_order}, more than 6")));
        }
        let header_length = u64::from(fields.u32(100));
        if header_length < SHORTEST_VERSION_3_LENGTH || !header_length.is_multiple_of(8) {
            return Err(refused("header_length", 100, format!("is {header_length}, not a multiple of 8 from 104 on")));
        }
        let declared = if header_length > SHORTEST_VERSION_3_LENGTH { fields.0[104] } else { 0 };
        let compression = match declared {
            0 => Compression::Deflate,
            1 => Compression::Zstd,
            other => return Err(refused("compression_type", 104, format!("is {other}, which is unknown"))),
        };
        if (incompatible & COMPRESSION_TYPE != 0) != (declared != 0) {
            return Err(refused("compression_type", 104, format!("is {declared}, against incompatible_features")));
        }
        Ok(Self {
            header_length,
            compression,
            extended_l2: incompatible & EXTENDED_L2 != 0,
            dirty: incompatible & DIRTY != 0,
            corrupt: incompatible & CORRUPT != 0,
            lazy_refcounts: fields.u64(80) & LAZY_REFCOUNTS != 0,
            bitmaps_are_consistent: fields.u64(88) & BITMAPS_ARE_CONSISTENT != 0,
            refcount_order,
        })
    }
}

/// Big-endian numbers at fixed places.
struct Fields<'a>(&'a [u8; KNOWN_LENGTH]);

impl Fields<'_> {
    fn u32(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[at..at + 4]);
        u32::from_be_bytes(bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        u64::from_be_bytes(bytes)
    }
}
