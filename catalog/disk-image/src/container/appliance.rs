use std::path::Path;

use serde::Serialize;

use super::{
    archive::Archive,
    machine::disk_name,
    ovf::{DescribedDisk, Envelope},
    parcel::description,
    read_text, refused,
};
use crate::{
    ImageError,
    probe::{Found, probe},
    source::ImageFile,
};

/// A machine as an OVA or OVF describes it. Texts come from the file and are cleaned of control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApplianceDescription {
    /// The machine's name.
    pub name: Option<String>,
    /// The guest's operating system, in words.
    pub system: Option<String>,
    /// The product that is in it.
    pub product: Option<String>,
    /// That product's version.
    pub version: Option<String>,
    /// What its maker says of it; at most 4096 characters, in several lines.
    pub annotation: Option<String>,
    /// `bios` or `efi`, in most cases.
    pub firmware: Option<String>,
    /// Virtual processors.
    pub cpus: Option<u64>,
    /// In bytes.
    pub memory: Option<u64>,
    /// In the order in which the machine sees them.
    pub disks: Vec<ApplianceDisk>,
}

/// A disk of an appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApplianceDisk {
    /// What to ask for it by ([`crate::Opening::disk`]): the name of its file, or its id when it has none.
    pub name: String,
    /// Whether it has a file. Others are to be empty.
    pub has_file: bool,
    /// Bytes of that file in an OVA, if it is there in one part.
    pub file_length: Option<u64>,
    /// The disk's size as the description has it, in bytes.
    pub capacity: Option<u64>,
    /// The URI of its file's format.
    pub format: Option<String>,
    /// Whether a drive of the machine has it.
    pub attached: bool,
}

/// Reads the description in an OVA, or in the file of an OVF. No disk is opened.
///
/// # Errors
/// [`ImageError::File`] when the file cannot be opened, [`ImageError::Container`] when it is refused or describes no
/// machine, [`ImageError::Unsupported`] when it is something else.
pub fn appliance(path: &Path) -> Result<ApplianceDescription, ImageError> {
    let source = ImageFile::open(path)?;
    match probe(&source)? {
        Found::Archive => {
            let archive = Archive::read(&source)?;
            let member = description(&archive)?
                .ok_or_else(|| refused("archive", "has no description of a machine: no file ends in .ovf"))?;
            let envelope = Envelope::parse(&read_text(&archive.open(member)?, "OVA", &member.name)?)?;
            let directory = member.name.rfind('/').map_or("", |slash| &member.name[..=slash]);
            Ok(describe(&envelope, |name| {
                let is_it = |member: &&super::archive::Member| member.name.strip_prefix(directory) == Some(name);
                archive.members().iter().find(is_it).map(|member| member.range.end - member.range.start)
            }))
        }
        Found::Ovf => Ok(describe(&Envelope::parse(&read_text(&source, "OVF", "the OVF")?)?, |_| None)),
        found => Err(ImageError::Unsupported {
            what: format!("an appliance in this file: {}", found.describe()),
            instead: "give an OVA or OVF, unpacked if it is compressed".into(),
        }),
    }
}

fn describe(envelope: &Envelope, length_of: impl Fn(&str) -> Option<u64>) -> ApplianceDescription {
    let machine = &envelope.machine;
    let line = |text: &Option<String>| text.as_deref().map(|text| clean(text, false));
    let disk = |disk: &DescribedDisk| {
        let name = disk_name(envelope, disk);
        ApplianceDisk {
            name: clean(name, false),
            has_file: disk.file.is_some(),
            file_length: disk.file.and_then(|_| length_of(name)),
            capacity: disk.capacity,
            format: line(&disk.format),
            attached: disk.attached,
        }
    };
    ApplianceDescription {
        name: line(&machine.name),
        system: line(&machine.system),
        product: line(&machine.product),
        version: line(&machine.version),
        annotation: machine.annotation.as_deref().map(|text| clean(text, true)),
        firmware: line(&machine.firmware),
        cpus: machine.processing.cpus,
        memory: machine.processing.memory,
        disks: envelope.disks.iter().map(disk).collect(),
    }
}

/// Without what a terminal would obey.
fn clean(text: &str, lines: bool) -> String {
    let kept = |c: char| if c.is_control() && !(lines && c == '\n') { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(kept).collect()
}
