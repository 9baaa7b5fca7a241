//! What a service says that is old, odd, or somebody else's doing: an adapter reports it as it is. What it means is the
//! broker's affair.

use std::sync::Arc;

use backend::{Backend, BackendError, MachineState, suite::Violation};

use super::trial::{Trial, ensure};
use crate::{Fault, Times};

fn bypass(trial: &mut Trial<'_>, check: &'static str) -> Option<Arc<dyn Backend>> {
    trial.report.begin(check);
    let bypass = trial.habits.bypass.clone();
    if bypass.is_none() {
        trial.report.lacks(format!("{check}: nobody else has a way to the service"));
    }
    bypass
}

/// F23.
pub(super) async fn deleted_by_others(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F23 deleted behind our back";
    let Some(other) = bypass(trial, CHECK) else { return Ok(()) };
    let wanted = trial.machine_spec();
    let machine = trial.ask(CHECK, trial.backend().create(&wanted)).await?.id;
    trial.runs(CHECK, &machine).await?;
    trial.ask(CHECK, other.delete(&machine)).await?;
    let seen = trial.answer(CHECK, trial.backend().machine(&machine)).await?;
    let gone = matches!(seen, Err(BackendError::NotFound(_)));
    ensure(CHECK, gone, format!("NotFound was expected, the answer is: {seen:?}"))?;
    let found = trial.ask(CHECK, trial.backend().find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_none(), "the tag still finds the machine")?;
    trial.delete(CHECK, wanted.tag).await?;
    trial.ask(CHECK, trial.backend().delete(&machine)).await
}

/// F24.
pub(super) async fn made_by_others(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F24 a stranger with our tag";
    let Some(other) = bypass(trial, CHECK) else { return Ok(()) };
    let wanted = trial.machine_spec();
    let machine = trial.ask(CHECK, other.create(&wanted)).await?;
    let count = trial.count(CHECK, wanted.tag).await?;
    ensure(CHECK, count == 1, format!("{count} machines carry the tag"))?;
    let found = trial.ask(CHECK, trial.backend().find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_some_and(|found| found.id == machine.id), "the tag does not find the machine")?;
    trial.delete(CHECK, wanted.tag).await
}

/// F25.
pub(super) async fn stale_list(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F25 an old list";
    trial.report.begin(CHECK);
    let wanted = trial.machine_spec();
    let before = trial.count(CHECK, wanted.tag).await?;
    ensure(CHECK, before == 0, "a tag that nobody has is listed")?;
    trial.proxy.order(trial.habits.list.clone(), Fault::Replay, Times::Always);
    let machine = trial.ask(CHECK, trial.backend().create(&wanted)).await?.id;
    let old = trial.count(CHECK, wanted.tag).await?;
    ensure(CHECK, old == 0, "the old list was not reported as it was")?;
    let seen = trial.ask(CHECK, trial.backend().machine(&machine)).await?;
    ensure(CHECK, seen.tag == wanted.tag, "the machine carries another tag")?;
    trial.heal().await?;
    let now = trial.count(CHECK, wanted.tag).await?;
    ensure(CHECK, now == 1, format!("the machine is listed {now} times when the list is new again"))?;
    trial.delete(CHECK, wanted.tag).await
}

/// F26.
pub(super) async fn flapping(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F26 running, failed, running";
    trial.report.begin(CHECK);
    let Some(fail) = trial.habits.fail.clone() else {
        trial.report.lacks(format!("{CHECK}: nobody knows how a failure looks there"));
        return Ok(());
    };
    let wanted = trial.machine_spec();
    let machine = trial.ask(CHECK, trial.backend().create(&wanted)).await?.id;
    trial.runs(CHECK, &machine).await?;
    for _ in 0..2 {
        let fail = Arc::clone(&fail);
        trial.proxy.order(trial.habits.show.clone(), Fault::body(move |body| fail(body)), Times::Always);
        let seen = trial.ask(CHECK, trial.backend().machine(&machine)).await?.state;
        ensure(
            CHECK,
            seen == MachineState::Failed,
            format!("the machine is {seen:?}, and it was said to have failed"),
        )?;
        trial.heal().await?;
        let seen = trial.ask(CHECK, trial.backend().machine(&machine)).await?.state;
        ensure(CHECK, seen == MachineState::Running, format!("the machine is {seen:?}, and it runs"))?;
    }
    trial.delete(CHECK, wanted.tag).await
}
