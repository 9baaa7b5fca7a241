//! Snapshots of machines: the hypervisor's, of disks and memory, which only a running machine has.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backend::{BackendError, IntentTag, Listing, MachineId, Snapshot, SnapshotId, Snapshots};

use crate::{
    OpenNebulaBackend,
    document::{VmDocument, VmSnapshot},
    life::in_no_state_for,
    names::Id,
    oned::unless_unknown,
    rpc::Call,
    site::Site,
    state::Standing,
};

/// Until the hypervisor has made a snapshot, gone back to it, or removed it.
const TAKES: Duration = Duration::from_secs(100);

fn facts(snapshot: &VmSnapshot) -> Result<Option<Snapshot>, BackendError> {
    let Some(tag) = snapshot.tag else { return Ok(None) };
    Ok(Some(Snapshot { id: snapshot.id.named()?, tag, is_complete: snapshot.is_complete }))
}

impl Site {
    async fn take_snapshot(&self, machine: Id, tag: IntentTag) -> Result<Snapshot, BackendError> {
        let vm = self.settled(machine).await?;
        let carries = |vm: &VmDocument| vm.snapshots.iter().find(|snapshot| snapshot.tag == Some(tag)).cloned();
        let lost = || BackendError::Failed(format!("OpenNebula made the snapshot of {tag} and lost it"));
        if let Some(known) = carries(&vm) {
            return facts(&known)?.ok_or_else(lost);
        }
        if vm.standing != Standing::Running {
            return Err(in_no_state_for("take a snapshot", &vm));
        }
        self.oned.changed(&Call::new("one.vm.snapshotcreate").with(machine).with(tag.to_string())).await?;
        let after = self.finished(machine, TAKES).await?;
        match carries(&after) {
            Some(snapshot) => facts(&snapshot)?.ok_or_else(lost),
            None => Err(Self::why_not(&after, "take a snapshot of")),
        }
    }
}

#[async_trait]
impl Snapshots for OpenNebulaBackend {
    async fn take(&self, machine: &MachineId, tag: IntentTag) -> Result<Snapshot, BackendError> {
        let machine = Id::of("machine", machine.as_str())?;
        let site = Arc::clone(&self.site);
        self.site.to_the_end(tag, async move { site.take_snapshot(machine, tag).await }).await
    }

    async fn snapshots(&self, machine: &MachineId) -> Result<Listing<Snapshot>, BackendError> {
        let vm = self.site.vm(Id::of("machine", machine.as_str())?).await?;
        let snapshots: Result<Vec<_>, _> = vm.snapshots.iter().filter_map(|one| facts(one).transpose()).collect();
        Ok(snapshots?.into())
    }

    async fn revert(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError> {
        let vm = self.site.settled(Id::of("machine", machine.as_str())?).await?;
        let id = Id::of("snapshot", snapshot.as_str())?;
        if !vm.snapshots.iter().any(|snapshot| snapshot.id == id) {
            return Err(BackendError::NotFound(format!("snapshot {id} of machine {machine}")));
        }
        if vm.standing != Standing::Running {
            return Err(in_no_state_for("go back to a snapshot", &vm));
        }
        self.site.oned.changed(&Call::new("one.vm.snapshotrevert").with(vm.id).with(id)).await?;
        self.site.finished(vm.id, TAKES).await.map(drop)
    }

    async fn remove(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError> {
        let (Ok(machine), Ok(id)) = (Id::of("machine", machine.as_str()), Id::of("snapshot", snapshot.as_str())) else {
            return Ok(());
        };
        let Some(vm) = self.site.vm_if_known(machine).await? else { return Ok(()) };
        if !vm.snapshots.iter().any(|snapshot| snapshot.id == id) {
            return Ok(());
        }
        self.site.settled(machine).await?;
        let call = Call::new("one.vm.snapshotdelete").with(machine).with(id);
        unless_unknown(self.site.oned.change(&call).await?)?;
        self.site.finished(machine, TAKES).await.map(drop)
    }
}
