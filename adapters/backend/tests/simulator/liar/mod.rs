//! A backend that tells the truth but for one thing.

mod parts;
mod snapshots;

use std::{collections::BTreeSet, future::Future};

use async_trait::async_trait;
use backend::{
    Addresses, Backend, BackendError, Capabilities, ConsoleKind, ConsoleTicket, Description, Events, Finding,
    ImageOffer, IntentTag, Listing, Machine, MachineId, MachineJoins, MachineSize, MachineSpec, MachineState, Networks,
    Progress, Quota, ReservedAddress, RestartMethod, SaveMethod, SavedDisk, SecurityGroups, SiteImage, SiteImageState,
    SizeOffer, Snapshots, StopMethod, SuspendMethod, Verdict, Volume, VolumeState, Volumes,
    simulator::{Operation, Simulator},
};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::{StreamExt, stream};

use crate::{
    ip,
    lie::{Join, Lie},
    tag,
};

pub struct Liar {
    pub truth: Simulator,
    pub lie: Lie,
}

type Answer<T> = Result<T, BackendError>;

impl Liar {
    /// A call without a value, for something that is `known`.
    async fn told(&self, operation: Operation, known: bool, call: impl Future<Output = Answer<()>>) -> Answer<()> {
        if known && self.lie == Lie::Idle(operation) {
            return Ok(());
        }
        self.asked(operation, call, || ()).await
    }

    /// A call with a value, and a value to lie with.
    async fn asked<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Answer<T>>,
        fake: impl FnOnce() -> T,
    ) -> Answer<T> {
        match call.await {
            Err(BackendError::NotFound(_)) if self.lie == Lie::Knows(operation) => Ok(fake()),
            Err(BackendError::Conflict(_) | BackendError::Refused(_)) if self.lie == Lie::Allows(operation) => {
                Ok(fake())
            }
            answer => answer,
        }
    }

    async fn listed<T: Default>(&self, operation: Operation, call: impl Future<Output = Answer<T>>) -> Answer<T> {
        let answer = call.await?;
        Ok(if self.lie == Lie::Forgets(operation) { T::default() } else { answer })
    }

    /// The tag that is used, which is the right one but for those who make two things of it.
    fn tag(&self, operation: Operation, right: IntentTag) -> IntentTag {
        if self.lie == Lie::Doubles(operation) { tag() } else { right }
    }

    async fn knows(&self, id: &MachineId) -> bool {
        self.backend().machine(id).await.is_ok()
    }

    fn shown(&self, machine: Machine) -> Machine {
        let ordered = MachineSize { cores: 1, memory_mib: 128, disk_bytes: 1 << 40 };
        match self.lie {
            Lie::Renames => Machine { name: Some("other".into()), ..machine },
            Lie::GivesAnotherSize => {
                let size = machine.size.map(|size| MachineSize { cores: size.cores + 1, ..size });
                Machine { size, ..machine }
            }
            Lie::NeverGrows => Machine { size: machine.size.and(Some(ordered)), ..machine },
            Lie::DiskTooSmall => {
                let size = machine.size.map(|size| MachineSize { disk_bytes: size.disk_bytes - 1, ..size });
                Machine { size, ..machine }
            }
            _ => machine,
        }
    }

    /// The truth about machines. With so many contracts in scope, a call must say whose it is.
    fn backend(&self) -> &dyn Backend {
        &self.truth
    }

    fn disks(&self) -> &dyn Volumes {
        self.backend().volumes().unwrap()
    }

    fn nets(&self) -> &dyn Networks {
        self.backend().networks().unwrap()
    }

    fn reservations(&self) -> &dyn Addresses {
        self.backend().addresses().unwrap()
    }

    fn groups(&self) -> &dyn SecurityGroups {
        self.backend().security_groups().unwrap()
    }

    fn used(&self, address: ReservedAddress) -> ReservedAddress {
        let used = match self.lie {
            Lie::NeverUsed => false,
            Lie::AlwaysUsed => true,
            _ => address.used,
        };
        ReservedAddress { used, ..address }
    }
}

fn fake_machine(tag: IntentTag) -> Machine {
    Machine {
        id: "fake".parse().unwrap(),
        tag,
        state: MachineState::Running,
        detail: None,
        endpoints: Vec::new(),
        console: None,
        guest_answers: None,
        name: None,
        size: None,
    }
}

