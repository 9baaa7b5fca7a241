//! Actions: what a client asks of what exists.

use std::time::Duration;

use backend::{Capability, CopyPurpose, Description, RestartMethod, SaveMethod, StopMethod, SuspendMethod};
use marketplace::{Appliance, ApplianceDraft};
use occi_schema::{
    ActionRequest, CategoryId, Model, ResolvedAction, Value,
    well_known::{
        ADDRESS_DOWN, ADDRESS_UP, BACKUP, COMPUTE, DOWN, IP_RESERVATION, OFFLINE, ONLINE, RESIZE, RESTART, SAVE,
        SNAPSHOT, START, STOP, SUSPEND, UP, attribute::STORAGE_SIZE,
    },
};
use tokio::time::Instant;

use super::{
    Broker, BrokerError, Selected, Shown, ability, permission, quota,
    repetition::{self, Acceptance, Repeatable},
    storage,
};
use crate::{
    dispatch::{self, Before, Change, Planner, PowerAction, SaveOrder, policy::Operation},
    login::Principal,
    store::{
        DbConnection, StoreError,
        entity::{self, Entity, EntityId, EntityState},
        reservation, saga,
    },
};

/// For how long the answer to `save` waits until the new template can be used. The saving itself may take longer.
const SAVE_WAIT: Duration = Duration::from_secs(25);
const LOOK: Duration = Duration::from_millis(50);

/// What an accepted action answers.
#[derive(Debug)]
pub enum Acted {
    /// The entity as it is now.
    Entity(Shown),
    /// The template that is being made of it.
    Template(Box<Model>, CategoryId),
}

/// What is done for an action.
enum Deed {
    Power(PowerAction),
    Change(Change),
    /// A volume of another size, and what it says of itself then.
    Resize(u64, Value),
    Save(SaveOrder),
}

impl Deed {
    fn operation(&self) -> Operation {
        match self {
            Self::Power(_) => Operation::Power,
            Self::Change(_) | Self::Resize(..) => Operation::Change,
            Self::Save(_) => Operation::Save,
        }
    }

    /// What not every site can.
    fn needs(&self, entity: &Entity) -> Option<Capability> {
        match self {
            Self::Power(action) => ability::of_power(*action),
            Self::Change(change) => ability::of_change(change, entity),
            Self::Resize(bytes, _) => ability::of_change(&Change::VolumeSize(*bytes), entity),
            Self::Save(order) => Some(ability::of_save(order.method)),
        }
    }
}

struct Accepted {
    entity: Entity,
    deed: Deed,
}

impl Broker {
    /// Accepts an action on an entity.
    ///
    /// # Errors
    /// The action is unknown, or not applicable now; another one is under way.
    pub async fn act(
        &self,
        principal: &Principal,
        id: EntityId,
        term: &str,
        request: &ActionRequest,
        repeatable: Option<&Repeatable>,
    ) -> Result<Acted, BrokerError> {
        permission::to_operate(principal)?;
        let model = self.present_to(principal).await?.model;
        if let Some(answer) = self.answered(principal, repeatable).await? {
            return self.acted_before(principal, id, &model, &answer).await;
        }
        let entity = self.find(principal, id).await?;
        let accepted = self.examine(&model, entity, term, request)?;
        let template = match &accepted.deed {
            Deed::Save(order) => Some(order.appliance.clone()),
            _ => None,
        };
        let answer = serde_json::to_string(&template).map_err(|error| BrokerError::Internal(error.to_string()))?;
        let acceptance = self.carry_out_all(principal, term, vec![accepted], repeatable.cloned(), answer).await?;
        if let Acceptance::Before(answer) = acceptance {
            return self.acted_before(principal, id, &model, &answer).await;
        }
        match template {
            Some(draft) => self.saved(id, &model, &draft).await,
            None => self.show(principal, id).await.map(Acted::Entity),
        }
    }

    /// Accepts an action on every entity of a collection, or on none.
    ///
    /// # Errors
    /// As for one entity, for any of them; too many of them.
    pub async fn act_on_all(
        &self,
        principal: &Principal,
        selected: &Selected,
        term: &str,
        request: &ActionRequest,
        repeatable: Option<&Repeatable>,
    ) -> Result<(), BrokerError> {
        permission::to_operate(principal)?;
        if self.answered(principal, repeatable).await?.is_some() {
            return Ok(());
        }
        let model = self.present_to(principal).await?.model;
        let mut members = self.members(principal, selected).await?;
        // To start a class means that all run then; a test tool of the working group asks for just that (C-245).
        if request.action.id == START {
            members.retain(|entity| entity.kind != COMPUTE || entity.state != EntityState::Active);
        }
        let accepted = members.into_iter().map(|entity| self.examine(&model, entity, term, request));
        let accepted = accepted.collect::<Result<Vec<_>, _>>()?;
        self.carry_out_all(principal, term, accepted, repeatable.cloned(), "null".into()).await.map(|_| ())
    }

