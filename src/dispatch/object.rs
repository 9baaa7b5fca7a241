//! Volumes, networks, addresses and security groups at a site, seen alike: made, looked at, removed.

use std::collections::BTreeMap;

use backend::{
    AddressId, Addresses, Backend, BackendError, InvalidName, Network, NetworkId, NetworkState, Networks,
    ReservedAddress, SecurityGroup, SecurityGroupId, SecurityGroups, Volume, VolumeId, VolumeState, Volumes,
};
use occi_schema::{
    AttributeName, Value,
    well_known::attribute::{RESERVED_ADDRESS, RESERVED_ADDRESS_USED},
};

use super::order::Order;

/// How far a thing at a site has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Something is being done with it.
    UnderWay,
    /// It can be used.
    Ready,
    /// It cannot, and will not by itself.
    Failed(String),
}

/// A thing at a site.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The backend's name for it.
    pub backend_id: String,
    /// How far it has come.
    pub standing: Standing,
    /// What its owner learns from it.
    pub attributes: BTreeMap<AttributeName, Value>,
}

/// Asks for the thing.
pub async fn create(backend: &dyn Backend, order: &Order) -> Result<Object, BackendError> {
    Ok(match order {
        Order::Volume(spec) => volumes(backend)?.create(spec).await?.into(),
        Order::Network(spec) => networks(backend)?.create(spec).await?.into(),
        Order::Address(spec) => addresses(backend)?.reserve(spec).await?.into(),
        Order::SecurityGroup(spec) => security_groups(backend)?.create(spec).await?.into(),
        Order::Machine(_) | Order::Link(_) => return Err(no_object(order)),
    })
}

/// The thing that carries the order's tag.
pub async fn find(backend: &dyn Backend, order: &Order) -> Result<Option<Object>, BackendError> {
    let tag = order.tag();
    Ok(match order {
        Order::Volume(_) => volumes(backend)?.find_by_tag(tag).await?.map(Object::from),
        Order::Network(_) => networks(backend)?.find_by_tag(tag).await?.map(Object::from),
        Order::Address(_) => addresses(backend)?.find_by_tag(tag).await?.map(Object::from),
        Order::SecurityGroup(_) => security_groups(backend)?.find_by_tag(tag).await?.map(Object::from),
        Order::Machine(_) | Order::Link(_) => return Err(no_object(order)),
    })
}

/// The thing of this name.
pub async fn look(backend: &dyn Backend, order: &Order, id: &str) -> Result<Object, BackendError> {
    Ok(match order {
        Order::Volume(_) => volumes(backend)?.volume(&name::<VolumeId>(id)?).await?.into(),
        Order::Network(_) => networks(backend)?.network(&name::<NetworkId>(id)?).await?.into(),
        Order::Address(_) => addresses(backend)?.address(&name::<AddressId>(id)?).await?.into(),
        Order::SecurityGroup(_) => security_groups(backend)?.group(&name::<SecurityGroupId>(id)?).await?.into(),
        Order::Machine(_) | Order::Link(_) => return Err(no_object(order)),
    })
}

/// Puts a new thing into the state that the standard begins with, whatever the backend begins with (GFD.224 sections
/// 3.2 and 3.3): networks inactive, volumes offline. Most clouds know no such states: there they are the broker's word,
/// until the owner asks for the other one.
pub async fn bring_to_rest(backend: &dyn Backend, order: &Order, id: &str) -> Result<(), BackendError> {
    let brought = match order {
        Order::Volume(_) => volumes(backend)?.set_online(&name(id)?, false).await,
        Order::Network(_) => networks(backend)?.set_up(&name(id)?, false).await,
        Order::Address(_) | Order::SecurityGroup(_) => Ok(()),
        Order::Machine(_) | Order::Link(_) => Err(no_object(order)),
    };
    match brought {
        Err(BackendError::Unsupported(_)) => Ok(()),
        brought => brought,
    }
}

/// Removes the thing of this name; one that is not there is removed.
pub async fn delete(backend: &dyn Backend, order: &Order, id: &str) -> Result<(), BackendError> {
    match order {
        Order::Volume(_) => volumes(backend)?.delete(&name(id)?).await,
        Order::Network(_) => networks(backend)?.delete(&name(id)?).await,
        Order::Address(_) => addresses(backend)?.release(&name(id)?).await,
        Order::SecurityGroup(_) => security_groups(backend)?.delete(&name(id)?).await,
        Order::Machine(_) | Order::Link(_) => Err(no_object(order)),
    }
}

/// The backend's volumes.
pub fn volumes(backend: &dyn Backend) -> Result<&dyn Volumes, BackendError> {
    backend.volumes().ok_or_else(|| BackendError::Unsupported("keep volumes".into()))
}

/// The backend's networks.
pub fn networks(backend: &dyn Backend) -> Result<&dyn Networks, BackendError> {
    backend.networks().ok_or_else(|| BackendError::Unsupported("keep networks".into()))
}

/// The backend's addresses.
pub fn addresses(backend: &dyn Backend) -> Result<&dyn Addresses, BackendError> {
    backend.addresses().ok_or_else(|| BackendError::Unsupported("reserve addresses".into()))
}

/// The backend's security groups.
pub fn security_groups(backend: &dyn Backend) -> Result<&dyn SecurityGroups, BackendError> {
    backend.security_groups().ok_or_else(|| BackendError::Unsupported("keep security groups".into()))
}

/// A remembered name; the backend itself has said it.
pub fn name<T: std::str::FromStr<Err = InvalidName>>(id: &str) -> Result<T, BackendError> {
    id.parse().map_err(|error: InvalidName| BackendError::Failed(format!("{id:?} is no name: {error}")))
}

fn no_object(order: &Order) -> BackendError {
    BackendError::Unsupported(format!("keep a {} by itself", order.noun()))
}

impl Object {
    fn new(backend_id: impl Into<String>, standing: Standing) -> Self {
        Self { backend_id: backend_id.into(), standing, attributes: BTreeMap::new() }
    }
}

fn failed(detail: Option<String>) -> Standing {
    Standing::Failed(detail.unwrap_or_else(|| "the backend does not say why".into()))
}

impl From<Volume> for Object {
    fn from(volume: Volume) -> Self {
        let standing = match volume.state {
            VolumeState::Building | VolumeState::Busy => Standing::UnderWay,
            VolumeState::Online | VolumeState::Offline => Standing::Ready,
            VolumeState::Failed => failed(volume.detail),
        };
        Self::new(volume.id, standing)
    }
}

impl From<Network> for Object {
    fn from(network: Network) -> Self {
        let standing = match network.state {
            NetworkState::Building => Standing::UnderWay,
            NetworkState::Up | NetworkState::Down => Standing::Ready,
            NetworkState::Failed => failed(network.detail),
        };
        Self::new(network.id, standing)
    }
}

impl From<ReservedAddress> for Object {
    fn from(reserved: ReservedAddress) -> Self {
        let mut object = Self::new(reserved.id, Standing::Ready);
        object.attributes.insert(RESERVED_ADDRESS.clone(), Value::from(reserved.address.to_string().as_str()));
        object.attributes.insert(RESERVED_ADDRESS_USED.clone(), Value::Boolean(reserved.used));
        object
    }
}

impl From<SecurityGroup> for Object {
    fn from(group: SecurityGroup) -> Self {
        Self::new(group.id, Standing::Ready)
    }
}
