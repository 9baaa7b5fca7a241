//! Tickets for consoles.

use super::{
    Violation,
    inspection::{Failure, Inspection, ensure, nobody},
};
use crate::{BackendError, Capability, ConsoleKind, MachineId};

const KINDS: [ConsoleKind; 3] = [ConsoleKind::Vnc, ConsoleKind::Spice, ConsoleKind::Serial];
/// Of a ticket's address, in bytes.
const MOST_BYTES: usize = 4096;

pub(super) async fn of_a_running_machine(inspection: &Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    const CHECK: &str = "console";
    inspection.begin(CHECK);
    let backend = inspection.backend();
    if !inspection.can(Capability::Console) {
        for kind in KINDS {
            inspection.ask_of(Capability::Console, CHECK, backend.console(id, kind)).await?;
        }
        return Ok(());
    }
    let mut shown = 0;
    for kind in KINDS {
        let ticket = match inspection.answer(CHECK, backend.console(id, kind)).await? {
            Err(BackendError::Unsupported(_)) => continue,
            answer => answer.map_err(|error| Violation::Call { check: CHECK, error })?,
        };
        shown += 1;
        ensure(CHECK, ticket.kind == kind, format!("{} was asked for, the ticket is for {}", kind, ticket.kind))?;
        let leads_somewhere = ticket.url.contains("://") && ticket.url.len() <= MOST_BYTES;
        ensure(CHECK, leads_somewhere, format!("a ticket of {} bytes that is no URL", ticket.url.len()))?;
        let brief = ticket.holds_for.is_none_or(|time| !time.is_zero());
        ensure(CHECK, brief, "a ticket that holds for no time")?;
        let unknown: MachineId = nobody(CHECK)?;
        let of_nobody = backend.console(&unknown, kind);
        inspection.fails("console of an unknown machine", Failure::NotFound, of_nobody).await?;
    }
    ensure(CHECK, shown > 0, "consoles are declared, and there is none of any kind")
}

pub(super) async fn of_a_stopped_machine(inspection: &Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    if !inspection.can(Capability::Console) {
        return Ok(());
    }
    inspection.begin("console");
    for kind in KINDS {
        let console = inspection.backend().console(id, kind);
        inspection.fails_if_supported("console of a stopped machine", Failure::Conflict, console).await?;
    }
    Ok(())
}
