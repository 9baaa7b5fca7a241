use std::time::Duration;

use backend::{
    Backend, BackendError, MachineState,
    simulator::{Behaviour, Delays, Fault, Operation, Simulator},
};

use crate::{machine, offer, spec};

/// All there are.
pub const OPERATIONS: [Operation; 52] = [
    Operation::Describe,
    Operation::ProvideImage,
    Operation::FindImage,
    Operation::DeleteImage,
    Operation::Create,
    Operation::Machine,
    Operation::FindByTag,
    Operation::Machines,
    Operation::Start,
    Operation::Stop,
    Operation::Restart,
    Operation::Suspend,
    Operation::Resize,
    Operation::Save,
    Operation::Console,
    Operation::Quota,
    Operation::TakeSnapshot,
    Operation::Snapshots,
    Operation::RevertSnapshot,
    Operation::RemoveSnapshot,
    Operation::FollowEvents,
    Operation::Delete,
    Operation::CreateVolume,
    Operation::Volume,
    Operation::FindVolumeByTag,
    Operation::Volumes,
    Operation::SetVolumeOnline,
    Operation::ResizeVolume,
    Operation::CopyVolume,
    Operation::DeleteVolume,
    Operation::Attach,
    Operation::Detach,
    Operation::CreateNetwork,
    Operation::Network,
    Operation::FindNetworkByTag,
    Operation::Networks,
    Operation::SetNetworkUp,
    Operation::ChangeNetwork,
    Operation::DeleteNetwork,
    Operation::Plug,
    Operation::Unplug,
    Operation::ReserveAddress,
    Operation::Address,
    Operation::FindAddressByTag,
    Operation::ReleaseAddress,
    Operation::CreateSecurityGroup,
    Operation::SecurityGroup,
    Operation::FindSecurityGroupByTag,
    Operation::ChangeSecurityGroup,
    Operation::DeleteSecurityGroup,
    Operation::ApplySecurityGroup,
    Operation::LiftSecurityGroup,
];

#[tokio::test]
async fn a_lost_answer_has_had_its_effect() {
    let simulator = Simulator::default();
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    simulator.inject(Operation::Create, Fault::AnswerLost, 1);
    let spec = spec();
    assert!(matches!(simulator.create(&spec).await, Err(BackendError::Unreachable(_))));
    let found = simulator.find_by_tag(spec.tag).await.unwrap().unwrap();
    assert_eq!(simulator.create(&spec).await.unwrap().id, found.id);
    assert_eq!((simulator.machine_count(), simulator.calls(Operation::Create)), (1, 2));
}

#[tokio::test]
async fn a_fault_before_has_had_no_effect() {
    let simulator = Simulator::default();
    let id = machine(&simulator).await;
    simulator.inject(Operation::Delete, Fault::Before(BackendError::Capacity("busy".into())), 1);
    assert!(simulator.delete(&id).await.is_err());
    assert_eq!(simulator.machine_count(), 1);
}

#[tokio::test]
async fn faults_come_in_order_and_end() {
    let simulator = Simulator::default();
    simulator.inject(Operation::Describe, Fault::Before(BackendError::Capacity("full".into())), 1);
    simulator.inject(Operation::Describe, Fault::AnswerLost, 1);
    assert!(matches!(simulator.describe().await, Err(BackendError::Capacity(_))));
    assert!(matches!(simulator.describe().await, Err(BackendError::Unreachable(_))));
    assert!(simulator.describe().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_may_be_dropped_and_has_done_nothing() {
    let delays = Delays { boot: Duration::from_secs(5), ..Delays::default() };
    let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
    let id = machine(&simulator).await;
    simulator.inject(Operation::Stop, Fault::Hang, 1);
    let stop = simulator.stop(&id, backend::StopMethod::PowerOff);
    assert!(tokio::time::timeout(Duration::from_secs(60), stop).await.is_err());
    assert_eq!(simulator.machine(&id).await.unwrap().state, MachineState::Running);
}