    /// The answer to an action that was accepted before.
    async fn acted_before(
        &self,
        principal: &Principal,
        id: EntityId,
        model: &Model,
        answer: &str,
    ) -> Result<Acted, BrokerError> {
        let template: Option<ApplianceDraft> =
            serde_json::from_str(answer).map_err(|error| BrokerError::Internal(error.to_string()))?;
        match template {
            Some(draft) => self.saved(id, model, &draft).await,
            None => self.show(principal, id).await.map(Acted::Entity),
        }
    }

    fn examine(
        &self,
        model: &Model,
        entity: Entity,
        term: &str,
        request: &ActionRequest,
    ) -> Result<Accepted, BrokerError> {
        let action = model.resolve_action(request, term, &entity.kind, &entity.mixins)?;
        if !self.is_applicable(model, &entity, &action.id) {
            let message = entity.state_message.map(|message| format!(" ({message})")).unwrap_or_default();
            let (kind, id, state) = (entity.kind.term(), entity.id, entity.state.as_str());
            return Err(BrokerError::Invalid(format!("{term} does not fit: {kind} {id} is {state}{message}")));
        }
        let description = self.description_of(&entity.site);
        let deed = deed(&entity, &action, description.as_deref())?;
        self.check_ability(&entity, deed.needs(&entity))?;
        Ok(Accepted { entity, deed })
    }

    async fn carry_out_all(
        &self,
        principal: &Principal,
        term: &str,
        accepted: Vec<Accepted>,
        repeatable: Option<Repeatable>,
        answer: String,
    ) -> Result<Acceptance, BrokerError> {
        let (count, action) = (accepted.len(), term.to_owned());
        let queued: Vec<_> = accepted.iter().map(|one| (one.entity.site.clone(), one.deed.operation())).collect();
        for (site, operation) in &queued {
            self.admit(site, *operation)?;
        }
        let (planner, project) = (self.planner(principal), principal.project);
        let acceptance = self
            .inner
            .db
            .write(move |connection| {
                let acceptance = repetition::take(connection, project, repeatable.as_ref(), &answer)?;
                if matches!(acceptance, Acceptance::Now) {
                    accepted.iter().try_for_each(|one| one.plan(connection, &planner, &action))?;
                }
                Ok(acceptance)
            })
            .await?;
        queued.iter().for_each(|(site, operation)| self.inner.dispatch.wake(site, *operation));
        tracing::info!(user = %principal.user_name, action = %term, count, "accepted an action");
        Ok(acceptance)
    }

    /// The template as it will be, when it can be used or when that takes long.
    async fn saved(&self, id: EntityId, model: &Model, draft: &ApplianceDraft) -> Result<Acted, BrokerError> {
        let deadline = Instant::now() + SAVE_WAIT;
        let unfinished = || self.inner.db.read(move |connection| Ok(!saga::unfinished_of(connection, id)?.is_empty()));
        while Instant::now() < deadline && unfinished().await? {
            tokio::time::sleep(LOOK).await;
        }
        let mut model = model.clone();
        let template = self.inner.models.template_mixin(&draft.name, &draft.title)?;
        let id = template.id.clone();
        model.add_mixin(template).map_err(|error| BrokerError::Internal(error.to_string()))?;
        Ok(Acted::Template(Box::new(model), id))
    }

    /// Whether the state has a way for the action and there is something to go it: where nothing was made, only
    /// deletion helps.
    pub(super) fn is_applicable(&self, model: &Model, entity: &Entity, action: &CategoryId) -> bool {
        self.applicable_actions(model, entity).contains(action)
    }

    /// What can be asked of the entity now, in the order of declaration.
    pub(super) fn applicable_actions(&self, model: &Model, entity: &Entity) -> Vec<CategoryId> {
        let mut allowed = model.applicable_actions(&entity.kind, &entity.mixins, entity.state.as_str());
        if entity.kind == IP_RESERVATION {
            // It has actions of its own beside those of the networks that it descends from, with the same terms.
            allowed.retain(|action| *action != UP && *action != DOWN);
        }
        if entity.backend_id.is_none() {
            // A machine that is being made will run: who asks for that is not refused.
            allowed.retain(|action| *action == START && entity.state == EntityState::Inactive);
        }
        allowed
    }

