//! What a tenant may use, and uses.

use std::collections::BTreeSet;

use super::{
    Violation,
    inspection::{Inspection, ensure},
};
use crate::{Capability, Quota, QuotaResource};

/// The quota, if the backend tells it.
pub(super) async fn now(inspection: &Inspection<'_>) -> Result<Option<Quota>, Violation> {
    const CHECK: &str = "quota";
    inspection.begin(CHECK);
    let quota = inspection.ask_of(Capability::Quota, CHECK, inspection.backend().quota()).await?;
    let Some(quota) = quota else { return Ok(None) };
    ensure(CHECK, !quota.entries.is_empty(), "it counts nothing")?;
    let counted: BTreeSet<_> = quota.entries.iter().map(|entry| entry.resource).collect();
    ensure(CHECK, counted.len() == quota.entries.len(), format!("something is counted twice: {:?}", quota.entries))?;
    for entry in &quota.entries {
        let within = entry.limit.is_none_or(|limit| entry.used <= limit);
        ensure(CHECK, within, format!("more is used than may be: {entry:?}"))?;
    }
    Ok(Some(quota))
}

/// A machine has been made since `before`: it is counted.
pub(super) async fn grows(inspection: &Inspection<'_>, before: Option<&Quota>) -> Result<(), Violation> {
    moves(inspection, before, "a machine more is not counted", |before, used| used > before).await
}

/// A machine has been deleted since `before`: it is not counted any more.
pub(super) async fn shrinks(inspection: &Inspection<'_>, before: Option<&Quota>) -> Result<(), Violation> {
    moves(inspection, before, "a machine less is still counted", |before, used| used < before).await
}

async fn moves(
    inspection: &Inspection<'_>,
    before: Option<&Quota>,
    otherwise: &str,
    moved: impl Fn(u64, u64) -> bool + Copy,
) -> Result<(), Violation> {
    const CHECK: &str = "quota of machines";
    let Some(before) = before else { return Ok(()) };
    inspection.begin("quota");
    for resource in [QuotaResource::Machines, QuotaResource::Cores, QuotaResource::MemoryMib] {
        let Some(used) = before.of(resource).map(|entry| entry.used) else { continue };
        let has_moved = |quota: &Quota| quota.of(resource).is_some_and(|entry| moved(used, entry.used));
        let otherwise = format!("{otherwise}: of {resource:?} {used} were used before");
        inspection.becomes(CHECK, || inspection.backend().quota(), has_moved, &otherwise).await?;
    }
    Ok(())
}
