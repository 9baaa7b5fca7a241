//! Machines: create, show, list, act, delete.

use std::collections::BTreeMap;

use backend::{RestartMethod, StopMethod};
use occi_schema::{
    ActionRequest, AttributeName, CategoryId, Filter, Model, Refusal, RefusalClass, ResolvedAction, ResolvedFilter,
    Value,
    well_known::{RESTART, START, STOP, attribute},
};

use super::{Broker, BrokerError, model};
use crate::{
    dispatch::{self, PowerAction},
    login::Principal,
    store::{
        entity::{self, Entity, EntityId},
        saga,
    },
};

/// Most entities of one answer. A longer list is refused instead of cut: a client would take the rest for deleted.
pub const MOST_LISTED: usize = 10_000;

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
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many entities come before it.
    pub skip: usize,
    /// How many it may have.
    pub most: usize,
}

impl Broker {
    /// The project's entity of this id.
    ///
    /// # Errors
    /// There is none.
    pub async fn show(&self, principal: &Principal, id: EntityId) -> Result<Shown, BrokerError> {
        let model = self.present_to(principal).await?.model;
        let entity = self.find(principal, id).await?;
        Ok(self.shown(&model, entity))
    }

    /// The project's entities that carry the category, if one is given, and match the filter.
    ///
    /// # Errors
    /// The filter names what there is not.
    pub async fn list(
        &self,
        principal: &Principal,
        category: Option<&CategoryId>,
        filter: &Filter,
        page: Option<Page>,
    ) -> Result<Vec<Shown>, BrokerError> {
        let model = self.present_to(principal).await?.model;
        let filter = model.resolve_filter(filter)?;
        let project = principal.project;
        let limit = i64::try_from(MOST_LISTED + 1).unwrap_or(i64::MAX);
        let found = self.inner.db.read(move |c| entity::list(c, project, None, limit)).await?;
        if found.len() > MOST_LISTED {
            return Err(BrokerError::Unimplemented("a list of more than 10000 entities"));
        }
        let page = page.unwrap_or(Page { skip: 0, most: MOST_LISTED });
        Ok(found
            .into_iter()
            .filter(|entity| category.is_none_or(|category| carries(&model, entity, category)))
            .map(|entity| self.shown(&model, entity))
            .filter(|shown| matches(&model, shown, &filter))
            .skip(page.skip)
            .take(page.most)
            .collect())
    }

    /// Accepts an action, and shows the entity as it is now.
    ///
    /// # Errors
    /// The action is unknown, not applicable now, or not implemented; another one is under way.
    pub async fn act(
        &self,
        principal: &Principal,
        id: EntityId,
        term: &str,
        request: &ActionRequest,
    ) -> Result<Shown, BrokerError> {
        let model = self.present_to(principal).await?.model;
        let entity = self.find(principal, id).await?;
        self.act_on(principal, &model, vec![entity], term, request).await?;
        self.show(principal, id).await
    }

    /// Accepts an action on every entity of the collection, or on none.
    ///
    /// # Errors
    /// As for one entity, for any of them.
    pub async fn act_on_all(
        &self,
        principal: &Principal,
        category: &CategoryId,
        term: &str,
        request: &ActionRequest,
    ) -> Result<(), BrokerError> {
        let model = self.present_to(principal).await?.model;
        let project = principal.project;
        let mut members = self.inner.db.read(move |c| entity::list(c, project, None, i64::MAX)).await?;
        members.retain(|entity| carries(&model, entity, category));
        self.act_on(principal, &model, members, term, request).await
    }

    async fn act_on(
        &self,
        principal: &Principal,
        model: &Model,
        entities: Vec<Entity>,
        term: &str,
        request: &ActionRequest,
    ) -> Result<(), BrokerError> {
        let mut accepted = Vec::with_capacity(entities.len());
        for entity in entities {
            let action = model.resolve_action(request, term, &entity.kind, &entity.mixins)?;
            let power = power_action(&action)?;
            if !self.is_applicable(model, &entity, &action.id) {
                let message = entity.state_message.map(|message| format!(" ({message})")).unwrap_or_default();
                let (id, state) = (entity.id, entity.state.as_str());
                return Err(BrokerError::Invalid(format!("{term} does not fit: compute {id} is {state}{message}")));
            }
            accepted.push((entity.id, entity.project, entity.state, power));
        }
        let count = accepted.len();
        let busy = self
            .inner
            .db
            .write(move |connection| {
                // Somebody may have deleted or acted on one since it was read.
                for (id, project, state, _) in &accepted {
                    let unchanged = entity::find(connection, *project, *id)?.is_some_and(|now| now.state == *state);
                    if !unchanged || !saga::unfinished_of(connection, *id)?.is_empty() {
                        return Ok(Some(*id));
                    }
                }
                for (id, _, _, power) in &accepted {
                    dispatch::plan_power(connection, *id, *power)?;
                }
                Ok(None)
            })
            .await?;
        if let Some(id) = busy {
            return Err(BrokerError::Conflict(format!("compute {id} is busy; try {term} again when it is at rest")));
        }
        self.inner.dispatch.wake();
        tracing::info!(user = %principal.user_name, action = %term, count, "accepted an action");
        Ok(())
    }

