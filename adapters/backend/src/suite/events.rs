//! Changes that a backend tells of by itself.

use futures_util::StreamExt;

use super::{
    Violation,
    inspection::{Inspection, broken},
};
use crate::{BackendError, Change, MachineId, StopMethod};

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "events";
    inspection.begin(CHECK);
    let backend = inspection.backend();
    let Some(events) = backend.events() else {
        inspection.lacks("events: the backend has none");
        return Ok(());
    };
    let wanted = inspection.machine_spec();
    let mut changes = inspection.ask(CHECK, events.follow()).await?;
    let machine = inspection.running_machine(CHECK, &wanted).await?;
    heard(inspection, &mut changes, &machine, "a machine was made").await?;
    // Those who begin to listen later hear what comes after.
    let mut changes = inspection.ask(CHECK, events.follow()).await?;
    inspection.ask(CHECK, backend.stop(&machine, StopMethod::PowerOff)).await?;
    heard(inspection, &mut changes, &machine, "a machine was switched off").await?;
    let mut changes = inspection.ask(CHECK, events.follow()).await?;
    inspection.ask(CHECK, backend.delete(&machine)).await?;
    heard(inspection, &mut changes, &machine, "a machine was deleted").await
}

async fn heard(
    inspection: &Inspection<'_>,
    changes: &mut (impl futures_util::Stream<Item = Result<Change, BackendError>> + Unpin),
    machine: &MachineId,
    what: &str,
) -> Result<(), Violation> {
    const CHECK: &str = "events";
    let hear = async {
        while let Some(change) = changes.next().await.transpose()? {
            // Who has lost some looks at everything, and sees it then.
            if change == Change::Lost || matches!(&change, Change::Machine(id) if id == machine) {
                return Ok(());
            }
        }
        Err(BackendError::Failed("the changes end".into()))
    };
    match inspection.answer(CHECK, hear).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Violation::Call { check: CHECK, error }),
        Err(_) => Err(broken(CHECK, format!("no answer within {:?}: {what}", inspection.candidate.patience))),
    }
}
