//! What is written into the event log about people and what they may do.

use serde_json::{Map, Value, json};

use crate::{
    request::Actor,
    store::{
        DbConnection, StoreError,
        event::{self, NewEvent},
        grant::{Grant, Place},
        member::{self, ProjectId},
    },
};

/// Something that has happened.
pub struct Told {
    kind: &'static str,
    project: Option<ProjectId>,
    body: Value,
}

impl Told {
    /// Something that concerns no project, or several.
    pub fn new(kind: &'static str, body: Value) -> Self {
        Self { kind, project: None, body }
    }

    /// Something that concerns a project.
    pub fn of(project: ProjectId, kind: &'static str, body: Value) -> Self {
        Self { kind, project: Some(project), body }
    }
}

/// Writes it down, in the transaction in which it happens.
///
/// # Errors
/// The database failed.
pub fn record(connection: &mut DbConnection, told: Told, actor: Option<&Actor>) -> Result<(), StoreError> {
    let body = match told.body {
        Value::Object(body) => body,
        _ => Map::new(),
    };
    let (kind, project, actor) = (told.kind, told.project, actor.cloned());
    event::record(connection, &NewEvent { kind, project, actor, body, ..NewEvent::default() })
}

/// A role that was given or taken, for a list of changes.
///
/// # Errors
/// The database failed.
pub fn grant_change(connection: &mut DbConnection, change: &str, grant: &Grant) -> Result<Value, StoreError> {
    let mut told = json!({ "change": change, "role": grant.role.as_str(), "reason": grant.reason });
    match &grant.place {
        Place::Project(project) => {
            told["project"] = member::project_name(connection, *project)?.unwrap_or_default().into();
            told["project_id"] = project.0.to_string().into();
        }
        Place::Site(site) => told["site"] = site.as_str().into(),
        Place::Federation => {}
    }
    Ok(told)
}
