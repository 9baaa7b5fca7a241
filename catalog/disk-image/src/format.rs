use std::fmt;

use serde::{Deserialize, Serialize};

/// How the bytes of a disk are laid out in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// The guest's bytes and nothing else.
    Raw,
    /// QEMU's format, version 2 or 3.
    Qcow2,
}

impl ImageFormat {
    /// All formats that have a reader.
    pub const READABLE: [Self; 2] = [Self::Raw, Self::Qcow2];

    /// The name that QEMU and most tools use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A format that is recognised but has no reader here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// QEMU's first format, or a qcow2 of an unknown version.
    Qcow,
    /// A `VMware` disk, sparse or descriptor.
    Vmdk,
    /// Virtual PC.
    Vhd,
    /// Hyper-V.
    Vhdx,
    /// A `VirtualBox` disk.
    Vdi,
    /// QEMU's enhanced disk.
    Qed,
    /// Parallels.
    Parallels,
    /// An encrypted volume.
    Luks,
    /// An Apple disk image.
    Dmg,
    /// An optical disc.
    Iso9660,
    /// A tar archive, such as an OVA.
    Tar,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with xz.
    Xz,
    /// Compressed with zstd.
    Zstd,
    /// Compressed with bzip2.
    Bzip2,
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow => "a qcow image of another version than 2 and 3",
            Self::Vmdk => "a VMDK",
            Self::Vhd => "a VHD",
            Self::Vhdx => "a VHDX",
            Self::Vdi => "a VDI",
            Self::Qed => "a QED image",
            Self::Parallels => "a Parallels disk",
            Self::Luks => "a LUKS volume",
            Self::Dmg => "an Apple disk image",
            Self::Iso9660 => "an ISO 9660 disc",
            Self::Tar => "a tar archive (an OVA, perhaps)",
            Self::Gzip => "a gzip file",
            Self::Xz => "an xz file",
            Self::Zstd => "a zstd file",
            Self::Bzip2 => "a bzip2 file",
        })
    }
}
