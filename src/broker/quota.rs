//! What a project and its members may take: checked in the transaction that reserves, and shown before.

use super::{Broker, BrokerError, permission};
use crate::{
    login::{
        Principal,
        account::{self, Quota},
    },
    store::{
        DbConnection, StoreError,
        member::{self, ProjectId, UserId},
        quota::{self, Limits},
        reservation::{self, Usage},
    },
};

/// Whether so much more may be taken. To be called in the serialisable transaction that reserves it: of several at once
/// that are too much together, the database lets one through and has the others tried again.
///
/// # Errors
/// [`StoreError::OverQuota`] if it may not, with what there is and whom to ask; the database failed.
pub(super) fn check(
    connection: &mut DbConnection,
    project: ProjectId,
    user: Option<UserId>,
    asked: Usage,
) -> Result<(), StoreError> {
    if Amount::of(asked).iter().all(|amount| amount.asked <= 0) {
        return Ok(());
    }
    let limits = quota::applying(connection, project, user)?;
    let mut exceeded = Vec::new();
    if !limits.project.is_none() {
        let used = reservation::taken(connection, project, None)?;
        exceeded.extend(excess(limits.project, used, asked, "the whole project"));
    }
    if !limits.member.is_none() && user.is_some() {
        let used = reservation::taken(connection, project, user)?;
        exceeded.extend(excess(limits.member, used, asked, "you"));
    }
    if exceeded.is_empty() {
        return Ok(());
    }
    let name = member::project_name(connection, project)?.unwrap_or_default();
    Err(StoreError::OverQuota(format!(
        "that is more than may be taken in project {name}: {}; remove something, or ask a manager of the project (for \
         your own limits) or the operator of this service (for those of the project)",
        exceeded.join("; ")
    )))
}

/// One of the things that are counted.
struct Amount {
    name: &'static str,
    unit: &'static str,
    asked: i64,
    of_limits: fn(&Limits) -> Option<i64>,
    of_usage: fn(&Usage) -> i64,
}

impl Amount {
    fn of(asked: Usage) -> [Self; 5] {
        let amount = |name, unit, of_limits, of_usage: fn(&Usage) -> i64| Self {
            name,
            unit,
            asked: of_usage(&asked),
            of_limits,
            of_usage,
        };
        [
            amount("machines", "", |limits| limits.machines, |usage| usage.machines),
            amount("cores", "", |limits| limits.cores, |usage| usage.cores),
            amount("memory", " MiB", |limits| limits.memory_mib, |usage| usage.memory_mib),
            amount("disk", " bytes", |limits| limits.disk_bytes, |usage| usage.disk_bytes),
            amount("addresses", "", |limits| limits.addresses, |usage| usage.addresses),
        ]
    }
}

fn excess(limits: Limits, used: Usage, asked: Usage, whose: &str) -> Vec<String> {
    let over = |amount: Amount| {
        let (limit, used) = ((amount.of_limits)(&limits)?, (amount.of_usage)(&used));
        let Amount { name, unit, asked, .. } = amount;
        // Who asks for less of something is not refused for having too much of it already.
        (asked > 0 && used.saturating_add(asked) > limit).then(|| {
            format!("{name} for {whose} are limited to {limit}{unit}, {used}{unit} are taken and {asked}{unit} were asked for")
        })
    };
    Amount::of(asked).into_iter().filter_map(over).collect()
}

impl Broker {
    /// What the principal's project and they themselves may take, take, and have left.
    ///
    /// # Errors
    /// They may not see it; the store failed.
    pub async fn quota(&self, principal: &Principal) -> Result<(String, Quota), BrokerError> {
        permission::to_read(principal)?;
        let (project, user) = (principal.project, principal.user);
        let found = self.inner.db.read(move |connection| {
            let name = member::project_name(connection, project)?.unwrap_or_default();
            Ok((name, account::quota_of(connection, project, user)?))
        });
        Ok(found.await?)
    }
}
