use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::MarketplaceError;

const MOST_CORES: u32 = 4096;
/// 64 TiB.
const MOST_MEMORY_MIB: u64 = 64 << 20;
/// 64 TiB.
pub(crate) const MOST_DISK_BYTES: u64 = 64 << 40;

/// The least that a machine must have to run an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// What the image's code is made for.
    pub architecture: Architecture,
    /// Virtual cores, 1 to 4096.
    pub cores: u32,
    /// Memory in MiB, from 1 MiB to 64 TiB.
    pub memory_mib: u64,
    /// Size of the disk, in bytes: no less than the image's, at most 64 TiB.
    pub disk_bytes: u64,
}

impl Requirements {
    /// Checked as a part of a version, because the disk depends on the image.
    pub(crate) fn check(&self, image_bytes: u64) -> Result<(), MarketplaceError> {
        if !(1..=MOST_CORES).contains(&self.cores) {
            let problem = format!("must be 1 to {MOST_CORES}, not {}", self.cores);
            return Err(MarketplaceError::invalid("the cores that a version needs", problem));
        }
        if !(1..=MOST_MEMORY_MIB).contains(&self.memory_mib) {
            let problem = format!("must be 1 to {MOST_MEMORY_MIB} MiB, not {}", self.memory_mib);
            return Err(MarketplaceError::invalid("the memory that a version needs", problem));
        }
        if !(image_bytes..=MOST_DISK_BYTES).contains(&self.disk_bytes) {
            let problem =
                format!("must be {image_bytes} (its image) to {MOST_DISK_BYTES} bytes, not {}", self.disk_bytes);
            return Err(MarketplaceError::invalid("the disk that a version needs", problem));
        }
        Ok(())
    }
}

/// A processor architecture that images are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Architecture {
    const ALL: [Self; 2] = [Self::X86, Self::X86_64];

    /// The name that is used in catalogues: `x86`, `x86_64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::X86_64 => "x86_64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = MarketplaceError;

    fn from_str(text: &str) -> Result<Self, MarketplaceError> {
        let known = Self::ALL.into_iter().find(|architecture| architecture.name() == text);
        known.ok_or_else(|| MarketplaceError::invalid("an architecture", "must be x86 or x86_64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_have_one_name_everywhere() {
        for architecture in Architecture::ALL {
            assert_eq!(architecture.to_string().parse(), Ok(architecture));
            assert_eq!(serde_json::to_string(&architecture).unwrap(), format!("\"{architecture}\""));
        }
        assert!("amd64".parse::<Architecture>().is_err());
    }
}
