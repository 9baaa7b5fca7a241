use std::fs::File;

use super::{Converted, Work, target_file::TargetFile};
use crate::{
    DiskView, ImageError, ImageFormat, LARGEST_DISK, SECTOR,
    container::OvaEnvelope,
    layout::{AllocationMap, Identity, Layout, PlainLayout, UnitFormat, UnitLayout},
    qcow2::{PackedQcow2Format, Qcow2Compression, Qcow2Format, Qcow2Options},
    vdi::DynamicVdiFormat,
    vhd::{DynamicVhdFormat, VhdSize, fixed_layout},
    vhdx::DynamicVhdxFormat,
    vmdk::{DEFAULT_LEVEL, SparseVmdkFormat, StreamVmdkFormat},
};

/// What to write a disk as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The guest's bytes, zeros as holes.
    Raw,
    /// QEMU's format.
    Qcow2 {
        /// 2 or 3.
        version: u32,
        /// The logarithm of the bytes in a cluster: 9 to 21.
        cluster_bits: u32,
        /// Whether and how clusters are compressed.
        packing: Option<Packing>,
    },
    /// `VMware`'s format for a hosted disk that grows (monolithicSparse).
    Vmdk,
    /// `VMware`'s format for transport (streamOptimized), compressed.
    StreamVmdk,
    /// Virtual PC's format with all bytes in their places.
    FixedVhd {
        /// Round the disk up to whole mebibytes, as Azure demands.
        whole_mebibytes: bool,
    },
    /// Virtual PC's format that grows.
    Vhd,
    /// Hyper-V's format.
    Vhdx {
        /// Guest bytes of a block; a good one when not told.
        block_size: Option<u32>,
        /// 512 or 4096; that of the source when not told.
        logical_sector_size: Option<u32>,
    },
    /// `VirtualBox`'s format.
    Vdi,
    /// An archive of a streamOptimized VMDK and the description (OVF) of a machine that has it.
    Ova {
        /// The machine's name.
        name: String,
    },
}

/// How clusters of a qcow2 are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Deflate, which every program reads.
    Deflate,
    /// Zstandard, faster and smaller, which programs read since QEMU 5.1.
    Zstd,
}

impl Target {
    /// A plain qcow2 as programs of today make it.
    pub const QCOW2: Self = Self::Qcow2 { version: 3, cluster_bits: 16, packing: None };