    /// Those of them that the entity's site can do, as far as that is known: what is shown as a way is one.
    pub(super) fn possible_actions(&self, model: &Model, entity: &Entity) -> Vec<CategoryId> {
        let mut allowed = self.applicable_actions(model, entity);
        if let Some(site) = self.description_of(&entity.site) {
            let has = |capability| site.capabilities.contain(capability);
            allowed.retain(|action| {
                let ways = ability::of_action(action, &entity.kind);
                ways.is_empty() || ways.iter().copied().any(has)
            });
        }
        allowed
    }
}

impl Accepted {
    fn plan(&self, connection: &mut DbConnection, planner: &Planner, term: &str) -> Result<(), StoreError> {
        let (id, kind, state) = (self.entity.id, self.entity.kind.term(), self.entity.state);
        // Somebody may have deleted or acted on it since it was read.
        let now = entity::find(connection, self.entity.project, id)?;
        let unfinished = saga::unfinished_of(connection, id)?;
        // A client of the standard creates and then starts; here a creation starts by itself. What is asked is being
        // done, or has just been.
        if matches!(self.deed, Deed::Power(PowerAction::Start)) && state == EntityState::Inactive {
            let arrived = now.as_ref().is_some_and(|now| now.state == EntityState::Active) && unfinished.is_empty();
            if arrived || unfinished.iter().any(dispatch::leads_to_running) {
                return Ok(());
            }
        }
        let now = now.filter(|now| now.state == state && unfinished.is_empty());
        let Some(now) = now else {
            let reason = format!("{kind} {id} is busy; try {term} again when it is at rest");
            return Err(StoreError::Refused(reason));
        };
        match &self.deed {
            Deed::Power(action) => planner.plan_power(connection, &now, *action),
            Deed::Save(order) => planner.plan_save(connection, &now, order),
            Deed::Change(change) => {
                if *change == Change::Offline
                    && let Some(link) = entity::links_to(connection, id)?.first()
                {
                    let reason =
                        format!("{kind} {id} is in use by {} {}; delete that first", link.kind.term(), link.id);
                    return Err(StoreError::Refused(reason));
                }
                planner.plan_change(connection, &now, change.clone(), None)
            }
            Deed::Resize(bytes, size) => {
                let Entity { mixins, attributes, specification, .. } = self.entity.clone();
                let mut changed = attributes.clone();
                changed.insert(STORAGE_SIZE.clone(), size.clone());
                let (change, counts_for) = (Change::VolumeSize(*bytes), reservation::owner(connection, id)?);
                quota::check(connection, now.project, counts_for, dispatch::growth(&now, &change))?;
                entity::set_description(connection, id, &mixins, &changed)?;
                let before = Before { mixins, attributes, specification };
                planner.plan_change(connection, &now, change, Some(before))
            }
        }
    }
}

/// What the action means for the entity. What the client does not choose is what its site can do, as far as that is
/// known.
fn deed(entity: &Entity, action: &ResolvedAction, site: Option<&Description>) -> Result<Deed, BrokerError> {
    let has = |capability| site.is_none_or(|site| site.capabilities.contain(capability));
    let text = |name: &str| action.parameters.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value);
    let method = text("method").and_then(Value::as_str);
    let id = &action.id;
    let power = |action| Ok(Deed::Power(action));
    let change = |change| Ok(Deed::Change(change));
    // The model has checked the method: what is not named here is the provider's choice.
    if *id == START {
        power(PowerAction::Start)
    } else if *id == STOP {
        power(PowerAction::Stop(match method {
            Some("acpioff") => StopMethod::AcpiOff,
            Some("poweroff") => StopMethod::PowerOff,
            _ => StopMethod::Graceful,
        }))
    } else if *id == RESTART {
        power(PowerAction::Restart(match method {
            Some("warm") => RestartMethod::Warm,
            Some("cold") => RestartMethod::Cold,
            _ => RestartMethod::Graceful,
        }))
    } else if *id == SUSPEND {
        power(PowerAction::Suspend(match method {
            Some("hibernate") => SuspendMethod::Hibernate,
            None if !has(Capability::Suspend) && has(Capability::Hibernate) => SuspendMethod::Hibernate,
            _ => SuspendMethod::Suspend,
        }))
    } else if *id == SAVE {
        let method = save_method(method, entity.state == EntityState::Active, has);
        let wished = text("name").and_then(Value::as_str);
        let appliance = appliance(entity.id, wished)?;
        Ok(Deed::Save(SaveOrder { method, appliance, state: entity.state.as_str().to_owned() }))
    } else if *id == UP || *id == ADDRESS_UP {
        change(Change::Up)
    } else if *id == DOWN || *id == ADDRESS_DOWN {
        change(Change::Down)
    } else if *id == ONLINE {
        change(Change::Online)
    } else if *id == OFFLINE {
        change(Change::Offline)
    } else if *id == BACKUP {
        change(Change::Copy(CopyPurpose::Backup))
    } else if *id == SNAPSHOT {
        change(Change::Copy(CopyPurpose::Snapshot))
    } else if *id == RESIZE {
        let size = text("size").cloned().unwrap_or(Value::Float(0.0));
        let bytes = storage::larger(entity, size.as_float().unwrap_or_default())?;
        Ok(Deed::Resize(bytes, size))
    } else {
        Err(BrokerError::Unimplemented("this action"))
    }
}

