//! What live entities take of their projects' shares.
//!
//! Every change goes with an event that tells the same, in the same transaction: the sum of all that the events tell is
//! what is reserved ([`super::event::verify`]).

use std::fmt;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, dsl::sql, sql_types::BigInt};
use serde::{Deserialize, Serialize};

use super::{
    DbConnection, StoreError,
    entity::EntityId,
    ledger::Ledger,
    member::{ProjectId, UserId},
    row::parse_id,
    schema::reservations,
};

/// An amount of everything that is counted; negative in what is given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[serde(default)]
pub struct Usage {
    /// Machines.
    pub machines: i64,
    /// Virtual cores.
    pub cores: i64,
    /// Memory, in MiB.
    pub memory_mib: i64,
    /// Root disks and volumes, in bytes.
    pub disk_bytes: i64,
    /// Reserved addresses.
    pub addresses: i64,
}

impl Usage {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            machines: self.machines.saturating_add(other.machines),
            cores: self.cores.saturating_add(other.cores),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
            disk_bytes: self.disk_bytes.saturating_add(other.disk_bytes),
            addresses: self.addresses.saturating_add(other.addresses),
        }
    }

    /// What is left without the other one.
    pub fn minus(self, other: Self) -> Self {
        self.plus(other.negative())
    }

    /// As much given back.
    pub fn negative(self) -> Self {
        Self {
            machines: self.machines.saturating_neg(),
            cores: self.cores.saturating_neg(),
            memory_mib: self.memory_mib.saturating_neg(),
            disk_bytes: self.disk_bytes.saturating_neg(),
            addresses: self.addresses.saturating_neg(),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machines, cores, memory_mib, disk_bytes, addresses } = self;
        write!(
            f,
            "{machines} machines, {cores} cores, {memory_mib} MiB of memory, {disk_bytes} bytes of disk and \
             {addresses} addresses"
        )
    }
}

/// The columns of a [`Usage`].
const AMOUNTS: (
    reservations::machines,
    reservations::cores,
    reservations::memory_mib,
    reservations::disk_bytes,
    reservations::addresses,
) = (
    reservations::machines,
    reservations::cores,
    reservations::memory_mib,
    reservations::disk_bytes,
    reservations::addresses,
);

/// Reserves for a new entity, which counts for the user too, if one is named. The caller records the event with the same usage.
///
/// # Errors
/// Something is reserved for it already; the database failed.
pub fn make(
    connection: &mut DbConnection,
    entity: EntityId,
    project: ProjectId,
    user: Option<UserId>,
    site: &str,
    usage: Usage,
) -> Result<(), StoreError> {
    let row = (
        reservations::entity_id.eq(entity.to_string()),
        reservations::project_id.eq(project.0.to_string()),
        reservations::user_id.eq(user.map(|user| user.0.to_string())),
        reservations::site.eq(site),
        reservations::machines.eq(usage.machines),
        reservations::cores.eq(usage.cores),
        reservations::memory_mib.eq(usage.memory_mib),
        reservations::disk_bytes.eq(usage.disk_bytes),
        reservations::addresses.eq(usage.addresses),
    );
    on_either!(connection, either => diesel::insert_into(reservations::table).values(row).execute(either))?;
    Ok(())
}

/// Lets the entity take another amount, and answers by how much more (or less) that is; nothing changes for one that
/// nothing is reserved for. The caller records the event with what is answered.
///
/// # Errors
/// The database failed.
pub fn change(connection: &mut DbConnection, entity: EntityId, usage: Usage) -> Result<Usage, StoreError> {
    let Some(before) = lock(connection, entity)? else { return Ok(Usage::default()) };
    let row = reservations::table.filter(reservations::entity_id.eq(entity.to_string()));
    let amounts = (
        reservations::machines.eq(usage.machines),
        reservations::cores.eq(usage.cores),
        reservations::memory_mib.eq(usage.memory_mib),
        reservations::disk_bytes.eq(usage.disk_bytes),
        reservations::addresses.eq(usage.addresses),
    );
    on_either!(connection, either => diesel::update(row).set(amounts).execute(either))?;
    Ok(usage.minus(before))
}

/// Gives everything back, and answers what that was, negative; nothing if there is nothing to give back. The caller
/// records the event with what is answered.
///
/// # Errors
/// The database failed.
pub fn release(connection: &mut DbConnection, entity: EntityId) -> Result<Usage, StoreError> {
    let before = lock(connection, entity)?.unwrap_or_default();
    let row = reservations::table.filter(reservations::entity_id.eq(entity.to_string()));
    on_either!(connection, either => diesel::delete(row).execute(either))?;
    Ok(before.negative())
}

