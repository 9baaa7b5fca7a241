//! Creates whose answer is not what happened. At the end exactly one machine carries the tag (I2).

use backend::{MachineSpec, suite::Violation};

use super::trial::{Trial, broken, ensure};
use crate::{Answer, Fault, Times};

/// F4.
pub(super) async fn lost(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F4 answer lost after a create";
    trial.report.begin(CHECK);
    for fault in [Fault::LoseAnswer, Fault::Truncate(1)] {
        done_all_the_same(trial, CHECK, fault).await?;
    }
    Ok(())
}

/// F5.
pub(super) async fn replaced(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F5 503 though created";
    trial.report.begin(CHECK);
    for status in [503, 500, 504] {
        done_all_the_same(trial, CHECK, Fault::Replace(Answer::trouble(status))).await?;
    }
    Ok(())
}

async fn done_all_the_same(trial: &mut Trial<'_>, check: &'static str, fault: Fault) -> Result<(), Violation> {
    let wanted = trial.machine_spec();
    trial.proxy.order(trial.habits.create.clone(), fault, Times::Next(1));
    // An adapter may look by itself, and find it.
    let answer = trial.answer(check, trial.backend().create(&wanted)).await?;
    was_struck(trial, check)?;
    let found = trial.adopted(check, wanted.tag).await?;
    if let Ok(machine) = answer {
        ensure(check, machine.id == found.id, "the create answers one machine, the tag finds another")?;
    }
    is_one(trial, check, &wanted).await
}

/// F6.
pub(super) async fn failed_first(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F6 500, then success";
    trial.report.begin(CHECK);
    for fault in [Fault::Refuse(Answer::trouble(500)), Fault::Refuse(Answer::trouble(503)), Fault::Cut] {
        let wanted = trial.machine_spec();
        trial.proxy.order(trial.habits.create.clone(), fault, Times::Next(1));
        let _ = trial.answer(CHECK, trial.backend().create(&wanted)).await?;
        was_struck(trial, CHECK)?;
        is_one(trial, CHECK, &wanted).await?;
    }
    Ok(())
}

fn was_struck(trial: &Trial<'_>, check: &'static str) -> Result<(), Violation> {
    let untouched = trial.proxy.orders_left();
    ensure(check, untouched == 0, "no request is known as the one that makes a machine: the habits are wrong")
}

/// Whoever asks again gets the one machine.
async fn is_one(trial: &Trial<'_>, check: &'static str, wanted: &MachineSpec) -> Result<(), Violation> {
    let backend = trial.backend();
    let machine = trial.ask(check, backend.create(wanted)).await?;
    ensure(check, machine.tag == wanted.tag, "the machine carries another tag")?;
    trial.runs(check, &machine.id).await?;
    let found = trial.ask(check, backend.find_by_tag(wanted.tag)).await?;
    let found = found.ok_or_else(|| broken(check, "the tag does not find the machine"))?;
    ensure(check, found.id == machine.id, "the tag finds another machine")?;
    let count = trial.count(check, wanted.tag).await?;
    ensure(check, count == 1, format!("{count} machines carry the tag"))?;
    trial.delete(check, wanted.tag).await
}
