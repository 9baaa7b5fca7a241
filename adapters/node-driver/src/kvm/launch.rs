//! From a record to a QEMU whose processors run.

use std::{
    fs::{File, OpenOptions, remove_file},
    io,
    os::unix::fs::OpenOptionsExt,
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::UnixStream,
    process::Command,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    command_line::{Start, arguments},
    process::{Ending, Process},
    qmp::Qmp,
};
use crate::machine_directory::{MachineDirectory, PID, QEMU_LOG, QMP_SOCKET, SERIAL_SOCKET, VNC_SOCKET};

/// From the start of the process to the answer on its control socket. Half a second is usual.
const PATIENCE: Duration = Duration::from_secs(30);
/// From the loss of a control socket to the end of the process.
const DYING: Duration = Duration::from_secs(2);

/// A QEMU under our control.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) qmp: Qmp,
    pub(crate) serial: UnixStream,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum LaunchError {
    /// Somebody else took the forwarded port.
    PortTaken,
    /// Anything else, with QEMU's last words.
    Failed(String),
}

/// Starts QEMU, with the guest's processors still halted.
///
/// QEMU gets a process group of its own, so that no key pressed in the driver's terminal reaches it, and neither
/// input nor output of the driver's, so that it can outlive it.
pub(crate) async fn launch(start: &Start<'_>, directory: &MachineDirectory) -> Result<Running, LaunchError> {
    let mut process = spawn(start, directory).map_err(|error| {
        LaunchError::Failed(format!("{} cannot be started: {error}", start.hypervisor.program.display()))
    })?;
    let connected = tokio::select! {
        ending = process.ended() => Err(explain(&ending, directory)),
        connected = connect(directory) => connected,
    };
    let connected = match connected {
        // A QEMU that finds its port taken has opened its sockets before, and closes them without a word.
        Err(LaunchError::Failed(problem)) => match timeout(DYING, process.ended()).await {
            Ok(ending) => Err(explain(&ending, directory)),
            Err(_) => Err(LaunchError::Failed(problem)),
        },
        connected => connected,
    };
    let noted = process.note(directory).map_err(|error| LaunchError::Failed(error.to_string()));
    match connected.and_then(|lines| noted.map(|()| lines)) {
        Ok((qmp, serial)) => Ok(Running { process, qmp, serial }),
        Err(error) => {
            process.destroy().await;
            Err(error)
        }
    }
}

fn spawn(start: &Start<'_>, directory: &MachineDirectory) -> io::Result<Process> {
    for stale in [QMP_SOCKET, SERIAL_SOCKET, VNC_SOCKET, PID] {
        // Of an earlier start; QEMU replaces what cannot be removed here, or says so.
        let _ = remove_file(directory.file(stale));
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(directory.file(QEMU_LOG))?;
    log.set_len(0)?;
    let child = Command::new(&start.hypervisor.program)
        .args(arguments(start))
        .current_dir(directory.path())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(File::try_clone(&log)?)
        .stderr(log)
        .spawn()?;
    Process::of_child(child)
}

async fn connect(directory: &MachineDirectory) -> Result<(Qmp, UnixStream), LaunchError> {
    let deadline = Instant::now() + PATIENCE;
    let silent = || LaunchError::Failed(format!("no answer within {} s", PATIENCE.as_secs()));
    let appear = async {
        loop {
            if let Ok(line) = directory.connect(QMP_SOCKET).await {
                return line;
            }
            sleep(Duration::from_millis(4)).await;
        }
    };
    let line = timeout_at(deadline, appear).await.map_err(|_| silent())?;
    let greeted = timeout_at(deadline, Qmp::greet(line)).await.map_err(|_| silent())?;
    let qmp = greeted.map_err(|error| LaunchError::Failed(error.to_string()))?;
    let serial = directory.connect(SERIAL_SOCKET).await;
    Ok((qmp, serial.map_err(|error| LaunchError::Failed(format!("no serial line: {error}")))?))
}

fn explain(ending: &Ending, directory: &MachineDirectory) -> LaunchError {
    let words = directory.last_words();
    // QEMU's words for an address in use, in all versions from 7 to 10.
    if words.contains("Could not set up host forwarding rule") {
        return LaunchError::PortTaken;
    }
    let how = match ending {
        Ending::Badly(how) => how.as_str(),
        Ending::Well | Ending::Unknown => "without a failure",
    };
    let words = if words.is_empty() { "it said nothing".to_owned() } else { words };
    LaunchError::Failed(format!("ended at once ({how}): {words}"))
}
