//! What live entities take of their projects' shares.

use serde::{Deserialize, Serialize};

use super::{DbConnection, StoreError, entity::EntityId, member::ProjectId};

/// An amount of everything that is counted; negative in what is given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Reserves for a new entity. The caller records the event with the same usage.
///
/// # Errors
/// The database failed.
pub fn make(
    _connection: &mut DbConnection,
    _entity: EntityId,
    _project: ProjectId,
    _site: &str,
    _usage: Usage,
) -> Result<(), StoreError> {
    Ok(())
}

/// Lets the entity take another amount, and answers by how much more (or less) that is.
///
/// # Errors
/// The database failed.
pub fn change(_connection: &mut DbConnection, _entity: EntityId, _usage: Usage) -> Result<Usage, StoreError> {
    Ok(Usage::default())
}

/// Gives everything back, and answers what that was, negative; nothing if there is nothing to give back.
///
/// # Errors
/// The database failed.
pub fn release(_connection: &mut DbConnection, _entity: EntityId) -> Result<Usage, StoreError> {
    Ok(Usage::default())
}

/// What each project takes at present: the sum of its live reservations.
///
/// # Errors
/// The database failed.
pub fn by_project(_connection: &mut DbConnection) -> Result<Vec<(ProjectId, Usage)>, StoreError> {
    Ok(Vec::new())
}
