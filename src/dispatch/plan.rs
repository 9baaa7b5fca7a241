//! Plans: what is accepted, written down in the transaction of its acceptance. From then on it happens.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::{
    change::{self, Before, Change},
    ledger::{self, AskedBy},
    link, make,
    order::Order,
    policy::{Operation, Policy, Priority},
    power::{self, PowerAction},
    provision,
    queue::Queue,
    removal,
    save::{self, SaveOrder},
};
use crate::{
    request::Actor,
    store::{
        DbConnection, StoreError,
        entity::{self, Entity, EntityId, LinkTarget},
        intent,
        member::UserId,
        reservation::Usage,
        saga::{self, NewSaga, PRIORITY_INTERNAL, PRIORITY_USER},
    },
};

/// Writes plans down on behalf of one request.
#[derive(Clone)]
pub struct Planner {
    queue: Arc<Queue>,
    asked_by: AskedBy,
    priority: Priority,
}

impl Planner {
    pub(super) fn new(queue: Arc<Queue>, asked_by: AskedBy) -> Self {
        Self { queue, asked_by, priority: Priority::User }
    }

    /// Somebody asks for it, for whom what is made counts.
    pub fn asked_by(mut self, user: UserId, actor: Actor) -> Self {
        (self.asked_by.user, self.asked_by.actor) = (Some(user), Some(actor));
        self
    }

    /// What the entity says of itself was changed, of which its site need not know.
    ///
    /// # Errors
    /// The database failed.
    pub fn note_change(&self, connection: &mut DbConnection, entity: &Entity) -> Result<(), StoreError> {
        ledger::accepted(connection, entity, "entity.changed", json!({}), &self.asked_by)
    }

    /// On behalf of an operator's command, beside the server.
    pub fn for_commands(policy: Policy) -> Self {
        let asked_by = AskedBy { actor: crate::request::actor(), ..AskedBy::default() };
        Self::new(Arc::new(Queue::new(policy)), asked_by)
    }

    pub(super) fn note_adoption(
        &self,
        connection: &mut DbConnection,
        entity: &Entity,
        order: &Order,
    ) -> Result<(), StoreError> {
        ledger::created(connection, entity, order, &self.asked_by)
    }

    /// On behalf of the system itself: it passes those who wait.
    pub fn internal(self) -> Self {
        Self { priority: Priority::Internal, ..self }
    }

    /// What the entity stands for is to be made at its site.
    ///
    /// # Errors
    /// The database failed.
    pub fn plan_making(&self, connection: &mut DbConnection, entity: &Entity, order: &Order) -> Result<(), StoreError> {
        let (name, operation) = match order {
            Order::Machine(_) => (provision::NAME, Operation::Create),
            Order::Link(_) => (link::NAME, Operation::Link),
            _ => (make::NAME, Operation::Create),
        };
        let saga =
            NewSaga { blocked_by: last_of_ends(connection, entity, order)?, ..self.saga(name, entity, operation) };
        ledger::created(connection, entity, order, &self.asked_by)?;
        saga::insert(connection, &saga)?;
        intent::insert(connection, order.tag(), entity.id, saga.id, &entity.site)
    }

    /// The entity's machine is to start, stop, restart or freeze.
    ///
    /// # Errors
    /// The database failed.
    pub fn plan_power(
        &self,
        connection: &mut DbConnection,
        entity: &Entity,
        action: PowerAction,
    ) -> Result<(), StoreError> {
        let parameters = to_parameters(entity.id, &action)?;
        ledger::accepted(connection, entity, "entity.action", json!({ "asked": action }), &self.asked_by)?;
        let saga = NewSaga { parameters, ..self.saga(power::NAME, entity, Operation::Power) };
        saga::insert(connection, &saga)?;
        entity::set_message(connection, entity.id, Some(action.announcement()))
    }

    /// What the entity stands for is to change. `before` is what it said of itself until now, where that changes too.
    ///
    /// # Errors
    /// The database failed.
    pub fn plan_change(
        &self,
        connection: &mut DbConnection,
        entity: &Entity,
        change: Change,
        before: Option<Before>,
    ) -> Result<(), StoreError> {
        let announcement = change.announcement();
        let taken = Order::of(entity).map(|order| ledger::usage(&order)).unwrap_or_default();
        let wanted = change.usage(taken);
        let plan = change::Plan { change, state: entity.state.as_str().to_owned(), before, taken: Some(taken) };
        let parameters = to_parameters(entity.id, &plan)?;
        if taken != Usage::default() {
            ledger::take_instead(connection, entity, wanted, &self.asked_by)?;
        }
        let asked = json!({ "asked": announcement });
        ledger::accepted(connection, entity, "entity.action", asked, &self.asked_by)?;
        saga::insert(connection, &NewSaga { parameters, ..self.saga(change::NAME, entity, Operation::Change) })?;
        entity::set_message(connection, entity.id, Some(announcement))
    }

