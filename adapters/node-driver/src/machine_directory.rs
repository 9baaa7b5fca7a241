//! What one machine keeps on disk: `<data_dir>/machines/<machine-id>/`.
//!
//! The directory exists before the machine and after it; its record (`machine.json`) decides what it is worth. A
//! directory without a readable record is half made or half removed, and goes at the next opportunity.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use backend::{IntentTag, MacAddress, MachineId, MachineSize, NetworkId, VolumeId};
use disk_image::ContentDigest;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::NodeError;

pub(crate) const RECORD: &str = "machine.json";
pub(crate) const DISK: &str = "disk.qcow2";
pub(crate) const SEED: &str = "seed.iso";
pub(crate) const QEMU_LOG: &str = "qemu.log";
pub(crate) const QMP_SOCKET: &str = "qmp.sock";
pub(crate) const SERIAL_SOCKET: &str = "serial.sock";
pub(crate) const SERIAL_LOG: &str = "serial.log";
pub(crate) const VNC_SOCKET: &str = "vnc.sock";
pub(crate) const PID: &str = "pid";
pub(crate) const GROUP: &str = "cgroup";
/// A hibernated guest's memory. It is there only while the guest has not run since it was written.
pub(crate) const MEMORY: &str = "memory";
/// The same while it is being written.
pub(crate) const HALF_MEMORY: &str = "memory.new";
/// A copy of the disk on its way out.
pub(crate) const SAVED: &str = "saved.qcow2";

const RECORD_VERSION: u32 = 1;
const MOST_RECORD_BYTES: u64 = 256 << 10;

/// What the driver remembers of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) id: MachineId,
    pub(crate) tag: IntentTag,
    pub(crate) name: String,
    pub(crate) image: ContentDigest,
    pub(crate) hardware: Hardware,
    /// The host's TCP port that leads to the guest's port 22; kept for the next start when it is free then.
    pub(crate) ssh_port: u16,
    pub(crate) lifecycle: Lifecycle,
    /// The volumes that are in it, or are to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<Inserted>,
    /// The interfaces that are in it beside its own, or are to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) interfaces: Vec<Plugged>,
}

/// An interface to a network of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plugged {
    /// The intent behind it.
    pub(crate) tag: IntentTag,
    pub(crate) network: NetworkId,
    pub(crate) mac: MacAddress,
    /// Which of the board's places for interfaces it takes.
    pub(crate) slot: u8,
    /// It is being taken out.
    #[serde(default)]
    pub(crate) leaving: bool,
}

/// A volume in the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inserted {
    /// The intent behind it.
    pub(crate) tag: IntentTag,
    pub(crate) volume: VolumeId,
    /// Which of the board's places for volumes it takes.
    pub(crate) slot: u8,
    /// It is being taken out.
    #[serde(default)]
    pub(crate) leaving: bool,
}

/// What the guest sees, the same at every start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hardware {
    /// QEMU's versioned machine type, so that a newer QEMU shows the guest the same board.
    pub(crate) machine_type: String,
    pub(crate) cores: u32,
    pub(crate) memory_mib: u64,
    pub(crate) mac: String,
    /// Least size of the root disk, in bytes: a smaller one grows at the next start.
    #[serde(default)]
    pub(crate) disk_bytes: u64,
}

impl Hardware {
    pub(crate) fn size(&self) -> MachineSize {
        MachineSize { cores: self.cores, memory_mib: self.memory_mib, disk_bytes: self.disk_bytes }
    }
}

/// Where a machine is meant to be going. Written before anything is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(crate) enum Lifecycle {
    /// Nobody has been told of it yet: removed when the driver comes back.
    Creating,
    /// Runs, or is about to.
    Running,
    /// Asked to stop; killed at the deadline (milliseconds since 1970).
    Stopping { deadline: u64, then_start: bool },
    /// Frozen, with its memory in memory.
    Suspended { detail: Option<String> },
    /// Frozen, and its memory is on its way to the disk.
    Hibernating,
    /// Off, with its memory on disk.
    Hibernated,
    /// Off.
    Stopped { detail: Option<String> },
    /// Off, and not by anybody's wish.
    Failed { detail: String },
}

impl Record {
    pub(crate) fn new(id: MachineId, tag: IntentTag, name: String, image: ContentDigest, hardware: Hardware) -> Self {
        Self {
            version: RECORD_VERSION,
            id,
            tag,
            name,
            image,
            hardware,
            ssh_port: 0,
            lifecycle: Lifecycle::Creating,
            volumes: Vec::new(),
            interfaces: Vec::new(),
        }
    }
}

