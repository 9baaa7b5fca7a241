//! A backend that tells the truth but for one thing.

use std::future::Future;

use async_trait::async_trait;
use backend::{
    AddressId, AddressSpec, Addresses, Attachment, AttachmentSpec, Backend, BackendError, CopyPurpose, Description,
    ImageOffer, IntentTag, Interface, InterfaceSpec, Listing, MacAddress, Machine, MachineId, MachineSize, MachineSpec,
    MachineState, Network, NetworkId, NetworkSpec, NetworkState, Networks, Progress, ReservedAddress, RestartMethod,
    Rule, SaveMethod, SavedDisk, SecurityGroup, SecurityGroupId, SecurityGroupSpec, SecurityGroups, StopMethod,
    SuspendMethod, Volume, VolumeId, VolumeSpec, VolumeState, Volumes,
    simulator::{Operation, Simulator},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::{ip, lie::Lie, tag};

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
        self.backend().describe().await
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Answer<()> {
        self.backend().provide_image(offer, progress).await
    }

    async fn create(&self, spec: &MachineSpec) -> Answer<Machine> {
        let inner = MachineSpec { tag: self.tag(Operation::Create, spec.tag), ..spec.clone() };
        let made = self.asked(Operation::Create, self.backend().create(&inner), || fake_machine(spec.tag)).await?;
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

#[async_trait]
impl Volumes for Liar {
    async fn create(&self, spec: &VolumeSpec) -> Answer<Volume> {
        let inner = VolumeSpec { tag: self.tag(Operation::CreateVolume, spec.tag), ..spec.clone() };
        let fake = || fake_volume("fake", spec.tag);
        let made = self.asked(Operation::CreateVolume, self.disks().create(&inner), fake).await?;
        Ok(Volume { tag: spec.tag, ..made })
    }

    async fn volume(&self, id: &VolumeId) -> Answer<Volume> {
        self.asked(Operation::Volume, self.disks().volume(id), || fake_volume(id.as_str(), tag())).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<Volume>> {
        self.listed(Operation::FindVolumeByTag, self.disks().find_by_tag(tag)).await
    }

    async fn volumes(&self) -> Answer<Listing<Volume>> {
        self.listed(Operation::Volumes, self.disks().volumes()).await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Answer<()> {
        let known = self.disks().volume(id).await.is_ok();
        self.told(Operation::SetVolumeOnline, known, self.disks().set_online(id, online)).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Answer<()> {
        let known = self.disks().volume(id).await.is_ok_and(|volume| volume.size_bytes < size_bytes);
        self.told(Operation::ResizeVolume, known, self.disks().resize(id, size_bytes)).await
    }

    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Answer<()> {
        self.told(Operation::CopyVolume, false, self.disks().copy(id, purpose, tag)).await
    }

    async fn delete(&self, id: &VolumeId) -> Answer<()> {
        let in_machine = self.disks().set_online(id, false).await.is_err();
        if !in_machine {
            self.disks().set_online(id, true).await?;
        }
        self.told(Operation::DeleteVolume, !in_machine, self.disks().delete(id)).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Answer<Attachment> {
        let inner = AttachmentSpec { tag: self.tag(Operation::Attach, spec.tag), ..spec.clone() };
        let fake = || Attachment { tag: spec.tag, volume: spec.volume.clone(), device: "/dev/vdb".into() };
        let made = self.asked(Operation::Attach, self.disks().attach(machine, &inner), fake).await?;
        let device = if self.lie == Lie::DeviceWithoutName { String::new() } else { made.device };
        Ok(Attachment { tag: spec.tag, device, ..made })
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Answer<()> {
        self.told(Operation::Detach, self.knows(machine).await, self.disks().detach(machine, tag)).await
    }
}

#[async_trait]
impl Networks for Liar {
    async fn create(&self, spec: &NetworkSpec) -> Answer<Network> {
        let inner = NetworkSpec { tag: self.tag(Operation::CreateNetwork, spec.tag), ..spec.clone() };
        Ok(Network { tag: spec.tag, ..self.nets().create(&inner).await? })
    }

    async fn network(&self, id: &NetworkId) -> Answer<Network> {
        let fake = || Network { id: id.clone(), tag: tag(), state: NetworkState::Up, detail: None };
        self.asked(Operation::Network, self.nets().network(id), fake).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<Network>> {
        self.listed(Operation::FindNetworkByTag, self.nets().find_by_tag(tag)).await
    }

    async fn networks(&self) -> Answer<Listing<Network>> {
        self.listed(Operation::Networks, self.nets().networks()).await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Answer<()> {
        let known = self.nets().network(id).await.is_ok();
        self.told(Operation::SetNetworkUp, known, self.nets().set_up(id, up)).await
    }

    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Answer<()> {
        self.told(Operation::ChangeNetwork, false, self.nets().change(id, spec)).await
    }

    async fn delete(&self, id: &NetworkId) -> Answer<()> {
        let known = self.nets().network(id).await.is_ok() && self.truth.interface_count() == 0;
        self.told(Operation::DeleteNetwork, known, self.nets().delete(id)).await
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Answer<Interface> {
        let mut inner = InterfaceSpec { tag: self.tag(Operation::Plug, spec.tag), ..spec.clone() };
        if self.lie == Lie::IgnoresWishes {
            (inner.mac, inner.address) = (None, None);
        }
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        let fake = || Interface { tag: spec.tag, device: "eth1".into(), mac, address: None, gateway: None };
        let mut made = self.asked(Operation::Plug, self.nets().plug(machine, &inner), fake).await?;
        made.tag = spec.tag;
        match self.lie {
            Lie::OneMacForAll => made.mac = mac,
            Lie::MacOfMany => made.mac.0[0] |= 1,
            Lie::OneAddressForAll => made.address = Some(ip("10.213.77.2")),
            Lie::GatewayForAll => made.address = made.gateway,
            Lie::InterfaceWithoutName => made.device.clear(),
            _ => {}
        }
        Ok(made)
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Answer<()> {
        self.told(Operation::Unplug, self.knows(machine).await, self.nets().unplug(machine, tag)).await
    }
}

#[async_trait]
impl Addresses for Liar {
    async fn reserve(&self, spec: &AddressSpec) -> Answer<ReservedAddress> {
        let inner = AddressSpec { tag: self.tag(Operation::ReserveAddress, spec.tag), ..spec.clone() };
        let call = self.reservations().reserve(&inner);
        let made = self.asked(Operation::ReserveAddress, call, || fake_address(spec.tag)).await?;
        Ok(self.used(ReservedAddress { tag: spec.tag, ..made }))
    }

    async fn address(&self, id: &AddressId) -> Answer<ReservedAddress> {
        let seen = self.asked(Operation::Address, self.reservations().address(id), || fake_address(tag())).await?;
        Ok(self.used(seen))
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<ReservedAddress>> {
        let found = self.listed(Operation::FindAddressByTag, self.reservations().find_by_tag(tag)).await?;
        Ok(found.map(|found| self.used(found)))
    }

    async fn release(&self, id: &AddressId) -> Answer<()> {
        let known = self.reservations().address(id).await.is_ok_and(|address| !address.used);
        self.told(Operation::ReleaseAddress, known, self.reservations().release(id)).await
    }
}

#[async_trait]
impl SecurityGroups for Liar {
    async fn create(&self, spec: &SecurityGroupSpec) -> Answer<SecurityGroup> {
        let inner = SecurityGroupSpec { tag: self.tag(Operation::CreateSecurityGroup, spec.tag), ..spec.clone() };
        Ok(SecurityGroup { tag: spec.tag, ..self.groups().create(&inner).await? })
    }

    async fn group(&self, id: &SecurityGroupId) -> Answer<SecurityGroup> {
        let fake = || SecurityGroup { id: id.clone(), tag: tag(), rules: Vec::new() };
        self.asked(Operation::SecurityGroup, self.groups().group(id), fake).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<SecurityGroup>> {
        self.listed(Operation::FindSecurityGroupByTag, self.groups().find_by_tag(tag)).await
    }

    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Answer<()> {
        let known = self.groups().group(id).await.is_ok();
        self.told(Operation::ChangeSecurityGroup, known, self.groups().change(id, rules)).await
    }

    async fn delete(&self, id: &SecurityGroupId) -> Answer<()> {
        let known = self.groups().group(id).await.is_ok() && self.truth.applied_group_count() == 0;
        self.told(Operation::DeleteSecurityGroup, known, self.groups().delete(id)).await
    }

    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Answer<()> {
        let known = self.knows(machine).await && self.groups().group(group).await.is_ok();
        self.told(Operation::ApplySecurityGroup, known, self.groups().apply(machine, group)).await
    }

    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Answer<()> {
        self.told(Operation::LiftSecurityGroup, self.knows(machine).await, self.groups().lift(machine, group)).await
    }
}
