//! What all machines of a node share.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use disk_image::ContentDigest;
use tokio::{
    runtime::Handle,
    sync::{OnceCell, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::admission::Memory;
use crate::{
    ImageCache, NodeError, Options, host,
    image_cache::blocking,
    kvm::{
        accelerator::{self, Choice},
        hypervisor::Hypervisor,
    },
    machine_directory::{MachineDirectory, Record, make_private},
    networks::NetworkShelf,
    ports::Ports,
    volumes::VolumeShelf,
};

const MOST_SAVES: usize = 4;

pub(super) struct Means {
    pub(super) options: Options,
    pub(super) machines: PathBuf,
    pub(super) images: Arc<ImageCache>,
    pub(super) volumes: Arc<VolumeShelf>,
    pub(super) networks: Arc<NetworkShelf>,
    pub(super) ports: Arc<Ports>,
    pub(super) memory: Arc<Memory>,
    /// Copies of disks at a time: each takes room until it is read.
    pub(super) saves: Arc<Semaphore>,
    /// Machines' tasks live here, not on the threads of whoever asks for them.
    pub(super) runtime: Handle,
    pub(super) closing: CancellationToken,
    hypervisor: tokio::sync::Mutex<Option<(Hypervisor, Option<SystemTime>)>>,
    choice: OnceCell<Choice>,
    lock: Mutex<Option<File>>,
}

impl Means {
    pub(super) async fn open(mut options: Options) -> Result<Arc<Self>, NodeError> {
        if !options.forward_host.is_ipv4() {
            return Err(NodeError::Refused(format!(
                "ports cannot be forwarded from {}: QEMU's user-mode network takes IPv4 addresses",
                options.forward_host
            )));
        }
        if options.ssh_ports.is_empty() || *options.ssh_ports.start() == 0 {
            return Err(NodeError::Refused("the range of ports for SSH is empty".into()));
        }
        let runtime = Handle::current();
        blocking(move || {
            make_private(&options.data_dir)?;
            // QEMU works in another directory, so relative paths would mislead it.
            let data_dir = options.data_dir.canonicalize();
            options.data_dir = data_dir.map_err(NodeError::file("find", &options.data_dir))?;
            let lock = lock(&options.data_dir)?;
            let machines = options.data_dir.join("machines");
            make_private(&machines)?;
            Ok(Arc::new(Self {
                machines,
                images: ImageCache::open(options.data_dir.join("images"), options.disk_reserve_bytes)?,
                volumes: VolumeShelf::open(options.data_dir.join("volumes"), options.disk_reserve_bytes)?,
                networks: NetworkShelf::open(options.data_dir.join("networks"))?,
                saves: Arc::new(Semaphore::new(MOST_SAVES)),
                ports: Ports::new(options.forward_host, options.ssh_ports.clone()),
                memory: Memory::of(&options),
                runtime,
                closing: CancellationToken::new(),
                hypervisor: tokio::sync::Mutex::default(),
                choice: OnceCell::new(),
                lock: Mutex::new(Some(lock)),
                options,
            }))
        })
        .await
    }

    /// Lets the next driver have the data directory.
    pub(super) fn release(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The QEMU of this host, asked once and again when it was replaced or was missing.
    pub(super) async fn hypervisor(&self) -> Result<Hypervisor, NodeError> {
        let changed = |program: &Path| program.metadata().and_then(|facts| facts.modified()).ok();
        let mut known = self.hypervisor.lock().await;
        if let Some((hypervisor, seen)) = &*known
            && seen.is_some()
            && *seen == changed(&hypervisor.program)
        {
            return Ok(hypervisor.clone());
        }
        let found = Hypervisor::find(self.options.qemu.as_deref()).await?;
        *known = Some((found.clone(), changed(&found.program)));
        Ok(found)
    }

    /// How guests are executed; the first who asks waits for the probe.
    pub(super) async fn choice(&self) -> Result<&Choice, NodeError> {
        let hypervisor = self.hypervisor().await?;
        let (wanted, data_dir) = (self.options.accelerator, &self.options.data_dir);
        Ok(self.choice.get_or_init(|| accelerator::choose(wanted, &hypervisor, data_dir)).await)
    }

    /// The choice if it is made.
    pub(super) fn choice_made(&self) -> Option<&Choice> {
        self.choice.get()
    }

    pub(super) fn image(&self, digest: &ContentDigest) -> Result<(PathBuf, u64), NodeError> {
        self.images.find(digest).ok_or(NodeError::UnknownImage(*digest))
    }

    /// Why nothing new can be stored, if so.
    pub(super) fn shortage(&self) -> Option<String> {
        let space = host::space(&self.options.data_dir)?;
        (space.free < self.options.disk_reserve_bytes).then(|| {
            format!(
                "{} has {} MiB free, less than the reserve of {} MiB: free some, or remove unused images",
                self.options.data_dir.display(),
                space.free >> 20,
                self.options.disk_reserve_bytes >> 20
            )
        })
    }
}

/// Writes a machine's record, off the threads that serve.
pub(super) async fn persist(directory: &MachineDirectory, record: &Record) -> Result<(), NodeError> {
    let (directory, record) = (directory.clone(), record.clone());
    blocking(move || directory.write_record(&record)).await
}

/// Held as long as the driver lives; the kernel lets go of it whatever way the driver ends.
fn lock(data_dir: &Path) -> Result<File, NodeError> {
    let path = data_dir.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(NodeError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(NodeError::DataDirectoryTaken(data_dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(NodeError::File { operation: "lock", path, source: error }),
    }
}
