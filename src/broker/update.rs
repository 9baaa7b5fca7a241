//! What changes about an entity that exists: partial update, replacement (GFD.223 sections 10.2 and 10.3), and the
//! mixins that it carries.

use std::collections::BTreeMap;

use backend::Capability;
use occi_schema::{
    AttributeName, CategoryId, CurrentEntity, EntityRequest, EntityUpdate, Model, Value,
    well_known::{
        AVAILABILITY_ZONE, COMPUTE, IP_NETWORK, IP_RESERVATION, NETWORK, NETWORK_INTERFACE, OS_TPL, SECURITY_GROUP,
        STORAGE,
        attribute::{
            CORES, EPHEMERAL_STORAGE_SIZE, INTERFACE_ADDRESS, INTERFACE_MAC, MEMORY, RESERVED_ADDRESS,
            STORAGE_LINK_DEVICE, STORAGE_SIZE, SUMMARY, TITLE,
        },
    },
};

use super::{
    Broker, BrokerError, Shown, ability, compute,
    creation::{self, Candidate},
    link::{self, Wanted},
    model::{DISK_SIZE, Present},
    network, permission, placement, quota, security_group, storage,
};
use crate::{
    dispatch::{self, Before, Change, Order, Planner, policy::Operation},
    login::Principal,
    store::{
        DbConnection, StoreError,
        entity::{self, Entity, EntityId, EntityState},
        reservation, saga,
    },
};

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

/// An update that may be accepted.
struct Described {
    entity: Entity,
    mixins: Vec<CategoryId>,
    attributes: BTreeMap<AttributeName, Value>,
    /// What the site is asked for, if it notices.
    change: Option<(Change, Order)>,
    links: Vec<Candidate>,
}

impl Broker {
    /// Changes what the request names, and shows the entity as it is then.
    ///
    /// # Errors
    /// Something that cannot change; nothing is changed then.
    pub async fn update(
        &self,
        principal: &Principal,
        id: EntityId,
        request: &EntityRequest,
        base_url: &str,
    ) -> Result<Shown, BrokerError> {
        permission::to_operate(principal)?;
        let present = self.present_to(principal).await?;
        let entity = self.find(principal, id).await?;
        let shown = self.shown(&present.model, entity.clone(), Vec::new());
        let request = link::with_targets(&present.model, request);
        let update = present.model.resolve_update(&request, current(&shown), present.model.mode())?;
        let described = self.describe(principal, &present, entity, update, base_url).await?;
        self.carry_out(principal, vec![described]).await?;
        self.show(principal, id).await
    }

    /// Makes the entity what the request says; what only the server writes, the provider's mixins and links stay.
    ///
    /// # Errors
    /// As for an update.
    pub async fn replace(
        &self,
        principal: &Principal,
        id: EntityId,
        request: &EntityRequest,
        base_url: &str,
    ) -> Result<Shown, BrokerError> {
        permission::to_operate(principal)?;
        let present = self.present_to(principal).await?;
        let entity = self.find(principal, id).await?;
        let shown = self.shown(&present.model, entity.clone(), Vec::new());
        let is_own = |mixin: &CategoryId| present.own.contains(mixin);
        let mode = present.model.mode();
        let mut update = present.model.resolve_replacement(request, current(&shown), is_own, mode)?;
        // Leaving out what a machine or network is made of does not take it away.
        update.attributes_removed.retain(|name| !is_material(&entity.kind, name));
        let described = self.describe(principal, &present, entity, update, base_url).await?;
        self.carry_out(principal, vec![described]).await?;
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
        permission::to_operate(principal)?;
        let present = self.present_to(principal).await?;
        let joining = matches!(membership, Membership::Join | Membership::Become);
        let (project, ids) = (principal.project, named.to_vec());
        let mut changes = self.inner.db.read(move |c| entity::find_many(c, project, &ids)).await?;
        if let Some(unknown) = named.iter().find(|id| !changes.iter().any(|entity| entity.id == **id)) {
            return Err(self.missing(principal, *unknown).await);
        }
        changes.retain(|entity| joining != entity.mixins.contains(mixin));
        if membership == Membership::Become || (membership == Membership::Leave && named.is_empty()) {
            let selected = super::Selected { any_of: vec![mixin.clone()], ..Default::default() };
            let members = self.members(principal, &selected).await?;
            // Those who carry what builds on it are members too, and only leave with that.
            let leaving = members.into_iter().filter(|e| e.mixins.contains(mixin) && !named.contains(&e.id));
            changes.extend(leaving);
        }
        let mut updates = Vec::with_capacity(changes.len());
        for entity in changes {
            let shown = self.shown(&present.model, entity.clone(), Vec::new());
            let update = if entity.mixins.contains(mixin) {
                leave(&present, &entity, mixin)?
            } else {
                present.model.resolve_association(mixin, current(&shown), present.model.mode())?
            };
            updates.push(self.describe(principal, &present, entity, update, "").await?);
        }
        self.carry_out(principal, updates).await
    }

