//! `VM_STATE` and `LCM_STATE` with their names (include/VirtualMachine.h, as the API reference lists them).

/// A machine's state: the second number counts only while the first is 3, ACTIVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// `VM_STATE`
    pub state: u8,
    /// `LCM_STATE`
    pub lcm: u8,
}

macro_rules! states {
    ($($name:ident = $lcm:literal),* $(,)?) => {
        // The table is the daemon's, whole, also where nothing here comes into a state of it.
        #[allow(missing_docs, dead_code)]
        impl State {
            $(pub const $name: State = State { state: 3, lcm: $lcm };)*
        }
        fn lcm_name(lcm: u8) -> &'static str {
            match lcm {
                $($lcm => stringify!($name),)*
                _ => "LCM_INIT",
            }
        }
    };
}

states! {
    PROLOG = 1, BOOT = 2, RUNNING = 3, MIGRATE = 4, SAVE_STOP = 5, SAVE_SUSPEND = 6, SAVE_MIGRATE = 7,
    PROLOG_MIGRATE = 8, PROLOG_RESUME = 9, EPILOG_STOP = 10, EPILOG = 11, SHUTDOWN = 12, CLEANUP_RESUBMIT = 15,
    UNKNOWN = 16, HOTPLUG = 17, SHUTDOWN_POWEROFF = 18, BOOT_UNKNOWN = 19, BOOT_POWEROFF = 20, BOOT_SUSPENDED = 21,
    BOOT_STOPPED = 22, CLEANUP_DELETE = 23, HOTPLUG_SNAPSHOT = 24, HOTPLUG_NIC = 25, HOTPLUG_SAVEAS = 26,
    HOTPLUG_SAVEAS_POWEROFF = 27, HOTPLUG_SAVEAS_SUSPENDED = 28, SHUTDOWN_UNDEPLOY = 29, EPILOG_UNDEPLOY = 30,
    PROLOG_UNDEPLOY = 31, BOOT_UNDEPLOY = 32, HOTPLUG_PROLOG_POWEROFF = 33, HOTPLUG_EPILOG_POWEROFF = 34,
    BOOT_MIGRATE = 35, BOOT_FAILURE = 36, BOOT_MIGRATE_FAILURE = 37, PROLOG_MIGRATE_FAILURE = 38, PROLOG_FAILURE = 39,
    EPILOG_FAILURE = 40, EPILOG_STOP_FAILURE = 41, EPILOG_UNDEPLOY_FAILURE = 42, PROLOG_MIGRATE_POWEROFF = 43,
    DISK_SNAPSHOT_POWEROFF = 51, DISK_SNAPSHOT_REVERT_POWEROFF = 52, DISK_SNAPSHOT_DELETE_POWEROFF = 53,
    DISK_SNAPSHOT_SUSPENDED = 54, DISK_SNAPSHOT_DELETE_SUSPENDED = 56, DISK_SNAPSHOT = 57, DISK_SNAPSHOT_DELETE = 59,
    DISK_RESIZE = 62, DISK_RESIZE_POWEROFF = 63, DISK_RESIZE_UNDEPLOYED = 64, HOTPLUG_NIC_POWEROFF = 65,
    HOTPLUG_RESIZE = 66, HOTPLUG_SAVEAS_UNDEPLOYED = 67, HOTPLUG_SAVEAS_STOPPED = 68, BACKUP = 69,
    BACKUP_POWEROFF = 70, RESTORE = 71,
}

const fn settled(state: u8) -> State {
    State { state, lcm: 0 }
}

#[allow(missing_docs)]
impl State {
    pub const PENDING: State = settled(1);
    pub const HOLD: State = settled(2);
    pub const STOPPED: State = settled(4);
    pub const SUSPENDED: State = settled(5);
    pub const DONE: State = settled(6);
    pub const POWEROFF: State = settled(8);
    pub const UNDEPLOYED: State = settled(9);

    /// Whether the number of `VM_STATE` is ACTIVE.
    pub fn is_active(self) -> bool {
        self.state == 3
    }

    /// The name of `VM_STATE`.
    pub fn state_name(self) -> &'static str {
        match self.state {
            1 => "PENDING",
            2 => "HOLD",
            3 => "ACTIVE",
            4 => "STOPPED",
            5 => "SUSPENDED",
            6 => "DONE",
            8 => "POWEROFF",
            9 => "UNDEPLOYED",
            10 => "CLONING",
            11 => "CLONING_FAILURE",
            _ => "INIT",
        }
    }

    /// The name that error messages use.
    pub fn name(self) -> &'static str {
        if self.is_active() { lcm_name(self.lcm) } else { self.state_name() }
    }
}
