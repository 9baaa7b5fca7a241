//! Creation: one entity with its links, or a whole class at once.

use occi_schema::{
    CategoryId, EntityRequest, Kind, NewEntity, Value,
    well_known::{
        AVAILABILITY_ZONE, COMPUTE, IP_RESERVATION, LINK, NETWORK, OS_TPL, SECURITY_GROUP, STORAGE,
        attribute::{EPHEMERAL_STORAGE_DEVICE, RESERVED_ADDRESS_USED, SOURCE, TARGET},
    },
};

use super::{
    Broker, BrokerError, ability, compute, ip_reservation,
    link::{self, Wanted},
    model::Present,
    network, permission,
    placement::{self, Demand, Place},
    quota,
    repetition::{self, Acceptance, Repeatable},
    security_group, storage,
};
use crate::{
    dispatch::{self, Order, Planner, QueueFull, policy::Operation},
    login::Principal,
    store::{
        DbConnection, StoreError, Timestamp,
        appliance::Offered,
        entity::{self, Entity, EntityState, Facts},
        reservation::Usage,
    },
};
use backend::{Capability, IntentTag};
use uuid::Uuid;

/// Most entities of one creation, links not counted.
const MOST: usize = 100;

/// The device of the root disk, which is what an instance has of ephemeral storage (GFD.222 section 5.2).
const ROOT_DEVICE: &str = "/dev/vda";

/// An entity that may be accepted, and what its site will be asked for.
pub(super) struct Candidate {
    pub entity: Entity,
    pub order: Order,
    /// Where a link leads.
    pub target: Option<Entity>,
}

impl Candidate {
    /// Where it waits, and for what.
    fn queued(&self) -> (String, Operation) {
        let operation = if matches!(self.order, Order::Link(_)) { Operation::Link } else { Operation::Create };
        (self.entity.site.clone(), operation)
    }
}

/// Where entities are created.
#[derive(Clone, Copy)]
pub struct Address<'a> {
    /// The kind whose collection it is, if it is one.
    pub kind: Option<&'a CategoryId>,
    /// The very path that the client has chosen (GFD.223 section 10.2.1).
    pub path: Option<&'a str>,
    /// The start of this server's URLs.
    pub base_url: &'a str,
}

impl Broker {
    /// Accepts new entities, all or none: from here on they are remembered, and each will be made or end in a state
    /// that says why not. Answers their paths, without those of inline links.
    ///
    /// # Errors
    /// A request is refused as it is, or no site can take it at present; nothing is remembered then.
    pub async fn create(
        &self,
        principal: &Principal,
        address: Address<'_>,
        requests: &[EntityRequest],
        repeatable: Option<&Repeatable>,
    ) -> Result<Vec<String>, BrokerError> {
        permission::to_operate(principal)?;
        if let Some(answer) = self.answered(principal, repeatable).await? {
            return from_answer(&answer);
        }
        if requests.is_empty() || requests.len() > MOST {
            return Err(BrokerError::Invalid(format!(
                "one request creates 1 to {MOST} entities, not {}",
                requests.len()
            )));
        }
        let present = self.present_to(principal).await?;
        let mut candidates = Vec::with_capacity(requests.len());
        let mut locations = Vec::with_capacity(requests.len());
        for request in requests {
            let created = self.candidates(principal, &present, address, request).await?;
            locations.extend(created.first().map(|candidate| link::path_of(&present.model, &candidate.entity)));
            candidates.extend(created);
        }
        for Candidate { entity, .. } in &candidates {
            let kind = entity.kind.term();
            tracing::info!(user = %principal.user_name, id = %entity.id, kind, site = %entity.site, "accepting an entity");
        }
        let answer = serde_json::to_string(&locations).map_err(|error| BrokerError::Internal(error.to_string()))?;
        match self.accept(principal, candidates, repeatable.cloned(), answer).await? {
            Acceptance::Now => Ok(locations),
            Acceptance::Before(answer) => from_answer(&answer),
        }
    }

    /// Whether any site's queue takes one more creation. Asks nobody.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when all are full; the one that is so for the shortest time says when to come again.
    pub fn check_room(&self) -> Result<(), BrokerError> {
        let dispatch = &self.inner.dispatch;
        let mut soonest: Option<QueueFull> = None;
        for site in dispatch.sites().present().iter() {
            match dispatch.admit(&site.name, Operation::Create) {
                Ok(()) => return Ok(()),
                Err(full) if soonest.as_ref().is_none_or(|other| full.retry_after < other.retry_after) => {
                    soonest = Some(full);
                }
                Err(_) => {}
            }
        }
        soonest.map_or(Ok(()), |full| Err(full.into()))
    }

