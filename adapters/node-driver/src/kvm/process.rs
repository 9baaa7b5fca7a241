//! QEMU's process, our child or one that an earlier driver left running.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use backend::MachineId;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::{io::unix::AsyncFd, process::Child, time::timeout};

use crate::{
    NodeError,
    machine_directory::{MachineDirectory, PID},
};

/// A process held by a descriptor, so that a reused number is never mistaken for it.
pub(crate) struct Process {
    pid: u32,
    handle: AsyncFd<OwnedFd>,
    /// For its exit status, and so that no zombie stays while we live.
    child: Option<Child>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With exit status 0.
    Well,
    /// With a failure, in words.
    Badly(String),
    /// It was no child of ours, and nobody tells.
    Unknown,
}

impl Process {
    pub(crate) fn of_child(child: Child) -> io::Result<Self> {
        let pid = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        let handle = open(pid)?;
        Ok(Self { pid, handle, child: Some(child) })
    }

    /// The QEMU of a machine, if one lives: the one that the driver noted, or one that was started by a driver
    /// which died before it could note it.
    pub(crate) fn find(directory: &MachineDirectory, id: &MachineId) -> Option<Self> {
        let noted = read_note(directory).filter(|(pid, started)| start_time(*pid).as_ref() == Some(started));
        let pid = noted.map(|(pid, _)| pid).or_else(|| search(directory.path(), id))?;
        let handle = open(pid).ok()?;
        // Between the look at /proc and the descriptor the number may have changed hands.
        if !is_qemu_of(pid, id) {
            return None;
        }
        Some(Self { pid, handle, child: None })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Writes down which process it is, for the next driver.
    pub(crate) fn note(&self, directory: &MachineDirectory) -> Result<(), NodeError> {
        let started = start_time(self.pid).unwrap_or_default();
        directory.replace(PID, format!("{} {started}\n", self.pid).as_bytes())
    }

    /// Waits for the end. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Ending {
        if let Some(child) = &mut self.child {
            return match child.wait().await {
                Ok(status) if status.success() => Ending::Well,
                Ok(status) => Ending::Badly(status.to_string()),
                Err(error) => Ending::Badly(error.to_string()),
            };
        }
        // A process descriptor becomes readable when the process has ended.
        match self.handle.readable().await {
            Ok(_) => Ending::Unknown,
            Err(error) => Ending::Badly(error.to_string()),
        }
    }

    /// Ends it without asking.
    pub(crate) fn kill(&self) {
        // The only failure is that it has ended already.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Ends it, and waits until nothing of it is left; `None` when the kernel does not let go of it.
    pub(crate) async fn destroy(&mut self) -> Option<Ending> {
        self.kill();
        timeout(Duration::from_secs(20), self.ended()).await.ok()
    }
}

fn open(pid: u32) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("no process number"))?;
    let handle = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    #[expect(deprecated, reason = "its successor is unsafe, for descriptors that may be closed; an OwnedFd may not")]
    AsyncFd::new(handle)
}

fn read_note(directory: &MachineDirectory) -> Option<(u32, String)> {
    let note = fs::read_to_string(directory.file(PID)).ok()?;
    let (pid, started) = note.trim().split_once(' ')?;
    Some((pid.parse().ok()?, started.to_owned()))
}

/// When a process that still runs was started, in the kernel's ticks (`proc_pid_stat(5)`, field 22).
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold anything, so fields are counted from its closing parenthesis.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

/// QEMU works in its machine's directory, which is how an unnoted one is found.
fn search(directory: &Path, id: &MachineId) -> Option<u32> {
    let directory = directory.canonicalize().ok()?;
    fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let works_here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd: PathBuf| cwd == directory);
        works_here && is_qemu_of(*pid, id)
    })
}

fn is_qemu_of(pid: u32, id: &MachineId) -> bool {
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    words.windows(2).any(|pair| pair[0] == b"-name" && pair[1] == id.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{process::Stdio, time::Duration};

    use backend::MachineId;
    use tokio::process::Command;

    use super::{Ending, Process};
    use crate::machine_directory::MachineDirectory;

    fn machine() -> (tempfile::TempDir, MachineId, MachineDirectory) {
        let root = tempfile::tempdir().unwrap();
        let id: MachineId = "m-1".parse().unwrap();
        let directory = MachineDirectory::of(root.path(), &id);
        directory.make().unwrap();
        (root, id, directory)
    }

    /// Simulates a QEMU: a shell with a QEMU's arguments, which waits for ever.
    fn simulated_qemu(directory: &MachineDirectory) -> tokio::process::Child {
        Command::new("/bin/sh")
            .args(["-c", "read never", "qemu", "-name", "m-1"])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn a_process_is_found_by_note_and_without() {
        let (_root, id, directory) = machine();
        assert!(Process::find(&directory, &id).is_none());
        let mut ours = Process::of_child(simulated_qemu(&directory)).unwrap();
        // A new process has no command line for a moment.
        let search = async {
            loop {
                if let Some(found) = Process::find(&directory, &id) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let unnoted = tokio::time::timeout(Duration::from_secs(60), search).await.expect("found by where it works");
        assert_eq!(unnoted.pid(), ours.pid());
        ours.note(&directory).unwrap();
        let mut noted = Process::find(&directory, &id).expect("found by the note");
        assert!(Process::find(&directory, &"m-2".parse().unwrap()).is_none(), "somebody else's");
        assert!(matches!(ours.destroy().await, Some(Ending::Badly(why)) if why.contains("SIGKILL")));
        assert_eq!(noted.ended().await, Ending::Unknown);
        assert!(Process::find(&directory, &id).is_none(), "the note outlives the process");
    }

    #[tokio::test]
    async fn a_reused_number_is_not_ours() {
        let (_root, id, directory) = machine();
        let this_process = std::process::id();
        directory.replace(super::PID, format!("{this_process} 1\n").as_bytes()).unwrap();
        assert!(Process::find(&directory, &id).is_none(), "another start time");
        let started = super::start_time(this_process).unwrap();
        directory.replace(super::PID, format!("{this_process} {started}\n").as_bytes()).unwrap();
        assert!(Process::find(&directory, &id).is_none(), "no QEMU of this machine");
    }
}
