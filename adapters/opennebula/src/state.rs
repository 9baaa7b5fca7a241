//! What the service says of a machine's state, and what that is to the broker.
//!
//! Source: OpenNebula, `VirtualMachine::VmState` and `VirtualMachine::LcmState`, 5.12 to 7.4.

use backend::MachineState;

/// `STATE` of a machine, and `LCM_STATE`, which counts only while STATE is ACTIVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VmState {
    pub(crate) state: i32,
    pub(crate) lcm: i32,
}

/// STATE: placed on a host.
pub(crate) const ACTIVE: i32 = 3;
/// `LCM_STATE`: its processors run.
pub(crate) const RUNNING: i32 = 3;
/// `LCM_STATE`: the host does not know it.
const UNKNOWN: i32 = 16;

/// What can be asked of a machine in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Waits for a host.
    Pending,
    /// Waits for somebody to release it.
    Held,
    /// Runs.
    Running,
    /// Runs, and something is done to it meanwhile.
    RunningBusy,
    /// Off, with its place on a host kept (POWEROFF) or given back (UNDEPLOYED).
    Off,
    /// Off, and something is done to it meanwhile.
    OffBusy,
    /// Frozen with its memory on disk.
    Frozen,
    /// Frozen, and something is done to it meanwhile.
    FrozenBusy,
    /// On its way to run.
    Starting,
    /// On its way to be off, frozen or gone.
    Stopping,
    /// Lost from sight.
    Lost,
    /// Cannot go on by itself.
    Failed,
    /// Gone for good.
    Done,
}

impl Standing {
    /// What the broker is told; nothing of one that is gone.
    pub(crate) fn machine_state(self) -> Option<MachineState> {
        Some(match self {
            Self::Pending | Self::Starting => MachineState::Building,
            Self::Running | Self::RunningBusy => MachineState::Running,
            Self::Held | Self::Off | Self::OffBusy => MachineState::Stopped,
            Self::Frozen | Self::FrozenBusy => MachineState::Suspended,
            Self::Stopping => MachineState::Stopping,
            Self::Lost | Self::Failed => MachineState::Failed,
            Self::Done => return None,
        })
    }

    /// Whether the service is at work on it, and takes no other request meanwhile.
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Self::RunningBusy | Self::OffBusy | Self::FrozenBusy | Self::Starting | Self::Stopping)
    }

    /// Whether `terminate-hard` is taken in it.
    pub(crate) fn can_be_terminated(self) -> bool {
        matches!(self, Self::Pending | Self::Held | Self::Running | Self::Off | Self::Frozen | Self::Lost)
    }
}

impl VmState {
    /// Where that is; `None` for a state of another version.
    pub(crate) fn standing(self) -> Option<Standing> {
        let states = [
            (0, Standing::Starting),
            (1, Standing::Pending),
            (2, Standing::Held),
            (4, Standing::Frozen),
            (5, Standing::Frozen),
            (6, Standing::Done),
            (7, Standing::Failed),
            (8, Standing::Off),
            (9, Standing::Off),
            // Its disks are copied at the service before it waits for a host.
            (10, Standing::Starting),
            (11, Standing::Failed),
        ];
        if self.state == ACTIVE {
            return active(self.lcm);
        }
        states.iter().find(|(state, _)| *state == self.state).map(|(_, standing)| *standing)
    }
}

