//! From a call to its answer.

use serde::Serialize;

use super::wire::{Answer, Call, Saved};
use crate::{
    Addresses, Backend, BackendError, MachineId, Networks, SaveMethod, SecurityGroups, Snapshots, Volumes,
    simulator::Simulator,
};

/// Does what is asked, and answers in JSON.
pub(super) async fn answer(simulator: &Simulator, call: Call) -> Vec<u8> {
    match call {
        Call::Describe => encoded(&simulator.describe().await),
        Call::HoldImage { digest, size } => encoded(&simulator.hold_image(digest, size).await),
        Call::FindImage(digest) => encoded(&simulator.find_image(&digest).await),
        Call::DeleteImage(digest) => encoded(&simulator.delete_image(&digest).await),
        Call::Create(spec) => encoded(&Backend::create(simulator, &spec).await),
        Call::Machine(id) => encoded(&simulator.machine(&id).await),
        Call::FindByTag(tag) => encoded(&Backend::find_by_tag(simulator, tag).await),
        Call::Machines => encoded(&simulator.machines().await),
        Call::Start(id) => encoded(&simulator.start(&id).await),
        Call::Stop(id, method) => encoded(&simulator.stop(&id, method).await),
        Call::Restart(id, method) => encoded(&simulator.restart(&id, method).await),
        Call::Suspend(id, method) => encoded(&simulator.suspend(&id, method).await),
        Call::Resize(id, size) => encoded(&Backend::resize(simulator, &id, &size).await),
        Call::Save(id, method) => encoded(&save(simulator, &id, method).await),
        Call::Console(id, kind) => encoded(&simulator.console(&id, kind).await),
        Call::Quota => encoded(&simulator.quota().await),
        Call::Delete(id) => encoded(&Backend::delete(simulator, &id).await),
        Call::Parts => encoded(&Ok(simulator.parts())),
        Call::Obey(command) => encoded(&simulator.obey(command)),
        Call::Inventory => encoded(&Ok(simulator.inventory())),
        Call::Objects => encoded(&Ok(simulator.objects())),
        Call::MachineSpec(tag) => encoded(&Ok(simulator.machine_spec(tag))),
        Call::LastRequest(operation) => encoded(&Ok(simulator.last_request(operation))),
        other => answer_of_parts(simulator, other).await,
    }
}

async fn save(simulator: &Simulator, id: &MachineId, method: SaveMethod) -> Answer<Saved> {
    let disk = simulator.save_marked(id, method).await?;
    Ok(Saved { size: disk.size, mark: disk.mark })
}

async fn answer_of_parts(simulator: &Simulator, call: Call) -> Vec<u8> {
    match call {
        Call::TakeSnapshot(id, tag) => encoded(&simulator.take(&id, tag).await),
        Call::Snapshots(id) => encoded(&Snapshots::snapshots(simulator, &id).await),
        Call::RevertSnapshot(id, snapshot) => encoded(&simulator.revert(&id, &snapshot).await),
        Call::RemoveSnapshot(id, snapshot) => encoded(&simulator.remove(&id, &snapshot).await),
        Call::CreateVolume(spec) => encoded(&Volumes::create(simulator, &spec).await),
        Call::Volume(id) => encoded(&simulator.volume(&id).await),
        Call::FindVolumeByTag(tag) => encoded(&Volumes::find_by_tag(simulator, tag).await),
        Call::Volumes => encoded(&Volumes::volumes(simulator).await),
        Call::SetVolumeOnline(id, online) => encoded(&simulator.set_online(&id, online).await),
        Call::ResizeVolume(id, size_bytes) => encoded(&Volumes::resize(simulator, &id, size_bytes).await),
        Call::CopyVolume(id, purpose, tag) => encoded(&simulator.copy(&id, purpose, tag).await),
        Call::DeleteVolume(id) => encoded(&Volumes::delete(simulator, &id).await),
        Call::Attach(machine, spec) => encoded(&simulator.attach(&machine, &spec).await),
        Call::Detach(machine, tag) => encoded(&simulator.detach(&machine, tag).await),
        Call::CreateNetwork(spec) => encoded(&Networks::create(simulator, &spec).await),
        Call::Network(id) => encoded(&simulator.network(&id).await),
        Call::FindNetworkByTag(tag) => encoded(&Networks::find_by_tag(simulator, tag).await),
        Call::Networks => encoded(&Networks::networks(simulator).await),
        Call::SetNetworkUp(id, up) => encoded(&simulator.set_up(&id, up).await),
        Call::ChangeNetwork(id, spec) => encoded(&Networks::change(simulator, &id, &spec).await),
        Call::DeleteNetwork(id) => encoded(&Networks::delete(simulator, &id).await),
        Call::Plug(machine, spec) => encoded(&simulator.plug(&machine, &spec).await),
        Call::Unplug(machine, tag) => encoded(&simulator.unplug(&machine, tag).await),
        Call::ReserveAddress(spec) => encoded(&simulator.reserve(&spec).await),
        Call::Address(id) => encoded(&simulator.address(&id).await),
        Call::FindAddressByTag(tag) => encoded(&Addresses::find_by_tag(simulator, tag).await),
        Call::ReleaseAddress(id) => encoded(&simulator.release(&id).await),
        Call::CreateSecurityGroup(spec) => encoded(&SecurityGroups::create(simulator, &spec).await),
        Call::SecurityGroup(id) => encoded(&simulator.group(&id).await),
        Call::FindSecurityGroupByTag(tag) => encoded(&SecurityGroups::find_by_tag(simulator, tag).await),
        Call::ChangeSecurityGroup(id, rules) => encoded(&SecurityGroups::change(simulator, &id, &rules).await),
        Call::DeleteSecurityGroup(id) => encoded(&SecurityGroups::delete(simulator, &id).await),
        Call::ApplySecurityGroup(machine, group) => encoded(&simulator.apply(&machine, &group).await),
        Call::LiftSecurityGroup(machine, group) => encoded(&simulator.lift(&machine, &group).await),
        other => encoded::<()>(&Err(BackendError::Unsupported(format!("answer {other:?} among its parts")))),
    }
}

/// An empty body, which nobody takes for an answer, for what has no JSON: nothing here.
pub(super) fn encoded<T: Serialize>(answer: &Answer<T>) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}
