//! Reserved addresses: reservations of one address from the public network, each a network of its own.

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;
use backend::{AddressId, AddressSpec, Addresses, BackendError, IntentTag, ReservedAddress};

use crate::{
    OpenNebulaBackend,
    document::NetworkDocument,
    names::{Id, Kind},
    networks::is_there,
    oned::{Allocated, allocated},
    pool::Pool,
    rpc::Call,
    site::Site,
    xml::Template,
};

fn unknown(id: &AddressId) -> BackendError {
    BackendError::NotFound(format!("reserved address {id}"))
}

fn facts(network: &NetworkDocument) -> Result<Option<ReservedAddress>, BackendError> {
    let tag = Kind::Address.tag_in(&network.name).filter(|_| is_there(network));
    let (Some(tag), Some(address)) = (tag, network.first_address) else { return Ok(None) };
    Ok(Some(ReservedAddress { id: network.id.named()?, tag, address, used: network.used_leases > 0 }))
}

impl Site {
    /// The reservation behind an address of ours.
    pub(crate) async fn address_document(&self, id: &AddressId) -> Result<NetworkDocument, BackendError> {
        let id_there = Id::of("reserved address", id.as_str())?;
        let network: NetworkDocument = self.oned.object("one.vn.info", id_there).await?;
        if facts(&network)?.is_some() { Ok(network) } else { Err(unknown(id)) }
    }

    async fn address_by_tag(&self, tag: IntentTag) -> Result<Option<NetworkDocument>, BackendError> {
        let is_it = |network: &NetworkDocument| Kind::Address.tag_in(&network.name) == Some(tag) && is_there(network);
        let found: Option<NetworkDocument> = self.oned.find(Pool::networks(self.filter()), is_it).await?;
        match found {
            // The list does not tell addresses in use of some versions.
            Some(network) => self.oned.object_if_known("one.vn.info", network.id).await,
            None => Ok(None),
        }
    }

    async fn reserve(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        self.version().await?;
        let lost = || BackendError::Failed(format!("OpenNebula reserved the address of {} and lost it", spec.tag));
        if let Some(known) = self.address_by_tag(spec.tag).await? {
            return facts(&known)?.ok_or_else(lost);
        }
        let Some(parent) = self.options.public_network else {
            return Err(BackendError::Unsupported(
                "reserve addresses; the site's options name no public network".into(),
            ));
        };
        let parent = Id::of("network", &parent.to_string())?;
        // An address of choice counts only together with its range.
        let range = match spec.wanted {
            Some(wanted) => Some(self.range_of(parent, wanted).await?),
            None => None,
        };
        let template = Template::write(|template| {
            template.set("NAME", Kind::Address.name("address", spec.tag)).set("SIZE", 1);
            template.set_some("AR_ID", range).set_some("IP", spec.wanted);
        })?;
        let call = Call::new("one.vn.reserve").with(parent).with(template);
        let network = match self.oned.change(&call).await? {
            Err(refusal) if spec.wanted.is_some() && refusal.is_about_an_address() => {
                let wanted = spec.wanted.map(|address| address.to_string()).unwrap_or_default();
                return Err(BackendError::Conflict(format!("{wanted} is not free: {}", BackendError::from(refusal))));
            }
            answer => match allocated(answer)? {
                Allocated::New(id) => self.shown("one.vn.info", id).await?,
                Allocated::NameTaken(refusal) => self.address_by_tag(spec.tag).await?.ok_or(refusal)?,
            },
        };
        let network = self.network_at_rest(network.id).await?;
        let reserved = facts(&network)?.ok_or_else(lost)?;
        if spec.wanted.is_some_and(|wanted: IpAddr| wanted != reserved.address) {
            self.remove_network(network.id).await?;
            return Err(BackendError::Conflict("OpenNebula reserved another address than the one wished for".into()));
        }
        Ok(reserved)
    }
}

impl Site {
    async fn range_of(&self, network: Id, wanted: IpAddr) -> Result<Id, BackendError> {
        let document: NetworkDocument = self.oned.object("one.vn.info", network).await?;
        let refused = || BackendError::Refused(format!("{wanted} is on no range of the public network {network}"));
        document.range_of(wanted).ok_or_else(refused)
    }
}

#[async_trait]
impl Addresses for OpenNebulaBackend {
    async fn reserve(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        let (site, spec) = (Arc::clone(&self.site), spec.clone());
        self.site.to_the_end(spec.tag, async move { site.reserve(&spec).await }).await
    }

    async fn address(&self, id: &AddressId) -> Result<ReservedAddress, BackendError> {
        facts(&self.site.address_document(id).await?)?.ok_or_else(|| unknown(id))
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<ReservedAddress>, BackendError> {
        self.site.address_by_tag(tag).await?.map_or(Ok(None), |network| facts(&network))
    }

    async fn release(&self, id: &AddressId) -> Result<(), BackendError> {
        match self.site.address_document(id).await {
            Ok(network) => self.site.remove_network(network.id).await,
            Err(BackendError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
