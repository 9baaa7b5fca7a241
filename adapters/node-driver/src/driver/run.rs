//! One run of a machine, from power on to power off: its QEMU and all that is held for it.

use std::{collections::BTreeMap, fs::File, net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    net::UnixStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    admission::MemoryLease,
    means::{Means, persist},
};
use crate::{
    NodeError, guest_voice,
    image_cache::blocking,
    kvm::{
        command_line::Start,
        hotplug::{Nic, Volume},
        launch::{LaunchError, Running, launch},
        process::Process,
        qmp::{Qmp, QmpError, Told},
    },
    limits::{self, MemoryBound},
    machine_directory::{DISK, MEMORY, MachineDirectory, QMP_SOCKET, Record, SERIAL_LOG, SERIAL_SOCKET},
    networks::Connection,
    overlay_view::virtual_size,
    ports::PortLease,
    serial_log, volumes,
};

/// Somebody outside may take a port between our look and QEMU's; not this often.
const MOST_PORTS_TRIED: usize = 8;
const SERIAL_PATIENCE: Duration = Duration::from_secs(3);
/// How long a hibernated guest's memory may take from the disk.
const MEMORY_PATIENCE: Duration = Duration::from_secs(600);
const MEMORY_STEP: Duration = Duration::from_millis(20);

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
    /// Its interfaces at this node's switches, by their places.
    pub(super) connections: BTreeMap<u8, Connection>,
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
    let from_memory = directory.file(MEMORY).exists();
    let shown = File::open(directory.file(DISK)).and_then(|file| virtual_size(&file));
    let shown = shown.map_err(NodeError::file("read", directory.file(DISK)))?;
    let grows_to = (shown < record.hardware.disk_bytes).then_some(record.hardware.disk_bytes);
    let present = record.volumes.iter().filter(|inserted| !inserted.leaving);
    let files: Vec<_> = present
        .map(|known| (known.slot, means.volumes.file_of(&known.volume), volumes::serial(&known.volume)))
        .collect();
    let inserted: Vec<_> = files.iter().map(|(slot, file, serial)| Volume { slot: *slot, file, serial }).collect();
    let plugged = record.interfaces.iter().filter(|plugged| !plugged.leaving);
    let interfaces: Vec<_> = plugged.map(|plugged| Nic { slot: plugged.slot, mac: plugged.mac }).collect();
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
            volumes: &inserted,
            interfaces: &interfaces,
            from_memory,
        };
        match launch(&start, directory).await {
            Ok(running) => {
                let mut run = Run::of(means, directory, record, running, port, memory);
                return match run.begin(directory, record, grows_to, from_memory).await {
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
            Err(LaunchError::Failed(problem)) if from_memory => {
                return Err(failed(format!("{problem}; its kept memory may be the cause: stop it to give that up")));
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
            connections: BTreeMap::new(),
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
    async fn begin(
        &mut self,
        directory: &MachineDirectory,
        record: &Record,
        grows_to: Option<u64>,
        from_memory: bool,
    ) -> Result<(), String> {
        let bound = limits::apply(self.process.pid(), directory, &record.id, record.hardware.memory_mib);
        self.bound = bound.map_err(|error| format!("it cannot be bounded: {error}"))?;
        if from_memory {
            self.take_memory_back(directory).await?;
        }
        if let Some(size) = grows_to {
            let grown = self.order("block_resize", json!({ "node-name": "disk", "size": size })).await;
            grown.map_err(|error| format!("its disk cannot grow: {error}"))?;
        }
        self.execute("cont").await.map(drop).map_err(|error| error.to_string())
    }

    /// Waits until the guest is where it was, and removes the file: the guest is about to go on without it.
    async fn take_memory_back(&mut self, directory: &MachineDirectory) -> Result<(), String> {
        let read = async {
            loop {
                match self.execute("query-migrate").await {
                    Ok(progress) if progress["status"] == "completed" => return Ok(()),
                    Ok(_) => sleep(MEMORY_STEP).await,
                    Err(error) => {
                        let words = directory.last_words();
                        return Err(format!(
                            "its kept memory cannot be read ({error}): {words}; stop it to give it up"
                        ));
                    }
                }
            }
        };
        timeout(MEMORY_PATIENCE, read).await.map_err(|_| "its kept memory is not read in time".to_owned())??;
        let place = directory.clone();
        blocking(move || place.discard(MEMORY)).await.map_err(|error| error.to_string())
    }

    /// Runs a command without arguments.
    pub(super) async fn execute(&mut self, command: &'static str) -> Result<Value, QmpError> {
        self.order(command, Value::Null).await
    }

    /// Runs a command.
    pub(super) async fn order(&mut self, command: &'static str, arguments: Value) -> Result<Value, QmpError> {
        match &mut self.qmp {
            Some(qmp) => qmp.execute(command, arguments).await,
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
