use serde::Deserialize;

/// What our project may use of Nova, and uses. A limit below zero is none.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct ComputeLimits {
    #[serde(rename = "maxTotalInstances", default = "none")]
    pub(crate) machines: i64,
    #[serde(rename = "maxTotalCores", default = "none")]
    pub(crate) cores: i64,
    #[serde(rename = "maxTotalRAMSize", default = "none")]
    pub(crate) memory_mib: i64,
    #[serde(rename = "totalInstancesUsed", default)]
    pub(crate) machines_used: u64,
    #[serde(rename = "totalCoresUsed", default)]
    pub(crate) cores_used: u64,
    #[serde(rename = "totalRAMUsed", default)]
    pub(crate) memory_mib_used: u64,
}

fn none() -> i64 {
    -1
}
