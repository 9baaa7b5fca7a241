//! The optional parts of the contract.

use async_trait::async_trait;

use super::{
    SimulatorClient,
    wire::{Answer, Call},
};
use crate::{
    AddressId, AddressSpec, Addresses, Attachment, AttachmentSpec, CopyPurpose, IntentTag, Interface, InterfaceSpec,
    Listing, MachineId, Network, NetworkId, NetworkSpec, Networks, ReservedAddress, Rule, SecurityGroup,
    SecurityGroupId, SecurityGroupSpec, SecurityGroups, Snapshot, SnapshotId, Snapshots, Volume, VolumeId, VolumeSpec,
    Volumes,
};

#[async_trait]
impl Snapshots for SimulatorClient {
    async fn take(&self, machine: &MachineId, tag: IntentTag) -> Answer<Snapshot> {
        self.line.call(Call::TakeSnapshot(machine.clone(), tag)).await
    }

    async fn snapshots(&self, machine: &MachineId) -> Answer<Listing<Snapshot>> {
        self.line.call(Call::Snapshots(machine.clone())).await
    }

    async fn revert(&self, machine: &MachineId, snapshot: &SnapshotId) -> Answer<()> {
        self.line.call(Call::RevertSnapshot(machine.clone(), snapshot.clone())).await
    }

    async fn remove(&self, machine: &MachineId, snapshot: &SnapshotId) -> Answer<()> {
        self.line.call(Call::RemoveSnapshot(machine.clone(), snapshot.clone())).await
    }
}

#[async_trait]
impl Volumes for SimulatorClient {
    async fn create(&self, spec: &VolumeSpec) -> Answer<Volume> {
        self.line.call(Call::CreateVolume(spec.clone())).await
    }

    async fn volume(&self, id: &VolumeId) -> Answer<Volume> {
        self.line.call(Call::Volume(id.clone())).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<Volume>> {
        self.line.call(Call::FindVolumeByTag(tag)).await
    }

    async fn volumes(&self) -> Answer<Listing<Volume>> {
        self.line.call(Call::Volumes).await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Answer<()> {
        self.line.call(Call::SetVolumeOnline(id.clone(), online)).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Answer<()> {
        self.line.call(Call::ResizeVolume(id.clone(), size_bytes)).await
    }

    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Answer<()> {
        self.line.call(Call::CopyVolume(id.clone(), purpose, tag)).await
    }

    async fn delete(&self, id: &VolumeId) -> Answer<()> {
        self.line.call(Call::DeleteVolume(id.clone())).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Answer<Attachment> {
        self.line.call(Call::Attach(machine.clone(), spec.clone())).await
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Answer<()> {
        self.line.call(Call::Detach(machine.clone(), tag)).await
    }
}

#[async_trait]
impl Networks for SimulatorClient {
    async fn create(&self, spec: &NetworkSpec) -> Answer<Network> {
        self.line.call(Call::CreateNetwork(spec.clone())).await
    }

    async fn network(&self, id: &NetworkId) -> Answer<Network> {
        self.line.call(Call::Network(id.clone())).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<Network>> {
        self.line.call(Call::FindNetworkByTag(tag)).await
    }

    async fn networks(&self) -> Answer<Listing<Network>> {
        self.line.call(Call::Networks).await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Answer<()> {
        self.line.call(Call::SetNetworkUp(id.clone(), up)).await
    }

    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Answer<()> {
        self.line.call(Call::ChangeNetwork(id.clone(), spec.clone())).await
    }

    async fn delete(&self, id: &NetworkId) -> Answer<()> {
        self.line.call(Call::DeleteNetwork(id.clone())).await
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Answer<Interface> {
        self.line.call(Call::Plug(machine.clone(), spec.clone())).await
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Answer<()> {
        self.line.call(Call::Unplug(machine.clone(), tag)).await
    }
}

#[async_trait]
impl Addresses for SimulatorClient {
    async fn reserve(&self, spec: &AddressSpec) -> Answer<ReservedAddress> {
        self.line.call(Call::ReserveAddress(spec.clone())).await
    }

    async fn address(&self, id: &AddressId) -> Answer<ReservedAddress> {
        self.line.call(Call::Address(id.clone())).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<ReservedAddress>> {
        self.line.call(Call::FindAddressByTag(tag)).await
    }

    async fn release(&self, id: &AddressId) -> Answer<()> {
        self.line.call(Call::ReleaseAddress(id.clone())).await
    }
}

#[async_trait]
impl SecurityGroups for SimulatorClient {
    async fn create(&self, spec: &SecurityGroupSpec) -> Answer<SecurityGroup> {
        self.line.call(Call::CreateSecurityGroup(spec.clone())).await
    }

    async fn group(&self, id: &SecurityGroupId) -> Answer<SecurityGroup> {
        self.line.call(Call::SecurityGroup(id.clone())).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<SecurityGroup>> {
        self.line.call(Call::FindSecurityGroupByTag(tag)).await
    }

    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Answer<()> {
        self.line.call(Call::ChangeSecurityGroup(id.clone(), rules.to_vec())).await
    }

    async fn delete(&self, id: &SecurityGroupId) -> Answer<()> {
        self.line.call(Call::DeleteSecurityGroup(id.clone())).await
    }

    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Answer<()> {
        self.line.call(Call::ApplySecurityGroup(machine.clone(), group.clone())).await
    }

    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Answer<()> {
        self.line.call(Call::LiftSecurityGroup(machine.clone(), group.clone())).await
    }
}
