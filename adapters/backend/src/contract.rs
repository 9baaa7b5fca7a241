use std::time::Duration;

use async_trait::async_trait;
use disk_image::ContentDigest;
use tokio::time::{Instant, sleep};

use crate::{
    Addresses, BackendError, Capability, ConsoleKind, ConsoleTicket, Description, Events, Finding, ImageOffer,
    IntentTag, Listing, Machine, MachineId, MachineSize, MachineSpec, Networks, Progress, Quota, RestartMethod,
    SaveMethod, SavedDisk, SecurityGroups, SiteImage, Snapshots, StopMethod, SuspendMethod, Verdict, Volumes,
};

/// How often a backend is asked that cannot tell when something changes.
const LOOK: Duration = Duration::from_millis(100);

/// What the broker may ask of a site's machine manager.
///
/// Rules that every implementation keeps (and [`crate::suite`] checks):
/// - every call is bounded in time by the implementation, and may be dropped half way without leaking anything;
/// - `provide_image` and `delete` are idempotent; `create` never makes two machines with one tag when the backend
///   can be asked for the tag first;
/// - an unknown machine is [`BackendError::NotFound`], never a success, but for `delete`;
/// - answers of the backend are bounded and checked before they become facts.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What the backend is and how much a single machine may ask for. Cheap enough to be polled.
    async fn describe(&self) -> Result<Description, BackendError>;

    /// Makes the image available at the site, in whatever form the backend wants. Returns at once when it is
    /// there already.
    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError>;

    /// The backend's copy of an image of ours, if it has one.
    async fn find_image(&self, _digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        Err(BackendError::Unsupported("tell which images it has".into()))
    }

    /// Removes the backend's copy of an image of ours; one that it has not got is a success, one that a machine still
    /// needs a [`BackendError::Conflict`].
    async fn delete_image(&self, _digest: &ContentDigest) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("delete images".into()))
    }

    /// Asks for a machine, tagged with the intent that asks. A machine that carries the tag already is returned
    /// instead of a second one.
    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError>;

    /// The present facts of one machine.
    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError>;

    /// The facts of one machine as soon as it neither builds nor stops, or as they are when `patience` is over. Who
    /// waits for a machine asks this; a backend that hears of changes answers at once, any other is asked again and
    /// again.
    async fn machine_at_rest(&self, id: &MachineId, patience: Duration) -> Result<Machine, BackendError> {
        let limit = Instant::now() + patience;
        loop {
            let machine = self.machine(id).await?;
            let left = limit.saturating_duration_since(Instant::now());
            if machine.state.is_at_rest() || left.is_zero() {
                return Ok(machine);
            }
            sleep(LOOK.min(left)).await;
        }
    }

    /// The machine that carries this tag, if the backend knows one. How an unanswered `create` is found again.
    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError>;

    /// All machines that carry a tag of ours. One that cannot be read does not hide the others.
    async fn machines(&self) -> Result<Listing<Machine>, BackendError>;

    /// Asks a stopped machine to start. A running one is left alone.
    async fn start(&self, id: &MachineId) -> Result<(), BackendError>;

    /// Asks a running machine to stop. A stopped one is left alone.
    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError>;

    /// Asks a running machine to start anew; a stopped one is a [`BackendError::Conflict`].
    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Result<(), BackendError>;

    /// Asks a running machine to freeze with its memory kept; [`Backend::start`] lets it go on. A suspended one is left
    /// alone, a stopped one is a [`BackendError::Conflict`].
    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), BackendError>;

    /// Gives the machine another size. A running machine may be switched off and on for it; a stopped one stays
    /// stopped. A size that the machine has already is a success; one past the limits is a [`BackendError::Refused`].
    /// A lesser disk leaves the disk as large as it is.
    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError>;

    /// A copy of the root disk at this moment. A stopped machine stays stopped; one that was switched off for it comes
    /// back.
    async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError>;

    /// A ticket for the machine's console, for a short while and one viewer. A stopped machine has none:
    /// [`BackendError::Conflict`].
    async fn console(&self, _id: &MachineId, _kind: ConsoleKind) -> Result<ConsoleTicket, BackendError> {
        Err(Capability::Console.missing())
    }

    /// What our tenant may use at the backend, and uses.
    async fn quota(&self) -> Result<Quota, BackendError> {
        Err(Capability::Quota.missing())
    }

    /// Looks whether everything is as the broker needs it: credentials, permissions, formats, clocks. It changes
    /// nothing that lasts. What goes wrong is a finding, never an error.
    async fn check(&self) -> Vec<Finding> {
        vec![match self.describe().await {
            Ok(description) => Finding::new("reachable", Verdict::Good, description.software),
            Err(error) => Finding::new("reachable", Verdict::Bad, error.to_string()),
        }]
    }

    /// Snapshots of machines, if the backend keeps any.
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        None
    }

    /// Changes that it tells of by itself, if it does.
    fn events(&self) -> Option<&dyn Events> {
        None
    }

    /// Volumes, if the backend has any.
    fn volumes(&self) -> Option<&dyn Volumes> {
        None
    }

    /// Networks, if the backend has any.
    fn networks(&self) -> Option<&dyn Networks> {
        None
    }

    /// Addresses that can be reserved, if the backend has any.
    fn addresses(&self) -> Option<&dyn Addresses> {
        None
    }

    /// Security groups, if the backend has any.
    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        None
    }

    /// Destroys the machine, whatever its state, and all that belongs to it alone (disks, seeds, ports, interfaces);
    /// its volumes, addresses and security groups are free then, and stay. Returns when nothing is left; an unknown
    /// machine is a success.
    async fn delete(&self, id: &MachineId) -> Result<(), BackendError>;
}
