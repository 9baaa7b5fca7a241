use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::manifest::hex;
use crate::{ImageError, ImageFormat, LARGEST_DISK, SECTOR};

const BLOCK: u64 = 512;
/// Digits of the largest length.
const DIGITS: usize = 20;
/// What `VMware` takes for a machine's name, in characters.
const LONGEST_NAME: usize = 80;
/// So that all names fit a tar header.
const LONGEST_STEM: usize = 60;

/// What the guest is, as far as it is known: it decides which system the description names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuestSystem {
    /// Any 64-bit system.
    #[default]
    Other,
    /// A 64-bit Linux.
    Linux,
}

/// What the disk is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskController {
    /// AHCI, which all systems have a driver for.
    #[default]
    Sata,
    /// LSI Logic's parallel SCSI, for programs that know no SATA in an OVF.
    Scsi,
}

/// What stands around one disk's file in an OVA: the archive's headers, the machine's description (OVF 1.0) and the
/// manifest before it, the archive's end behind it.
///
/// The length of what comes before does not depend on the disk's file: it can be written when all else is. The same
/// arguments give the same bytes.
#[derive(Debug, Clone)]
pub struct OvaEnvelope {
    name: String,
    stem: String,
    capacity: u64,
    cpus: u32,
    memory: u32,
    system: GuestSystem,
    controller: DiskController,
    efi: bool,
}

impl OvaEnvelope {
    /// For a machine of this name, with a disk of `capacity` bytes in a streamOptimized VMDK, one processor and 1 GiB
    /// of memory.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] when the disk is larger than [`LARGEST_DISK`] or not of whole sectors.
    pub fn new(name: &str, capacity: u64) -> Result<Self, ImageError> {
        if capacity > LARGEST_DISK || !capacity.is_multiple_of(SECTOR) {
            let problem = format!("a disk of {capacity} bytes is no multiple of {SECTOR} up to {LARGEST_DISK}");
            return Err(ImageError::Unwritable { format: ImageFormat::Vmdk, problem });
        }
        // XML has no characters for those.
        let forbidden = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
        let name: String = name.trim().chars().filter(|c| !forbidden(*c)).take(LONGEST_NAME).collect();
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        let stem: String = name.chars().map(plain).take(LONGEST_STEM).collect();
        let stem = stem.trim_matches(['.', '-']);
        let or_machine = |text: &str| if text.is_empty() { "machine".to_owned() } else { text.to_owned() };
        Ok(Self {
            stem: or_machine(stem),
            name: or_machine(&name),
            capacity,
            cpus: 1,
            memory: 1024,
            system: GuestSystem::default(),
            controller: DiskController::default(),
            efi: false,
        })
    }

    /// Processors, at least one, and memory in MiB, at least 4.
    #[must_use]
    pub fn sized(self, cpus: u32, memory: u32) -> Self {
        Self { cpus: cpus.max(1), memory: memory.max(4), ..self }
    }

    /// What the guest is.
    #[must_use]
    pub fn system(self, system: GuestSystem) -> Self {
        Self { system, ..self }
    }

    /// What the disk is attached to.
    #[must_use]
    pub fn controller(self, controller: DiskController) -> Self {
        Self { controller, ..self }
    }

    /// Whether the guest starts by UEFI instead of a BIOS.
    #[must_use]
    pub fn efi(self, efi: bool) -> Self {
        Self { efi, ..self }
    }

    /// The name of the disk's file within the archive.
    #[must_use]
    pub fn disk_file_name(&self) -> String {
        format!("{}-disk1.vmdk", self.stem)
    }

    /// Bytes before the disk's file.
    #[must_use]
    pub fn head_length(&self) -> u64 {
        self.head(0, [0; 32], 0).len() as u64
    }

    /// Bytes of the whole archive.
    #[must_use]
    pub fn length(&self, disk_file_length: u64) -> u64 {
        self.head_length() + disk_file_length + self.tail(disk_file_length).len() as u64
    }

