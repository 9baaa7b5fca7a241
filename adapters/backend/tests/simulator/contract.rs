use std::{sync::Arc, time::Duration};

use backend::{
    Backend, BackendError, Capabilities, Capability, MachineSize, SizeOffer,
    simulator::{Behaviour, Delays, Fault, Operation, Parts, Simulator},
    suite::{Candidate, Outcome, Report, Violation, verify},
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
        snapshot: Duration::from_secs(2),
    };
    for delays in [Delays::default(), delays] {
        let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
        let checked = simulator.clone();
        // On a task, since adapters' tests may want it there.
        let report = tokio::spawn(async move { outcome(&checked).await }).await.unwrap().unwrap();
        assert_eq!(report.skipped, [""; 0]);
        assert!(report.rows().iter().all(|row| row.outcome == Outcome::Passed), "{report:?}");
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
        (Parts { snapshots: false, ..all }, vec!["snapshots"]),
        (Parts { events: false, ..all }, vec!["events"]),
        (Parts::NONE, vec!["snapshots", "events", "volumes", "networks", "reserved addresses", "security groups"]),
    ] {
        let simulator = Simulator::new(Behaviour { parts, ..Behaviour::default() });
        let noted: Vec<_> = noted.iter().map(|part| format!("{part}: the backend has none")).collect();
        assert_eq!(outcome(&simulator).await.unwrap().skipped, noted);
        assert_empty(&simulator);
    }
}

fn able_to(capabilities: Capabilities) -> Simulator {
    let mut behaviour = Behaviour::default();
    behaviour.description.capabilities = capabilities;
    Simulator::new(behaviour)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_declared_is_noted_and_stands_in_the_table() {
    let all = Behaviour::default().description.capabilities;
    for missing in all.iter() {
        let simulator = able_to(all.clone().without(&[missing]));
        let report = outcome(&simulator).await.unwrap_or_else(|violation| panic!("{missing:?}: {violation}"));
        assert!(!report.skipped.is_empty(), "{missing:?}");
        let absent: Vec<_> = report.rows().iter().filter(|row| row.outcome != Outcome::Passed).collect();
        assert_eq!(absent.len(), 1, "{missing:?}: {absent:?}");
        assert_empty(&simulator);
    }
    let simulator = able_to(all.clone().without(&Capability::ALL));
    let report = outcome(&simulator).await.unwrap();
    let absent = report.rows().iter().filter(|row| matches!(row.outcome, Outcome::Absent(_))).count();
    assert_eq!(absent, all.iter().count(), "{report:?}");
    assert_empty(&simulator);
}

/// Whoever declares what it has not got, or has what it does not declare, is found out.
#[tokio::test(start_paused = true)]
async fn the_suite_notices_capabilities_that_are_not_what_is_declared() {
    let all = Behaviour::default().description.capabilities;
    for capability in all.iter() {
        let truth = able_to(all.clone().without(&[capability]));
        let boaster = Liar { truth, lie: Lie::Declares(capability) };
        assert!(verify(&candidate(boaster)).await.is_err(), "{capability:?} is declared and not there");
        let modest = Liar { truth: Simulator::default(), lie: Lie::Hides(capability) };
        assert!(verify(&candidate(modest)).await.is_err(), "{capability:?} is there and not declared");
    }
}

fn offer_of(id: &str, cores: u32, memory_mib: u64, disk_bytes: u64) -> SizeOffer {
    SizeOffer { id: id.into(), name: id.into(), size: MachineSize { cores, memory_mib, disk_bytes } }
}

#[tokio::test(start_paused = true)]
async fn a_backend_with_fixed_sizes_gives_those_that_it_offers() {
    for sizes in [
        vec![offer_of("one", 2, 512, 0)],
        vec![offer_of("large", 8, 8192, 1 << 32), offer_of("small", 1, 128, 1 << 20), offer_of("mid", 2, 512, 1 << 30)],
    ] {
        let mut behaviour = Behaviour::default();
        behaviour.description.sizes = sizes;
        let simulator = Simulator::new(behaviour);
        assert_eq!(outcome(&simulator).await.unwrap().skipped, [""; 0]);
        assert_empty(&simulator);
    }
}

#[tokio::test]
async fn a_report_is_kept_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report");
    let mut report = Report::default();
    report.begin("create");
    report.begin("suspend");
    report.lacks("suspend: the backend cannot do it");
    report.begin("delete");
    report.breaks("it is still there");
    // What was looked at already is looked at again, and stays as it is.
    report.begin("suspend");
    for _ in 0..2 {
        report.keep_in(&path, "simulator").unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let lines = [
        r#"{"backend":"simulator","promise":"create","outcome":"passed"}"#,
        r#"{"backend":"simulator","promise":"suspend","outcome":"absent","why":"suspend: the backend cannot do it"}"#,
        r#"{"backend":"simulator","promise":"delete","outcome":"broken","why":"it is still there"}"#,
    ];
    assert_eq!(kept.lines().collect::<Vec<_>>(), [lines, lines].concat());
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
        (Delays { snapshot: slow, ..Delays::default() }, "it is not listed once, as complete"),
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

#[tokio::test(start_paused = true)]
async fn the_suite_removes_what_it_made_when_a_check_fails_late() {
    let simulator = Simulator::default();
    simulator.inject(Operation::LiftSecurityGroup, Fault::Before(BackendError::Failed("as ordered".into())), 1000);
    outcome(&simulator).await.unwrap_err();
    assert_empty(&simulator);
}

/// What is done already must succeed: a backend that says `NotFound` instead is found out.
#[tokio::test(start_paused = true)]
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
        Operation::RemoveSnapshot,
        Operation::DeleteImage,
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
