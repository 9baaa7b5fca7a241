//! What is written into the event log, in the transaction in which it happens: what was accepted, what has become of
//! it, and what of its project's share it takes. Usage is the sum of these events, whoever adds them up.

use serde_json::{Map, Value, json};

use super::order::Order;
use crate::{
    request::Actor,
    store::{
        DbConnection, StoreError,
        entity::{self, Entity, EntityId, EntityState},
        event::{self, NewEvent},
        member::UserId,
        reservation::{self, Usage},
    },
};

/// On whose request something is done.
#[derive(Debug, Clone, Default)]
pub struct AskedBy {
    /// The request.
    pub request_id: Option<String>,
    /// The brokers that it has come through.
    pub trail: Option<String>,
    /// Who has sent it.
    pub actor: Option<Actor>,
    /// For whom new entities count.
    pub user: Option<UserId>,
}

impl AskedBy {
    fn about(&self, entity: &Entity, kind: &'static str, body: Value) -> NewEvent {
        NewEvent { actor: self.actor.clone(), ..about(entity, kind, body, self.request_id.as_deref()) }
    }
}

/// What an entity of this order takes.
pub fn usage(order: &Order) -> Usage {
    let number = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    match order {
        Order::Machine(spec) => Usage {
            machines: 1,
            cores: spec.cores.into(),
            memory_mib: number(spec.memory_mib),
            disk_bytes: number(spec.disk_bytes),
            ..Usage::default()
        },
        Order::Volume(spec) => Usage { disk_bytes: number(spec.size_bytes), ..Usage::default() },
        Order::Address(_) => Usage { addresses: 1, ..Usage::default() },
        Order::Network(_) | Order::SecurityGroup(_) | Order::Link(_) => Usage::default(),
    }
}

/// An entity was accepted, and takes its share from now on.
///
/// # Errors
/// The database failed.
pub fn created(
    connection: &mut DbConnection,
    entity: &Entity,
    order: &Order,
    asked_by: &AskedBy,
) -> Result<(), StoreError> {
    let usage = usage(order);
    if usage != Usage::default() {
        reservation::make(connection, entity.id, entity.project, asked_by.user, &entity.site, usage)?;
    }
    let body = json!({ "entity_kind": entity.kind.as_str(), "site": entity.site, "state": entity.state.as_str() });
    event::record(connection, &NewEvent { usage, ..asked_by.about(entity, "entity.created", body) })
}

/// Something was accepted that is to be done with the entity.
///
/// # Errors
/// The database failed.
pub fn accepted(
    connection: &mut DbConnection,
    entity: &Entity,
    what: &'static str,
    body: Value,
    asked_by: &AskedBy,
) -> Result<(), StoreError> {
    event::record(connection, &asked_by.about(entity, what, body))
}

/// The entity stands elsewhere now, or something is to be said of where it stands.
///
/// # Errors
/// The database failed.
pub fn set_state(
    connection: &mut DbConnection,
    id: EntityId,
    state: EntityState,
    message: Option<&str>,
    request_id: Option<&str>,
) -> Result<(), StoreError> {
    let Some((project, before)) = entity::owner_and_state(connection, id)? else { return Ok(()) };
    entity::set_state(connection, id, state, message)?;
    let mut body = json!({ "before": before.as_str(), "state": state.as_str() });
    if let Some(message) = message {
        body["message"] = message.into();
    }
    let event = NewEvent {
        kind: "entity.state",
        project: Some(project),
        entity: Some(id),
        request_id: request_id.map(str::to_owned),
        body: object(body),
        ..NewEvent::default()
    };
    event::record(connection, &event)
}

/// The entity takes another share from now on; answers what it took before.
///
/// # Errors
/// The database failed.
pub fn take_instead(
    connection: &mut DbConnection,
    entity: &Entity,
    usage: Usage,
    asked_by: &AskedBy,
) -> Result<(), StoreError> {
    let difference = reservation::change(connection, entity.id, usage)?;
    if difference == Usage::default() {
        return Ok(());
    }
    let event = NewEvent { usage: difference, ..asked_by.about(entity, "entity.resized", json!({})) };
    event::record(connection, &event)
}

/// What the entity stood for is not there any more; its share is free.
///
/// # Errors
/// The database failed.
pub fn vanished(connection: &mut DbConnection, entity: &Entity) -> Result<(), StoreError> {
    let usage = reservation::put_aside(connection, entity.id)?;
    let body = json!({ "site": entity.site });
    event::record(connection, &NewEvent { usage, ..about(entity, "entity.vanished", body, None) })
}

/// What had vanished is there again; it takes its share again.
///
/// # Errors
/// The database failed.
pub fn returned(connection: &mut DbConnection, entity: &Entity, order: &Order) -> Result<(), StoreError> {
    let usage = usage(order);
    if usage == Usage::default() || reservation::lock(connection, entity.id)?.is_some() {
        return Ok(());
    }
    // It was there before and is there again: no limit can refuse that.
    reservation::resume(connection, entity.id, entity.project, &entity.site, usage)?;
    let body = json!({ "site": entity.site });
    event::record(connection, &NewEvent { usage, ..about(entity, "entity.returned", body, None) })
}

/// The entity and everything of it is gone.
///
/// # Errors
/// The database failed.
pub fn removed(connection: &mut DbConnection, entity: &Entity, request_id: Option<&str>) -> Result<(), StoreError> {
    let usage = reservation::release(connection, entity.id)?;
    let body = json!({ "entity_kind": entity.kind.as_str(), "site": entity.site });
    event::record(connection, &NewEvent { usage, ..about(entity, "entity.removed", body, request_id) })
}

/// Something about a site, for operators.
///
/// # Errors
/// The database failed.
pub fn about_site(connection: &mut DbConnection, kind: &'static str, body: Value) -> Result<(), StoreError> {
    event::record(connection, &NewEvent { kind, body: object(body), ..NewEvent::default() })
}

fn about(entity: &Entity, kind: &'static str, body: Value, request_id: Option<&str>) -> NewEvent {
    NewEvent {
        kind,
        project: Some(entity.project),
        entity: Some(entity.id),
        request_id: request_id.map(str::to_owned),
        body: object(body),
        ..NewEvent::default()
    }
}

fn object(body: Value) -> Map<String, Value> {
    match body {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
