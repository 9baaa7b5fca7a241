use std::{sync::Arc, time::Duration};

use backend::{
    Backend, BackendError,
    simulator::{Behaviour, Delays, Fault, Operation, Parts, Simulator},
    suite::{Candidate, Report, Violation, verify},
};

use crate::{assert_empty, faults::OPERATIONS, liar::Liar, lie::Lie, offer};

fn candidate(backend: impl Backend + 'static) -> Candidate {
    Candidate { backend: Arc::new(backend), image: offer(4096), patience: Duration::from_secs(10) }
}

async fn outcome(simulator: &Simulator) -> Result<Report, Violation> {
    verify(&candidate(simulator.clone())).await
}

#[tokio::test(start_paused = true)]
async fn the_simulator_keeps_the_contract() {
    let delays = Delays {
        call: Duration::from_millis(3),
        image: Duration::from_secs(1),
        boot: Duration::from_secs(4),
        stop: Duration::from_secs(2),
        suspend: Duration::from_secs(2),
        save: Duration::from_secs(3),
        volume: Duration::from_secs(2),
        network: Duration::from_secs(2),
    };
    for delays in [Delays::default(), delays] {
        let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
        let checked = simulator.clone();
        // On a task, since adapters' tests may want it there.
        let report = tokio::spawn(async move { outcome(&checked).await }).await.unwrap().unwrap();
        assert_eq!(report, Report::default());
        assert_empty(&simulator);
        for operation in OPERATIONS {
            assert!(simulator.calls(operation) > 0, "the suite never calls {operation:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_without_a_part_is_checked_for_the_rest() {
    let all = Parts::default();
    for (parts, noted) in [
        (Parts { volumes: false, ..all }, vec!["volumes"]),
        (Parts { networks: false, ..all }, vec!["networks"]),
        (Parts { addresses: false, ..all }, vec!["reserved addresses"]),
        (Parts { security_groups: false, ..all }, vec!["security groups"]),
        (Parts::NONE, vec!["volumes", "networks", "reserved addresses", "security groups"]),
    ] {
        let simulator = Simulator::new(Behaviour { parts, ..Behaviour::default() });
        let noted: Vec<_> = noted.iter().map(|part| format!("{part}: the backend has none")).collect();
        assert_eq!(outcome(&simulator).await.unwrap().skipped, noted);
        assert_empty(&simulator);
    }
}

#[tokio::test]
async fn what_is_not_supported_is_noted() {
    let simulator = Simulator::default();
    for (operation, what) in [
        (Operation::Suspend, "suspend machines"),
        (Operation::Resize, "resize machines"),
        (Operation::Save, "save disks"),
        (Operation::ChangeNetwork, "change networks"),
    ] {
        simulator.inject(operation, Fault::Before(BackendError::Unsupported(what.into())), 100);
    }
    let skipped = outcome(&simulator).await.unwrap().skipped;
    for what in ["suspend machines", "resize machines", "save disks", "change networks"] {
        assert!(skipped.iter().any(|note| note.ends_with(&format!("cannot {what}"))), "{what} in {skipped:?}");
    }
    assert_empty(&simulator);
}

#[tokio::test(start_paused = true)]
async fn the_suite_notices_a_backend_that_never_boots() {
    let delays = Delays { boot: Duration::from_secs(3600), ..Delays::default() };
    let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
    let violation = outcome(&simulator).await.unwrap_err().to_string();
    assert!(violation.contains("Running was expected"), "{violation}");
    assert_empty(&simulator);
}

#[tokio::test(start_paused = true)]
async fn the_suite_notices_volumes_and_networks_that_never_arrive() {
    let slow = Duration::from_secs(3600);
    for (delays, expected) in [
        (Delays { volume: slow, ..Delays::default() }, "Online was expected"),
        (Delays { network: slow, ..Delays::default() }, "Up was expected"),
        (Delays { suspend: slow, ..Delays::default() }, "Suspended was expected"),
    ] {
        let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
        let violation = outcome(&simulator).await.unwrap_err().to_string();
        assert!(violation.contains(expected), "{violation}");
        assert_empty(&simulator);
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_ends_and_fails_whatever_call_fails_or_hangs() {
    let failed = Fault::Before(BackendError::Failed("as ordered".into()));
    for operation in OPERATIONS {
        for (fault, expected) in [(failed.clone(), "as ordered"), (Fault::Hang, "no answer within")] {
            let simulator = Simulator::default();
            simulator.inject(operation, fault, 1000);
            let violation = outcome(&simulator).await.unwrap_err().to_string();
            assert!(violation.contains(expected), "{operation:?}: {violation}");
        }
    }
}

#[tokio::test]
async fn the_suite_removes_what_it_made_when_a_check_fails_late() {
    let simulator = Simulator::default();
    simulator.inject(Operation::LiftSecurityGroup, Fault::Before(BackendError::Failed("as ordered".into())), 1000);
    outcome(&simulator).await.unwrap_err();
    assert_empty(&simulator);
}

/// What is done already must succeed: a backend that says `NotFound` instead is found out.
#[tokio::test]
async fn the_suite_insists_on_success_for_what_is_gone() {
    for operation in [
        Operation::Delete,
        Operation::DeleteVolume,
        Operation::Detach,
        Operation::DeleteNetwork,
        Operation::Unplug,
        Operation::ReleaseAddress,
        Operation::DeleteSecurityGroup,
        Operation::LiftSecurityGroup,
    ] {
        let simulator = Simulator::default();
        // Each is first called for something unknown.
        simulator.inject(operation, Fault::Before(BackendError::NotFound("as ordered".into())), 1);
        let violation = outcome(&simulator).await.unwrap_err().to_string();
        assert!(violation.contains("unknown") && violation.ends_with("as ordered"), "{operation:?}: {violation}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_notices_every_lie() {
    let mut unnoticed = Vec::new();
    for lie in Lie::all() {
        let liar = Liar { truth: Simulator::default(), lie };
        if verify(&candidate(liar)).await.is_ok() {
            unnoticed.push(lie);
        }
    }
    assert_eq!(unnoticed, []);
}

/// Else the test above shows nothing.
#[tokio::test]
async fn a_liar_that_does_not_lie_keeps_the_contract() {
    let truth = Simulator::default();
    let honest = Liar { truth: truth.clone(), lie: Lie::Idle(Operation::Describe) };
    verify(&candidate(honest)).await.unwrap();
    assert_empty(&truth);
}