    /// What the update makes of the entity, and what its site has to do for that.
    async fn describe(
        &self,
        principal: &Principal,
        present: &Present,
        entity: Entity,
        update: EntityUpdate,
        base_url: &str,
    ) -> Result<Described, BrokerError> {
        let mut links = Vec::with_capacity(update.links.len());
        for wanted in &update.links {
            let wanted = Wanted::from(wanted);
            links.push(self.link_candidate(principal, &present.model, &entity, wanted, base_url).await?);
        }
        check_mixins(&present.model, &update)?;
        self.inner.models.check_carried(&update.mixins_added)?;
        update.attributes.keys().try_for_each(|name| check_attribute(&entity.kind, name))?;
        let (mixins, mut attributes) = apply(&entity, update);
        let mut change = change(&entity, &attributes)?;
        if let Some((change, order)) = &mut change {
            self.check_change(&entity, change, order)?;
            self.grant_resize(&entity, &mut attributes, change, order)?;
        }
        for link in &links {
            self.check_wishes(&entity, ability::wishes_of(link))?;
        }
        if change.is_some() && entity.backend_id.is_none() {
            let (kind, id) = (entity.kind.term(), entity.id);
            return Err(BrokerError::Conflict(format!("{kind} {id} is not made yet; try again when it is")));
        }
        Ok(Described { entity, mixins, attributes, change, links })
    }

    /// Whether the entity's site can do this.
    fn check_change(&self, entity: &Entity, change: &Change, order: &Order) -> Result<(), BrokerError> {
        self.check_ability(entity, ability::of_change(change, entity))?;
        let before = Order::of(entity).map_err(BrokerError::Internal)?;
        let is_wished = |is_wished: bool, capability| is_wished.then_some(capability);
        let wishes = match (&before, order) {
            (Order::Network(before), Order::Network(now)) => {
                [is_wished(now.vlan.is_some() && now.vlan != before.vlan, Capability::VlanOfChoice), None]
            }
            (Order::Link(before), Order::Link(now)) if entity.kind == NETWORK_INTERFACE => [
                is_wished(now.mac.is_some() && now.mac != before.mac, Capability::MacOfChoice),
                is_wished(now.address.is_some() && now.address != before.address, Capability::AddressOfChoice),
            ],
            _ => [None, None],
        };
        self.check_wishes(entity, wishes.into_iter().flatten())
    }

    /// Where a site has only some sizes, the machine becomes as large as the one that holds what is asked.
    fn grant_resize(
        &self,
        entity: &Entity,
        attributes: &mut BTreeMap<AttributeName, Value>,
        change: &mut Change,
        order: &mut Order,
    ) -> Result<(), BrokerError> {
        let (Change::MachineSize(size), Order::Machine(spec)) = (change, order) else { return Ok(()) };
        let Some(description) = self.description_of(&entity.site) else { return Ok(()) };
        *size = placement::granted_at(&entity.site, &description, *size)?;
        compute::set_size(spec, *size);
        if !description.sizes.is_empty() {
            compute::show_size(attributes, *size);
        }
        Ok(())
    }