/// Gives everything back for now, and answers what that was, negative. Whose it was stays known, for [`resume`]. The
/// caller records the event with what is answered.
///
/// # Errors
/// The database failed.
pub fn put_aside(connection: &mut DbConnection, entity: EntityId) -> Result<Usage, StoreError> {
    change(connection, entity, Usage::default())
}

/// Reserves again for what was put aside, for the user whose it was; for what is not known, for nobody. The caller
/// records the event with the same usage.
///
/// # Errors
/// Something is reserved for it; the database failed.
pub fn resume(
    connection: &mut DbConnection,
    entity: EntityId,
    project: ProjectId,
    site: &str,
    usage: Usage,
) -> Result<(), StoreError> {
    let user = owner(connection, entity)?;
    if lock(connection, entity)?.is_none() {
        release(connection, entity)?;
    }
    make(connection, entity, project, user, site, usage)
}

/// The user for whom the entity counts.
///
/// # Errors
/// The database failed.
pub fn owner(connection: &mut DbConnection, entity: EntityId) -> Result<Option<UserId>, StoreError> {
    let query =
        reservations::table.filter(reservations::entity_id.eq(entity.to_string())).select(reservations::user_id);
    let found: Option<Option<String>> = on_either!(connection, either => query.get_result(either).optional())?;
    found.flatten().map(|user| parse_id("reservations", &user).map(UserId)).transpose()
}

/// What is reserved for the entity.
///
/// # Errors
/// The database failed.
#[cfg(test)]
pub fn of_entity(connection: &mut DbConnection, entity: EntityId) -> Result<Option<Usage>, StoreError> {
    let query = reservations::table.filter(reservations::entity_id.eq(entity.to_string())).select(AMOUNTS);
    let found: Option<Usage> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.filter(|usage| *usage != Usage::default()))
}

/// What is reserved for the entity, which nobody else changes until the transaction ends.
///
/// # Errors
/// The database failed.
pub fn lock(connection: &mut DbConnection, entity: EntityId) -> Result<Option<Usage>, StoreError> {
    let query = reservations::table.filter(reservations::entity_id.eq(entity.to_string())).select(AMOUNTS);
    let found: Option<Usage> = match connection {
        DbConnection::Postgres(connection) => query.for_update().get_result(connection).optional()?,
        // Who writes there writes alone.
        DbConnection::Sqlite(connection) => query.get_result(connection).optional()?,
    };
    // What was put aside takes nothing.
    Ok(found.filter(|usage| *usage != Usage::default()))
}

/// What the project takes at present, or one of its members alone.
///
/// # Errors
/// The database failed.
pub fn taken(connection: &mut DbConnection, project: ProjectId, user: Option<UserId>) -> Result<Usage, StoreError> {
    // Nothing is no row; PostgreSQL adds up into a type of its own.
    let sum = |column: &str| sql::<BigInt>(&format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT)"));
    let of_project = reservations::table.filter(reservations::project_id.eq(project.0.to_string())).select((
        sum("machines"),
        sum("cores"),
        sum("memory_mib"),
        sum("disk_bytes"),
        sum("addresses"),
    ));
    match user {
        Some(user) => {
            let of_user = of_project.filter(reservations::user_id.eq(user.0.to_string()));
            Ok(on_either!(connection, either => of_user.get_result(either))?)
        }
        None => Ok(on_either!(connection, either => of_project.get_result(either))?),
    }
}

/// What each project takes at present: the sum of its live reservations.
///
/// # Errors
/// The database failed.
pub fn by_project(connection: &mut DbConnection) -> Result<Vec<(ProjectId, Usage)>, StoreError> {
    // PostgreSQL adds up into a type of its own.
    let sum = |column: &str| sql::<BigInt>(&format!("CAST(SUM({column}) AS BIGINT)"));
    let query = reservations::table.group_by(reservations::project_id).order(reservations::project_id.asc()).select((
        reservations::project_id,
        (sum("machines"), sum("cores"), sum("memory_mib"), sum("disk_bytes"), sum("addresses")),
    ));
    let rows: Vec<(String, Usage)> = on_either!(connection, either => query.load(either))?;
    let taking = rows.into_iter().filter(|(_, usage)| *usage != Usage::default());
    taking.map(|(project, usage)| Ok((ProjectId(parse_id("reservations", &project)?), usage))).collect()
}

/// What is reserved for every entity.
pub(super) fn all(connection: &mut DbConnection) -> Result<Ledger, StoreError> {
    let query = reservations::table.select((reservations::entity_id, reservations::project_id, AMOUNTS));
    let rows: Vec<(String, String, Usage)> = on_either!(connection, either => query.load(either))?;
    let mut ledger = Ledger::default();
    for (entity, project, usage) in rows {
        let entity = EntityId(parse_id("reservations", &entity)?);
        ledger.add(ProjectId(parse_id("reservations", &project)?), Some(entity), usage);
    }
    Ok(ledger)
}
