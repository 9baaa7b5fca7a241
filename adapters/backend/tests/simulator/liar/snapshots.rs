//! Snapshots and changes, told by a liar.

use async_trait::async_trait;
use backend::{Change, Events, IntentTag, Listing, MachineId, Snapshot, SnapshotId, Snapshots, simulator::Operation};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{Answer, Liar};
use crate::{lie::Lie, tag};

fn fake(tag: IntentTag) -> Snapshot {
    Snapshot { id: "fake".parse().unwrap(), tag, is_complete: true }
}

impl Liar {
    fn times(&self) -> &dyn Snapshots {
        self.backend().snapshots().unwrap()
    }
}

#[async_trait]
impl Snapshots for Liar {
    async fn take(&self, machine: &MachineId, tag: IntentTag) -> Answer<Snapshot> {
        let inner = self.tag(Operation::TakeSnapshot, tag);
        let taken = self.asked(Operation::TakeSnapshot, self.times().take(machine, inner), || fake(tag)).await?;
        Ok(Snapshot { tag, ..taken })
    }

    async fn snapshots(&self, machine: &MachineId) -> Answer<Listing<Snapshot>> {
        let call = self.asked(Operation::Snapshots, self.times().snapshots(machine), Listing::default);
        let mut listing = self.listed(Operation::Snapshots, call).await?;
        if self.lie == Lie::SnapshotNeverComplete {
            listing.objects.iter_mut().for_each(|snapshot| snapshot.is_complete = false);
        }
        Ok(listing)
    }

    async fn revert(&self, machine: &MachineId, snapshot: &SnapshotId) -> Answer<()> {
        self.told(Operation::RevertSnapshot, false, self.times().revert(machine, snapshot)).await?;
        if self.lie == Lie::RevertFails {
            let machine = self.backend().machine(machine).await?;
            self.truth.machine_fails(machine.tag, "it is another one then");
        }
        Ok(())
    }

    async fn remove(&self, machine: &MachineId, snapshot: &SnapshotId) -> Answer<()> {
        self.told(Operation::RemoveSnapshot, self.knows(machine).await, self.times().remove(machine, snapshot)).await
    }
}

#[async_trait]
impl Events for Liar {
    async fn follow(&self) -> Answer<BoxStream<'static, Answer<Change>>> {
        let told = self.backend().events().unwrap().follow().await?;
        Ok(match self.lie {
            Lie::IsSilent => told.filter(|_| std::future::ready(false)).boxed(),
            Lie::EndsEvents => stream::empty().boxed(),
            Lie::TellsOfOthers => {
                let other: MachineId = format!("other-{}", tag()).parse().unwrap();
                told.map(move |_| Ok(Change::Machine(other.clone()))).boxed()
            }
            _ => told,
        })
    }
}
