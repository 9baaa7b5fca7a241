//! Links: interfaces, attached volumes, security groups that a machine has.

use std::collections::BTreeMap;

use backend::IntentTag;
use occi_schema::{
    AttributeName, CategoryId, EntityRequest, Mode, Model, NewLink, Value, parse,
    well_known::{
        COMPUTE, IP_RESERVATION, NETWORK_INTERFACE, STORAGE,
        attribute::{INTERFACE_ADDRESS, INTERFACE_MAC, SOURCE, STORAGE_LINK_DEVICE, TARGET, TARGET_KIND},
    },
};
use uuid::Uuid;

use super::{Broker, BrokerError, compute::invalid, creation::Candidate, network};
use crate::{
    dispatch::{LinkOrder, Order},
    login::Principal,
    store::{
        DbConnection, StoreError, Timestamp,
        entity::{self, Entity, EntityId, EntityState, Facts, LinkTarget},
    },
};

/// Most links of one resource.
pub const MOST: usize = 64;

/// Longest device name that a client may wish for.
const LONGEST_DEVICE: usize = 64;

/// A link that is wanted, before its ends are looked up.
pub struct Wanted<'a> {
    pub kind: &'a CategoryId,
    pub mixins: Vec<CategoryId>,
    pub attributes: BTreeMap<AttributeName, Value>,
    /// What the client points at.
    pub target: &'a str,
    /// The path that the client wishes for.
    pub location: Option<&'a str>,
    /// Whether it came with its source.
    pub is_inline: bool,
}

impl<'a> From<&'a NewLink> for Wanted<'a> {
    fn from(link: &'a NewLink) -> Self {
        Self {
            kind: &link.kind,
            mixins: link.mixins.clone(),
            attributes: link.attributes.clone(),
            target: &link.target,
            location: link.location.as_deref(),
            is_inline: true,
        }
    }
}

impl Broker {
    /// The project's entity at a location that a client gave, path or URL.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`]: it is elsewhere, or there is none.
    pub(super) async fn entity_at(
        &self,
        principal: &Principal,
        model: &Model,
        location: &str,
        base_url: &str,
    ) -> Result<Entity, BrokerError> {
        let path = parse::local_path(location, base_url).map_err(|error| BrokerError::Invalid(error.to_string()))?;
        // Not 404: the client would take the collection that it posts to for missing.
        let missing = || BrokerError::Invalid(format!("there is no entity at {path}"));
        let (kind, id) = place_of(model, path).ok_or_else(missing)?;
        let project = principal.project;
        let found = self.inner.db.read_brief(move |connection| entity::find(connection, project, id)).await?;
        found.filter(|entity| entity.kind == kind).ok_or_else(missing)
    }

    /// A link from a resource, new or known, that may be accepted.
    ///
    /// # Errors
    /// The target is unknown, of the wrong kind, or elsewhere.
    pub(super) async fn link_candidate(
        &self,
        principal: &Principal,
        model: &Model,
        source: &Entity,
        wanted: Wanted<'_>,
        base_url: &str,
    ) -> Result<Candidate, BrokerError> {
        if source.kind != COMPUTE {
            let (link, kind) = (wanted.kind.term(), source.kind.term());
            return Err(BrokerError::Invalid(format!("a {link} starts at a compute, not at a {kind}")));
        }
        let target = self.entity_at(principal, model, wanted.target, base_url).await?;
        model.check_link_target(wanted.kind, Some(&target.kind))?;
        if !source.site.is_empty() && target.site != source.site {
            return Err(BrokerError::Conflict(format!(
                "compute {} is at site {} and {} {} at site {}; they cannot be linked",
                source.id,
                source.site,
                target.kind.term(),
                target.id,
                target.site
            )));
        }
        let Wanted { kind, mixins, mut attributes, location, is_inline, .. } = wanted;
        // What an inline link is to be called is a wish: clients name it by ids of their own (C-257).
        let wish = wanted_id(model, kind, location, base_url);
        let id = if is_inline && model.mode() == Mode::Interop { wish.unwrap_or_else(|_| new_id()) } else { wish? };
        let order = order(IntentTag(Uuid::now_v7()), &attributes)?;
        attributes.insert(SOURCE.clone(), Value::from(path_of(model, source).as_str()));
        attributes.insert(TARGET.clone(), Value::from(path_of(model, &target).as_str()));
        attributes.insert(TARGET_KIND.clone(), Value::from(target.kind.to_string().as_str()));
        let order = Order::Link(order);
        let entity = Entity {
            id,
            project: principal.project,
            kind: kind.clone(),
            mixins,
            attributes,
            state: EntityState::Inactive,
            state_message: Some("accepted".into()),
            site: source.site.clone(),
            placement: serde_json::Value::Null,
            specification: order.to_json().map_err(|error| BrokerError::Internal(error.to_string()))?,
            backend_id: None,
            source: Some(source.id),
            target: Some(LinkTarget::Entity(target.id)),
            facts: Facts::default(),
            version: 1,
            updated_at: Timestamp::now(),
        };
        Ok(Candidate { entity, order, target: Some(target) })
    }
}

