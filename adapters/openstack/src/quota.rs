//! What our project may use, and uses.

use std::collections::BTreeMap;

use backend::{BackendError, Quota, QuotaEntry, QuotaResource};
use serde::Deserialize;

use crate::{nova::ComputeLimits, service::Service, site::Site};

const GIB: u64 = 1 << 30;

#[derive(Deserialize)]
struct NetworkQuota {
    quota: BTreeMap<String, Detail>,
}

#[derive(Deserialize)]
struct Detail {
    limit: i64,
    #[serde(default)]
    used: u64,
}

impl Site {
    pub(crate) async fn compute_limits(&self) -> Result<ComputeLimits, BackendError> {
        #[derive(Deserialize)]
        struct Answer {
            limits: Limits,
        }
        #[derive(Deserialize)]
        struct Limits {
            absolute: ComputeLimits,
        }
        let Answer { limits } = self.cloud.get(Service::Compute, &["limits"], "limits of Nova").json().await?;
        Ok(limits.absolute)
    }

    pub(crate) async fn quota(&self) -> Result<Quota, BackendError> {
        let token = self.cloud.session.token().await?;
        let compute = self.compute_limits().await?;
        let mut entries = vec![
            entry(QuotaResource::Machines, compute.machines, compute.machines_used, 1),
            entry(QuotaResource::Cores, compute.cores, compute.cores_used, 1),
            entry(QuotaResource::MemoryMib, compute.memory_mib, compute.memory_mib_used, 1),
        ];
        if self.cloud.has(Service::BlockStorage, &token) {
            let volumes = self.volume_limits().await?;
            entries.extend([
                entry(QuotaResource::Volumes, volumes.volumes, volumes.volumes_used, 1),
                entry(QuotaResource::VolumeBytes, volumes.gib, volumes.gib_used, GIB),
                entry(QuotaResource::VolumeCopies, volumes.snapshots, volumes.snapshots_used, 1),
            ]);
        }
        let path = ["quotas", token.project.as_str(), "details.json"];
        match self.cloud.get(Service::Network, &path, "quota of Neutron").json::<NetworkQuota>().await {
            Ok(NetworkQuota { quota }) => {
                for (name, resource) in [
                    ("network", QuotaResource::Networks),
                    ("port", QuotaResource::Interfaces),
                    ("floatingip", QuotaResource::Addresses),
                    ("security_group", QuotaResource::SecurityGroups),
                ] {
                    let detail = quota.get(name);
                    entries.extend(detail.map(|detail| entry(resource, detail.limit, detail.used, 1)));
                }
            }
            // Neutron may not have the extension, or keep it for administrators.
            Err(BackendError::NotFound(_) | BackendError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(Quota { entries })
    }
}

fn entry(resource: QuotaResource, limit: i64, used: u64, unit: u64) -> QuotaEntry {
    let limit = u64::try_from(limit).ok().map(|limit| limit.saturating_mul(unit));
    QuotaEntry { resource, limit, used: used.saturating_mul(unit) }
}
