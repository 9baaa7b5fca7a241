//! Any OCCI 1.1 or 1.2 server as a backend, another Tombolo included.
//!
//! What a server is, its query interface tells: kinds, actions, templates. What it does not tell is [`DialectName`]'s:
//! habits as data. Nothing here assumes more of a server than it has said, and what OCCI has no word for is not
//! declared.

mod address;
mod authorization;
mod check;
mod compute;
mod connection;
mod description;
mod dialect;
mod images;
mod interface;
mod model;
mod network;
mod options;
mod peer;
mod pieces;
mod reading;
mod secret;
mod security_group;
mod server;
mod sizes;
mod tag;
mod trail;
mod units;
mod volume;

use std::time::Duration;

use async_trait::async_trait;
use authorization::Credentials;
use backend::{
    Addresses, Backend, BackendError, Capability, Description, Finding, ImageOffer, IntentTag, Listing, Machine,
    MachineId, MachineSize, MachineSpec, Networks, Progress, RestartMethod, SaveMethod, SavedDisk, SecurityGroups,
    SiteImage, StopMethod, SuspendMethod, Volumes,
};
use backend_http::{Caller, Options};
use compute::Power;
use connection::Connection;
pub use dialect::DialectName;
use disk_image::ContentDigest;
use occi_schema::well_known::COMPUTE;
pub use options::{Authorization, Misconfigured, OcciOptions, RenderingName};
use peer::Peer;
pub use secret::Secret;
use server::Server;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// The longest answer, in bytes: a page of machines with their user data.
const LONGEST_ANSWER: usize = 24 << 20;
/// Between two looks at a machine on its way.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An OCCI server as a backend.
pub struct OcciBackend {
    server: Server,
}

impl OcciBackend {
    /// Nothing is called yet.
    ///
    /// # Errors
    /// [`Misconfigured`] for an address, certificates or a proxy that cannot be used.
    pub fn new(options: OcciOptions) -> Result<Self, Misconfigured> {
        let base = options.base()?;
        let mut calls = Options::new(format!("OCCI at {base}"));
        calls.authorities.clone_from(&options.authorities);
        calls.proxy.clone_from(&options.proxy);
        calls.longest_answer = LONGEST_ANSWER;
        let credentials = Credentials::new(options.auth.clone(), base.clone());
        let connection = Connection::new(Caller::new(&calls)?, base, credentials);
        Ok(Self { server: Server::new(connection, options) })
    }

    /// The same as a part of the broker of this id, which every request names then, so that brokers behind brokers
    /// notice a circle.
    #[must_use]
    pub fn for_broker(mut self, id: Uuid) -> Self {
        self.server.connection.broker = Some(id);
        self
    }

    /// Whether there is a part of the contract, as far as is known.
    fn has(&self, part: fn(&Peer) -> bool) -> bool {
        self.server.known().is_none_or(|peer| part(&peer))
    }
}

#[async_trait]
impl Backend for OcciBackend {
    async fn describe(&self) -> Result<Description, BackendError> {
        self.server.description().await
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError> {
        match self.server.system(&offer.digest).await? {
            Some(_) => {
                progress(offer.size);
                Ok(())
            }
            None => {
                Err(BackendError::Refused(format!("image {}: {}", offer.digest, self.server.remedy(&offer.digest))))
            }
        }
    }

    async fn find_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        self.server.site_image(digest).await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        self.server.create_machine(spec).await
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        self.server.machine_of(id.as_str()).await
    }

    async fn machine_at_rest(&self, id: &MachineId, patience: Duration) -> Result<Machine, BackendError> {
        let until = Instant::now() + patience;
        let mut pause = FIRST_LOOK;
        loop {
            let machine = self.server.machine_of(id.as_str()).await?;
            let left = until.saturating_duration_since(Instant::now());
            if machine.state.is_at_rest() || left.is_zero() {
                return Ok(machine);
            }
            sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        let Some(entity) = self.server.find(&COMPUTE, tag).await? else { return Ok(None) };
        compute::ours(compute::machine(&*self.server.peer().await?, &entity), "machine", &entity.id).map(Some)
    }

    async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        self.server.list(&COMPUTE, compute::machine).await
    }

    async fn start(&self, id: &MachineId) -> Result<(), BackendError> {
        self.server.power(id, Power::Start).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError> {
        self.server.power(id, Power::Stop(method)).await
    }

    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Result<(), BackendError> {
        self.server.power(id, Power::Restart(method)).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), BackendError> {
        self.server.power(id, Power::Suspend(method)).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
        compute::resize(&self.server, id, size).await
    }

    async fn save(&self, _id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        // OCCI's `save` makes a template at the server, and nobody hands out its bytes.
        Err(match method {
            SaveMethod::Hot => Capability::SaveHot.missing(),
            SaveMethod::Deferred => Capability::SaveDeferred.missing(),
        })
    }

    async fn check(&self) -> Vec<Finding> {
        self.server.findings().await
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        self.has(volume::are_there).then_some(self)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        self.has(network::are_there).then_some(self)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        self.has(address::are_there).then_some(self)
    }

    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        self.has(security_group::are_there).then_some(self)
    }

    async fn delete(&self, id: &MachineId) -> Result<(), BackendError> {
        self.server.remove(&COMPUTE, id.as_str()).await
    }
}