    /// All before the disk's file: that has `disk_file_length` bytes and this SHA-256 digest, and holds `populated`
    /// bytes of the disk.
    #[must_use]
    pub fn head(&self, disk_file_length: u64, disk_sha256: [u8; 32], populated: u64) -> Vec<u8> {
        let description = self.description(disk_file_length, populated);
        let manifest = self.manifest(description.as_bytes(), &disk_sha256);
        let mut head = Vec::new();
        for (end, text) in [("ovf", description), ("mf", manifest)] {
            head.extend_from_slice(&header(&format!("{}.{end}", self.stem), text.len() as u64));
            head.extend_from_slice(text.as_bytes());
            head.resize(head.len().next_multiple_of(BLOCK as usize), 0);
        }
        head.extend_from_slice(&header(&self.disk_file_name(), disk_file_length));
        head
    }

    /// All behind the disk's file: zeros up to a whole block, and two blocks of zeros.
    #[must_use]
    pub fn tail(&self, disk_file_length: u64) -> Vec<u8> {
        let padding = disk_file_length.next_multiple_of(BLOCK) - disk_file_length;
        vec![0; usize::try_from(padding + 2 * BLOCK).unwrap_or(0)]
    }

    fn manifest(&self, description: &[u8], disk_sha256: &[u8; 32]) -> String {
        let lines = [
            (format!("{}.ovf", self.stem), hex(&Sha256::digest(description))),
            (self.disk_file_name(), hex(disk_sha256)),
        ];
        lines.iter().fold(String::new(), |mut text, (name, digest)| {
            let _ = writeln!(text, "SHA256({name})= {digest}");
            text
        })
    }

    fn description(&self, disk_file_length: u64, populated: u64) -> String {
        let padded = |number: u64| {
            let text = format!("\"{number}\"");
            format!("{text:<width$}", width = DIGITS + 2)
        };
        let (system, description, vmware_system) = match self.system {
            GuestSystem::Other => (102, "Other 64-bit", "otherGuest64"),
            GuestSystem::Linux => (101, "Linux 64-bit", "otherLinux64Guest"),
        };
        let (controller, subtype, kind) = match self.controller {
            DiskController::Sata => ("SATA Controller", "vmware.sata.ahci", 20),
            DiskController::Scsi => ("SCSI Controller", "lsilogic", 6),
        };
        let firmware = if self.efi {
            "\n      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>"
        } else {
            ""
        };
        TEMPLATE
            .replace("@FILE@", &self.disk_file_name())
            .replace("@LENGTH@", &padded(disk_file_length))
            .replace("@CAPACITY@", &self.capacity.to_string())
            .replace("@POPULATED@", &padded(populated))
            .replace("@ID@", &self.stem)
            .replace("@SYSTEM@", &system.to_string())
            .replace("@VMWARE-SYSTEM@", vmware_system)
            .replace("@DESCRIPTION@", description)
            .replace("@CPUS@", &self.cpus.to_string())
            .replace("@MEMORY@", &self.memory.to_string())
            .replace("@CONTROLLER@", controller)
            .replace("@SUBTYPE@", subtype)
            .replace("@KIND@", &kind.to_string())
            .replace("@FIRMWARE@", firmware)
            // The last, since a name may look like one of the others.
            .replace("@NAME@", &escaped(&self.name))
    }
}

/// A header of a plain file, of nobody and of no time. Lengths above 8 GiB are written as GNU and `VMware` do.
fn header(name: &str, length: u64) -> [u8; 512] {
    let mut header = tar::Header::new_ustar();
    let bytes = header.as_mut_bytes();
    let name = &name.as_bytes()[..name.len().min(100)];
    bytes[..name.len()].copy_from_slice(name);
    header.set_size(length);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    *header.as_bytes()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The elements of an item stand in the order of the alphabet, as the schema has them.
const TEMPLATE: &str = include_str!("machine.ovf");