fn fake_volume(id: &str, tag: IntentTag) -> Volume {
    Volume { id: id.parse().unwrap(), tag, state: VolumeState::Online, size_bytes: 1 << 40, detail: None }
}

fn fake_address(tag: IntentTag) -> ReservedAddress {
    ReservedAddress { id: "fake".parse().unwrap(), tag, address: ip("192.0.2.1"), used: false }
}

fn disk(size: u64, chunks: Vec<Bytes>) -> SavedDisk {
    SavedDisk { size, bytes: stream::iter(chunks.into_iter().map(Ok)).boxed() }
}

#[async_trait]
impl Backend for Liar {
    async fn describe(&self) -> Answer<Description> {
        let mut said = self.backend().describe().await?;
        let offer = SizeOffer {
            id: "one".into(),
            name: "one".into(),
            size: MachineSize { cores: 1, memory_mib: 128, disk_bytes: 0 },
        };
        match self.lie {
            Lie::Declares(capability) => {
                let all: BTreeSet<_> = said.capabilities.iter().chain([capability]).collect();
                said.capabilities = Capabilities::from_iter(all);
            }
            Lie::Hides(capability) => said.capabilities = said.capabilities.without(&[capability]),
            Lie::HasNoFormats => said.image_formats.clear(),
            Lie::SpeaksAtLength => said.particulars.disk_buses.push("virtio ".repeat(1000)),
            Lie::OffersMoreThanItHas => {
                said.sizes = vec![SizeOffer { size: MachineSize { cores: 1 << 20, ..offer.size }, ..offer }];
            }
            Lie::OffersTwoOfOneName => said.sizes = vec![offer.clone(), offer],
            _ => {}
        }
        Ok(said)
    }

    async fn check(&self) -> Vec<Finding> {
        match self.lie {
            Lie::FindsNothingWrongOrRight => Vec::new(),
            Lie::FindsFault => vec![Finding::new("credentials", Verdict::Bad, "revoked: renew them")],
            _ => self.backend().check().await,
        }
    }

    async fn find_image(&self, digest: &ContentDigest) -> Answer<Option<SiteImage>> {
        let found = self.listed(Operation::FindImage, self.backend().find_image(digest)).await?;
        Ok(found.map(|image| match self.lie {
            Lie::FindsAnotherImage => SiteImage { digest: ContentDigest::from_bytes([9; 32]), ..image },
            Lie::ImageArrivesForEver => SiteImage { state: SiteImageState::Arriving, ..image },
            _ => image,
        }))
    }

    async fn delete_image(&self, digest: &ContentDigest) -> Answer<()> {
        let known = self.truth.machine_count() == 0 && self.truth.holds_image(digest);
        self.told(Operation::DeleteImage, known, self.backend().delete_image(digest)).await
    }

    async fn console(&self, id: &MachineId, kind: ConsoleKind) -> Answer<ConsoleTicket> {
        let fake = || ConsoleTicket { kind, url: "wss://fake.invalid/".into(), holds_for: None };
        let ticket = self.asked(Operation::Console, self.backend().console(id, kind), fake).await?;
        Ok(match self.lie {
            Lie::TicketOfAnotherKind => ConsoleTicket { kind: ConsoleKind::Serial, ..ticket },
            Lie::TicketToNowhere => ConsoleTicket { url: "here".into(), ..ticket },
            _ => ticket,
        })
    }

    async fn quota(&self) -> Answer<Quota> {
        let mut quota = self.backend().quota().await?;
        match self.lie {
            Lie::CountsTwice => quota.entries.extend(quota.entries.clone()),
            Lie::CountsNothing => quota.entries.clear(),
            Lie::NeverCounts => quota.entries.iter_mut().for_each(|entry| entry.used = 7),
            Lie::UsesTooMuch => quota.entries.iter_mut().for_each(|entry| (entry.used, entry.limit) = (9, Some(8))),
            _ => {}
        }
        Ok(quota)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.backend().snapshots().map(|_| self as &dyn Snapshots)
    }

