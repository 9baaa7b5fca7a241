//! What becomes of an orphan when a person has decided: it is adopted into a project, or removed.

use std::collections::BTreeMap;

use backend::{Architecture, IntentTag, MachineSize, MachineSpec, MachineState, NetworkSpec, VolumeSpec};
use disk_image::ContentDigest;
use occi_schema::{
    Value,
    well_known::{
        COMPUTE, NETWORK, STORAGE,
        attribute::{CORES, MEMORY, TITLE},
    },
};
use uuid::Uuid;

use super::{order::Order, plan::Planner};
use crate::store::{
    DbConnection, StoreError, Timestamp,
    entity::{self, Entity, EntityId, EntityState, Facts},
    intent,
    member::ProjectId,
    orphan::{self, Orphan},
};

const MIB_IN_GIB: f64 = 1024.0;

impl Planner {
    /// The project owns the orphan from now on; answers as which entity.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a kind that this version does not know; the database failed.
    pub fn adopt(
        &self,
        connection: &mut DbConnection,
        orphan: &Orphan,
        project: ProjectId,
    ) -> Result<EntityId, StoreError> {
        // Another entity may have asked for it first: what it asked by stays that entity's.
        let is_taken = orphan::owners(connection, &[orphan.tag])?.contains_key(&orphan.tag);
        let tag = IntentTag(if is_taken { Uuid::now_v7() } else { orphan.tag });
        let (entity, order) = entity_of(orphan, tag, project)?;
        let id = entity.id;
        entity::insert(connection, &entity)?;
        self.note_adoption(connection, &entity, &order)?;
        // No saga has asked for it here, so the intent names the orphan.
        intent::insert(connection, tag, id, orphan.id, &orphan.site)?;
        intent::settle(connection, tag, Some(&orphan.backend_id))?;
        orphan::remove(connection, orphan.id)?;
        Ok(id)
    }

    /// Nothing of the orphan is to be left at its site.
    ///
    /// # Errors
    /// As for [`Planner::adopt`].
    pub fn expire(
        &self,
        connection: &mut DbConnection,
        orphan: &Orphan,
        project: ProjectId,
    ) -> Result<EntityId, StoreError> {
        let id = self.adopt(connection, orphan, project)?;
        self.plan_removal(connection, id)?;
        Ok(id)
    }
}

fn entity_of(orphan: &Orphan, tag: IntentTag, project: ProjectId) -> Result<(Entity, Order), StoreError> {
    let fact = |name: &str| orphan.facts.get(name).filter(|value| !value.is_null()).cloned();
    let name: Option<String> = fact("name").and_then(|name| serde_json::from_value(name).ok());
    let name = name.unwrap_or_else(|| orphan.backend_id.clone());
    let mut attributes = BTreeMap::from([(TITLE.clone(), Value::from(name.as_str()))]);
    let mut state = EntityState::Inactive;
    let (kind, order) = match orphan.kind.as_str() {
        "machine" => {
            // What the backend does not tell counts as the least.
            let size: Option<MachineSize> = fact("size").and_then(|size| serde_json::from_value(size).ok());
            let size = size.unwrap_or(MachineSize { cores: 1, memory_mib: 1, disk_bytes: 0 });
            attributes.insert(CORES.clone(), Value::Integer(size.cores.into()));
            attributes.insert(MEMORY.clone(), Value::Float(size.memory_mib as f64 / MIB_IN_GIB));
            if let Some(Ok(MachineState::Running)) = fact("state").map(serde_json::from_value) {
                state = EntityState::Active;
            }
            let spec = MachineSpec {
                tag,
                name,
                hostname: None,
                cores: size.cores,
                memory_mib: size.memory_mib,
                disk_bytes: size.disk_bytes,
                architecture: Architecture::X86_64,
                // Nobody knows what it was made of; it is never made again.
                image: ContentDigest::from_bytes([0; 32]),
                ssh_keys: Vec::new(),
                user_data: None,
                joins: backend::MachineJoins::default(),
            };
            (COMPUTE.clone(), Order::Machine(spec))
        }
        "volume" => {
            state = EntityState::Online;
            (STORAGE.clone(), Order::Volume(VolumeSpec { tag, name, size_bytes: 0 }))
        }
        "network" => {
            state = EntityState::Active;
            (NETWORK.clone(), Order::Network(NetworkSpec { tag, name, vlan: None, label: None, subnet: None }))
        }
        other => return Err(StoreError::Refused(format!("this version does not know orphans of the kind {other:?}"))),
    };
    let specification = order.to_json().map_err(|error| StoreError::Unreadable {
        table: "orphans",
        id: orphan.id.to_string(),
        reason: error.to_string(),
    })?;
    let entity = Entity {
        id: EntityId(Uuid::now_v7()),
        project,
        kind,
        mixins: Vec::new(),
        attributes,
        state,
        state_message: None,
        site: orphan.site.clone(),
        placement: serde_json::Value::Null,
        specification,
        backend_id: Some(orphan.backend_id.clone()),
        source: None,
        target: None,
        facts: Facts::default(),
        version: 1,
        updated_at: Timestamp::now(),
    };
    Ok((entity, order))
}
