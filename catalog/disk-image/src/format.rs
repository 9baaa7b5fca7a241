use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How the bytes of a disk are laid out in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// The guest's bytes and nothing else.
    Raw,
    /// QEMU's format, version 2 or 3.
    Qcow2,
    /// `VMware`'s format, in one file or several.
    Vmdk,
    /// Virtual PC's format, which QEMU calls `vpc`.
    Vhd,
    /// Hyper-V's format.
    Vhdx,
    /// `VirtualBox`'s format.
    Vdi,
}

impl ImageFormat {
    /// All formats.
    pub const ALL: [Self; 6] = [Self::Raw, Self::Qcow2, Self::Vmdk, Self::Vhd, Self::Vhdx, Self::Vdi];

    /// The name that most tools use, which is the usual end of a file's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name of no format.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{0:?} is no image format; those are raw, qcow2, vmdk, vhd (or vpc), vhdx and vdi")]
pub struct UnknownFormat(String);

impl FromStr for ImageFormat {
    type Err = UnknownFormat;

    /// Takes the names of [`ImageFormat::name`], and QEMU's `vpc`.
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.or_else(|| (text == "vpc").then_some(Self::Vhd)).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Something that is recognised and is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// QEMU's first format, or a qcow2 of an unknown version.
    Qcow,
    /// An `ESXi` snapshot in one of its two sparse formats.
    EsxiSnapshot,
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
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow => "a qcow image of another version than 2 and 3",
            Self::EsxiSnapshot => "a snapshot of ESXi (COWD or seSparse), which shows only what changed",
            Self::Qed => "a QED image",
            Self::Parallels => "a Parallels disk",
            Self::Luks => "a LUKS volume",
            Self::Dmg => "an Apple disk image",
            Self::Iso9660 => "an ISO 9660 disc",
        })
    }
}
