use serde::Deserialize;

/// What our project may use of Cinder, and uses. A limit below zero is none.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct VolumeLimits {
    #[serde(rename = "maxTotalVolumes", default = "none")]
    pub(crate) volumes: i64,
    #[serde(rename = "maxTotalVolumeGigabytes", default = "none")]
    pub(crate) gib: i64,
    #[serde(rename = "maxTotalSnapshots", default = "none")]
    pub(crate) snapshots: i64,
    #[serde(rename = "totalVolumesUsed", default)]
    pub(crate) volumes_used: u64,
    #[serde(rename = "totalGigabytesUsed", default)]
    pub(crate) gib_used: u64,
    #[serde(rename = "totalSnapshotsUsed", default)]
    pub(crate) snapshots_used: u64,
}

fn none() -> i64 {
    -1
}
