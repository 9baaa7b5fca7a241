//! Facts about this host, read from the kernel.

use std::{fs, path::Path, thread::available_parallelism};

use crate::NodeError;

/// All memory of the host, or of the control group that holds us if that is less, in MiB.
pub(crate) fn memory_mib() -> u64 {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text)).unwrap_or(0);
    let bounds = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let bound = bounds.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    bound.map_or(total, |bytes| total.min(bytes >> 20))
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

/// Processors that we may use.
pub(crate) fn cores() -> u32 {
    available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// What the kernel says of the first processor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Processor {
    pub(crate) model: Option<String>,
    pub(crate) flags: Vec<String>,
}

/// More flags than any processor has, and longer ones.
const MOST_FLAGS: usize = 1024;
const MOST_CHARACTERS: usize = 128;

pub(crate) fn processor() -> Processor {
    fs::read_to_string("/proc/cpuinfo").map(|text| processor_of(&text)).unwrap_or_default()
}

fn processor_of(cpuinfo: &str) -> Processor {
    let value = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let model = value("model name").filter(|model| !model.is_empty());
    let flags = value("flags").unwrap_or_default().split_ascii_whitespace();
    Processor {
        model: model.map(|model| model.chars().take(MOST_CHARACTERS).collect()),
        flags: flags.filter(|flag| flag.len() <= MOST_CHARACTERS).take(MOST_FLAGS).map(str::to_owned).collect(),
    }
}

/// A file system's room, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    pub(crate) free: u64,
    pub(crate) total: u64,
}

/// The room where `path` is; nothing when the system does not say.
pub(crate) fn space(path: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// Refuses before the file system is full: running machines need what is left.
///
/// # Errors
/// [`NodeError::NoRoom`] when less than `wanted` and `reserve` bytes are free.
pub(crate) fn ensure_room(path: &Path, wanted: u64, reserve: u64) -> Result<(), NodeError> {
    match space(path) {
        Some(space) if space.free < reserve.saturating_add(wanted) => Err(NodeError::NoRoom(format!(
            "{} has {} MiB free, of which {} MiB are kept in reserve: free some, or remove unused images",
            path.display(),
            space.free >> 20,
            reserve >> 20
        ))),
        _ => Ok(()),
    }
}

/// Differs after every boot of the host.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_read_in_mib() {
        assert_eq!(super::total_of("MemTotal:       24051234 kB\nMemFree: 1 kB\n"), Some(23487));
        assert_eq!(super::total_of("MemTotal: many\n"), None);
        assert!(super::memory_mib() > 64, "of this very host");
    }

    #[test]
    fn the_first_processor_speaks_for_all() {
        let text = "processor\t: 0\nmodel name\t: Good Processor 7\nflags\t\t: fpu avx2\n\nprocessor\t: 1\n\
                    model name\t: Other\nflags\t\t: fpu\n";
        let processor = super::processor_of(text);
        assert_eq!(processor.model.as_deref(), Some("Good Processor 7"));
        assert_eq!(processor.flags, ["fpu", "avx2"]);
        assert_eq!(super::processor_of("nothing of the kind"), super::Processor::default());
    }
}
