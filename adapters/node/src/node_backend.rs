use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use backend::{
    Backend, BackendError, Description, Finding, ImageOffer, IntentTag, Listing, Machine, MachineId, MachineSize,
    MachineSpec, Networks, Progress, Quota, RestartMethod, SaveMethod, SavedDisk, SiteImage, StopMethod, SuspendMethod,
    Volumes,
};
use disk_image::{ContentDigest, LARGEST_DISK};
use node_driver::wire::{
    DISK_SIZE, ImageLink, ImageSize, NewMachine, PACKED_IMAGE, Restart, Save, Selection, Stop, Suspend,
};
use reqwest::{Body, Method, RequestBuilder, header::CONTENT_TYPE};
use serde::Serialize;
use tokio::time::interval;

use crate::{NodeAddress, check, client::Caller, packing::packed, unpacking::unpacked};

/// For questions, and for asks that are answered before their effect.
pub(crate) const SHORT: Duration = Duration::from_secs(20);
/// For a create, which waits for QEMU, and a delete, which waits for its end.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// For a copy of a disk, which waits for its last byte, and perhaps for the machine's stop.
pub(crate) const COPY: Duration = Duration::from_secs(30 * 60);
/// The least speed at which an image is expected to arrive or to be checked, in bytes per second.
const LEAST_SPEED: u64 = 4 << 20;
const PROGRESS_STEP: Duration = Duration::from_millis(200);

/// A node driver as a backend.
pub struct NodeBackend {
    pub(crate) node: Caller,
}

impl NodeBackend {
    /// A backend that calls the driver at this address. Nothing is called yet.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for an address that is none.
    pub fn new(address: NodeAddress) -> Result<Self, BackendError> {
        Ok(Self { node: Caller::new(address)? })
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.node.request(Method::GET, path, SHORT)
    }

    pub(crate) async fn change(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<(), BackendError> {
        self.node.tell(self.node.request(Method::POST, path, SHORT).json(body)).await
    }

    /// Hands the image over; the caller watches `taken`.
    async fn deliver(&self, offer: &ImageOffer, taken: Arc<AtomicU64>) -> Result<(), BackendError> {
        let path = format!("/images/{}", offer.digest);
        let size = ImageSize { size: offer.size };
        let deadline = LONG + Duration::from_secs(offer.size / LEAST_SPEED);
        if self.node.is_local()
            && let Some(path_here) = offer.source.local_path()
            && let Ok(Ok(link)) = std::path::absolute(path_here).map(|path| path.into_os_string().into_string())
        {
            let link = ImageLink { link };
            return self.node.tell(self.node.request(Method::PUT, &path, deadline).query(&size).json(&link)).await;
        }
        // Bytes need not travel when the node has them.
        match self.node.tell(self.get(&path).query(&size)).await {
            Err(BackendError::NotFound(_)) => {}
            answer => return answer,
        }
        let stream = packed(offer.source.as_ref(), taken)
            .map_err(|error| BackendError::Failed(format!("the image cannot be packed: {error}")))?;
        let upload = self.node.request(Method::PUT, &path, deadline).query(&size);
        self.node.tell(upload.header(CONTENT_TYPE, PACKED_IMAGE).body(Body::wrap_stream(stream))).await
    }
}

#[async_trait]
impl Backend for NodeBackend {
    async fn describe(&self) -> Result<Description, BackendError> {
        self.node.ask(self.get("/description")).await
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError> {
        let taken = Arc::new(AtomicU64::new(0));
        let delivery = self.deliver(offer, Arc::clone(&taken));
        tokio::pin!(delivery);
        let mut steps = interval(PROGRESS_STEP);
        let mut told = 0;
        loop {
            tokio::select! {
                delivered = &mut delivery => {
                    delivered?;
                    progress(offer.size);
                    return Ok(());
                }
                _ = steps.tick() => {
                    let now = taken.load(Ordering::Relaxed);
                    if now != told {
                        told = now;
                        progress(now);
                    }
                }
            }
        }
    }

    async fn find_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        match self.node.ask(self.get(&format!("/images/{digest}"))).await {
            Ok(image) => Ok(Some(image)),
            Err(BackendError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete_image(&self, digest: &ContentDigest) -> Result<(), BackendError> {
        self.node.tell(self.node.request(Method::DELETE, &format!("/images/{digest}"), LONG)).await
    }

    async fn quota(&self) -> Result<Quota, BackendError> {
        self.node.ask(self.get("/quota")).await
    }

    async fn check(&self) -> Vec<Finding> {
        check::look(self).await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        let wanted = NewMachine::from(spec.clone());
        self.node.ask(self.node.request(Method::POST, "/machines", LONG).json(&wanted)).await
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        self.node.ask(self.get(&format!("/machines/{id}"))).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        let selection = Selection { tag: Some(tag) };
        self.node.find(self.get("/machines").query(&selection), |machine: &Machine| machine.tag == tag).await
    }

    async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        self.node.list(self.get("/machines")).await
    }

    async fn start(&self, id: &MachineId) -> Result<(), BackendError> {
        self.node.tell(self.node.request(Method::POST, &format!("/machines/{id}/start"), SHORT)).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError> {
        let request = self.node.request(Method::POST, &format!("/machines/{id}/stop"), SHORT);
        self.node.tell(request.json(&Stop { method })).await
    }

    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Result<(), BackendError> {
        let request = self.node.request(Method::POST, &format!("/machines/{id}/restart"), SHORT);
        self.node.tell(request.json(&Restart { method })).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), BackendError> {
        let request = self.node.request(Method::POST, &format!("/machines/{id}/suspend"), SHORT);
        self.node.tell(request.json(&Suspend { method })).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
        let request = self.node.request(Method::POST, &format!("/machines/{id}/resize"), SHORT);
        self.node.tell(request.json(size)).await
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        let request = self.node.request_stream(Method::POST, &format!("/machines/{id}/save"));
        let answer = self.node.begin(request.json(&Save { method }), COPY).await?;
        let size = answer.headers().get(DISK_SIZE).and_then(|size| size.to_str().ok()?.parse::<u64>().ok());
        let size = size.filter(|size| *size <= LARGEST_DISK).ok_or_else(|| {
            BackendError::Failed("the node sends a disk without its size, or one that is too large".into())
        })?;
        unpacked(answer, size)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        Some(self)
    }

    async fn delete(&self, id: &MachineId) -> Result<(), BackendError> {
        self.node.tell(self.node.request(Method::DELETE, &format!("/machines/{id}"), LONG)).await
    }
}
