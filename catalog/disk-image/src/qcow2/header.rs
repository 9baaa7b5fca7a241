use super::{compressed::Compression, extensions::check_extensions, refused};
use crate::{ImageError, LARGEST_DISK, SECTOR, source::ImageFile};

/// The most that an L1 table may take, in bytes: QEMU's own bound.
const LARGEST_L1: u64 = 32 << 20;
/// The most that a refcount table may take, in bytes: QEMU's own bound.
const LARGEST_REFCOUNT_TABLE: u64 = 8 << 20;
const SMALLEST_CLUSTER_BITS: u32 = 9;
const LARGEST_CLUSTER_BITS: u32 = 21;
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
const READABLE: u64 = DIRTY | COMPRESSION_TYPE | EXTENDED_L2;

/// A header whose every number has been checked, alone and against the file's length.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) cluster_bits: u32,
    /// Guest-visible, in bytes.
    pub(super) size: u64,
    /// Where the table of L1 entries stands, in bytes.
    pub(super) l1_offset: u64,
    /// Entries that the guest's size needs; the file may have more.
    pub(super) l1_entries: u64,
    pub(super) refcount_table: std::ops::Range<u64>,
    pub(super) compression: Compression,
    /// Each cluster has a bitmap of subclusters.
    pub(super) extended_l2: bool,
    /// Not closed properly: refcounts may be stale, guest data is not concerned.
    pub(super) dirty: bool,
}

impl Header {
    pub(super) fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    pub(super) fn l2_entry_length(&self) -> u64 {
        if self.extended_l2 { 16 } else { 8 }
    }

    /// Clusters that one L2 table maps.
    pub(super) fn clusters_per_l2(&self) -> u64 {
        self.cluster() / self.l2_entry_length()
    }

    /// Guest bytes that one L1 entry leads to.
    pub(super) fn bytes_per_l1_entry(&self) -> u64 {
        self.clusters_per_l2() * self.cluster()
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
        check_extensions(source, features.header_length..cluster)?;

        let size = guest_size(&fields)?;
        let header = Self {
            version,
            cluster_bits,
            size,
            l1_offset: fields.u64(40),
            l1_entries: 0,
            refcount_table: refcount_table(&fields, cluster)?,
            compression: features.compression,
            extended_l2: features.extended_l2,
            dirty: features.dirty,
        };
        let l1_entries = size.div_ceil(header.bytes_per_l1_entry());
        header.check_l1(&fields, l1_entries, source.length())?;
        // A disk without bytes has no table, wherever the header says that it stands.
        let l1_offset = if l1_entries == 0 { 0 } else { header.l1_offset };
        Ok(Self { l1_entries, l1_offset, ..header })
    }

    fn check_l1(&self, fields: &Fields<'_>, needed: u64, file_length: u64) -> Result<(), ImageError> {
        let claimed = u64::from(fields.u32(36));
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
}

fn guest_size(fields: &Fields<'_>) -> Result<u64, ImageError> {
    let size = fields.u64(24);
    if size > LARGEST_DISK {
        return Err(refused("size", 24, format!("is {size} bytes; at most {LARGEST_DISK} are read")));
    }
    if !size.is_multiple_of(SECTOR) {
        // QEMU drops the odd tail, others show it: there is no one disk to agree on.
        return Err(refused("size", 24, format!("is {size} bytes, not a multiple of 512; resize the image first")));
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

/// Bounded, since data clusters are held against it; the counts themselves do not matter to a reader.
fn refcount_table(fields: &Fields<'_>, cluster: u64) -> Result<std::ops::Range<u64>, ImageError> {
    let (start, clusters) = (fields.u64(48), u64::from(fields.u32(56)));
    if !start.is_multiple_of(cluster) {
        return Err(refused("refcount_table_offset", 48, "is not a cluster's beginning"));
    }
    let length = clusters * cluster;
    if length > LARGEST_REFCOUNT_TABLE.max(cluster) {
        return Err(refused("refcount_table_clusters", 56, format!("is {clusters}, more than 8 MiB of table")));
    }
    let end = start.checked_add(length);
    end.map(|end| start..end).ok_or_else(|| refused("refcount_table_offset", 48, "leads out of the file"))
}

/// What version 3 says beyond version 2.
struct Features {
    header_length: u64,
    compression: Compression,
    extended_l2: bool,
    dirty: bool,
}

impl Features {
    fn read(fields: &Fields<'_>, version: u32) -> Result<Self, ImageError> {
        if version == 2 {
            let header_length = VERSION_2_LENGTH;
            return Ok(Self { header_length, compression: Compression::Deflate, extended_l2: false, dirty: false });
        }
        let incompatible = fields.u64(72);
        if incompatible & CORRUPT != 0 {
            return Err(refused("incompatible_features", 72, "marks the image corrupt; repair it first"));
        }
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
