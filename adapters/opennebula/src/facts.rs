//! What the broker is told of machines.

use backend::{BackendError, Endpoint, Machine, MachineSize, MachineState};

use crate::{
    document::VmDocument,
    site::root_disk,
    state::{Standing, VmState},
};

/// The facts of a machine of ours; nothing of anybody else's, and of one that is gone.
pub(crate) fn facts(vm: &VmDocument) -> Result<Option<Machine>, BackendError> {
    let (Some(tag), Some(state)) = (vm.tag, vm.standing.machine_state()) else { return Ok(None) };
    let endpoint = |address: std::net::IpAddr| Endpoint { service: "ssh".into(), host: address.to_string(), port: 22 };
    Ok(Some(Machine {
        id: vm.id.named()?,
        tag,
        state,
        detail: detail(vm, state),
        endpoints: vm.nics.iter().filter_map(|nic| nic.address).map(endpoint).collect(),
        console: None,
        guest_answers: None,
        name: vm.ordered_name.clone(),
        size: size(vm),
    }))
}

/// How large the machine is.
pub(crate) fn size(vm: &VmDocument) -> Option<MachineSize> {
    let disk_mib = root_disk(vm)?.size_mib?;
    Some(MachineSize { cores: vm.cores?, memory_mib: vm.memory_mib?, disk_bytes: disk_mib.checked_mul(1 << 20)? })
}

fn detail(vm: &VmDocument, state: MachineState) -> Option<String> {
    let VmState { state: number, lcm } = vm.state;
    match vm.standing {
        Standing::Pending => Some(vm.scheduling.clone().unwrap_or_else(|| "it waits for a host".into())),
        Standing::Held => Some("it is on hold".into()),
        Standing::Lost => Some("OpenNebula has lost it from sight: its host may be down; a start tries again".into()),
        _ if state == MachineState::Failed => {
            Some(vm.error.clone().unwrap_or_else(|| format!("OpenNebula's state {number}/{lcm}")))
        }
        // A request that failed leaves the machine as it was, and this sentence.
        _ => vm.error.clone(),
    }
}