    /// Accepts the removal of an entity; from here on its owner does not see it any more.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn delete(&self, principal: &Principal, id: EntityId) -> Result<(), BrokerError> {
        let project = principal.project;
        let deleted = self
            .inner
            .db
            .write(move |connection| {
                let found = entity::find(connection, project, id)?.is_some();
                if found {
                    dispatch::plan_removal(connection, id)?;
                }
                Ok(found)
            })
            .await?;
        if !deleted {
            return Err(self.missing(principal, id).await);
        }
        self.inner.dispatch.wake_cancelled();
        tracing::info!(user = %principal.user_name, %id, "accepted a removal");
        Ok(())
    }

    /// Accepts the removal of all entities of the project, or of those that carry the category; all or none.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delete_all(&self, principal: &Principal, category: Option<&CategoryId>) -> Result<(), BrokerError> {
        let model = self.present_to(principal).await?.model;
        let (project, category) = (principal.project, category.cloned());
        let count = self
            .inner
            .db
            .write(move |connection| {
                let mut found = entity::list(connection, project, None, i64::MAX)?;
                found.retain(|entity| category.as_ref().is_none_or(|category| carries(&model, entity, category)));
                for entity in &found {
                    dispatch::plan_removal(connection, entity.id)?;
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
        match self.inner.db.read(move |c| entity::find(c, project, id)).await? {
            Some(entity) => Ok(entity),
            None => Err(self.missing(principal, id).await),
        }
    }

    /// Why the project has no such entity.
    async fn missing(&self, principal: &Principal, id: EntityId) -> BrokerError {
        let project = principal.project;
        match self.inner.db.read(move |c| entity::is_gone(c, project, id)).await {
            Ok(true) => BrokerError::Gone(format!("compute {id}")),
            Ok(false) => BrokerError::NotFound(format!("compute {id}")),
            Err(error) => error.into(),
        }
    }

    pub(super) fn location(&self, model: &Model, entity: &Entity) -> String {
        let collection = model.kind(&entity.kind).and_then(|kind| kind.location.as_deref()).unwrap_or("/");
        format!("{collection}{}", entity.id)
    }

    /// Whether the state has a way for the action and somebody who can go it: without a machine, only deletion helps.
    fn is_applicable(&self, model: &Model, entity: &Entity, action: &CategoryId) -> bool {
        let allowed = model.applicable_actions(&entity.kind, &entity.mixins, entity.state.as_str());
        entity.machine.is_some() && allowed.contains(action)
    }

    pub(super) fn shown(&self, model: &Model, entity: Entity) -> Shown {
        let mut attributes = entity.attributes.clone();
        let id = format!("urn:uuid:{}", entity.id);
        attributes.insert(attribute::ID.clone(), Value::from(id.as_str()));
        attributes.insert(attribute::COMPUTE_STATE.clone(), Value::from(entity.state.as_str()));
        if let Some(message) = &entity.state_message {
            attributes.insert(attribute::COMPUTE_STATE_MESSAGE.clone(), Value::from(message.as_str()));
        }
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
            own(model::SSH_ANSWERS, Value::Boolean(entity.facts.guest_answers.unwrap_or(false)));
        }
        let actions = model.applicable_actions(&entity.kind, &entity.mixins, entity.state.as_str());
        let actions = actions
            .into_iter()
            .filter(|action| entity.machine.is_some() && [&START, &STOP, &RESTART].contains(&action))
            .collect();
        let location = self.location(model, &entity);
        // A template that was withdrawn goes on to be shown: the machine is still made of it.
        let mut mixins = entity.mixins;
        mixins.push(self.inner.models.access().clone());
        Shown { id, kind: entity.kind, mixins, attributes, actions, location }
    }
}

fn carries(model: &Model, entity: &Entity, category: &CategoryId) -> bool {
    model.descends_from(&entity.kind, category)
        || entity.mixins.iter().any(|mixin| mixin == category || model.depends_on(mixin, category))
}

fn matches(model: &Model, shown: &Shown, filter: &ResolvedFilter) -> bool {
    let categories = filter.categories.iter().all(|category| {
        model.descends_from(&shown.kind, category)
            || shown.mixins.iter().any(|mixin| mixin == category || model.depends_on(mixin, category))
    });
    categories && filter.attributes.iter().all(|(name, value)| shown.attributes.get(name) == Some(value))
}

/// What the action means for the machine.
fn power_action(action: &ResolvedAction) -> Result<PowerAction, BrokerError> {
    let method = action.parameters.iter().find(|(name, _)| name.as_str() == "method").and_then(|(_, v)| v.as_str());
    let unknown = |method: &str| BrokerError::Invalid(format!("method {method:?} is unknown to {}", action.id.term()));
    if action.id == START {
        return Ok(PowerAction::Start);
    }
    if action.id == STOP {
        return match method {
            None | Some("graceful") => Ok(PowerAction::Stop(StopMethod::Graceful)),
            Some("acpioff") => Ok(PowerAction::Stop(StopMethod::AcpiOff)),
            Some("poweroff") => Ok(PowerAction::Stop(StopMethod::PowerOff)),
            Some(other) => Err(unknown(other)),
        };
    }
    if action.id == RESTART {
        return match method {
            None | Some("graceful") => Ok(PowerAction::Restart(RestartMethod::Graceful)),
            Some("warm") => Ok(PowerAction::Restart(RestartMethod::Warm)),
            Some("cold") => Ok(PowerAction::Restart(RestartMethod::Cold)),
            Some(other) => Err(unknown(other)),
        };
    }
    Err(BrokerError::Unimplemented("this action"))
}

impl From<Refusal> for BrokerError {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.to_string();
        match refusal.class() {
            RefusalClass::BadRequest => Self::Invalid(reason),
            RefusalClass::Forbidden => Self::Forbidden(reason),
            RefusalClass::NotFound => Self::NotFound(reason),
            RefusalClass::Conflict => Self::Conflict(reason),
        }
    }
}