    /// The entity's disk is to become an appliance.
    ///
    /// # Errors
    /// The database failed.
    pub fn plan_save(
        &self,
        connection: &mut DbConnection,
        entity: &Entity,
        order: &SaveOrder,
    ) -> Result<(), StoreError> {
        let parameters = to_parameters(entity.id, order)?;
        let asked = json!({ "asked": "save", "appliance": order.appliance.name });
        ledger::accepted(connection, entity, "entity.action", asked, &self.asked_by)?;
        saga::insert(connection, &NewSaga { parameters, ..self.saga(save::NAME, entity, Operation::Save) })?;
        entity::set_message(connection, entity.id, Some("the disk is to be saved"))
    }

    /// Nothing of the entity is to be left, nor of the links from and to it: what has begun for them is cancelled, and
    /// the removal waits for that to be undone. What has not begun has no trace anywhere, and goes at once.
    ///
    /// # Errors
    /// The database failed.
    pub fn plan_removal(&self, connection: &mut DbConnection, id: EntityId) -> Result<(), StoreError> {
        let Some(entity) = entity::find_for_dispatch(connection, id)? else { return Ok(()) };
        // Its own links go with it; those of others that lead here are parted from their machines first.
        for link in entity::links_from(connection, &[id])? {
            cancel_all(connection, link.id)?;
            entity::request_removal(connection, link.id)?;
        }
        for link in entity::links_to(connection, id)? {
            self.plan_removal_of_one(connection, &link)?;
        }
        self.plan_removal_of_one(connection, &entity)
    }

    fn plan_removal_of_one(&self, connection: &mut DbConnection, entity: &Entity) -> Result<(), StoreError> {
        let cancelled = cancel_all(connection, entity.id)?;
        entity::request_removal(connection, entity.id)?;
        ledger::accepted(connection, entity, "entity.removal", json!({}), &self.asked_by)?;
        if cancelled.last.is_none() && cancelled.never_made && removal::is_alone(connection, entity)? {
            return removal::forget(connection, entity, self.asked_by.request_id.as_deref());
        }
        let saga = self.saga(removal::NAME, entity, Operation::Remove);
        // What was accepted to go, goes, however long it waits.
        saga::insert(connection, &NewSaga { blocked_by: cancelled.last, expires_at: None, ..saga })
    }

    fn saga(&self, name: &'static str, entity: &Entity, operation: Operation) -> NewSaga {
        let is_internal = self.priority == Priority::Internal;
        NewSaga {
            id: Uuid::now_v7(),
            name,
            entity: entity.id,
            blocked_by: None,
            parameters: serde_json::Value::Null,
            site: entity.site.clone(),
            operation: operation.as_str(),
            priority: if is_internal { PRIORITY_INTERNAL } else { PRIORITY_USER },
            expires_at: if is_internal { None } else { self.queue.expiry(&entity.site, operation) },
            request_id: self.asked_by.request_id.clone(),
            trail: self.asked_by.trail.clone(),
        }
    }
}

/// The saga that a new link has to wait for: the last one of its source, or else of its target.
fn last_of_ends(connection: &mut DbConnection, link: &Entity, order: &Order) -> Result<Option<Uuid>, StoreError> {
    let Order::Link(_) = order else { return Ok(None) };
    let target = match link.target {
        Some(LinkTarget::Entity(target)) => Some(target),
        _ => None,
    };
    for end in link.source.into_iter().chain(target) {
        if let Some(saga) = saga::unfinished_of(connection, end)?.last() {
            saga::lock(connection, saga.id)?;
            return Ok(Some(saga.id));
        }
    }
    Ok(None)
}

/// What became of an entity's sagas.
struct Cancelled {
    /// The last one that has begun, and has to be undone.
    last: Option<Uuid>,
    /// Whether the saga that makes the entity was among those that had not begun.
    never_made: bool,
}

/// Ends what has not begun for the entity, and cancels what has.
fn cancel_all(connection: &mut DbConnection, entity: EntityId) -> Result<Cancelled, StoreError> {
    let mut cancelled = Cancelled { last: None, never_made: false };
    for saga in saga::unfinished_of(connection, entity)? {
        if saga::drop_if_waiting(connection, saga.id, "cancelled")? {
            cancelled.never_made |= [provision::NAME, make::NAME, link::NAME].contains(&saga.name.as_str());
        } else {
            saga::lock(connection, saga.id)?;
            saga::request_cancel(connection, saga.id)?;
            cancelled.last = Some(saga.id);
        }
    }
    Ok(cancelled)
}

fn to_parameters(entity: EntityId, parameters: &impl serde::Serialize) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(parameters).map_err(|error| StoreError::Unreadable {
        table: "sagas",
        id: entity.to_string(),
        reason: error.to_string(),
    })
}
