//! Entities as their owners see them: shown one by one, deleted.

use std::collections::BTreeMap;

use occi_schema::{
    AttributeName, CategoryId, Model, Value,
    well_known::{COMPUTE, RESOURCE_TPL, attribute},
};

use super::{Broker, BrokerError, Selected, ability, link, model, permission};
use crate::{
    dispatch,
    login::Principal,
    store::{
        StoreError,
        entity::{self, Entity, EntityId},
    },
};

/// An entity as its owner sees it.
#[derive(Debug)]
pub struct Shown {
    /// Its id as a URN.
    pub id: String,
    /// Its kind.
    pub kind: CategoryId,
    /// Its mixins.
    pub mixins: Vec<CategoryId>,
    /// All its attributes that have a value.
    pub attributes: BTreeMap<AttributeName, Value>,
    /// The actions that its state allows.
    pub actions: Vec<CategoryId>,
    /// Its path.
    pub location: String,
    /// The kind of what it points at, where it is a link.
    pub target_kind: Option<CategoryId>,
    /// The links that start here.
    pub links: Vec<Shown>,
    /// How often it was written: what is shown changes only with it.
    pub version: i64,
}

impl Broker {
    /// The project's entity of this id and kind.
    ///
    /// # Errors
    /// There is none.
    pub async fn show(&self, principal: &Principal, id: EntityId) -> Result<Shown, BrokerError> {
        let model = self.present_to(principal).await?.model;
        let project = principal.project;
        let found = self
            .inner
            .db
            .read_brief(move |connection| {
                let Some(entity) = entity::find(connection, project, id)? else { return Ok(None) };
                let links = entity::links_from(connection, &[id])?;
                // What is being done with it is worth a look only while something is.
                let standing = match entity.state_message {
                    Some(_) => dispatch::standing(connection, id)?,
                    None => None,
                };
                let state_message = standing.or(entity.state_message);
                Ok(Some((Entity { state_message, ..entity }, links)))
            })
            .await?;
        match found {
            Some((entity, links)) => Ok(self.shown(&model, entity, links)),
            None => Err(self.missing(principal, id).await),
        }
    }

    /// Accepts the removal of an entity; from here on its owner does not see it any more, nor the links from and to
    /// it (GFD.221 section 5.4.2; A-21).
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn delete(&self, principal: &Principal, id: EntityId) -> Result<(), BrokerError> {
        self.delete_named(principal, &[id]).await
    }

    /// Accepts the removal of all of these entities, or of none.
    ///
    /// # Errors
    /// One does not exist.
    pub async fn delete_named(&self, principal: &Principal, ids: &[EntityId]) -> Result<(), BrokerError> {
        permission::to_operate(principal)?;
        let project = principal.project;
        let (named, planner) = (ids.to_vec(), self.planner(principal));
        let missing = self
            .inner
            .db
            .write(move |connection| {
                for id in &named {
                    if entity::find(connection, project, *id)?.is_none() {
                        return Ok(Some(*id));
                    }
                }
                for id in &named {
                    // A link that was named beside its end is on its way already.
                    if entity::find(connection, project, *id)?.is_some() {
                        planner.plan_removal(connection, *id)?;
                    }
                }
                Ok::<_, StoreError>(None)
            })
            .await?;
        if let Some(id) = missing {
            return Err(self.missing(principal, id).await);
        }
        self.inner.dispatch.wake_cancelled();
        tracing::info!(user = %principal.user_name, ?ids, "accepted removals");
        Ok(())
    }

    /// Accepts the removal of everything that is selected; all or none.
    ///
    /// # Errors
    /// The filter names what there is not; the store failed.
    pub async fn delete_all(&self, principal: &Principal, selected: &Selected) -> Result<(), BrokerError> {
        permission::to_operate(principal)?;
        let model = self.present_to(principal).await?.model;
        let selection = self.selection(principal, &model, selected)?;
        let (project, planner) = (principal.project, self.planner(principal));
        let count = self
            .inner
            .db
            .write(move |connection| {
                let found = entity::select(connection, &selection, None, i64::MAX)?;
                for entity in &found {
                    if entity::find(connection, project, entity.id)?.is_some() {
                        planner.plan_removal(connection, entity.id)?;
                    }
                }
                Ok(found.len())
            })
            .await?;
        self.inner.dispatch.wake_cancelled();
        tracing::info!(user = %principal.user_name, count, "accepted removals");
        Ok(())
    }

