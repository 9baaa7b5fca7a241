//! What is handed to a guest.

use super::{Violation, inspection::Inspection, leftover::Leftover};
use crate::{Capability, MachineSpec};

/// A key that nobody has.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINx22Q0CCoef+H222JkAUq2/f2xeDQjSa5uB3IZcVNTZ contract-suite";

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    let with_key = MachineSpec { ssh_keys: vec![KEY.to_owned()], ..inspection.machine_spec() };
    is_taken(inspection, "ssh keys", Capability::SshKeys, &with_key).await?;
    let script = b"#!/bin/sh\ntrue\n";
    // Bytes that are no text, too: it is the guest's affair what they mean.
    for data in [&script[..], &[0x1f, 0x8b, 0xff, 0x00]] {
        let with_data = MachineSpec { user_data: Some(data.to_vec()), ..inspection.machine_spec() };
        is_taken(inspection, "user data", Capability::UserData, &with_data).await?;
    }
    Ok(())
}

/// It is taken where that is declared, and never dropped without a word.
async fn is_taken(
    inspection: &mut Inspection<'_>,
    check: &'static str,
    capability: Capability,
    wanted: &MachineSpec,
) -> Result<(), Violation> {
    inspection.begin(check);
    let backend = inspection.backend();
    let outcome = inspection.ask_of(capability, check, backend.create(wanted)).await;
    match outcome {
        Ok(Some(machine)) => {
            inspection.leave(Leftover::Machine(machine.id.clone()));
            inspection.ask(check, backend.delete(&machine.id)).await
        }
        outcome => inspection.leaves_no_machine(check, wanted, outcome).await.map(drop),
    }
}