/// The states of a machine that has a host.
fn active(lcm: i32) -> Option<Standing> {
    Some(match lcm {
        // LCM_INIT, PROLOG, BOOT, PROLOG_MIGRATE, PROLOG_RESUME, CLEANUP_RESUBMIT
        0..=2 | 8 | 9 | 15 => Standing::Starting,
        RUNNING => Standing::Running,
        // MIGRATE: it runs all the while
        4 => Standing::RunningBusy,
        // SAVE_STOP, SAVE_SUSPEND, SAVE_MIGRATE, EPILOG_STOP, EPILOG, SHUTDOWN
        5..=7 | 10..=12 => Standing::Stopping,
        UNKNOWN => Standing::Lost,
        // HOTPLUG
        17 => Standing::RunningBusy,
        // SHUTDOWN_POWEROFF
        18 => Standing::Stopping,
        // BOOT_UNKNOWN, BOOT_POWEROFF, BOOT_SUSPENDED, BOOT_STOPPED
        19..=22 => Standing::Starting,
        // CLEANUP_DELETE
        23 => Standing::Stopping,
        // HOTPLUG_SNAPSHOT, HOTPLUG_NIC, HOTPLUG_SAVEAS
        24..=26 => Standing::RunningBusy,
        // HOTPLUG_SAVEAS_POWEROFF
        27 => Standing::OffBusy,
        // HOTPLUG_SAVEAS_SUSPENDED
        28 => Standing::FrozenBusy,
        // SHUTDOWN_UNDEPLOY, EPILOG_UNDEPLOY
        29 | 30 => Standing::Stopping,
        // PROLOG_UNDEPLOY, BOOT_UNDEPLOY
        31 | 32 => Standing::Starting,
        // HOTPLUG_PROLOG_POWEROFF, HOTPLUG_EPILOG_POWEROFF
        33 | 34 => Standing::OffBusy,
        // BOOT_MIGRATE
        35 => Standing::Starting,
        // BOOT_FAILURE, BOOT_MIGRATE_FAILURE, PROLOG_MIGRATE_FAILURE, PROLOG_FAILURE, EPILOG_FAILURE,
        // EPILOG_STOP_FAILURE, EPILOG_UNDEPLOY_FAILURE
        36..=42 => Standing::Failed,
        // PROLOG_MIGRATE_POWEROFF
        43 => Standing::OffBusy,
        // PROLOG_MIGRATE_POWEROFF_FAILURE
        44 => Standing::Failed,
        // PROLOG_MIGRATE_SUSPEND
        45 => Standing::FrozenBusy,
        // PROLOG_MIGRATE_SUSPEND_FAILURE, BOOT_UNDEPLOY_FAILURE, BOOT_STOPPED_FAILURE, PROLOG_RESUME_FAILURE,
        // PROLOG_UNDEPLOY_FAILURE
        46..=50 => Standing::Failed,
        // DISK_SNAPSHOT_POWEROFF, DISK_SNAPSHOT_REVERT_POWEROFF, DISK_SNAPSHOT_DELETE_POWEROFF
        51..=53 => Standing::OffBusy,
        // DISK_SNAPSHOT_SUSPENDED, DISK_SNAPSHOT_DELETE_SUSPENDED
        54 | 56 => Standing::FrozenBusy,
        // DISK_SNAPSHOT, DISK_SNAPSHOT_DELETE
        57 | 59 => Standing::RunningBusy,
        // PROLOG_MIGRATE_UNKNOWN
        60 => Standing::Starting,
        // PROLOG_MIGRATE_UNKNOWN_FAILURE
        61 => Standing::Failed,
        // DISK_RESIZE
        62 => Standing::RunningBusy,
        // DISK_RESIZE_POWEROFF, DISK_RESIZE_UNDEPLOYED, HOTPLUG_NIC_POWEROFF
        63..=65 => Standing::OffBusy,
        // HOTPLUG_RESIZE
        66 => Standing::RunningBusy,
        // HOTPLUG_SAVEAS_UNDEPLOYED
        67 => Standing::OffBusy,
        // HOTPLUG_SAVEAS_STOPPED
        68 => Standing::FrozenBusy,
        // BACKUP
        69 => Standing::RunningBusy,
        // BACKUP_POWEROFF, RESTORE
        70 | 71 => Standing::OffBusy,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of states that no version from 5.12 on has.
    const RETIRED: [i32; 4] = [13, 14, 55, 58];
    const FAILURES: [i32; 14] = [36, 37, 38, 39, 40, 41, 42, 44, 46, 47, 48, 49, 50, 61];

    #[test]
    fn every_state_stands_somewhere_and_no_other() {
        for state in 0..=11 {
            assert!(VmState { state, lcm: 0 }.standing().is_some(), "{state}");
        }
        for lcm in 0..=71 {
            let standing = VmState { state: ACTIVE, lcm }.standing();
            assert_eq!(standing.is_none(), RETIRED.contains(&lcm), "{lcm}");
            assert_eq!(standing == Some(Standing::Failed), FAILURES.contains(&lcm), "{lcm}");
        }
        for strange in [-1, 72, i32::MAX, i32::MIN] {
            assert_eq!(VmState { state: ACTIVE, lcm: strange }.standing(), None);
        }
        for state in [-1, 12, i32::MAX] {
            assert_eq!(VmState { state, lcm: 0 }.standing(), None);
        }
    }

    #[test]
    fn sequences_that_were_seen_never_look_finished_before_they_are() {
        let of = |state, lcm| VmState { state, lcm }.standing().unwrap().machine_state();
        use MachineState::{Building, Running, Stopped, Stopping, Suspended};
        let instantiate = [(1, 0), (3, 1), (3, 2), (3, 3)].map(|(state, lcm)| of(state, lcm).unwrap());
        assert_eq!(instantiate, [Building, Building, Building, Running]);
        let poweroff = [(3, 18), (8, 0), (3, 20), (3, 3)].map(|(state, lcm)| of(state, lcm).unwrap());
        assert_eq!(poweroff, [Stopping, Stopped, Building, Running]);
        let suspend = [(3, 6), (5, 0), (3, 21), (3, 3)].map(|(state, lcm)| of(state, lcm).unwrap());
        assert_eq!(suspend, [Stopping, Suspended, Building, Running]);
        let terminate = [(3, 12), (3, 11), (6, 0)].map(|(state, lcm)| of(state, lcm));
        assert_eq!(terminate, [Some(Stopping), Some(Stopping), None]);
    }
}
