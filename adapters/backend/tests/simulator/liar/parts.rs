//! The optional parts, told by a liar.

use async_trait::async_trait;
use backend::{
    AddressId, AddressSpec, Addresses, Attachment, AttachmentSpec, CopyPurpose, IntentTag, Interface, InterfaceSpec,
    Listing, MacAddress, MachineId, Network, NetworkId, NetworkSpec, NetworkState, Networks, ReservedAddress, Rule,
    SecurityGroup, SecurityGroupId, SecurityGroupSpec, SecurityGroups, Volume, VolumeId, VolumeSpec, Volumes,
    simulator::Operation,
};

use super::{Answer, Liar, fake_address, fake_volume};
use crate::{ip, lie::Lie, tag};

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
