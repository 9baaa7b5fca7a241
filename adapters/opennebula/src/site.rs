use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backend::{BackendError, IntentTag, Limits, request};
use disk_image::ContentDigest;
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    OpenNebulaOptions,
    document::{Disk, HostDocument, VmDocument},
    names::Id,
    oned::Oned,
    rpc::Call,
    state::Standing,
    version::Version,
};

/// For how long what is known of the hosts is believed.
const HOSTS_HOLD: Duration = Duration::from_secs(30);

/// An OpenNebula with the rules by which it is used.
pub(crate) struct Site {
    pub(crate) oned: Oned,
    pub(crate) options: OpenNebulaOptions,
    version: OnceCell<Version>,
    hosts: tokio::sync::Mutex<Option<(Instant, Arc<Vec<HostDocument>>)>>,
    /// Under which name an image was last seen; a hint, which is looked at before it is used.
    images: Mutex<HashMap<ContentDigest, Id>>,
    /// The intents that are being worked on here.
    turns: Mutex<HashMap<IntentTag, Arc<tokio::sync::Mutex<()>>>>,
}

impl Site {
    pub(crate) fn new(options: OpenNebulaOptions) -> Result<Self, BackendError> {
        if let Some(fault) = options.fault() {
            return Err(BackendError::Refused(fault));
        }
        Ok(Self {
            oned: Oned::new(&options)?,
            options,
            version: OnceCell::new(),
            hosts: tokio::sync::Mutex::default(),
            images: Mutex::default(),
            turns: Mutex::default(),
        })
    }

    pub(crate) fn filter(&self) -> i32 {
        self.options.visible.filter()
    }

    /// The service's version, asked for once.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for one that is too old.
    pub(crate) async fn version(&self) -> Result<Version, BackendError> {
        let ask = async {
            let text = self.oned.text(&Call::new("one.system.version")).await?;
            Version::accepted(text.trim())
        };
        self.version.get_or_try_init(|| ask).await.copied()
    }

    /// The hosts that our user sees: none, for most users.
    pub(crate) async fn hosts(&self) -> Result<Arc<Vec<HostDocument>>, BackendError> {
        let mut known = self.hosts.lock().await;
        if let Some((_, hosts)) = known.as_ref().filter(|(since, _)| since.elapsed() < HOSTS_HOLD) {
            return Ok(Arc::clone(hosts));
        }
        let hosts = Arc::new(self.oned.whole("one.hostpool.info").await?);
        *known = Some((Instant::now(), Arc::clone(&hosts)));
        Ok(hosts)
    }

    /// The most that one machine may have.
    pub(crate) async fn limits(&self) -> Result<Limits, BackendError> {
        /// Where the hosts are not seen, and for disks, whose room only the scheduler knows.
        const UNKNOWN: Limits = Limits { cores: 64, memory_mib: 1 << 20, disk_bytes: 16 << 40, volume_bytes: 16 << 40 };
        if let Some(limits) = self.options.limits {
            return Ok(limits);
        }
        let hosts = self.hosts().await?;
        let up = || hosts.iter().filter(|host| host.is_up);
        let cores = up().filter_map(|host| host.most_cpu).max().map(|cpu| {
            let cores = cpu as f64 / 100.0 / self.options.cpu_per_core;
            (cores as u32).max(1)
        });
        let memory_mib = up().filter_map(|host| host.most_memory_kib).max().map(|kib| kib / 1024);
        Ok(Limits {
            cores: cores.unwrap_or(UNKNOWN.cores),
            memory_mib: memory_mib.unwrap_or(UNKNOWN.memory_mib),
            ..UNKNOWN
        })
    }

    pub(crate) fn remembered_image(&self, digest: &ContentDigest) -> Option<Id> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied()
    }

    pub(crate) fn remember_image(&self, digest: ContentDigest, id: Id) {
        const MOST: usize = 10_000;
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if images.len() >= MOST {
            images.clear();
        }
        images.insert(digest, id);
    }

    /// Does the work of an intent to its end, even when the caller goes, and never twice at the same time. A call that
    /// was sent has its effect whether somebody waits or not; so whoever asks again has to see it.
    pub(crate) async fn to_the_end<T, F>(self: &Arc<Self>, tag: IntentTag, work: F) -> Result<T, BackendError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BackendError>> + Send + 'static,
    {
        let site = Arc::clone(self);
        let turn = site.turn(tag);
        let job = async move {
            let held = turn.lock().await;
            let outcome = work.await;
            drop(held);
            drop(turn);
            site.forget_turn(tag);
            outcome
        };
        let task = match request::current() {
            Some(id) => tokio::spawn(request::scope(id, job)),
            None => tokio::spawn(job),
        };
        task.await.map_err(|error| BackendError::Failed(format!("the adapter's own task ended: {error}")))?
    }

    fn turn(&self, tag: IntentTag) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(tag).or_default())
    }

    fn forget_turn(&self, tag: IntentTag) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.get(&tag).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&tag);
        }
    }
}

/// The root disk: the first one.
pub(crate) fn root_disk(vm: &VmDocument) -> Option<&Disk> {
    vm.disks.iter().min_by_key(|disk| disk.id)
}

/// A machine of ours that is not gone.
pub(crate) fn is_ours(vm: &VmDocument) -> bool {
    vm.tag.is_some() && vm.standing != Standing::Done
}