/// What the client does not choose, or what makes no difference to a machine that does not run, is what its site can.
fn save_method(named: Option<&str>, is_running: bool, has: impl Fn(Capability) -> bool) -> SaveMethod {
    let (wanted, other) = match named {
        Some("deferred") => (SaveMethod::Deferred, SaveMethod::Hot),
        _ => (SaveMethod::Hot, SaveMethod::Deferred),
    };
    let is_free = named.is_none() || !is_running;
    if is_free && !has(ability::of_save(wanted)) && has(ability::of_save(other)) { other } else { wanted }
}

/// The appliance that a machine is saved as. Its name has to be unique for all projects, so the wish is only its
/// beginning (GFD.224 section 3.1.1: the provider may override it).
fn appliance(of: EntityId, wished: Option<&str>) -> Result<ApplianceDraft, BrokerError> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let wish: String = wished.unwrap_or("saved").chars().take(40).map(plain).collect();
    let wish = wish.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let wish = if wish.is_empty() { "saved" } else { wish };
    let id = uuid::Uuid::new_v4().simple().to_string();
    let name = format!("{wish}-{}", id.get(..12).unwrap_or(&id));
    let title = wished.filter(|title| !title.trim().is_empty()).unwrap_or("Saved machine");
    let title: String = title.chars().take(120).map(|c| if c == ',' || c.is_control() { ' ' } else { c }).collect();
    let draft = ApplianceDraft {
        name,
        title,
        description: format!("The disk of compute {of}"),
        publisher: "this project".into(),
    };
    // Checked here, where somebody can still be told.
    Appliance::try_from(draft.clone()).map_err(|error| BrokerError::Invalid(error.to_string()))?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_saves_in_the_way_that_it_can() {
        use SaveMethod::{Deferred, Hot};
        let (any, none) = (|_| true, |_| false);
        let only = |one: SaveMethod| move |capability| capability == ability::of_save(one);
        assert_eq!((save_method(None, true, any), save_method(None, true, none)), (Hot, Hot));
        assert_eq!(save_method(None, true, only(Deferred)), Deferred, "nobody has chosen");
        assert_eq!(save_method(Some("hot"), true, only(Deferred)), Hot, "the client's word, which will be refused");
        assert_eq!(save_method(Some("hot"), false, only(Deferred)), Deferred, "it does not run anyway");
        assert_eq!(save_method(Some("deferred"), true, only(Hot)), Deferred);
        assert_eq!(save_method(Some("deferred"), false, only(Hot)), Hot);
    }

    #[test]
    fn saved_machines_have_names_of_their_own() {
        for wish in [None, Some("snap1"), Some("Übung, 7\n"), Some(""), Some("   "), Some("--9--"), Some("x\r\ny")] {
            let first = appliance(EntityId(uuid::Uuid::nil()), wish).unwrap();
            assert!(Appliance::try_from(first.clone()).is_ok(), "{wish:?}");
            assert_ne!(first.name, appliance(EntityId(uuid::Uuid::nil()), wish).unwrap().name);
        }
        assert!(appliance(EntityId(uuid::Uuid::nil()), Some("snap1")).unwrap().name.starts_with("snap1-"));
        assert_eq!(appliance(EntityId(uuid::Uuid::nil()), Some("snap1")).unwrap().title, "snap1");
        assert!(appliance(EntityId(uuid::Uuid::nil()), Some(&"x".repeat(5000))).is_ok());
    }
}