/// What the site is asked for, by these attributes.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn order(tag: IntentTag, attributes: &BTreeMap<AttributeName, Value>) -> Result<LinkOrder, BrokerError> {
    let text = |name: &AttributeName| attributes.get(name).and_then(Value::as_str);
    let mac = text(&INTERFACE_MAC).map(|mac| mac.parse().map_err(|error: String| invalid(&INTERFACE_MAC, &error)));
    // Some clients write the prefix behind the address.
    let address = text(&INTERFACE_ADDRESS).map(|address| address.split_once('/').map_or(address, |(host, _)| host));
    let device = text(&STORAGE_LINK_DEVICE);
    if device.is_some_and(|device| device.is_empty() || device.len() > LONGEST_DEVICE) {
        return Err(invalid(&STORAGE_LINK_DEVICE, "must have 1 to 64 characters"));
    }
    Ok(LinkOrder {
        tag,
        mac: mac.transpose()?,
        address: address.map(|address| network::address(&INTERFACE_ADDRESS, address)).transpose()?,
        device: device.map(str::to_owned),
    })
}

/// The request with the targets that its inline links mean: some clients name them in `occi.core.target`, and write
/// something of their own between the angle brackets (ooi).
pub fn with_targets(model: &Model, request: &EntityRequest) -> EntityRequest {
    let mut request = request.clone();
    for link in &mut request.links {
        let named = link.attributes.iter().find(|(name, _)| *name == TARGET).and_then(|(_, value)| value.text());
        if let Some(named) = named.filter(|named| place_of(model, named).is_some())
            && place_of(model, &link.target).is_none()
        {
            link.target = named;
        }
    }
    request
}

/// Whether the link can be written now, in the transaction that writes it: nobody may have been faster.
///
/// # Errors
/// The database failed. Otherwise an answer in words when it cannot.
pub fn obstacle(connection: &mut DbConnection, link: &Entity, target: &Entity) -> Result<Option<String>, StoreError> {
    let Some(source) = link.source else { return Ok(None) };
    let (kind, id) = (target.kind.term(), target.id);
    if entity::find(connection, link.project, id)?.is_none() {
        return Ok(Some(format!("{kind} {id} has just been deleted")));
    }
    if entity::find(connection, link.project, source)?.is_none() {
        return Ok(Some(format!("compute {source} has just been deleted")));
    }
    let siblings = entity::links_from(connection, &[source])?;
    if siblings.len() >= MOST {
        return Ok(Some(format!("compute {source} has {MOST} links already")));
    }
    let others = entity::links_to(connection, id)?;
    let is_exclusive = target.kind == STORAGE || target.kind == IP_RESERVATION;
    if let Some(other) = others.iter().find(|other| is_exclusive || (other.source == Some(source) && !may_repeat(link)))
    {
        return Ok(Some(format!("{kind} {id} is linked already, by {} {}", other.kind.term(), other.id)));
    }
    Ok(None)
}

/// A machine may have several interfaces on one network.
fn may_repeat(link: &Entity) -> bool {
    link.kind == NETWORK_INTERFACE
}

fn new_id() -> EntityId {
    EntityId(Uuid::now_v7())
}

/// The entity's path.
pub fn path_of(model: &Model, entity: &Entity) -> String {
    path_to(model, &entity.kind, entity.id)
}

/// The path of the entity of this kind and id.
pub fn path_to(model: &Model, kind: &CategoryId, id: EntityId) -> String {
    let collection = model.kind(kind).and_then(|kind| kind.location.as_deref()).unwrap_or("/");
    format!("{collection}{id}")
}

/// The kind and id that a path names.
pub fn place_of(model: &Model, path: &str) -> Option<(CategoryId, EntityId)> {
    let start = path.rfind('/')? + 1;
    let (collection, id) = path.split_at_checked(start)?;
    match model.at_location(collection)? {
        occi_schema::Category::Kind(kind) => Some((kind.id.clone(), EntityId(id.parse().ok()?))),
        _ => None,
    }
}

/// The id of a new entity: what the client wishes for, if it is a path that this server could have chosen (A-19,
/// C-257).
///
/// # Errors
/// [`BrokerError::Invalid`] for any other path.
pub fn wanted_id(
    model: &Model,
    kind: &CategoryId,
    location: Option<&str>,
    base_url: &str,
) -> Result<EntityId, BrokerError> {
    let Some(location) = location else { return Ok(new_id()) };
    let path = parse::local_path(location, base_url).map_err(|error| BrokerError::Invalid(error.to_string()))?;
    match place_of(model, path) {
        Some((named, id)) if named == *kind && !id.0.is_nil() => Ok(id),
        _ => Err(BrokerError::Invalid(format!(
            "{path} cannot be the path of a {}: leave it out, or end it in a UUID below the kind's location",
            kind.term()
        ))),
    }
}
