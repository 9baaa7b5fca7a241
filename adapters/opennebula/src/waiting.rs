//! Waiting for the service to do what it has promised.
//!
//! Right after an action the service still tells the old state (seen with most actions), as if it had been done or
//! never asked. So every call that changes a machine ends when the state has moved, and `machine()` needs no memory of
//! what was asked.

use std::time::Duration;

use backend::BackendError;
use tokio::time::{Instant, sleep};

use crate::{
    document::VmDocument,
    names::Id,
    rpc::Call,
    site::{Site, is_ours},
    state::Standing,
};

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));
/// Until an action shows, which the service's queue decides and no driver.
const SHOWS: Duration = Duration::from_secs(15);
/// Until the service has done with a machine what it is doing when somebody comes with another wish.
const SETTLES: Duration = Duration::from_secs(30);

/// Looks at something, soon at first and then less and less often.
pub(crate) struct Looks {
    pause: Duration,
    limit: Instant,
}

impl Looks {
    pub(crate) fn within(patience: Duration) -> Self {
        Self { pause: PAUSES.0, limit: Instant::now() + patience }
    }

    /// Waits for the next look; false when the patience is over.
    pub(crate) async fn next(&mut self) -> bool {
        let left = self.limit.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 3 / 2).min(PAUSES.1);
        true
    }
}

impl Site {
    /// A machine of ours.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] for one that is gone, and for one that is not ours.
    pub(crate) async fn vm(&self, id: Id) -> Result<VmDocument, BackendError> {
        let vm: VmDocument = self.oned.object("one.vm.info", id).await?;
        if is_ours(&vm) { Ok(vm) } else { Err(BackendError::NotFound(format!("machine {id}: it is gone or not ours"))) }
    }

    /// A machine that the service is not at work on.
    ///
    /// # Errors
    /// [`BackendError::Conflict`] when it still is after a while.
    pub(crate) async fn settled(&self, id: Id) -> Result<VmDocument, BackendError> {
        let mut looks = Looks::within(SETTLES);
        loop {
            let vm = self.vm(id).await?;
            if !vm.standing.is_busy() {
                return Ok(vm);
            }
            if !looks.next().await {
                let (state, lcm) = (vm.state.state, vm.state.lcm);
                return Err(BackendError::Conflict(format!(
                    "OpenNebula is at work on machine {id} (state {state}/{lcm}); ask again when it has finished"
                )));
            }
        }
    }

    /// Asks for an action, and returns when the machine shows it.
    pub(crate) async fn act(&self, action: &'static str, vm: &VmDocument) -> Result<VmDocument, BackendError> {
        self.oned.changed(&Call::new("one.vm.action").with(action).with(vm.id)).await?;
        self.moved(action, vm).await
    }

    /// The machine as soon as it is another than before.
    pub(crate) async fn moved(&self, action: &str, before: &VmDocument) -> Result<VmDocument, BackendError> {
        let (id, patience) = (before.id, SHOWS.as_secs());
        self.moved_within(before, SHOWS).await?.ok_or_else(|| {
            BackendError::Unreachable(format!(
                "OpenNebula took the request to {action} machine {id} and did nothing in {patience} s; look again"
            ))
        })
    }

    /// The same, or nothing if it is as before all the while.
    pub(crate) async fn moved_within(
        &self,
        before: &VmDocument,
        patience: Duration,
    ) -> Result<Option<VmDocument>, BackendError> {
        let mut looks = Looks::within(patience);
        loop {
            let vm: VmDocument = self.oned.object("one.vm.info", before.id).await?;
            // One that failed quickly is where it was, and says why.
            if vm.state != before.state || vm.error != before.error {
                return Ok(Some(vm));
            }
            if !looks.next().await {
                return Ok(None);
            }
        }
    }

    /// The machine as soon as the service has done with it; the last look when it takes longer than the patience.
    pub(crate) async fn finished(&self, id: Id, patience: Duration) -> Result<VmDocument, BackendError> {
        let mut looks = Looks::within(patience);
        loop {
            let vm: VmDocument = self.oned.object("one.vm.info", id).await?;
            if !vm.standing.is_busy() || !looks.next().await {
                return Ok(vm);
            }
        }
    }

    /// What went wrong with a request that has left the machine as it was.
    pub(crate) fn why_not(vm: &VmDocument, what: &str) -> BackendError {
        let said = vm.error.clone().unwrap_or_else(|| "it does not say why".into());
        let id = vm.id;
        match vm.standing {
            Standing::Done => BackendError::NotFound(format!("machine {id}")),
            _ => BackendError::Failed(format!("OpenNebula could not {what} machine {id}: {said}")),
        }
    }
}
