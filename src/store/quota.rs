//! What a project and its members may take at most.

use std::fmt;

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use serde::{Deserialize, Serialize};

use super::{
    DbConnection, StoreError,
    member::{ProjectId, UserId},
    reservation::Usage,
    schema::{quotas, users},
};

/// In place of a user: every member who has no limits of their own.
const EVERYBODY: &str = "*";

/// The most that may be taken; no number, no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Queryable)]
pub struct Limits {
    /// Machines.
    pub machines: Option<i64>,
    /// Virtual cores.
    pub cores: Option<i64>,
    /// Memory, in MiB.
    pub memory_mib: Option<i64>,
    /// Root disks and volumes, in bytes.
    pub disk_bytes: Option<i64>,
    /// Reserved addresses.
    pub addresses: Option<i64>,
}

impl Limits {
    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// What is left of them; never below nothing.
    pub fn left(self, used: Usage) -> Self {
        let left = |limit: Option<i64>, used: i64| limit.map(|limit| limit.saturating_sub(used).max(0));
        Self {
            machines: left(self.machines, used.machines),
            cores: left(self.cores, used.cores),
            memory_mib: left(self.memory_mib, used.memory_mib),
            disk_bytes: left(self.disk_bytes, used.disk_bytes),
            addresses: left(self.addresses, used.addresses),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amounts = [
            (self.machines, "machines"),
            (self.cores, "cores"),
            (self.memory_mib, "MiB of memory"),
            (self.disk_bytes, "bytes of disk"),
            (self.addresses, "addresses"),
        ];
        let shown: Vec<_> =
            amounts.iter().filter_map(|(limit, of)| limit.map(|limit| format!("{limit} {of}"))).collect();
        f.write_str(if shown.is_empty() { "none" } else { "" })?;
        f.write_str(&shown.join(", "))
    }
}

/// Whom limits are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// All of the project together.
    Project,
    /// Each of its members who has none of their own.
    EachMember,
    /// One of its members.
    Member(UserId),
}

impl Whose {
    fn column(self) -> String {
        match self {
            Self::Project => String::new(),
            Self::EachMember => EVERYBODY.into(),
            Self::Member(user) => user.0.to_string(),
        }
    }
}

type Columns = (quotas::machines, quotas::cores, quotas::memory_mib, quotas::disk_bytes, quotas::addresses);
const LIMITS: Columns = (quotas::machines, quotas::cores, quotas::memory_mib, quotas::disk_bytes, quotas::addresses);

/// The limits that count for a member of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applying {
    /// Those of the whole project.
    pub project: Limits,
    /// The member's: their own, or those of each member.
    pub member: Limits,
}

/// What limits the project and, if one is named, the member. One query.
///
/// # Errors
/// The database failed.
pub fn applying(
    connection: &mut DbConnection,
    project: ProjectId,
    user: Option<UserId>,
) -> Result<Applying, StoreError> {
    let whose = [Some(Whose::Project), user.map(|_| Whose::EachMember), user.map(Whose::Member)];
    let columns: Vec<String> = whose.into_iter().flatten().map(Whose::column).collect();
    let query = quotas::table
        .filter(quotas::project_id.eq(project.0.to_string()))
        .filter(quotas::user_id.eq_any(columns))
        .select((quotas::user_id, LIMITS));
    let rows: Vec<(String, Limits)> = match connection {
        DbConnection::Postgres(connection) => query.load(connection)?,
        DbConnection::Sqlite(connection) => query.load(connection)?,
    };
    let of = |whose: Whose| rows.iter().find(|(column, _)| *column == whose.column()).map(|(_, limits)| *limits);
    let member = user.and_then(|user| of(Whose::Member(user)).or_else(|| of(Whose::EachMember)));
    Ok(Applying { project: of(Whose::Project).unwrap_or_default(), member: member.unwrap_or_default() })
}

/// The limits as they are set.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, project: ProjectId, whose: Whose) -> Result<Option<Limits>, StoreError> {
    let query = quotas::table
        .filter(quotas::project_id.eq(project.0.to_string()))
        .filter(quotas::user_id.eq(whose.column()))
        .select(LIMITS);
    Ok(on_either!(connection, either => query.get_result(either).optional())?)
}

/// Members who have limits of their own, by name.
///
/// # Errors
/// The database failed.
pub fn of_members(connection: &mut DbConnection, project: ProjectId) -> Result<Vec<(String, Limits)>, StoreError> {
    let query = quotas::table
        .inner_join(users::table.on(users::id.eq(quotas::user_id)))
        .filter(quotas::project_id.eq(project.0.to_string()))
        .order(users::name.asc())
        .select((users::name, LIMITS));
    Ok(on_either!(connection, either => query.load(either))?)
}

/// Sets the limits; with none at all, they are as if they had never been set.
///
/// # Errors
/// The database failed.
pub fn set(connection: &mut DbConnection, project: ProjectId, whose: Whose, limits: Limits) -> Result<(), StoreError> {
    let this =
        quotas::table.filter(quotas::project_id.eq(project.0.to_string())).filter(quotas::user_id.eq(whose.column()));
    on_either!(connection, either => diesel::delete(this).execute(either))?;
    // For one member, none is something else than not set: those of each member do not count for them.
    if limits.is_none() && !matches!(whose, Whose::Member(_)) {
        return Ok(());
    }
    let row = (
        quotas::project_id.eq(project.0.to_string()),
        quotas::user_id.eq(whose.column()),
        quotas::machines.eq(limits.machines),
        quotas::cores.eq(limits.cores),
        quotas::memory_mib.eq(limits.memory_mib),
        quotas::disk_bytes.eq(limits.disk_bytes),
        quotas::addresses.eq(limits.addresses),
    );
    on_either!(connection, either => diesel::insert_into(quotas::table).values(row).execute(either))?;
    Ok(())
}

/// The member has no limits of their own any more.
///
/// # Errors
/// The database failed.
pub fn unset(connection: &mut DbConnection, project: ProjectId, whose: Whose) -> Result<bool, StoreError> {
    let this =
        quotas::table.filter(quotas::project_id.eq(project.0.to_string())).filter(quotas::user_id.eq(whose.column()));
    Ok(on_either!(connection, either => diesel::delete(this).execute(either))? == 1)
}