    /// Writes all updates in one transaction, if nobody else has written meanwhile.
    async fn carry_out(&self, principal: &Principal, updates: Vec<Described>) -> Result<(), BrokerError> {
        let queued: Vec<_> = updates.iter().flat_map(Described::queued).collect();
        for (site, operation) in &queued {
            self.admit(site, *operation)?;
        }
        let planner = self.planner(principal);
        let write = move |connection: &mut DbConnection| {
            updates.iter().try_for_each(|update| update.write(connection, &planner))
        };
        self.inner.db.write(write).await?;
        queued.iter().for_each(|(site, operation)| self.inner.dispatch.wake(site, *operation));
        Ok(())
    }
}

impl Described {
    /// What of it waits for a site.
    fn queued(&self) -> Vec<(String, Operation)> {
        let change = self.change.iter().map(|_| (self.entity.site.clone(), Operation::Change));
        change.chain(self.links.iter().map(|link| (link.entity.site.clone(), Operation::Link))).collect()
    }

    fn write(&self, connection: &mut DbConnection, planner: &Planner) -> Result<(), StoreError> {
        let Entity { id, project, mixins, attributes, specification, .. } = self.entity.clone();
        let now = entity::find(connection, project, id)?;
        let now = now.filter(|now| now.mixins == mixins && now.attributes == attributes);
        let Some(now) = now else {
            return Err(StoreError::Refused("somebody else has just changed it; try again".into()));
        };
        entity::set_description(connection, id, &self.mixins, &self.attributes)?;
        if let Some((change, order)) = &self.change {
            if !saga::unfinished_of(connection, id)?.is_empty() {
                let kind = self.entity.kind.term();
                return Err(StoreError::Refused(format!("{kind} {id} is busy; try again when it is at rest")));
            }
            let unreadable = |error: serde_json::Error| StoreError::Unreadable {
                table: "entities",
                id: id.to_string(),
                reason: error.to_string(),
            };
            entity::set_specification(connection, id, &order.to_json().map_err(unreadable)?)?;
            let before = Before { mixins, attributes, specification };
            let counts_for = reservation::owner(connection, id)?;
            quota::check(connection, project, counts_for, dispatch::growth(&self.entity, change))?;
            planner.plan_change(connection, &now, change.clone(), Some(before))?;
        } else {
            planner.note_change(connection, &now)?;
        }
        creation::write(connection, planner, &self.links)
    }
}

fn current(shown: &Shown) -> CurrentEntity<'_> {
    CurrentEntity { kind: &shown.kind, mixins: &shown.mixins, attributes: &shown.attributes }
}

/// A member's own mixins may be taken off, with their attributes; the provider's are what the machine is made of.
fn leave(present: &Present, entity: &Entity, mixin: &CategoryId) -> Result<EntityUpdate, BrokerError> {
    let model = &present.model;
    let is_ip_network = *mixin == IP_NETWORK && entity.kind == NETWORK;
    if !present.own.contains(mixin) && !is_ip_network {
        return Err(BrokerError::Forbidden(format!("{mixin} belongs to the machine and cannot be taken off")));
    }
    let leaving = model.with_dependencies(mixin).into_iter().flat_map(|mixin| &mixin.attributes);
    let stays = |name: &AttributeName| {
        let others = entity.mixins.iter().filter(|other| *other != mixin);
        others.flat_map(|other| model.with_dependencies(other)).any(|m| m.attributes.iter().any(|a| a.name == *name))
    };
    let gone = leaving.map(|attribute| attribute.name.clone()).filter(|name| !stays(name));
    Ok(EntityUpdate {
        mixins_removed: vec![mixin.clone()],
        attributes_removed: gone.collect(),
        ..EntityUpdate::default()
    })
}