/// One machine's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MachineDirectory {
    path: PathBuf,
}

impl MachineDirectory {
    /// Of a machine that has, or had, or will have one.
    pub(crate) fn of(machines: &Path, id: &MachineId) -> Self {
        Self { path: machines.join(id.as_str()) }
    }

    /// Makes an empty one, in place of a half-made one.
    pub(crate) fn make(&self) -> Result<(), NodeError> {
        self.remove()?;
        make_private(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The record, if there is a whole one.
    pub(crate) fn read_record(&self) -> Result<Record, NodeError> {
        let path = self.file(RECORD);
        let read = || -> io::Result<Record> {
            let mut text = Vec::new();
            File::open(&path)?.take(MOST_RECORD_BYTES).read_to_end(&mut text)?;
            let record: Record = serde_json::from_slice(&text)?;
            if record.version != RECORD_VERSION {
                return Err(io::Error::other(format!("version {} was written by another driver", record.version)));
            }
            if self.path.file_name().is_none_or(|name| name != record.id.as_str()) {
                return Err(io::Error::other(format!("it is about machine {}", record.id)));
            }
            Ok(record)
        };
        read().map_err(NodeError::file("read", &path))
    }

    /// Replaces the record, all or nothing, also if the power fails.
    pub(crate) fn write_record(&self, record: &Record) -> Result<(), NodeError> {
        let text = serde_json::to_vec_pretty(record).map_err(|error| NodeError::Internal(error.to_string()))?;
        self.replace(RECORD, &text)
    }

    /// Replaces a file of the directory, all or nothing.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> Result<(), NodeError> {
        replace(&self.path, name, content)
    }

    /// Connects to one of the machine's sockets. The path goes through a descriptor, since a socket's address
    /// holds at most 107 bytes and data directories may be longer.
    pub(crate) async fn connect(&self, socket: &str) -> io::Result<UnixStream> {
        let directory = File::open(&self.path)?;
        UnixStream::connect(format!("/proc/self/fd/{}/{socket}", directory.as_raw_fd())).await
    }

    /// Removes a file of the directory, if it is there.
    pub(crate) fn discard(&self, name: &str) -> Result<(), NodeError> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(NodeError::file("remove", self.file(name))(error)),
            Ok(()) => sync_directory(&self.path),
            Err(_) => Ok(()),
        }
    }

    /// QEMU's last words, at most about 2000 bytes of them, on one line.
    pub(crate) fn last_words(&self) -> String {
        const MOST: u64 = 2000;
        let read = || -> io::Result<Vec<u8>> {
            let mut log = File::open(self.file(QEMU_LOG))?;
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
            let mut tail = Vec::new();
            log.take(MOST).read_to_end(&mut tail)?;
            Ok(tail)
        };
        let tail = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.len().saturating_sub(8);
        lines[last..].join("; ").replace(|c: char| c.is_control(), " ")
    }

    /// Removes everything, the record first: a removal cut short is then seen as one.
    pub(crate) fn remove(&self) -> Result<(), NodeError> {
        for gone in [fs::remove_file(self.file(RECORD)), fs::remove_dir_all(&self.path)] {
            match gone {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(NodeError::File { operation: "remove", path: self.path.clone(), source: error });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The directories under `machines`, with a name that a machine can have.
pub(crate) fn all(machines: &Path) -> Result<Vec<(MachineId, MachineDirectory)>, NodeError> {
    let failed = |source| NodeError::File { operation: "list", path: machines.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(machines).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        match name.to_str().and_then(|name| name.parse::<MachineId>().ok()) {
            Some(id) => {
                let directory = MachineDirectory::of(machines, &id);
                found.push((id, directory));
            }
            None => tracing::warn!(name = %name.to_string_lossy(), "not a machine's directory, left alone"),
        }
    }
    Ok(found)
}

/// Replaces a file of a directory, all or nothing, also if the power fails.
pub(crate) fn replace(directory: &Path, name: &str, content: &[u8]) -> Result<(), NodeError> {
    let (fresh, path) = (directory.join(format!("{name}.new")), directory.join(name));
    write_private(&fresh, content)?;
    fs::rename(&fresh, &path).map_err(NodeError::file("replace", &path))?;
    sync_directory(directory)
}

/// A directory for nobody else's eyes, with its parents; one that is there already is left as it is.
pub(crate) fn make_private(path: &Path) -> Result<(), NodeError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(NodeError::file("make", path))
}

/// A file for nobody else's eyes, on disk when this returns.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), NodeError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(NodeError::file("write", path))
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), NodeError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(NodeError::file("write", path))
}
