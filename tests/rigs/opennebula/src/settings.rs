//! What can be set before the simulator starts.

use std::time::Duration;

/// How long things take. All short by default, so that tests need not wait.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// How long `vm.info` still shows the old state after an action was taken.
    pub race: Duration,
    /// How long each transient state of a machine lasts.
    pub step: Duration,
    /// How long a machine stays PENDING before it is placed.
    pub placement: Duration,
    /// How long an image that needs no download stays LOCKED.
    pub image: Duration,
    /// How long a network stays in `LOCK_CREATE`.
    pub network: Duration,
    /// How long a host stays in INIT.
    pub host: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        let milliseconds = Duration::from_millis;
        Self {
            race: milliseconds(4),
            step: milliseconds(8),
            placement: milliseconds(15),
            image: milliseconds(8),
            network: milliseconds(8),
            host: milliseconds(20),
        }
    }
}

/// What can be set before the simulator starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The answer to `one.system.version`.
    pub version: String,
    /// The password of user 0, oneadmin.
    pub password: String,
    /// How long things take.
    pub delays: Delays,
    /// Megabytes in each datastore. Images beyond it are refused.
    pub datastore_megabytes: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "7.4.0".into(),
            password: "opennebula".into(),
            delays: Delays::default(),
            datastore_megabytes: 258_020,
        }
    }
}