    fn events(&self) -> Option<&dyn Events> {
        self.backend().events().map(|_| self as &dyn Events)
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Answer<()> {
        self.backend().provide_image(offer, progress).await
    }

    async fn create(&self, spec: &MachineSpec) -> Answer<Machine> {
        let mut inner = MachineSpec { tag: self.tag(Operation::Create, spec.tag), ..spec.clone() };
        match self.lie {
            Lie::ForgetsJoins(Join::Volumes) => inner.joins.volumes.clear(),
            Lie::ForgetsJoins(Join::Interfaces) => inner.joins.interfaces.clear(),
            Lie::ForgetsJoins(Join::SecurityGroups) => inner.joins.security_groups.clear(),
            _ => {}
        }
        let create = self.backend().create(&inner);
        let made = self.asked(Operation::Create, create, || fake_machine(spec.tag)).await;
        if made.is_err() && self.lie == Lie::LeavesAMachineWhoseJoinFailed && spec.joins != MachineJoins::default() {
            self.backend().create(&MachineSpec { joins: MachineJoins::default(), ..spec.clone() }).await?;
        }
        let made = made?;
        Ok(self.shown(Machine { tag: spec.tag, ..made }))
    }

    async fn machine(&self, id: &MachineId) -> Answer<Machine> {
        let seen = self.asked(Operation::Machine, self.backend().machine(id), || fake_machine(tag())).await?;
        Ok(self.shown(seen))
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<Machine>> {
        self.listed(Operation::FindByTag, self.backend().find_by_tag(tag)).await
    }

    async fn machines(&self) -> Answer<Listing<Machine>> {
        let mut listing = self.listed(Operation::Machines, self.backend().machines()).await?;
        match self.lie {
            Lie::ListsUnderAnotherName => {
                listing.objects.iter_mut().for_each(|machine| machine.name = Some("other".into()));
            }
            Lie::SaysTooMuch => listing.unreadable = vec!["lost".into(); 21],
            Lie::SaysTooLong => listing.unreadable = vec!["lost ".repeat(41)],
            Lie::SaysUnprintable => listing.unreadable = vec!["lost\u{1b}[2J".into()],
            Lie::SaysNothing => listing.more_unreadable = 3,
            _ => {}
        }
        Ok(listing)
    }

    async fn start(&self, id: &MachineId) -> Answer<()> {
        self.told(Operation::Start, self.knows(id).await, self.backend().start(id)).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Answer<()> {
        self.told(Operation::Stop, self.knows(id).await, self.backend().stop(id, method)).await
    }

    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Answer<()> {
        self.told(Operation::Restart, self.knows(id).await, self.backend().restart(id, method)).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Answer<()> {
        self.told(Operation::Suspend, self.knows(id).await, self.backend().suspend(id, method)).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Answer<()> {
        self.told(Operation::Resize, self.knows(id).await, self.backend().resize(id, size)).await?;
        if self.lie == Lie::ResizeStarts { self.backend().start(id).await } else { Ok(()) }
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Answer<SavedDisk> {
        let saved = self.asked(Operation::Save, self.backend().save(id, method), || disk(0, Vec::new())).await?;
        let zeros = |length: u64| Bytes::from(vec![0; usize::try_from(length).unwrap()]);
        Ok(match (self.lie, method) {
            (Lie::SavesTooLittle, _) => disk(saved.size, vec![zeros(saved.size - 1)]),
            (Lie::SavesTooMuch, _) => disk(saved.size, vec![zeros(saved.size), zeros(1)]),
            (Lie::SavesInLargeChunks, _) => disk(2 << 20, vec![zeros(2 << 20)]),
            (Lie::SavesNothing, _) => disk(0, Vec::new()),
            (Lie::SavesRandomly, _) => {
                let random = tag().0.as_bytes().repeat(256);
                disk(random.len() as u64, vec![random.into()])
            }
            (Lie::HotSaveStops, SaveMethod::Hot) | (Lie::DeferredSaveLeavesOff, SaveMethod::Deferred) => {
                self.backend().stop(id, StopMethod::PowerOff).await?;
                saved
            }
            _ => saved,
        })
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        Some(self)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        Some(self)
    }

    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        Some(self)
    }

    async fn delete(&self, id: &MachineId) -> Answer<()> {
        self.told(Operation::Delete, self.knows(id).await, self.backend().delete(id)).await
    }
}
