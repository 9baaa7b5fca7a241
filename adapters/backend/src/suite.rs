//! The contract test suite that every adapter must pass, against the real service behind it.
//!
//! The checks use only the contract, leave nothing behind when they pass, and may run beside other tenants of the
//! same backend.

use std::{future::Future, sync::Arc, time::Duration};

use disk_image::ContentDigest;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    Architecture, Backend, BackendError, ImageOffer, IntentTag, Machine, MachineId, MachineSpec, MachineState,
    RestartMethod, StopMethod,
};

/// A backend to be checked, and what the checks need.
pub struct Candidate {
    /// The adapter, connected to its service.
    pub backend: Arc<dyn Backend>,
    /// An image that the service can run (it need not boot).
    pub image: ImageOffer,
    /// How long the service may take from a request to its effect.
    pub patience: Duration,
}

/// A broken promise.
#[derive(Debug, Error)]
pub enum Violation {
    /// A call failed that must succeed.
    #[error("{check}: {error}")]
    Call {
        /// Which check.
        check: &'static str,
        /// What the adapter said.
        error: BackendError,
    },
    /// A promise of the contract does not hold.
    #[error("{check}: {promise}")]
    Promise {
        /// Which check.
        check: &'static str,
        /// What should hold, and what was seen.
        promise: String,
    },
}

/// Runs all checks in turn.
///
/// # Errors
/// The first broken promise.
pub async fn verify(candidate: &Candidate) -> Result<(), Violation> {
    description_allows_a_machine(candidate).await?;
    unknown_objects_are_not_found(candidate).await?;
    create_needs_its_image(candidate).await?;
    image_is_provided_once(candidate).await?;
    too_large_a_machine_is_refused(candidate).await?;
    life_of_a_machine(candidate).await
}

fn ensure(check: &'static str, holds: bool, promise: impl Into<String>) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Promise { check, promise: promise.into() }) }
}

fn failed(check: &'static str) -> impl Fn(BackendError) -> Violation {
    move |error| Violation::Call { check, error }
}

fn spec(candidate: &Candidate) -> MachineSpec {
    MachineSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: "contract suite".into(),
        hostname: Some("contract-suite".into()),
        cores: 1,
        memory_mib: 128,
        disk_bytes: candidate.image.size,
        architecture: Architecture::X86_64,
        image: candidate.image.digest,
        ssh_keys: Vec::new(),
        user_data: Some(b"#!/bin/sh\ntrue\n".to_vec()),
    }
}

async fn description_allows_a_machine(candidate: &Candidate) -> Result<(), Violation> {
    const CHECK: &str = "description";
    let description = candidate.backend.describe().await.map_err(failed(CHECK))?;
    ensure(CHECK, description.obstacle.is_none(), format!("an obstacle: {:?}", description.obstacle))?;
    ensure(CHECK, !description.image_formats.is_empty(), "no image format is taken")?;
    ensure(CHECK, description.limits.cores >= 1 && description.limits.memory_mib >= 128, "limits leave no machine")
}

async fn unknown_objects_are_not_found(candidate: &Candidate) -> Result<(), Violation> {
    const CHECK: &str = "unknown machine";
    let backend = &candidate.backend;
    let unknown: MachineId = format!("unknown-{}", Uuid::now_v7())
        .try_into()
        .map_err(|error| Violation::Promise { check: CHECK, promise: format!("{error}") })?;
    let not_found = |result: Result<(), BackendError>, call: &str| {
        ensure(CHECK, matches!(result, Err(BackendError::NotFound(_))), format!("{call} answered {result:?}"))
    };
    not_found(backend.machine(&unknown).await.map(|_| ()), "machine")?;
    not_found(backend.start(&unknown).await, "start")?;
    not_found(backend.stop(&unknown, StopMethod::PowerOff).await, "stop")?;
    not_found(backend.restart(&unknown, RestartMethod::Cold).await, "restart")?;
    backend.delete(&unknown).await.map_err(failed(CHECK))?;
    let by_tag = backend.find_by_tag(IntentTag(Uuid::now_v7())).await.map_err(failed(CHECK))?;
    ensure(CHECK, by_tag.is_none(), "an unknown tag finds a machine")
}

async fn create_needs_its_image(candidate: &Candidate) -> Result<(), Violation> {
    const CHECK: &str = "create without image";
    let absent = ContentDigest::from_bytes([0x5a; 32]);
    let wanted = MachineSpec { image: absent, ..spec(candidate) };
    let answer = candidate.backend.create(&wanted).await;
    ensure(CHECK, matches!(answer, Err(BackendError::NotFound(_))), format!("answered {answer:?}"))?;
    let found = candidate.backend.find_by_tag(wanted.tag).await.map_err(failed(CHECK))?;
    ensure(CHECK, found.is_none(), "a failed create leaves a machine")
}

