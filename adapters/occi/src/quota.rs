//! What another Tombolo tells of its quota.

use std::collections::BTreeMap;

use backend::{BackendError, Capability, Quota, QuotaEntry, QuotaResource};
use backend_http::Method;
use occi_schema::MediaType;
use serde::Deserialize;

use crate::{connection::Asked, server::Server};

#[derive(Deserialize)]
struct Document {
    project: Share,
    user: Share,
}

#[derive(Deserialize)]
struct Share {
    #[serde(default)]
    limit: BTreeMap<String, Option<i64>>,
    #[serde(default)]
    used: BTreeMap<String, Option<i64>>,
}

const COUNTED: [(&str, QuotaResource); 5] = [
    ("machines", QuotaResource::Machines),
    ("cores", QuotaResource::Cores),
    ("memory_mib", QuotaResource::MemoryMib),
    ("disk_bytes", QuotaResource::DiskBytes),
    ("addresses", QuotaResource::Addresses),
];

impl Server {
    pub(crate) async fn quota_of(&self) -> Result<Quota, BackendError> {
        if !self.peer().await?.dialect.tells_quota {
            return Err(Capability::Quota.missing());
        }
        let path = self.connection.below("quota");
        let answer = self.connection.must(&Asked::new(Method::GET, &path, MediaType::Json)).await?;
        let document: Document = answer.json()?;
        let entry = |(name, resource): (&str, QuotaResource)| {
            // Whichever of both ends first.
            let shares = [&document.project, &document.user].map(|share| share.entry(name, resource));
            shares
                .into_iter()
                .flatten()
                .min_by_key(|entry| entry.limit.map(|limit| limit.saturating_sub(entry.used)).unwrap_or(u64::MAX))
        };
        Ok(Quota { entries: COUNTED.into_iter().filter_map(entry).collect() })
    }
}

impl Share {
    fn entry(&self, name: &str, resource: QuotaResource) -> Option<QuotaEntry> {
        let number = |of: &BTreeMap<String, Option<i64>>| of.get(name).copied().flatten();
        let used = u64::try_from(number(&self.used)?).ok()?;
        let limit = number(&self.limit).and_then(|limit| u64::try_from(limit).ok());
        Some(QuotaEntry { resource, limit, used })
    }
}
