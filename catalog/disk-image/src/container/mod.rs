//! What images travel in: archives with the description of a machine, and compressed streams.
//!
//! - `unpack` decodes a compressed file (`decoder`) into a file without a name (`spool`), within an allowance.
//! - `archive` lists a tar's members, and refuses what only an attacker puts there.
//! - `ovf` reads the description of a machine, `machine` finds the disk that is meant and opens it, `manifest` holds
//!   its file against its digest.
//! - `ova` is what stands around a disk in an archive that is written.

mod appliance;
mod archive;
mod blank;
mod compression;
mod contained;
mod decoder;
mod machine;
mod manifest;
mod ova;
mod ovf;
mod parcel;
mod spool;
mod unpack;

pub use appliance::{ApplianceDescription, ApplianceDisk, appliance};
pub use compression::Compression;
pub use ova::{DiskController, GuestSystem, OvaEnvelope};

pub(crate) use machine::open_ovf;
pub(crate) use parcel::open_archive;
pub(crate) use unpack::open_compressed;

use crate::{ImageError, source::ImageFile};

/// The most that a text within a container may have, in bytes: an OVF, a manifest.
const LONGEST_TEXT: u64 = 1 << 20;

/// A refusal that names the container. What parsers quote of a text is cut, and cleaned of control characters, which
/// terminals obey.
fn refused(container: impl Into<String>, problem: impl Into<String>) -> ImageError {
    const LONGEST: usize = 1024;
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let problem = problem.into().chars().take(LONGEST).map(clean).collect();
    ImageError::Container { container: container.into(), problem }
}

/// A whole small file, as text. What is no UTF-8 is replaced: it may stand in a comment.
fn read_text(file: &ImageFile, container: &str, name: &str) -> Result<String, ImageError> {
    if file.length() > LONGEST_TEXT {
        return Err(refused(container, format!("{name:?} has {} bytes, more than {LONGEST_TEXT}", file.length())));
    }
    let mut bytes = vec![0; usize::try_from(file.length()).unwrap_or(0)];
    file.read_padded(0, &mut bytes)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    Ok(String::from_utf8_lossy(text).into_owned())
}
