//! Rows of the fault table that end at the guard: F1, F27, a lost lease; and what is measured and logged of them.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backend::{
    Backend, BackendError, StopMethod,
    simulator::{Fault, Operation, Simulator},
};
use tokio::time::{Instant, advance};

use super::{super::lease_check, guarded, machine_id, recorder::Kept, unreachable};
use crate::dispatch::breaker::BreakerState;

#[tokio::test(start_paused = true)]
async fn f1_a_dead_backend_is_left_alone_after_five_failures_and_others_are_not_touched() {
    let (dead, alive) = (Simulator::default(), Simulator::default());
    dead.inject(Operation::Machines, Fault::Before(unreachable()), usize::MAX >> 40);
    let (to_dead, to_alive) = (guarded("dead", &dead), guarded("alive", &alive));
    for _ in 0..100 {
        assert!(matches!(to_dead.machines().await, Err(BackendError::Unreachable(_))));
        to_alive.machines().await.unwrap();
    }
    assert_eq!((dead.calls(Operation::Machines), alive.calls(Operation::Machines)), (5, 100));
    let said = to_dead.stop(&machine_id(), StopMethod::PowerOff).await.unwrap_err().to_string();
    assert!(said.contains("connection refused (not asked again for 2 s)"), "{said}");
    assert_eq!((dead.calls(Operation::Stop), to_alive.breaker().state), (0, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn f1_the_backend_that_comes_back_is_probed_with_a_look_before_anything_is_asked_of_it() {
    let simulator = Simulator::default();
    simulator.inject(Operation::Start, Fault::Before(unreachable()), 5);
    simulator.inject(Operation::Describe, Fault::Before(unreachable()), 1);
    let guarded = guarded("lab", &simulator);
    for _ in 0..5 {
        guarded.start(&machine_id()).await.unwrap_err();
    }
    advance(guarded.breaker().next_try.unwrap()).await;
    let error = guarded.start(&machine_id()).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!((simulator.calls(Operation::Start), simulator.calls(Operation::Describe)), (5, 1));
    advance(guarded.breaker().next_try.unwrap()).await;
    let error = guarded.start(&machine_id()).await.unwrap_err();
    assert!(matches!(error, BackendError::NotFound(_)), "{error}");
    assert_eq!((simulator.calls(Operation::Start), simulator.calls(Operation::Describe)), (6, 2));
    assert_eq!(guarded.breaker().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn f27_revoked_credentials_are_tried_once_in_a_pause() {
    let simulator = Simulator::default();
    let revoked = || Fault::Before(BackendError::Unauthorized("token revoked".into()));
    simulator.inject(Operation::Machine, revoked(), 1000);
    simulator.inject(Operation::Describe, revoked(), 1000);
    let guarded = guarded("lab", &simulator);
    let tries = || simulator.calls(Operation::Machine) + simulator.calls(Operation::Describe);
    let mut last: Option<Instant> = None;
    for _ in 0..7200 {
        let before = tries();
        let error = guarded.machine(&machine_id()).await.unwrap_err();
        assert!(matches!(error, BackendError::Unauthorized(_)), "{error}");
        assert!(tries() - before <= 1);
        if tries() > before {
            let pause = last.replace(Instant::now()).map(|last| last.elapsed());
            assert!(pause.is_none_or(|pause| pause >= Duration::from_secs(30)), "{pause:?}");
        }
        advance(Duration::from_secs(1)).await;
    }
    // 30, 60, 120, 240 s, and then at least 8 minutes each in two hours.
    assert!((10..=20).contains(&tries()), "{} tries", tries());
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_lease_calls_nobody() {
    let simulator = Simulator::default();
    let guarded = guarded("lab", &simulator);
    let holds = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&holds);
    let work = async {
        guarded.machines().await.unwrap();
        holds.store(false, Ordering::Relaxed);
        for _ in 0..20 {
            let error = guarded.machines().await.unwrap_err();
            assert!(error.to_string().contains("lost its lease"), "{error}");
        }
    };
    lease_check::scope(Arc::new(move || asked.load(Ordering::Relaxed)), work).await;
    guarded.machines().await.unwrap();
    assert_eq!((simulator.calls(Operation::Machines), guarded.breaker().state), (2, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn calls_and_the_breaker_are_measured() {
    let kept = Kept::default();
    let recording = metrics::set_default_local_recorder(&kept);
    let simulator = Simulator::default();
    simulator.inject(Operation::Machines, Fault::Before(unreachable()), 5);
    let guarded = guarded("lab", &simulator);
    assert_eq!(kept.values("tombolo_site_breaker{site=lab}"), [0.0]);
    for _ in 0..9 {
        guarded.machines().await.unwrap_err();
    }
    advance(guarded.breaker().next_try.unwrap()).await;
    guarded.machines().await.unwrap();
    guarded.machine(&machine_id()).await.unwrap_err();
    drop(recording);
    let seconds = |call: &str, outcome: &str| {
        kept.values(&format!("tombolo_backend_call_seconds{{site=lab,call={call},outcome={outcome}}}")).len()
    };
    assert_eq!((seconds("machines", "unreachable"), seconds("machines", "ok")), (5, 1));
    assert_eq!((seconds("describe", "ok"), seconds("machine", "not_found")), (1, 1));
    assert_eq!(kept.metrics().len(), 5, "{:?}", kept.metrics());
    let mut breaker = kept.values("tombolo_site_breaker{site=lab}");
    breaker.dedup();
    assert_eq!(breaker, [0.0, 2.0, 1.0, 0.0]);
}

/// Where the log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_site_is_logged_when_its_breaker_changes() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let simulator = Simulator::default();
    simulator.inject(Operation::Machines, Fault::Before(unreachable()), 5);
    simulator.inject(Operation::Describe, Fault::Before(unreachable()), 3);
    let guarded = guarded("lab", &simulator);
    let id = "req-7".parse().unwrap();
    backend::request::scope(id, async {
        for _ in 0..1000 {
            let _ = guarded.machines().await;
            advance(Duration::from_millis(100)).await;
        }
    })
    .await;
    drop(logging);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = |level: &str| log.lines().filter(|line| line.contains(level)).collect::<Vec<_>>();
    // The first failure, the opening, and three probes in vain.
    assert_eq!(lines("WARN").len(), 5, "{log}");
    assert_eq!(lines("answers again").len(), 1, "{log}");
    assert_eq!(lines("DEBUG").len(), 3, "{log}");
    let first = lines("WARN")[0];
    for word in ["backend call", "site=lab", "call=\"machines\"", "request_id=\"req-7\"", "connection refused"] {
        assert!(first.contains(word), "{word} in {first}");
    }
}
