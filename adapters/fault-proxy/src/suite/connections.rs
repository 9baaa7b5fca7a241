//! Services that cannot be reached, that crawl, and that let nobody in.

use backend::{BackendError, Finding, Verdict, suite::Violation};

use super::trial::{Trial, broken, ensure};
use crate::{Answer, ExpiredService, Fault, Times, Which};

/// F1.
pub(super) async fn refused(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F1 connections refused";
    trial.report.begin(CHECK);
    trial.proxy.refuse_connections().await.map_err(|error| broken(CHECK, error.to_string()))?;
    nothing_is_reached(trial, CHECK).await?;
    works_again(trial, CHECK).await
}

/// F2.
pub(super) async fn dropped(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F2 connections never made";
    trial.report.begin(CHECK);
    trial.proxy.drop_connections().await.map_err(|error| broken(CHECK, error.to_string()))?;
    trial.is_unreachable(CHECK, trial.backend().machines()).await?;
    works_again(trial, CHECK).await?;

    const SILENCE: &str = "F2 requests never answered";
    trial.report.begin(SILENCE);
    trial.proxy.order(Which::any(), Fault::Silence, Times::Always);
    trial.is_unreachable(SILENCE, trial.backend().machines()).await?;
    works_again(trial, SILENCE).await
}

/// F3.
pub(super) async fn slow(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F3 one byte each second";
    trial.report.begin(CHECK);
    trial.proxy.order(trial.habits.list.clone(), Fault::Drip, Times::Always);
    trial.is_unreachable(CHECK, trial.backend().machines()).await?;
    ensure(CHECK, trial.proxy.count(&trial.habits.list) > 0, "no request is known as the one that lists machines")?;
    works_again(trial, CHECK).await
}

async fn nothing_is_reached(trial: &mut Trial<'_>, check: &'static str) -> Result<(), Violation> {
    let wanted = trial.machine_spec();
    let backend = trial.backend();
    trial.is_unreachable(check, backend.machines()).await?;
    trial.is_unreachable(check, backend.find_by_tag(wanted.tag)).await?;
    trial.is_unreachable(check, backend.create(&wanted)).await?;
    finds_fault(trial, check).await
}

/// Who is asked to look finds it, and does not fail over it.
async fn finds_fault(trial: &Trial<'_>, check: &'static str) -> Result<(), Violation> {
    let look = async { Ok(trial.backend().check().await) };
    let findings: Vec<Finding> = trial.ask(check, look).await?;
    let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    ensure(check, bad, format!("a check finds nothing bad: {findings:?}"))
}

async fn works_again(trial: &Trial<'_>, check: &'static str) -> Result<(), Violation> {
    trial.heal().await?;
    trial.ask(check, trial.backend().machines()).await.map(drop)
}

/// F27: whoever is not let in says so, and does not knock again and again.
pub(super) async fn revoked(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F27 credentials revoked";
    trial.report.begin(CHECK);
    trial.proxy.order(Which::any(), Fault::Refuse(Answer::trouble(401)), Times::Always);
    let wanted = trial.machine_spec();
    let backend = trial.backend();
    let create = async { backend.create(&wanted).await.map(drop) };
    let list = async { backend.machines().await.map(drop) };
    let find = async { backend.find_by_tag(wanted.tag).await.map(drop) };
    let answers = [
        trial.without_storm(CHECK, list).await?,
        trial.without_storm(CHECK, find).await?,
        trial.without_storm(CHECK, create).await?,
    ];
    for answer in answers {
        let told = matches!(answer, Err(BackendError::Unauthorized(_)));
        ensure(CHECK, told, format!("Unauthorized was expected, the answer is: {answer:?}"))?;
    }
    finds_fault(trial, CHECK).await?;
    works_again(trial, CHECK).await
}

/// F28.
pub(super) async fn expired(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F28 certificate expired";
    trial.report.begin(CHECK);
    let Some(connect) = &trial.habits.expired else {
        trial.report.lacks(format!("{CHECK}: the adapter speaks no TLS"));
        return Ok(());
    };
    let service = ExpiredService::start().await.map_err(|error| broken(CHECK, error.to_string()))?;
    let adapter = connect(&service);
    let words = trial.is_unreachable(CHECK, adapter.machines()).await?.to_lowercase();
    let clear = words.contains("certificate") && words.contains("expired");
    ensure(CHECK, clear, format!("the words do not tell what is wrong: {words}"))
}
