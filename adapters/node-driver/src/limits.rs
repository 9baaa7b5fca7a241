//! What one QEMU may take from the host, whatever its guest does to it.
//!
//! Always: no core dumps, and a bound on open files, which is also the bound on a guest's network connections.
//! Where the driver may make control groups (cgroup v1, or a delegated cgroup v2): memory. An address space limit
//! would be of no use: QEMU reserves far more than it touches, and aborts when it is refused.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use backend::MachineId;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::machine_directory::{GROUP, MachineDirectory};

const OPEN_FILES: u64 = 1024;

/// The memory bound of one QEMU; gone when dropped, which is to be after the process.
#[derive(Debug)]
pub(crate) struct MemoryBound {
    group: PathBuf,
}

/// Bounds a process that has not run its guest yet.
pub(crate) fn apply(
    pid: u32,
    directory: &MachineDirectory,
    id: &MachineId,
    memory_mib: u64,
) -> io::Result<Option<MemoryBound>> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let both = |most| Rlimit { current: Some(most), maximum: Some(most) };
    prlimit(number, Resource::Core, both(0))?;
    prlimit(number, Resource::Nofile, both(OPEN_FILES))?;
    Ok(bound_memory(pid, directory, id, memory_mib))
}

/// What QEMU may need beside the guest's memory, in MiB: translated code, devices, screen, the kernel's share.
pub(crate) fn overhead_mib(memory_mib: u64) -> u64 {
    crate::kvm::command_line::TRANSLATION_MIB + 256 + memory_mib / 16
}

/// The bound that an earlier driver made for a process.
pub(crate) fn adopt(pid: u32, id: &MachineId) -> Option<MemoryBound> {
    let hierarchy = Hierarchy::of(pid)?;
    let ours = hierarchy.group.file_name().is_some_and(|name| name.to_string_lossy() == name_for(id));
    ours.then_some(MemoryBound { group: hierarchy.group })
}

/// Removes the bound of a machine whose process ended while no driver was there. The driver that made it may have
/// been in another group than this one.
pub(crate) fn clear(directory: &MachineDirectory, id: &MachineId) {
    let Ok(group) = fs::read_to_string(directory.file(GROUP)).map(PathBuf::from) else { return };
    if group.starts_with("/sys/fs/cgroup") && group.ends_with(name_for(id)) && group.is_dir() {
        drop(MemoryBound { group });
    }
}

fn name_for(id: &MachineId) -> String {
    format!("tombolo-{id}")
}

fn bound_memory(pid: u32, directory: &MachineDirectory, id: &MachineId, memory_mib: u64) -> Option<MemoryBound> {
    let hierarchy = Hierarchy::of(std::process::id())?;
    let group = hierarchy.group.join(name_for(id));
    let most = (memory_mib + overhead_mib(memory_mib)) << 20;
    if hierarchy.unified {
        // Fails where the group has processes of its own, which is so unless it was delegated and prepared.
        let _ = fs::write(hierarchy.group.join("cgroup.subtree_control"), "+memory");
    }
    fs::write(directory.file(GROUP), group.as_os_str().as_encoded_bytes()).ok()?;
    fs::create_dir(&group).or_else(|error| if group.is_dir() { Ok(()) } else { Err(error) }).ok()?;
    let bound = MemoryBound { group };
    let limit = if hierarchy.unified { "memory.max" } else { "memory.limit_in_bytes" };
    fs::write(bound.group.join(limit), most.to_string()).ok()?;
    fs::write(bound.group.join("cgroup.procs"), pid.to_string()).ok()?;
    Some(bound)
}

/// Whether machines' memory can be bounded here, for people.
pub(crate) fn describe() -> &'static str {
    let Ok(id) = format!("check-{}", uuid::Uuid::new_v4()).try_into() else { return "unknown" };
    let Some(hierarchy) = Hierarchy::of(std::process::id()) else { return "no control groups" };
    let bound = MemoryBound { group: hierarchy.group.join(name_for(&id)) };
    let limit = if hierarchy.unified { "memory.max" } else { "memory.limit_in_bytes" };
    match fs::create_dir(&bound.group).and_then(|()| fs::write(bound.group.join(limit), (1_u64 << 30).to_string())) {
        Ok(()) => "by control group",
        Err(_) => "not bounded: the driver may not make control groups",
    }
}

impl Drop for MemoryBound {
    fn drop(&mut self) {
        // The kernel lets go of a dead process's group a little later than of the process.
        for pause in [0, 1, 10, 100] {
            std::thread::sleep(Duration::from_millis(pause));
            match fs::remove_dir(&self.group) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                _ => return,
            }
        }
        tracing::warn!(group = %self.group.display(), "a control group is left behind");
    }
}

/// Where a process stands among the control groups that bound memory.
struct Hierarchy {
    group: PathBuf,
    unified: bool,
}

impl Hierarchy {
    fn of(pid: u32) -> Option<Self> {
        let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Self::parse(&membership, &mounts)
    }

    /// From the formats of `cgroups(7)` and `proc_pid_mountinfo(5)`.
    fn parse(membership: &str, mounts: &str) -> Option<Self> {
        let mut groups = membership.lines().filter_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            Some((controllers, path))
        });
        let own_hierarchy = groups.clone().find(|(controllers, _)| controllers.split(',').any(|c| c == "memory"));
        let unified = own_hierarchy.is_none();
        let (_, path) = own_hierarchy.or_else(|| groups.find(|(controllers, _)| controllers.is_empty()))?;
        let (root, point) = mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut kind = kind.split(' ');
            let fits = match kind.next()? {
                "cgroup2" => unified,
                "cgroup" => !unified && kind.nth(1)?.split(',').any(|option| option == "memory"),
                _ => false,
            };
            let mut place = place.split(' ').skip(3);
            fits.then(|| Some((place.next()?, place.next()?)))?
        })?;
        let inside = if root == "/" { path } else { path.strip_prefix(root).unwrap_or("") };
        let group = Path::new(point).join(inside.trim_start_matches('/'));
        Some(Self { group, unified })
    }
}

#[cfg(test)]
mod tests {
    use super::Hierarchy;

    const V1: &str = "30 25 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      31 25 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const V2: &str = "31 25 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn both_versions_of_control_groups_are_found() {
        let old = Hierarchy::parse("4:memory:/a/b\n1:cpu:/\n0::/\n", V1).unwrap();
        assert_eq!((old.group.to_str().unwrap(), old.unified), ("/sys/fs/cgroup/memory/a/b", false));
        let new = Hierarchy::parse("0::/system.slice/tombolo.service\n", V2).unwrap();
        assert_eq!((new.group.to_str().unwrap(), new.unified), ("/sys/fs/cgroup/system.slice/tombolo.service", true));
        assert!(Hierarchy::parse("0::/\n", "").is_none());
    }
}
