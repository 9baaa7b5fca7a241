//! Reserved addresses: the kind `ipreservation` that rOCCI and ooi have brought.

use async_trait::async_trait;
use backend::{AddressId, AddressSpec, Addresses, BackendError, Capability, IntentTag, ReservedAddress};
use occi_schema::{
    Value,
    well_known::{
        IP_RESERVATION, NETWORK_INTERFACE,
        attribute::{RESERVED_ADDRESS, RESERVED_ADDRESS_USED},
    },
};

use crate::{
    OcciBackend,
    compute::ours,
    peer::Peer,
    reading::Entity,
    server::{Server, failure, tag_of},
};

fn address(_peer: &Peer, entity: &Entity) -> Result<Option<ReservedAddress>, String> {
    let Some((_, tag)) = tag_of(entity) else { return Ok(None) };
    let id = entity.id.parse::<AddressId>().map_err(|error| error.to_string())?;
    let address = entity.text(&RESERVED_ADDRESS).and_then(|text| text.split('/').next()?.trim().parse().ok());
    let address = address.ok_or("a reservation without an address")?;
    // Some servers write truth with a capital.
    let used = entity.text(&RESERVED_ADDRESS_USED).is_some_and(|used| used.eq_ignore_ascii_case("true"));
    Ok(Some(ReservedAddress { id, tag, address, used }))
}

impl Server {
    async fn address_of(&self, id: &str) -> Result<ReservedAddress, BackendError> {
        let entity = self.get(&IP_RESERVATION, id).await?;
        let found = ours(address(&*self.peer().await?, &entity), "address", id)?;
        // What says whether it is used may lag behind the links that it has.
        if !self.peer().await?.dialect.filters {
            return Ok(found);
        }
        let target = self.path(&IP_RESERVATION, id).await?;
        let used = !self.links_to(&NETWORK_INTERFACE, &target).await?.is_empty();
        Ok(ReservedAddress { used, ..found })
    }

    async fn reserve_address(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        let entity = match self.find(&IP_RESERVATION, spec.tag).await? {
            Some(entity) => entity,
            None => {
                let peer = self.peer().await?;
                let mut mixins = Vec::new();
                self.place(&peer, &mut mixins)?;
                let mut attributes = Self::mark(&peer, "", spec.tag);
                attributes.retain(|_, value| value.as_str() != Some(""));
                if let Some(wanted) = spec.wanted {
                    if !peer.dialect.is_complete {
                        return Err(Capability::ReservationOfChoice.missing());
                    }
                    attributes.insert(RESERVED_ADDRESS.clone(), Value::from(wanted.to_string()));
                }
                self.make(&IP_RESERVATION, spec.tag, &mixins, &attributes, &[]).await?
            }
        };
        let (_, standing) = self.settled(&IP_RESERVATION, &entity.id).await?;
        if standing.state == "error" {
            self.remove(&IP_RESERVATION, &entity.id).await?;
            return Err(failure(&standing));
        }
        self.address_of(&entity.id).await
    }
}

#[async_trait]
impl Addresses for OcciBackend {
    async fn reserve(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        self.server.reserve_address(spec).await
    }

    async fn address(&self, id: &AddressId) -> Result<ReservedAddress, BackendError> {
        self.server.address_of(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<ReservedAddress>, BackendError> {
        match self.server.find(&IP_RESERVATION, tag).await? {
            Some(entity) => self.server.address_of(&entity.id).await.map(Some),
            None => Ok(None),
        }
    }

    async fn release(&self, id: &AddressId) -> Result<(), BackendError> {
        self.server.must_be_free(&IP_RESERVATION, id.as_str(), &NETWORK_INTERFACE).await?;
        self.server.remove(&IP_RESERVATION, id.as_str()).await
    }
}

/// Whether the server reserves addresses that can be given to machines.
pub(crate) fn are_there(peer: &Peer) -> bool {
    crate::network::are_there(peer) && peer.categories.location(&IP_RESERVATION).is_some()
}