/// What a thing at a site is made of: it changes, and does not vanish.
fn is_material(kind: &CategoryId, name: &AttributeName) -> bool {
    let described = [&TITLE, &SUMMARY].contains(&name);
    !described && (*kind == COMPUTE || *kind == IP_RESERVATION || *kind == STORAGE || *kind == SECURITY_GROUP)
}

/// Refuses mixins that a thing has from its beginning.
fn check_mixins(model: &Model, update: &EntityUpdate) -> Result<(), BrokerError> {
    let fixed = update.mixins_added.iter().chain(&update.mixins_removed);
    let mut fixed = fixed.filter(|id| [&OS_TPL, &AVAILABILITY_ZONE].iter().any(|base| model.depends_on(id, base)));
    match fixed.next() {
        Some(id) => Err(BrokerError::Conflict(format!("{id} is chosen at the creation and cannot change later"))),
        None => Ok(()),
    }
}

fn check_attribute(kind: &CategoryId, name: &AttributeName) -> Result<(), BrokerError> {
    if *kind == COMPUTE {
        return compute::check_change(name);
    }
    if *kind == IP_RESERVATION && *name == RESERVED_ADDRESS {
        return Err(BrokerError::Conflict(format!("{name} cannot change; make another reservation")));
    }
    Ok(())
}

/// What the site has to do when the entity's attributes become these.
fn change(
    entity: &Entity,
    attributes: &BTreeMap<AttributeName, Value>,
) -> Result<Option<(Change, Order)>, BrokerError> {
    let differs = |name: &AttributeName| entity.attributes.get(name) != attributes.get(name);
    let chosen_disk = |attributes: &BTreeMap<AttributeName, Value>| {
        attributes.iter().find(|(name, _)| name.as_str() == DISK_SIZE).map(|(_, size)| size.clone())
    };
    let is_resized = [&CORES, &MEMORY, &EPHEMERAL_STORAGE_SIZE].into_iter().any(differs)
        || chosen_disk(&entity.attributes) != chosen_disk(attributes);
    let order = Order::of(entity).map_err(BrokerError::Internal)?;
    Ok(match order {
        Order::Machine(mut spec) if is_resized => {
            let mut size = compute::size(attributes)?;
            // A disk does not shrink; a smaller template promises "at least" its size (GFD.222 section 5.2).
            size.disk_bytes = size.disk_bytes.max(spec.disk_bytes);
            if !matches!(entity.state, EntityState::Active | EntityState::Inactive) {
                let (id, state) = (entity.id, entity.state.as_str());
                return Err(BrokerError::Conflict(format!("compute {id} is {state} and cannot be resized now")));
            }
            compute::set_size(&mut spec, size);
            Some((Change::MachineSize(size), Order::Machine(spec)))
        }
        Order::Volume(mut spec) if differs(&STORAGE_SIZE) => {
            let wanted = attributes.get(&STORAGE_SIZE).and_then(Value::as_float).unwrap_or_default();
            spec.size_bytes = storage::larger(entity, wanted)?;
            Some((Change::VolumeSize(spec.size_bytes), Order::Volume(spec)))
        }
        Order::Network(spec) => {
            let mut wanted = network::network(attributes, entity.id.0, spec.tag)?;
            // A title is for people here, and no reason to ask the site.
            wanted.name.clone_from(&spec.name);
            (wanted != spec).then(|| (Change::Network(wanted.clone()), Order::Network(wanted)))
        }
        Order::SecurityGroup(mut spec) => {
            let rules = security_group::rules(attributes)?;
            (rules != spec.rules).then(|| {
                spec.rules.clone_from(&rules);
                (Change::Rules(rules), Order::SecurityGroup(spec))
            })
        }
        Order::Link(order)
            if [&INTERFACE_MAC, &INTERFACE_ADDRESS, &STORAGE_LINK_DEVICE].iter().any(|name| differs(name)) =>
        {
            Some((Change::Rejoin, Order::Link(link::order(order.tag, attributes)?)))
        }
        Order::Machine(_) | Order::Volume(_) | Order::Address(_) | Order::Link(_) => None,
    })
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