    /// Writes all candidates in one transaction.
    ///
    /// # Errors
    /// [`BrokerError::Conflict`] when somebody was faster.
    async fn accept(
        &self,
        principal: &Principal,
        candidates: Vec<Candidate>,
        repeatable: Option<Repeatable>,
        answer: String,
    ) -> Result<Acceptance, BrokerError> {
        let queued: Vec<_> = candidates.iter().map(Candidate::queued).collect();
        for (site, operation) in &queued {
            self.admit(site, *operation)?;
        }
        let planner = self.planner(principal);
        let (project, user) = (principal.project, principal.user);
        let write = move |connection: &mut DbConnection| match repetition::take(
            connection,
            project,
            repeatable.as_ref(),
            &answer,
        )? {
            Acceptance::Now => {
                let asked = candidates.iter().fold(Usage::default(), |sum, one| sum.plus(dispatch::usage(&one.order)));
                quota::check(connection, project, Some(user), asked)?;
                write(connection, &planner, &candidates).map(|()| Acceptance::Now)
            }
            before => Ok(before),
        };
        match self.inner.db.write(write).await {
            Err(error) if error.is_duplicate() => Err(BrokerError::Conflict("this id is taken".into())),
            written => {
                let acceptance = written?;
                if matches!(acceptance, Acceptance::Now) {
                    queued.iter().for_each(|(site, operation)| self.inner.dispatch.wake(site, *operation));
                }
                Ok(acceptance)
            }
        }
    }

    /// The entity that a request describes, and then its inline links.
    async fn candidates(
        &self,
        principal: &Principal,
        present: &Present,
        address: Address<'_>,
        request: &EntityRequest,
    ) -> Result<Vec<Candidate>, BrokerError> {
        let model = &present.model;
        let new = model.resolve_new(&link::with_targets(model, request), address.kind, model.mode())?;
        if model.descends_from(&new.kind, &LINK) {
            return Ok(vec![self.lone_link(principal, present, address, &new).await?]);
        }
        if new.links.len() > link::MOST {
            return Err(BrokerError::Invalid(format!("a resource may have {} links", link::MOST)));
        }
        self.inner.models.check_carried(&new.mixins)?;
        let id = link::wanted_id(model, &new.kind, address.path, address.base_url)?;
        let wanted = new.links.clone();
        let mut resource = self.resource(principal, present, new, id.0).await?;
        let mut links = Vec::with_capacity(wanted.len());
        for link in &wanted {
            let wanted = Wanted::from(link);
            links.push(self.link_candidate(principal, model, &resource.entity, wanted, address.base_url).await?);
        }
        let targets = links.iter().filter_map(|link| link.target.as_ref());
        let beside: Vec<_> = targets.map(|target| (target.site.clone(), target.kind.term().to_owned())).collect();
        let wishes = links.iter().chain([&resource]).flat_map(ability::wishes_of).collect();
        self.place(present, &mut resource, beside, wishes)?;
        for link in &mut links {
            link.entity.site.clone_from(&resource.entity.site);
        }
        links.insert(0, resource);
        Ok(links)
    }

    async fn lone_link(
        &self,
        principal: &Principal,
        present: &Present,
        address: Address<'_>,
        new: &NewEntity,
    ) -> Result<Candidate, BrokerError> {
        let end = |name| new.attributes.get(name).and_then(Value::as_str).unwrap_or_default();
        let model = &present.model;
        let source = self.entity_at(principal, model, end(&SOURCE), address.base_url).await?;
        let wanted = Wanted {
            kind: &new.kind,
            mixins: new.mixins.clone(),
            attributes: new.attributes.clone(),
            target: end(&TARGET),
            location: address.path,
            is_inline: false,
        };
        let link = self.link_candidate(principal, model, &source, wanted, address.base_url).await?;
        self.check_wishes(&source, ability::wishes_of(&link))?;
        Ok(link)
    }