async fn image_is_provided_once(candidate: &Candidate) -> Result<(), Violation> {
    const CHECK: &str = "image";
    let quiet = |_: u64| {};
    for _ in 0..2 {
        candidate.backend.provide_image(&candidate.image, &quiet).await.map_err(failed(CHECK))?;
    }
    Ok(())
}

async fn too_large_a_machine_is_refused(candidate: &Candidate) -> Result<(), Violation> {
    const CHECK: &str = "too large";
    let limits = candidate.backend.describe().await.map_err(failed(CHECK))?.limits;
    for wanted in [
        MachineSpec { cores: limits.cores.saturating_add(1), ..spec(candidate) },
        MachineSpec { memory_mib: limits.memory_mib.saturating_add(1), ..spec(candidate) },
    ] {
        let answer = candidate.backend.create(&wanted).await;
        ensure(CHECK, matches!(answer, Err(BackendError::Refused(_))), format!("answered {answer:?}"))?;
        let found = candidate.backend.find_by_tag(wanted.tag).await.map_err(failed(CHECK))?;
        ensure(CHECK, found.is_none(), "a refused create leaves a machine")?;
    }
    Ok(())
}

async fn life_of_a_machine(candidate: &Candidate) -> Result<(), Violation> {
    const CHECK: &str = "life of a machine";
    let backend = &candidate.backend;
    let wanted = spec(candidate);
    let machine = backend.create(&wanted).await.map_err(failed(CHECK))?;
    let outcome = lead_a_life(candidate, &wanted, &machine).await;
    // Whatever was broken, leave nothing.
    backend.delete(&machine.id).await.map_err(failed(CHECK))?;
    outcome?;
    let gone = backend.machine(&machine.id).await;
    ensure(CHECK, matches!(gone, Err(BackendError::NotFound(_))), format!("after delete: {gone:?}"))?;
    backend.delete(&machine.id).await.map_err(failed("second delete"))
}

async fn lead_a_life(candidate: &Candidate, wanted: &MachineSpec, machine: &Machine) -> Result<(), Violation> {
    const CHECK: &str = "life of a machine";
    let backend = &candidate.backend;
    ensure(CHECK, machine.tag == wanted.tag, "the machine carries another tag")?;

    let again = backend.create(wanted).await.map_err(failed("second create"))?;
    ensure("second create", again.id == machine.id, "one tag made two machines")?;
    let found = backend.find_by_tag(wanted.tag).await.map_err(failed(CHECK))?;
    ensure(CHECK, found.is_some_and(|found| found.id == machine.id), "the tag does not find the machine")?;

    arrive(candidate, &machine.id, MachineState::Running).await?;
    backend.start(&machine.id).await.map_err(failed("start of a running machine"))?;
    backend.restart(&machine.id, RestartMethod::Cold).await.map_err(failed("cold restart"))?;
    arrive(candidate, &machine.id, MachineState::Running).await?;

    backend.stop(&machine.id, StopMethod::PowerOff).await.map_err(failed("stop"))?;
    arrive(candidate, &machine.id, MachineState::Stopped).await?;
    backend.stop(&machine.id, StopMethod::PowerOff).await.map_err(failed("stop of a stopped machine"))?;
    let listed = backend.machines().await.map_err(failed("list"))?;
    ensure("list", listed.iter().filter(|m| m.tag == wanted.tag).count() == 1, "a stopped machine is not listed once")?;

    backend.start(&machine.id).await.map_err(failed("start"))?;
    arrive(candidate, &machine.id, MachineState::Running).await
}

/// Waits until the machine is in the state; a failed machine ends the wait.
async fn arrive(candidate: &Candidate, id: &MachineId, state: MachineState) -> Result<(), Violation> {
    const CHECK: &str = "arrival";
    let last = within(candidate.patience, || async {
        let machine = candidate.backend.machine(id).await.map_err(failed(CHECK))?;
        let over = machine.state == state || machine.state == MachineState::Failed;
        Ok((over, machine))
    })
    .await?;
    ensure(
        CHECK,
        last.state == state,
        format!("{state:?} was expected, last seen {:?} ({:?})", last.state, last.detail),
    )
}

async fn within<T, F>(patience: Duration, mut look: impl FnMut() -> F) -> Result<T, Violation>
where
    F: Future<Output = Result<(bool, T), Violation>>,
{
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let (over, seen) = look().await?;
        if over || tokio::time::Instant::now() >= deadline {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