    /// The format of the disk in the file.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        match self {
            Self::Raw => ImageFormat::Raw,
            Self::Qcow2 { .. } => ImageFormat::Qcow2,
            Self::Vmdk | Self::StreamVmdk | Self::Ova { .. } => ImageFormat::Vmdk,
            Self::FixedVhd { .. } | Self::Vhd => ImageFormat::Vhd,
            Self::Vhdx { .. } => ImageFormat::Vhdx,
            Self::Vdi => ImageFormat::Vdi,
        }
    }

    /// Writes the disk into an empty file or a block device. The same disk and target give the same bytes.
    ///
    /// A call that fails leaves a file that is of no use; nothing is made durable.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] when the disk does not fit the format, [`ImageError::Write`] when the file does not
    /// take the bytes, [`ImageError::Cancelled`], and what the view fails with.
    pub fn write(&self, view: &dyn DiskView, file: &File, work: &Work<'_>) -> Result<Converted, ImageError> {
        let size = view.size().next_multiple_of(SECTOR);
        if size > LARGEST_DISK {
            let problem = format!("it has {size} bytes, and at most {LARGEST_DISK} are written");
            return Err(ImageError::Unwritable { format: self.format(), problem });
        }
        let mut target = TargetFile::new(file)?;
        match self {
            Self::Raw => work.write_plain(view, &target, size, None),
            Self::Qcow2 { packing: None, .. } => {
                work.write_units(view, &mut target, Qcow2Format::new(size, self.qcow2_options())?)
            }
            Self::Qcow2 { packing: Some(packing), .. } => {
                let format = PackedQcow2Format::new(size, self.qcow2_options(), packing.compression())?;
                work.write_packed(view, &mut target, format)
            }
            Self::Vmdk => work.write_units(view, &mut target, SparseVmdkFormat::new(size)?),
            Self::StreamVmdk => work.write_packed(view, &mut target, StreamVmdkFormat::new(size, DEFAULT_LEVEL)?),
            Self::Vhdx { .. } => work.write_units(view, &mut target, self.vhdx(view, size)?),
            Self::Ova { name } => {
                let format = StreamVmdkFormat::new(size, DEFAULT_LEVEL)?;
                work.write_ova(view, target, format, &OvaEnvelope::new(name, size)?)
            }
            Self::FixedVhd { .. } => {
                let rounding = self.vhd_size();
                let plan = |identity: &Identity| fixed_layout(size, rounding, identity);
                work.write_plain(view, &target, rounding.of(size)?, Some(&plan))
            }
            Self::Vhd => work.write_units(view, &mut target, DynamicVhdFormat::new(size, VhdSize::Exact)?),
            Self::Vdi => work.write_units(view, &mut target, DynamicVdiFormat::new(size)?),
        }
    }

    /// Plans the file without writing it, from what the view knows of its disk without reading it. Where units that
    /// are told to be data turn out to be zeros, a written file is smaller than the plan.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] when the disk does not fit the format, [`ImageError::Unsupported`] for compressed
    /// targets, whose plan needs the lengths of all units, and what the view fails with.
    pub fn plan(&self, view: &dyn DiskView, identity: Identity) -> Result<Box<dyn Layout>, ImageError> {
        let size = view.size().next_multiple_of(SECTOR);
        match self {
            Self::Raw => Ok(Box::new(PlainLayout::new(size, Vec::new()))),
            Self::Qcow2 { packing: None, .. } => {
                plan_units(view, Qcow2Format::new(size, self.qcow2_options())?, identity)
            }
            Self::Vmdk => plan_units(view, SparseVmdkFormat::new(size)?, identity),
            Self::Vhdx { .. } => plan_units(view, self.vhdx(view, size)?, identity),
            Self::FixedVhd { .. } => Ok(Box::new(fixed_layout(size, self.vhd_size(), &identity)?)),
            Self::Vhd => plan_units(view, DynamicVhdFormat::new(size, VhdSize::Exact)?, identity),
            Self::Vdi => plan_units(view, DynamicVdiFormat::new(size)?, identity),
            Self::Qcow2 { .. } | Self::StreamVmdk | Self::Ova { .. } => Err(ImageError::Unsupported {
                what: "plans of compressed files before they are packed".into(),
                instead: "write the file, or plan an uncompressed one".into(),
            }),
        }
    }

    fn qcow2_options(&self) -> Qcow2Options {
        match *self {
            Self::Qcow2 { version, cluster_bits, .. } => Qcow2Options { version, cluster_bits },
            _ => Qcow2Options::default(),
        }
    }

    fn vhd_size(&self) -> VhdSize {
        match self {
            Self::FixedVhd { whole_mebibytes: true } => VhdSize::WholeMebibytes,
            _ => VhdSize::Exact,
        }
    }

    fn vhdx(&self, view: &dyn DiskView, size: u64) -> Result<DynamicVhdxFormat, ImageError> {
        let (block_size, sector) = match *self {
            Self::Vhdx { block_size, logical_sector_size } => (block_size, logical_sector_size),
            _ => (None, None),
        };
        DynamicVhdxFormat::new(size, block_size.map(u64::from), sector.unwrap_or(view.logical_sector_size()))
    }
}

impl Packing {
    fn compression(self) -> Qcow2Compression {
        match self {
            Self::Deflate => Qcow2Compression::DEFLATE,
            Self::Zstd => Qcow2Compression::ZSTD,
        }
    }
}

fn plan_units<F: UnitFormat + 'static>(
    view: &dyn DiskView,
    format: F,
    identity: Identity,
) -> Result<Box<dyn Layout>, ImageError> {
    let stored = AllocationMap::of(view, format.unit())?;
    if stored.count() > format.most_units() {
        return Err(format.too_many_units());
    }
    Ok(Box::new(UnitLayout::new(format, stored, identity)))
}
