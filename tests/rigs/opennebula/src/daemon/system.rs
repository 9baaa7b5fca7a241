//! What the daemon says of itself.

use super::Methods;
use super::access::{Right, only_oneadmin};
use crate::wire::answer::Value;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.system.version", |daemon, _, _| Ok(Value::Text(daemon.settings.version.clone()))),
    ("one.system.config", |_, caller, _| {
        only_oneadmin(caller, Right::Admin, "CONFIGURATION")?;
        Ok(Value::Text(CONFIGURATION.into()))
    }),
];

const CONFIGURATION: &str = include_str!("../../forms/configuration.xml").trim_ascii_end();
