//! What is ours, compared with what the site says of it.

use std::{collections::BTreeSet, time::Instant};

use backend::{BackendError, Machine, MachineId, MachineState};

use super::{Watch, inventory::Inventory};
use crate::{
    dispatch::{ledger, order::Order, provision::facts_of},
    store::{
        StoreError, Timestamp,
        entity::{self, Entity, EntityState, Facts},
        saga,
    },
};

const PAGE: i64 = 500;
/// Something is asked for by name when it has been missing this often in a row: one list may be stale.
const CONFIRMATIONS: u32 = 2;

impl Watch {
    /// Compares every entity of the site that has something there; answers what each has.
    pub(super) async fn compare_owned(
        &mut self,
        inventory: &Inventory,
        asked_at: Timestamp,
    ) -> Result<BTreeSet<(&'static str, String)>, StoreError> {
        let mut owned = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut after = None;
        loop {
            let name = self.site.name.clone();
            let page =
                self.db.read(move |connection| entity::with_backend_id_at(connection, &name, after, PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for entity in page {
                seen.insert(entity.id);
                let kind = listed_kind(entity.kind.term());
                owned.extend(kind.zip(entity.backend_id.clone()));
                if entity.updated_at < asked_at {
                    self.compare_one(&entity, inventory).await?;
                }
            }
        }
        self.missing.retain(|id, _| seen.contains(id));
        self.doubts.forget(Instant::now());
        Ok(owned)
    }

    async fn compare_one(&mut self, entity: &Entity, inventory: &Inventory) -> Result<(), StoreError> {
        let Ok(order) = Order::of(entity) else { return Ok(()) };
        let Some(backend_id) = &entity.backend_id else { return Ok(()) };
        let is_there = match order {
            Order::Machine(_) => match inventory.machines.get(backend_id) {
                Some(machine) => {
                    self.adopt_facts(entity, &order, machine).await?;
                    true
                }
                None => false,
            },
            Order::Volume(_) => inventory.volumes.as_ref().is_none_or(|volumes| volumes.contains_key(backend_id)),
            Order::Network(_) => inventory.networks.as_ref().is_none_or(|networks| networks.contains_key(backend_id)),
            // Nobody lists these; a link goes with its machine.
            Order::Address(_) | Order::SecurityGroup(_) | Order::Link(_) => true,
        };
        if is_there {
            self.missing.remove(&entity.id);
            return Ok(());
        }
        self.note_missing(entity, &order).await
    }

    /// Writes what the backend says, unless a saga is just changing it or nothing is new.
    async fn adopt_facts(&mut self, entity: &Entity, order: &Order, machine: &Machine) -> Result<(), StoreError> {
        let said = match machine.state {
            MachineState::Running => EntityState::Active,
            MachineState::Stopped => EntityState::Inactive,
            MachineState::Suspended => EntityState::Suspended,
            MachineState::Failed => EntityState::Error,
            MachineState::Building | MachineState::Stopping => entity.state,
        };
        let facts = facts_of(machine);
        let changes = said != entity.state;
        if !changes {
            self.doubts.agree(entity.id);
            if facts == entity.facts {
                return Ok(());
            }
        } else if !self.doubts.believe(entity.id, entity.state, said, Instant::now()) {
            return Ok(());
        }
        let message = if changes { machine.detail.clone() } else { entity.state_message.clone() };
        let (id, order, site) = (entity.id, order.clone(), self.site.name.clone());
        self.write_unless_changed(entity, move |connection, entity| {
            entity::set_facts(connection, entity.id, &facts)?;
            if changes {
                tracing::info!(entity = %entity.id, site, state = said.as_str(), "a machine changed by itself");
                ledger::returned(connection, entity, &order)?;
                ledger::set_state(connection, entity.id, said, message.as_deref(), None)?;
            }
            Ok(())
        })
        .await
        .map(|is_written| {
            // What a saga is doing with it is no change of its mind.
            if is_written && changes {
                self.doubts.changed(id, Instant::now());
            }
        })
    }

    async fn note_missing(&mut self, entity: &Entity, order: &Order) -> Result<(), StoreError> {
        let count = self.missing.entry(entity.id).or_default();
        *count = count.saturating_add(1);
        if *count < CONFIRMATIONS || entity.state == EntityState::Error || !self.is_unknown(entity, order).await {
            return Ok(());
        }
        let kind = entity.kind.term();
        let noun = if kind == "compute" { "machine" } else { kind };
        let message = format!("the {noun} has vanished from site {}; delete this entity", self.site.name);
        tracing::warn!(entity = %entity.id, site = %self.site.name, noun, "a thing has vanished");
        self.write_unless_changed(entity, move |connection, entity| {
            entity::set_facts(connection, entity.id, &Facts::default())?;
            ledger::vanished(connection, entity)?;
            ledger::set_state(connection, entity.id, EntityState::Error, Some(&message), None)
        })
        .await
        .map(drop)
    }

    /// Whether the backend, asked for it by name, does not know it.
    async fn is_unknown(&self, entity: &Entity, order: &Order) -> bool {
        let Some(id) = &entity.backend_id else { return false };
        let answer = match order {
            Order::Machine(_) => match id.parse::<MachineId>() {
                Ok(id) => self.site.backend.machine(&id).await.map(drop),
                Err(_) => return false,
            },
            _ => crate::dispatch::object::look(self.site.backend.as_ref(), order, id).await.map(drop),
        };
        matches!(answer, Err(BackendError::NotFound(_)))
    }

    /// Writes unless a saga is at work on the entity, or somebody has written since it was read; answers whether.
    async fn write_unless_changed(
        &self,
        entity: &Entity,
        write: impl Fn(&mut crate::store::DbConnection, &Entity) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<bool, StoreError> {
        let (id, version) = (entity.id, entity.version);
        self.db
            .write(move |connection| {
                let now = entity::find_for_dispatch(connection, id)?.filter(|now| now.version == version);
                let Some(now) = now else { return Ok(false) };
                if !saga::unfinished_of(connection, id)?.is_empty() {
                    return Ok(false);
                }
                write(connection, &now).map(|()| true)
            })
            .await
    }
}

/// What lists call the things of a kind of entity, if any list shows them.
pub(super) fn listed_kind(term: &str) -> Option<&'static str> {
    match term {
        "compute" => Some("machine"),
        "storage" => Some("volume"),
        "network" => Some("network"),
        _ => None,
    }
}
