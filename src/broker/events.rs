//! What has happened in a project, in order, for those who follow it.

use occi_schema::CategoryId;
use serde_json::{Map, Value};

use super::{Broker, BrokerError, link, permission};
use crate::{
    login::Principal,
    store::{
        Timestamp,
        entity::{self, EntityId},
        event::{self, SealedEvent},
    },
};

/// The field of an event's body that names its entity's kind; an entity that is gone has no other witness.
const ENTITY_KIND: &str = "entity_kind";

/// Something that happened, as members of its project see it.
#[derive(Debug)]
pub struct ToldEvent {
    /// Its place in the log.
    pub position: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub kind: String,
    /// To which entity.
    pub entity: Option<ToldEntity>,
    /// On whose request.
    pub request_id: Option<String>,
    /// More about it.
    pub body: Map<String, Value>,
}

/// The entity of an event.
#[derive(Debug, PartialEq, Eq)]
pub struct ToldEntity {
    /// Its id.
    pub id: EntityId,
    /// Its path, if its kind is known still.
    pub path: Option<String>,
}

/// What there is after a place in the log.
#[derive(Debug)]
pub enum EventsRead {
    /// Events in order, and how far the log went when they were read: the project has no others up to there, unless
    /// there are as many as were asked for.
    Page(Vec<ToldEvent>, i64),
    /// There is no such place: the log ends before it, as one does that comes from a backup.
    Reset(i64),
}

impl Broker {
    /// The project's events after a place, at most `most`; none, but the log's end, without a place.
    ///
    /// # Errors
    /// The store failed.
    pub async fn events(
        &self,
        principal: &Principal,
        after: Option<i64>,
        most: i64,
    ) -> Result<EventsRead, BrokerError> {
        permission::to_read(principal)?;
        let project = principal.project;
        let found = self.inner.db.read(move |connection| {
            let end = event::last_position(connection)?;
            let Some(after) = after else { return Ok(Some((Vec::new(), Vec::new(), end))) };
            if after > end {
                return Ok(None);
            }
            let events = event::after(connection, Some(project), after, most)?;
            let nameless = events.iter().filter(|event| named_kind(event).is_none()).filter_map(|event| event.entity);
            let mut nameless: Vec<EntityId> = nameless.collect();
            nameless.sort();
            nameless.dedup();
            let kinds = entity::kinds_of(connection, project, &nameless)?;
            Ok(Some((events, kinds, end)))
        });
        let Some((events, kinds, end)) = found.await? else {
            let end = self.inner.db.read(event::last_position).await?;
            return Ok(EventsRead::Reset(end));
        };
        let model = self.present_to(principal).await?.model;
        let tell = |event: SealedEvent| {
            let entity = event.entity.map(|id| {
                let known = kinds.iter().find(|(known, _)| *known == id).map(|(_, kind)| kind);
                let kind = known.cloned().or_else(|| named_kind(&event)?.parse::<CategoryId>().ok());
                let path = kind.filter(|kind| model.kind(kind).is_some()).map(|kind| link::path_to(&model, &kind, id));
                ToldEntity { id, path }
            });
            let SealedEvent { position, at, kind, request_id, body, .. } = event;
            ToldEvent { position, at, kind, entity, request_id, body: public(body) }
        };
        Ok(EventsRead::Page(events.into_iter().map(tell).collect(), end))
    }
}

fn named_kind(event: &SealedEvent) -> Option<&str> {
    event.body.get(ENTITY_KIND)?.as_str()
}

/// What members of the project may see of an event's body: all but what is ours alone, which begins with `_`.
fn public(body: Value) -> Map<String, Value> {
    match body {
        Value::Object(mut fields) => {
            fields.retain(|name, _| name != ENTITY_KIND && !name.starts_with('_'));
            // Who did it is told to all members; where they were then is nobody's business.
            if let Some(actor) = fields.get_mut(event::ACTOR) {
                *actor = serde_json::json!({ "user": actor["user"] });
            }
            fields
        }
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_alone_is_not_told() {
        let actor = serde_json::json!({ "user": "ann", "user_id": "x", "from": "192.0.2.1", "by": "session" });
        let body = serde_json::json!({
            "usage": { "cores": 1 }, "_owner": "x", "entity_kind": "y", "state": "active", "actor": actor,
        });
        let expected = serde_json::json!({ "usage": { "cores": 1 }, "state": "active", "actor": { "user": "ann" } });
        assert_eq!(Value::Object(public(body)), expected);
        assert!(public(Value::from("damaged")).is_empty());
    }
}
