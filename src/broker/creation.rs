//! The creation of computes: one, or a whole class at once.

use occi_schema::{
    CategoryId, EntityRequest, NewEntity,
    well_known::{AVAILABILITY_ZONE, COMPUTE, OS_TPL},
};
use uuid::Uuid;

use super::{Broker, BrokerError, model::Present, order, placement};
use crate::{
    dispatch,
    login::Principal,
    store::{
        Timestamp,
        appliance::Offered,
        entity::{self, Entity, EntityId, EntityState, Facts},
    },
};
use backend::IntentTag;

/// Most entities of one creation.
const MOST: usize = 100;

/// An entity that may be accepted, and the intent behind its machine.
struct Candidate {
    entity: Entity,
    tag: IntentTag,
}

impl Broker {
    /// Accepts new computes, all or none: from here on they are remembered, and each will be made or end in a state
    /// that says why not. Answers their paths.
    ///
    /// # Errors
    /// A request is refused as it is, or no site can take a machine at present; nothing is remembered then.
    pub async fn create(
        &self,
        principal: &Principal,
        collection: Option<&CategoryId>,
        requests: &[EntityRequest],
    ) -> Result<Vec<String>, BrokerError> {
        if requests.is_empty() || requests.len() > MOST {
            return Err(BrokerError::Invalid(format!(
                "one request creates 1 to {MOST} entities, not {}",
                requests.len()
            )));
        }
        let present = self.present_to(principal).await?;
        let mut candidates = Vec::with_capacity(requests.len());
        for request in requests {
            candidates.push(self.candidate(principal, &present, collection, request).await?);
        }
        let locations = candidates.iter().map(|c| self.location(&present.model, &c.entity)).collect();
        for Candidate { entity, .. } in &candidates {
            tracing::info!(user = %principal.user_name, id = %entity.id, site = %entity.site, "accepting a compute");
        }
        self.inner
            .db
            .write(move |connection| {
                for Candidate { entity, tag } in &candidates {
                    entity::insert(connection, entity)?;
                    dispatch::plan_provision(connection, entity.id, &entity.site, *tag)?;
                }
                Ok(())
            })
            .await?;
        self.inner.dispatch.wake();
        Ok(locations)
    }

    async fn candidate(
        &self,
        principal: &Principal,
        present: &Present,
        collection: Option<&CategoryId>,
        request: &EntityRequest,
    ) -> Result<Candidate, BrokerError> {
        let mut new = present.model.resolve_new(request, collection, present.model.mode())?;
        if new.kind != COMPUTE {
            return Err(BrokerError::Unimplemented("this kind of entity"));
        }
        if !new.links.is_empty() {
            return Err(BrokerError::Unimplemented("a link in the creation of a compute"));
        }
        let offered = self.choose_appliance(&mut new, present).await?;
        let id = Uuid::now_v7();
        let spec = order::machine(&mut new, id, &offered)?;
        let zone = new.mixins.iter().find(|mixin| present.model.depends_on(mixin, &AVAILABILITY_ZONE));
        let placement = placement::choose(self.inner.dispatch.sites(), &spec, zone.map(CategoryId::term))?;
        let entity = Entity {
            id: EntityId(id),
            project: principal.project,
            kind: new.kind,
            mixins: new.mixins,
            attributes: new.attributes,
            state: EntityState::Inactive,
            state_message: Some("accepted".into()),
            site: placement.site.clone(),
            placement: to_json(&placement)?,
            specification: to_json(&spec)?,
            machine: None,
            facts: Facts::default(),
            version: 1,
            updated_at: Timestamp::now(),
        };
        Ok(Candidate { entity, tag: spec.tag })
    }

    /// The appliance that the compute names, or the default one, which is then written into the compute.
    async fn choose_appliance(&self, new: &mut NewEntity, present: &Present) -> Result<Offered, BrokerError> {
        let models = &self.inner.models;
        let named = new.mixins.iter().find(|mixin| present.model.depends_on(mixin, &OS_TPL));
        if let Some(named) = named {
            let offered = models.appliance_of(named, &present.offered);
            return offered.cloned().ok_or_else(|| {
                BrokerError::Invalid(format!("{named} is no appliance; GET /-/ lists those that are offered"))
            });
        }
        let default = match &self.inner.default_appliance {
            Some(name) => Some(name.clone()),
            None => self.inner.db.read(crate::store::appliance::oldest_offered).await?,
        };
        let offered =
            default.and_then(|name| present.offered.iter().find(|offered| offered.appliance.name().as_str() == name));
        let Some(offered) = offered else {
            let reason =
                "no os_tpl is named and there is no default; publish an appliance with `tombolo catalog publish`";
            return Err(BrokerError::Invalid(reason.into()));
        };
        new.mixins.insert(0, models.template_of(offered.appliance.name().as_str())?);
        Ok(offered.clone())
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<serde_json::Value, BrokerError> {
    serde_json::to_value(value).map_err(|error| BrokerError::Internal(error.to_string()))
}
