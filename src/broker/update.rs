//! What changes about an entity that exists: partial update, replacement (GFD.223 sections 10.2 and 10.3), and the
//! mixins that it carries.

use std::collections::BTreeMap;

use occi_schema::{
    AttributeName, CategoryId, CurrentEntity, EntityRequest, EntityUpdate, Model, Value,
    well_known::attribute::{SUMMARY, TITLE},
};

use super::{Broker, BrokerError, Shown, model::Present};
use crate::{
    login::Principal,
    store::{
        StoreError,
        entity::{self, Entity, EntityId},
    },
};

/// What may change without the machine noticing. Everything else needs its backend, which cannot resize yet.
const OF_PEOPLE: [&AttributeName; 2] = [&TITLE, &SUMMARY];

/// How the members of a mixin's collection are to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// These join.
    Join,
    /// These leave; all when none is named.
    Leave,
    /// Exactly these are members.
    Become,
}

impl Broker {
    /// Changes what the request names, and shows the entity as it is then.
    ///
    /// # Errors
    /// Something that cannot change, or not yet; nothing is changed then.
    pub async fn update(
        &self,
        principal: &Principal,
        id: EntityId,
        request: &EntityRequest,
    ) -> Result<Shown, BrokerError> {
        let present = self.present_to(principal).await?;
        let entity = self.find(principal, id).await?;
        let shown = self.shown(&present.model, entity.clone());
        let update = present.model.resolve_update(request, current(&shown), present.model.mode())?;
        self.carry_out(&present, vec![(entity, update)]).await?;
        self.show(principal, id).await
    }

    /// Makes the entity what the request says; what only the server writes and the provider's mixins stay.
    ///
    /// # Errors
    /// As for an update.
    pub async fn replace(
        &self,
        principal: &Principal,
        id: EntityId,
        request: &EntityRequest,
    ) -> Result<Shown, BrokerError> {
        let present = self.present_to(principal).await?;
        let entity = self.find(principal, id).await?;
        let shown = self.shown(&present.model, entity.clone());
        let is_own = |mixin: &CategoryId| present.own.contains(mixin);
        let mode = present.model.mode();
        let mut update = present.model.resolve_replacement(request, current(&shown), is_own, mode)?;
        // The machine was ordered with these; leaving them out does not take them away.
        update.attributes_removed.retain(|name| OF_PEOPLE.contains(&name));
        self.carry_out(&present, vec![(entity, update)]).await?;
        self.show(principal, id).await
    }

    /// Changes who carries the mixin: all of the named entities, or none.
    ///
    /// # Errors
    /// The mixin does not apply, an entity does not exist, or the mixin is the provider's and stays where it is.
    pub async fn change_members(
        &self,
        principal: &Principal,
        mixin: &CategoryId,
        named: &[EntityId],
        membership: Membership,
    ) -> Result<(), BrokerError> {
        let present = self.present_to(principal).await?;
        let joining = matches!(membership, Membership::Join | Membership::Become);
        let mut changes = Vec::with_capacity(named.len());
        for id in named {
            changes.push(self.find(principal, *id).await?);
        }
        changes.retain(|entity| joining != entity.mixins.contains(mixin));
        if membership == Membership::Become || (membership == Membership::Leave && named.is_empty()) {
            let project = principal.project;
            let all = self.inner.db.read(move |c| entity::list(c, project, None, i64::MAX)).await?;
            let leaving = all.into_iter().filter(|e| e.mixins.contains(mixin) && !named.contains(&e.id));
            changes.extend(leaving);
        }
        let mut updates = Vec::with_capacity(changes.len());
        for entity in changes {
            let update = if entity.mixins.contains(mixin) {
                leave(&present, mixin)?
            } else {
                let shown = self.shown(&present.model, entity.clone());
                present.model.resolve_association(mixin, current(&shown), present.model.mode())?
            };
            updates.push((entity, update));
        }
        self.carry_out(&present, updates).await
    }

    /// Writes all updates in one transaction, if nobody else has written meanwhile.
    async fn carry_out(&self, present: &Present, updates: Vec<(Entity, EntityUpdate)>) -> Result<(), BrokerError> {
        let mut described = Vec::with_capacity(updates.len());
        for (entity, update) in updates {
            check(&present.model, &update)?;
            let (mixins, attributes) = apply(&entity, update);
            described.push((entity.id, entity.project, entity.mixins, entity.attributes, mixins, attributes));
        }
        let written = self
            .inner
            .db
            .write(move |connection| {
                for (id, project, old_mixins, old_attributes, mixins, attributes) in &described {
                    let now = entity::find(connection, *project, *id)?;
                    if !now.is_some_and(|now| now.mixins == *old_mixins && now.attributes == *old_attributes) {
                        return Ok::<bool, StoreError>(false);
                    }
                    entity::set_description(connection, *id, mixins, attributes)?;
                }
                Ok(true)
            })
            .await?;
        if written { Ok(()) } else { Err(BrokerError::Conflict("somebody else has just changed it; try again".into())) }
    }
}

fn current(shown: &Shown) -> CurrentEntity<'_> {
    CurrentEntity { kind: &shown.kind, mixins: &shown.mixins, attributes: &shown.attributes }
}

/// A member's own mixins may be taken off; the provider's are what the machine is made of.
fn leave(present: &Present, mixin: &CategoryId) -> Result<EntityUpdate, BrokerError> {
    if present.own.contains(mixin) {
        Ok(EntityUpdate { mixins_removed: vec![mixin.clone()], ..EntityUpdate::default() })
    } else {
        Err(BrokerError::Forbidden(format!("{mixin} belongs to the machine and cannot be taken off")))
    }
}

/// Refuses what would need the backend.
fn check(model: &Model, update: &EntityUpdate) -> Result<(), BrokerError> {
    let tags_only = update.mixins_added.iter().chain(&update.mixins_removed).all(|id| {
        model.mixin(id).is_none_or(|mixin| mixin.attributes.is_empty() && mixin.actions.is_empty())
            && !occi_schema::well_known::template_families().any(|family| model.depends_on(id, family))
    });
    let of_people = update.attributes.keys().chain(&update.attributes_removed).all(|name| OF_PEOPLE.contains(&name));
    if !tags_only || !of_people || !update.links.is_empty() {
        return Err(BrokerError::Unimplemented("a change of the machine itself"));
    }
    Ok(())
}

/// The entity's mixins and attributes after the update.
fn apply(entity: &Entity, update: EntityUpdate) -> (Vec<CategoryId>, BTreeMap<AttributeName, Value>) {
    let mut mixins = entity.mixins.clone();
    mixins.retain(|mixin| !update.mixins_removed.contains(mixin));
    mixins.extend(update.mixins_added);
    let mut attributes = entity.attributes.clone();
    attributes.retain(|name, _| !update.attributes_removed.contains(name));
    attributes.extend(update.attributes);
    (mixins, attributes)
}
