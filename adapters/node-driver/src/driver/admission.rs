//! Who may have how much of this host.

use std::sync::{Arc, Mutex, PoisonError};

use backend::{Architecture, Limits, MachineSize, MachineSpec};
use disk_image::{LARGEST_DISK, SECTOR};

use crate::{NodeError, Options, host};

/// Least memory with which anything starts at all, in MiB.
const LEAST_MEMORY_MIB: u64 = 16;
/// QEMU's q35 board takes no more.
const MOST_CORES: u32 = 255;
const MOST_NAME_BYTES: usize = 1024;

/// The memory that all running machines share.
pub(super) struct Memory {
    total_mib: u64,
    given_mib: Mutex<u64>,
}

/// A running machine's part of it.
pub(super) struct MemoryLease {
    memory: Arc<Memory>,
    mib: u64,
}

impl Memory {
    pub(super) fn of(options: &Options) -> Arc<Self> {
        let host = host::memory_mib();
        let reserve = options.memory_reserve_mib.unwrap_or((host / 4).min(1024));
        Arc::new(Self { total_mib: host.saturating_sub(reserve), given_mib: Mutex::new(0) })
    }

    pub(super) fn total_mib(&self) -> u64 {
        self.total_mib
    }

    pub(super) fn given_mib(&self) -> u64 {
        *self.given_mib.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// [`NodeError::NoRoom`] when the other running machines leave too little.
    pub(super) fn lease(self: &Arc<Self>, mib: u64) -> Result<MemoryLease, NodeError> {
        let mut given = self.given_mib.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.total_mib.saturating_sub(*given);
        if mib > left {
            return Err(NodeError::NoRoom(format!(
                "{mib} MiB of memory are wanted, and {left} of {} MiB are left: stop another machine first",
                self.total_mib
            )));
        }
        *given += mib;
        Ok(MemoryLease { memory: Arc::clone(self), mib })
    }

    /// For a machine that runs already, whether there is room or not.
    pub(super) fn adopt(self: &Arc<Self>, mib: u64) -> MemoryLease {
        *self.given_mib.lock().unwrap_or_else(PoisonError::into_inner) += mib;
        MemoryLease { memory: Arc::clone(self), mib }
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        let mut given = self.memory.given_mib.lock().unwrap_or_else(PoisonError::into_inner);
        *given = given.saturating_sub(self.mib);
    }
}

/// The most that one machine may have here.
pub(super) fn limits(options: &Options, memory: &Memory) -> Limits {
    let room = host::space(&options.data_dir).map_or(LARGEST_DISK, |space| space.total);
    let disk_bytes = options.max_disk_bytes.unwrap_or(room).min(LARGEST_DISK);
    Limits {
        cores: options.max_cores.unwrap_or_else(host::cores).clamp(1, MOST_CORES),
        memory_mib: options.max_memory_mib.unwrap_or(memory.total_mib).min(memory.total_mib),
        disk_bytes,
        volume_bytes: disk_bytes,
    }
}

/// # Errors
/// [`NodeError::Refused`], naming the limit that the machine is beyond.
pub(super) fn check(spec: &MachineSpec, limits: &Limits) -> Result<(), NodeError> {
    match spec.architecture {
        Architecture::X86 | Architecture::X86_64 => {}
    }
    let MachineSpec { cores, memory_mib, disk_bytes, .. } = *spec;
    check_size(&MachineSize { cores, memory_mib, disk_bytes }, limits)?;
    check_name("machine", &spec.name)
}

/// # Errors
/// As [`check`].
pub(super) fn check_size(size: &MachineSize, limits: &Limits) -> Result<(), NodeError> {
    let refused = |problem: String| Err(NodeError::Refused(problem));
    if size.cores == 0 || size.cores > limits.cores {
        return refused(format!("{} cores are wanted: 1 to {} can be had", size.cores, limits.cores));
    }
    if size.memory_mib < LEAST_MEMORY_MIB || size.memory_mib > limits.memory_mib {
        let (wanted, most) = (size.memory_mib, limits.memory_mib);
        return refused(format!("{wanted} MiB of memory are wanted: {LEAST_MEMORY_MIB} to {most} can be had"));
    }
    if size.disk_bytes > limits.disk_bytes {
        let (wanted, most) = (size.disk_bytes, limits.disk_bytes);
        return refused(format!("a disk of {wanted} bytes is wanted: up to {most} can be had"));
    }
    Ok(())
}

/// # Errors
/// [`NodeError::Refused`] for a size that no volume can have here.
pub(super) fn check_volume_size(size_bytes: u64, limits: &Limits) -> Result<(), NodeError> {
    if size_bytes == 0 || !size_bytes.is_multiple_of(SECTOR) || size_bytes > limits.volume_bytes {
        return Err(NodeError::Refused(format!(
            "a volume of {size_bytes} bytes is wanted: a multiple of {SECTOR} up to {} can be had",
            limits.volume_bytes
        )));
    }
    Ok(())
}

/// # Errors
/// [`NodeError::Refused`] for a name that is too long to be kept.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), NodeError> {
    if name.len() > MOST_NAME_BYTES {
        return Err(NodeError::Refused(format!("the {what}'s name is longer than {MOST_NAME_BYTES} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_once_and_comes_back() {
        let mut options = Options::new("/");
        options.memory_reserve_mib = Some(host::memory_mib() - 100);
        let memory = Memory::of(&options);
        let first = memory.lease(60).unwrap();
        assert!(matches!(memory.lease(60), Err(NodeError::NoRoom(_))));
        let found = memory.adopt(60);
        assert!(memory.lease(1).is_err(), "what is found running counts beyond the total");
        drop((first, found));
        memory.lease(100).unwrap();
        assert_eq!(limits(&options, &memory).memory_mib, 100);
    }
}
