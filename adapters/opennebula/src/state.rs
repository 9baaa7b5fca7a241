//! What the service says of a machine's state, and what that is to the broker.
//!
//! Source: OpenNebula, `VirtualMachine::VmState` and `VirtualMachine::LcmState`, 5.12 to 7.4.

use backend::MachineState;

/// STATE of a machine, and LCM_STATE, which counts only while STATE is ACTIVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VmState {
    pub(crate) state: i32,
    pub(crate) lcm: i32,
}

/// STATE: placed on a host.
pub(crate) const ACTIVE: i32 = 3;
/// LCM_STATE: its processors run.
pub(crate) const RUNNING: i32 = 3;
/// LCM_STATE: the host does not know it.
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