    /// The entity itself, at no site yet.
    async fn resource(
        &self,
        principal: &Principal,
        present: &Present,
        mut new: NewEntity,
        id: Uuid,
    ) -> Result<Candidate, BrokerError> {
        let order = if new.kind == COMPUTE {
            let offered = self.choose_appliance(&mut new, present).await?;
            new.attributes.entry(EPHEMERAL_STORAGE_DEVICE.clone()).or_insert(Value::from(ROOT_DEVICE));
            Order::Machine(compute::machine(&mut new, id, &offered)?)
        } else if new.kind == STORAGE {
            Order::Volume(storage::volume(&new.attributes, id)?)
        } else if new.kind == NETWORK {
            Order::Network(network::network(&new.attributes, id, IntentTag(Uuid::now_v7()))?)
        } else if new.kind == IP_RESERVATION {
            new.attributes.insert(RESERVED_ADDRESS_USED.clone(), Value::Boolean(false));
            Order::Address(ip_reservation::address(&new.attributes)?)
        } else if new.kind == SECURITY_GROUP {
            Order::SecurityGroup(security_group::group(&new.attributes, id)?)
        } else {
            return Err(BrokerError::Unimplemented("this kind of entity"));
        };
        let states = present.model.kind(&new.kind).and_then(|kind: &Kind| kind.states.as_ref());
        let initial = states.and_then(|states| states.initial.parse().ok()).unwrap_or(EntityState::Inactive);
        let entity = Entity {
            id: entity::EntityId(id),
            project: principal.project,
            kind: new.kind,
            mixins: new.mixins,
            attributes: new.attributes,
            state: initial,
            state_message: Some("accepted".into()),
            site: String::new(),
            placement: serde_json::Value::Null,
            specification: to_json(order.to_json())?,
            backend_id: None,
            source: None,
            target: None,
            facts: Facts::default(),
            version: 1,
            updated_at: Timestamp::now(),
        };
        Ok(Candidate { entity, order, target: None })
    }

    /// Chooses the site.
    fn place(
        &self,
        present: &Present,
        candidate: &mut Candidate,
        beside: Vec<(String, String)>,
        wishes: Vec<Capability>,
    ) -> Result<(), BrokerError> {
        let zone = candidate.entity.mixins.iter().find(|mixin| present.model.depends_on(mixin, &AVAILABILITY_ZONE));
        let demand = match &candidate.order {
            Order::Machine(spec) => Demand::Machine(spec),
            Order::Volume(spec) => Demand::Volume(spec.size_bytes),
            Order::Network(_) => Demand::Network,
            Order::Address(_) => Demand::Address,
            Order::SecurityGroup(_) => Demand::SecurityGroup,
            Order::Link(_) => return Ok(()),
        };
        let place = Place { zone: zone.map(CategoryId::term), beside, wishes };
        let placement = placement::choose(self.inner.dispatch.sites(), &demand, &place)?;
        candidate.entity.placement = to_json(serde_json::to_value(&placement))?;
        candidate.entity.site = placement.site;
        self.grant_size(candidate)
    }

    /// Where a site has only some sizes, the machine has what it gets, not what was asked: that is what counts for its
    /// project, and what is shown.
    fn grant_size(&self, candidate: &mut Candidate) -> Result<(), BrokerError> {
        let Candidate { entity, order, .. } = candidate;
        let Order::Machine(spec) = &mut *order else { return Ok(()) };
        let wanted = placement::size_of(spec);
        let Some(description) = self.description_of(&entity.site) else { return Ok(()) };
        let granted = placement::granted(&description, wanted);
        if granted != wanted {
            compute::set_size(spec, granted);
            compute::show_size(&mut entity.attributes, granted);
            entity.specification = to_json(order.to_json())?;
        }
        Ok(())
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

/// Writes the candidates, in the caller's transaction.
///
/// # Errors
/// [`StoreError::Refused`] when somebody was faster; the database failed.
pub(super) fn write(
    connection: &mut DbConnection,
    planner: &Planner,
    candidates: &[Candidate],
) -> Result<(), StoreError> {
    for Candidate { entity, order, target } in candidates {
        if let Some(target) = target
            && let Some(obstacle) = link::obstacle(connection, entity, target)?
        {
            return Err(StoreError::Refused(obstacle));
        }
        entity::insert(connection, entity)?;
        planner.plan_making(connection, entity, order)?;
    }
    Ok(())
}

/// The paths of what an earlier request has created.
fn from_answer(answer: &str) -> Result<Vec<String>, BrokerError> {
    serde_json::from_str(answer).map_err(|error| BrokerError::Internal(format!("an answer is unreadable: {error}")))
}

fn to_json(value: Result<serde_json::Value, serde_json::Error>) -> Result<serde_json::Value, BrokerError> {
    value.map_err(|error| BrokerError::Internal(error.to_string()))
}
