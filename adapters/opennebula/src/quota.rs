//! What our user may use, and uses: its own quotas and those of its group, whichever is less.

use backend::{BackendError, Quota, QuotaEntry, QuotaResource};

use crate::{
    document::{Document, Figure, QuotaFigures, UserDocument},
    rpc::Call,
    site::Site,
};

/// The user or the group that calls.
const OURSELVES: i32 = -1;

impl Site {
    /// Whether the service counts what our user uses: it does for everybody but its own administrator.
    pub(crate) fn has_quota(&self) -> bool {
        self.options.user != "oneadmin"
    }

    pub(crate) async fn quota(&self) -> Result<Quota, BackendError> {
        if !self.has_quota() {
            return Err(BackendError::Unsupported(
                "tell the quota of oneadmin, for whom OpenNebula counts nothing".into(),
            ));
        }
        let user = self.ourselves("one.user.info").await?;
        let group = self.ourselves("one.group.info").await?;
        let figures = |choose: fn(&QuotaFigures) -> Figure| {
            let limits = [&user, &group].map(|one| choose(&one.own).limit(choose(&one.usual)));
            let limit = limits.into_iter().flatten().reduce(f64::min);
            (limit, choose(&user.own).used)
        };
        let entry = |resource, unit: f64, (limit, used): (Option<f64>, f64)| QuotaEntry {
            resource,
            limit: limit.map(|limit| (limit * unit) as u64),
            used: (used * unit).ceil() as u64,
        };
        let (core, mib) = (1.0 / self.options.cpu_per_core, 1_048_576.0);
        Ok(Quota {
            entries: vec![
                entry(QuotaResource::Machines, 1.0, figures(|quota| quota.machines)),
                entry(QuotaResource::Cores, core, figures(|quota| quota.cpu)),
                entry(QuotaResource::MemoryMib, 1.0, figures(|quota| quota.memory)),
                entry(QuotaResource::DiskBytes, mib, figures(|quota| quota.system_disk)),
                entry(QuotaResource::Images, 1.0, figures(|quota| quota.images)),
                entry(QuotaResource::VolumeBytes, mib, figures(|quota| quota.image_room)),
                entry(QuotaResource::Addresses, 1.0, figures(|quota| quota.leases)),
            ],
        })
    }

    pub(crate) async fn ourselves(&self, method: &'static str) -> Result<UserDocument, BackendError> {
        let element = self.oned.element(&Call::new(method).with(OURSELVES)).await?;
        Ok(UserDocument::read(&element)?)
    }
}
