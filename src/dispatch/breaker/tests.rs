use std::time::Duration;

use backend::BackendError;
use tokio::time::{Instant, advance};

use super::{Breaker, BreakerState, LONGEST_REASON, MOST_FAILURES};

fn unreachable() -> BackendError {
    BackendError::Unreachable("connection refused".into())
}

fn unauthorized() -> BackendError {
    BackendError::Unauthorized("token revoked".into())
}

fn fail(breaker: &Breaker, error: &BackendError) {
    breaker.permit().unwrap().failed(error);
}

fn opened(error: &BackendError) -> Breaker {
    let breaker = Breaker::new();
    for _ in 0..MOST_FAILURES {
        if let Ok(permit) = breaker.permit() {
            permit.failed(error);
        }
    }
    assert_eq!(breaker.state().state, BreakerState::Open);
    breaker
}

fn pause(breaker: &Breaker) -> Duration {
    breaker.state().next_try.unwrap()
}

#[tokio::test(start_paused = true)]
async fn five_calls_in_a_row_without_an_answer_open_it() {
    let breaker = Breaker::new();
    for _ in 0..3 {
        for _ in 0..4 {
            fail(&breaker, &unreachable());
        }
        breaker.permit().unwrap().answered();
    }
    assert_eq!((breaker.state().state, breaker.state().reason), (BreakerState::Closed, None));
    for _ in 0..5 {
        fail(&breaker, &unreachable());
    }
    let refused = breaker.permit().unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.credentials), ("connection refused", false));
    assert_eq!(Some(refused.retry_in), breaker.state().next_try);
}

#[tokio::test(start_paused = true)]
async fn an_error_about_the_request_is_an_answer() {
    let text = || "x".to_owned();
    for error in [
        BackendError::Refused(text()),
        BackendError::Capacity(text()),
        BackendError::Unsupported(text()),
        BackendError::NotFound(text()),
        BackendError::Conflict(text()),
        BackendError::Failed(text()),
    ] {
        let breaker = Breaker::new();
        for _ in 0..4 {
            fail(&breaker, &unreachable());
        }
        for _ in 0..100 {
            fail(&breaker, &error);
        }
        fail(&breaker, &unreachable());
        assert_eq!(breaker.state().state, BreakerState::Closed, "{error}");
        let breaker = opened(&unreachable());
        advance(pause(&breaker)).await;
        fail(&breaker, &error);
        assert_eq!(breaker.state().state, BreakerState::Closed, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_goes_after_the_pause_and_an_answer_closes_it() {
    let breaker = opened(&unreachable());
    let since = breaker.state().since;
    advance(pause(&breaker)).await;
    assert_eq!((breaker.state().state, pause(&breaker)), (BreakerState::HalfOpen, Duration::ZERO));
    let probe = breaker.permit().unwrap();
    assert!(probe.is_probe());
    assert!(breaker.permit().is_err());
    assert_eq!((breaker.state().state, breaker.state().since), (BreakerState::HalfOpen, since));
    probe.answered();
    let state = breaker.state();
    assert_eq!((state.state, state.since, state.reason), (BreakerState::Closed, Instant::now(), None));
    assert!(!breaker.permit().unwrap().is_probe());
    for _ in 0..4 {
        fail(&breaker, &unreachable());
    }
    assert_eq!(breaker.state().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_from_the_shortest_to_the_longest() {
    for (error, shortest, longest) in [(unreachable(), 1, 60), (unauthorized(), 30, 600)] {
        let breaker = opened(&error);
        let (since, mut base) = (breaker.state().since, Duration::from_secs(shortest));
        for _ in 0..100 {
            let (least, most) = (base.min(Duration::from_secs(longest).mul_f64(0.8)), base.mul_f64(1.25));
            let pause = pause(&breaker);
            assert!(pause >= least && pause <= most.min(Duration::from_secs(longest)), "{pause:?} after {base:?}");
            assert_eq!(breaker.state().since, since);
            advance(pause).await;
            fail(&breaker, &error);
            base = (base * 2).min(Duration::from_secs(longest));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_are_not_all_the_same() {
    let pauses: std::collections::BTreeSet<_> = (0..20).map(|_| pause(&opened(&unreachable()))).collect();
    assert!(pauses.len() > 1);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_open_it_at_once() {
    let breaker = Breaker::new();
    fail(&breaker, &unauthorized());
    let refused = breaker.permit().unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.credentials), ("token revoked", true));
    assert!(refused.retry_in >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn another_trouble_begins_with_its_own_shortest_pause() {
    let breaker = opened(&unreachable());
    for _ in 0..10 {
        advance(pause(&breaker)).await;
        fail(&breaker, &unreachable());
    }
    advance(pause(&breaker)).await;
    fail(&breaker, &unauthorized());
    assert!(pause(&breaker) >= Duration::from_secs(30) && pause(&breaker) < Duration::from_secs(38));
    advance(pause(&breaker)).await;
    fail(&breaker, &unreachable());
    assert!(pause(&breaker) < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn calls_from_before_it_opened_neither_close_nor_lengthen_it() {
    let breaker = Breaker::new();
    let mut before: Vec<_> = (0..20).map(|_| breaker.permit().unwrap()).collect();
    for _ in 0..5 {
        fail(&breaker, &unreachable());
    }
    let opened = breaker.state();
    before.pop().unwrap().answered();
    before.pop().unwrap().failed(&unauthorized());
    assert_eq!(breaker.state(), opened);
    advance(pause(&breaker)).await;
    let probe = breaker.permit().unwrap();
    before.pop().unwrap().answered();
    before.pop().unwrap().failed(&unreachable());
    assert!(breaker.permit().is_err());
    probe.answered();
    for permit in before {
        permit.failed(&unreachable());
    }
    assert_eq!(breaker.state().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_counts_as_nothing_but_a_dropped_probe_was_a_try() {
    let breaker = Breaker::new();
    for _ in 0..4 {
        fail(&breaker, &unreachable());
    }
    for _ in 0..10 {
        drop(breaker.permit().unwrap());
    }
    assert_eq!(breaker.state().state, BreakerState::Closed);
    fail(&breaker, &unreachable());
    for _ in 0..10 {
        advance(pause(&breaker)).await;
        drop(breaker.permit().unwrap());
        assert!(breaker.permit().is_err());
        assert!(pause(&breaker) <= Duration::from_millis(1250));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_s_words_are_kept_in_bounds() {
    let breaker = opened(&BackendError::Unreachable("é".repeat(100_000)));
    assert!(breaker.state().reason.unwrap().len() <= LONGEST_REASON);
    let breaker = opened(&BackendError::Unreachable("no\nroute\u{1b}[31m".into()));
    assert_eq!(breaker.permit().unwrap_err().reason, "no route [31m");
}
