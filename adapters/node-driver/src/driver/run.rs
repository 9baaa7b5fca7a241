//! One run of a machine, from power on to power off: its QEMU and all that is held for it.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{net::UnixStream, sync::watch, task::JoinSet, time::timeout};

use super::{
    admission::MemoryLease,
    means::{Means, persist},
};
use crate::{
    NodeError, guest_voice,
    kvm::{
        command_line::Start,
        launch::{LaunchError, Running, launch},
        process::Process,
        qmp::{Qmp, QmpError, Told},
    },
    limits::{self, MemoryBound},
    machine_directory::{MachineDirectory, QMP_SOCKET, Record, SERIAL_LOG, SERIAL_SOCKET},
    ports::PortLease,
    serial_log,
};

/// Somebody outside may take a port between our look and QEMU's; not this often.
const MOST_PORTS_TRIED: usize = 8;
const SERIAL_PATIENCE: Duration = Duration::from_secs(3);

pub(super) struct Run {
    pub(super) process: Process,
    pub(super) qmp: Option<Qmp>,
    pub(super) told: watch::Receiver<Told>,
    /// Resets seen so far, to notice a new one.
    pub(super) resets: u64,
    address: SocketAddr,
    heard: watch::Sender<bool>,
    /// The reader of the serial line.
    lines: JoinSet<()>,
    /// Who listens for the guest.
    voice: JoinSet<()>,
    bound: Option<MemoryBound>,
    _port: PortLease,
    _memory: MemoryLease,
}

/// Switches a machine on, and returns when its processors run. The record holds the port then.
pub(super) async fn switch_on(
    means: &Means,
    directory: &MachineDirectory,
    record: &mut Record,
) -> Result<Run, NodeError> {
    let memory = means.memory.lease(record.hardware.memory_mib)?;
    let hypervisor = means.hypervisor().await?;
    let accelerator = means.choice().await?.accelerator;
    let (image, _) = means.image(&record.image)?;
    let failed = |problem: String| NodeError::Qemu { id: record.id.clone(), problem };
    let mut wanted = Some(record.ssh_port);
    for _ in 0..MOST_PORTS_TRIED {
        let port = means.ports.lease(wanted.take())?;
        record.ssh_port = port.port();
        persist(directory, record).await?;
        let start = Start {
            hypervisor: &hypervisor,
            accelerator,
            id: &record.id,
            tag: record.tag,
            hardware: &record.hardware,
            image: &image,
            forward_host: means.ports.host(),
            ssh_port: port.port(),
            network: means.options.guest_network,
        };
        match launch(&start, directory).await {
            Ok(running) => {
                let mut run = Run::of(means, directory, record, running, port, memory);
                return match run.begin(directory, record).await {
                    Ok(()) => Ok(run),
                    Err(problem) => {
                        run.destroy().await;
                        Err(failed(problem))
                    }
                };
            }
            Err(LaunchError::PortTaken) => {
                tracing::info!(port = port.port(), machine = %record.id, "the port was taken, trying the next");
            }
            Err(LaunchError::Failed(problem)) => return Err(failed(problem)),
        }
    }
    Err(NodeError::NoRoom(format!("{MOST_PORTS_TRIED} ports in turn were taken by other programs: try again")))
}

impl Run {
    fn of(
        means: &Means,
        directory: &MachineDirectory,
        record: &Record,
        running: Running,
        port: PortLease,
        memory: MemoryLease,
    ) -> Self {
        let mut run = Self::assemble(means, record, running.process, port, memory);
        run.control(running.qmp);
        run.keep_serial(directory, running.serial);
        run
    }

    /// Takes over a QEMU that an earlier driver started.
    pub(super) async fn adopt(means: &Means, directory: &MachineDirectory, record: &Record, process: Process) -> Self {
        let port = means.ports.adopt(record.ssh_port);
        let memory = means.memory.adopt(record.hardware.memory_mib);
        let mut run = Self::assemble(means, record, process, port, memory);
        run.bound = limits::adopt(run.process.pid(), &record.id);
        run.reconnect(directory).await;
        run
    }

    fn assemble(means: &Means, record: &Record, process: Process, port: PortLease, memory: MemoryLease) -> Self {
        let mut run = Self {
            process,
            qmp: None,
            told: watch::channel(Told::default()).1,
            resets: 0,
            address: SocketAddr::new(means.ports.host(), record.ssh_port),
            heard: watch::channel(false).0,
            lines: JoinSet::new(),
            voice: JoinSet::new(),
            bound: None,
            _port: port,
            _memory: memory,
        };
        run.listen();
        run
    }

    /// Listens for the guest, from the beginning.
    pub(super) fn listen(&mut self) {
        self.voice.abort_all();
        self.heard.send_replace(false);
        self.voice.spawn(guest_voice::listen(self.address, self.heard.clone()));
    }

    pub(super) fn heard(&self) -> watch::Receiver<bool> {
        self.heard.subscribe()
    }

    fn control(&mut self, qmp: Qmp) {
        self.told = qmp.told.clone();
        self.resets = 0;
        self.qmp = Some(qmp);
    }

    fn keep_serial(&mut self, directory: &MachineDirectory, line: UnixStream) {
        self.lines.abort_all();
        self.lines.spawn(serial_log::keep(line, directory.file(SERIAL_LOG)));
    }

    /// Connects to QEMU's sockets anew.
    pub(super) async fn reconnect(&mut self, directory: &MachineDirectory) {
        self.qmp = None;
        let Ok(line) = directory.connect(QMP_SOCKET).await else { return };
        match Qmp::greet(line).await {
            Ok(qmp) => self.control(qmp),
            Err(error) => tracing::debug!(%error, "QEMU does not answer yet"),
        }
        if let Ok(line) = directory.connect(SERIAL_SOCKET).await {
            self.keep_serial(directory, line);
        }
    }

    /// Bounds the process, then lets the processors go.
    async fn begin(&mut self, directory: &MachineDirectory, record: &Record) -> Result<(), String> {
        let bound = limits::apply(self.process.pid(), directory, &record.id, record.hardware.memory_mib);
        self.bound = bound.map_err(|error| format!("it cannot be bounded: {error}"))?;
        self.execute("cont").await.map(drop).map_err(|error| error.to_string())
    }

    /// Runs a command without arguments.
    pub(super) async fn execute(&mut self, command: &'static str) -> Result<Value, QmpError> {
        match &mut self.qmp {
            Some(qmp) => qmp.execute(command, Value::Null).await,
            None => Err(QmpError::Closed),
        }
    }

    /// What the processors do, in QEMU's words.
    pub(super) async fn status(&mut self) -> Option<String> {
        self.qmp.as_mut()?.status().await.ok()
    }

    /// Kills what still lives, and waits until all is released; tells whether the process is gone.
    pub(super) async fn destroy(mut self) -> bool {
        let gone = self.process.destroy().await.is_some();
        self.release().await;
        gone
    }

    /// After the process has ended: the last of the serial line goes to its log.
    pub(super) async fn release(mut self) {
        self.voice.shutdown().await;
        // QEMU has closed its end, so the reader ends as soon as it has read the rest.
        let _ = timeout(SERIAL_PATIENCE, async { while self.lines.join_next().await.is_some() {} }).await;
        self.lines.shutdown().await;
        let bound = self.bound.take();
        // The kernel may take its time with a control group.
        let _ = tokio::task::spawn_blocking(move || drop(bound)).await;
    }
}