    pub(super) async fn find(&self, principal: &Principal, id: EntityId) -> Result<Entity, BrokerError> {
        let project = principal.project;
        match self.inner.db.read_brief(move |c| entity::find(c, project, id)).await? {
            Some(entity) => Ok(entity),
            None => Err(self.missing(principal, id).await),
        }
    }

    /// Why the project has no such entity.
    pub(super) async fn missing(&self, principal: &Principal, id: EntityId) -> BrokerError {
        let project = principal.project;
        match self.inner.db.read(move |c| entity::is_gone(c, project, id)).await {
            Ok(true) => BrokerError::Gone(format!("entity {id}")),
            Ok(false) => BrokerError::NotFound(format!("entity {id}")),
            Err(error) => error.into(),
        }
    }

    /// The entity with its links.
    pub(super) fn shown(&self, model: &Model, entity: Entity, links: Vec<Entity>) -> Shown {
        let location = link::path_of(model, &entity);
        let version = links.iter().map(|link| link.version).sum::<i64>() + entity.version;
        let links = links.into_iter().map(|link| self.shown(model, link, Vec::new())).collect();
        let id = format!("urn:uuid:{}", entity.id);
        let target_kind = entity.attributes.get(&attribute::TARGET_KIND).and_then(Value::as_str);
        let target_kind = target_kind.and_then(|kind| kind.parse().ok());
        let actions = self.possible_actions(model, &entity);
        let mut attributes = entity.attributes;
        let is_lost = !entity.site.is_empty() && self.inner.dispatch.sites().get(&entity.site).is_none();
        let state_message = if is_lost { Some(ability::not_configured(&entity.site)) } else { entity.state_message };
        attributes.insert(attribute::ID.clone(), Value::from(id.as_str()));
        // A child kind shows its parent's state too: it is the same state.
        for states in model.ancestry(&entity.kind).filter_map(|kind| kind.states.as_ref()) {
            attributes.insert(states.attribute.clone(), Value::from(entity.state.as_str()));
            if let Some(message) = &state_message
                && let Ok(name) = AttributeName::new(&format!("{}.message", states.attribute))
            {
                attributes.insert(name, Value::from(message.as_str()));
            }
        }
        // What no category of the entity defines would be refused when a client sends it back.
        if !entity.mixins.iter().any(|mixin| model.depends_on(mixin, &RESOURCE_TPL)) {
            attributes.remove(&attribute::EPHEMERAL_STORAGE_SIZE);
            attributes.remove(&attribute::EPHEMERAL_STORAGE_DEVICE);
        }
        // What its appliance offers by now says nothing of the machine, which was made before.
        attributes.retain(|name, _| name.as_str() != model::IMAGE_DIGEST);
        // A template that was withdrawn goes on to be shown: the machine is still made of it.
        let mut mixins = entity.mixins;
        if entity.kind == COMPUTE {
            mixins.push(self.inner.models.access().clone());
            let mut own = |name: &str, value: Value| {
                // Own names are well formed; a name that is not simply does not show.
                if let Ok(name) = AttributeName::new(name) {
                    attributes.insert(name, value);
                }
            };
            own(model::SITE, Value::from(entity.site.as_str()));
            if let Some(ssh) = entity.facts.endpoints.iter().find(|endpoint| endpoint.service == "ssh") {
                own(model::SSH_HOST, Value::from(ssh.host.as_str()));
                own(model::SSH_PORT, Value::Integer(ssh.port.into()));
                let answers = if entity.facts.guest_answers == Some(true) { "yes" } else { "no" };
                own(model::SSH_ANSWERS, Value::from(answers));
            }
        }
        Shown { id, kind: entity.kind, mixins, attributes, actions, location, target_kind, links, version }
    }
}
