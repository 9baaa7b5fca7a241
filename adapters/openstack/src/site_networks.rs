//! Networks that are there already: the usual one of machines, the external one, and what is told of them.

use backend::{BackendError, OfferedNetwork};
use backend_http::quoted;

use crate::{
    neutron::{NeutronNetwork, NeutronSubnet},
    paging,
    service::Service,
    site::Site,
};

/// More are not told of.
const MOST_OFFERED: usize = 100;

impl Site {
    /// Networks that are not ours.
    pub(crate) async fn foreign_networks(&self) -> Result<Vec<NeutronNetwork>, BackendError> {
        let call = self.cloud.get(Service::Network, &["networks"], "networks");
        let mut networks: Vec<NeutronNetwork> = paging::all(call, "networks").await?;
        networks.retain(|network| network.tag().is_none());
        Ok(networks)
    }

    /// The network on which reserved addresses live.
    pub(crate) async fn external_network(&self) -> Result<String, BackendError> {
        if let Some(id) = &self.cloud.options.external_network {
            return Ok(id.clone());
        }
        let networks = self.foreign_networks().await?;
        let mut external = networks.into_iter().filter(|network| network.external);
        match (external.next(), external.next()) {
            (Some(only), None) => Ok(only.id),
            (None, _) => Err(BackendError::Unsupported("reserve addresses: it has no external network".into())),
            (Some(_), Some(_)) => Err(BackendError::Refused(
                "there are several external networks; name one as the site's `external_network`".into(),
            )),
        }
    }

    /// The network of a machine that asks for none; none at all where there is none. One of our project goes before
    /// those that everybody has.
    pub(crate) async fn usual_network(&self) -> Result<Option<String>, BackendError> {
        if let Some(id) = &self.cloud.options.network {
            return Ok(Some(id.clone()));
        }
        let mut networks = self.foreign_networks().await?;
        networks.retain(|network| !network.external && network.admin_state_up && !network.subnets.is_empty());
        for shared in [false, true] {
            let mut candidates = networks.iter().filter(|network| network.shared == shared);
            match (candidates.next(), candidates.next()) {
                (Some(only), None) => return Ok(Some(only.id.clone())),
                (None, _) => {}
                (Some(_), Some(_)) => {
                    return Err(BackendError::Refused(
                        "there are several networks for machines; name one as the site's `network`".into(),
                    ));
                }
            }
        }
        Ok(None)
    }

    pub(crate) async fn offered_networks(&self) -> Result<Vec<OfferedNetwork>, BackendError> {
        let subnets: Vec<NeutronSubnet> =
            paging::all(self.cloud.get(Service::Network, &["subnets"], "addresses of networks"), "subnets").await?;
        let range = |id: &String| subnets.iter().find(|subnet| subnet.id == *id).and_then(NeutronSubnet::range);
        let networks = self.foreign_networks().await?;
        let offered = networks.iter().filter(|network| network.admin_state_up).map(|network| OfferedNetwork {
            id: quoted(&network.id),
            name: quoted(&network.name),
            external: network.external,
            subnets: network.subnets.iter().filter_map(range).collect(),
        });
        Ok(offered.take(MOST_OFFERED).collect())
    }
}
