//! What the server is, in the contract's words.

use backend::{Architecture, BackendError, Capabilities, Capability, Description, Particulars};
use disk_image::ImageFormat;
use occi_schema::well_known::{
    BACKUP, COMPUTE, DOWN, OFFLINE, OPENSTACK_PUBLIC_KEY, OPENSTACK_USER_DATA, SNAPSHOT, SSH_KEY, STORAGE, SUSPEND,
    USER_DATA,
};

use crate::{address, network, peer::Peer, server::Server, sizes, volume};

impl Server {
    pub(crate) async fn description(&self) -> Result<Description, BackendError> {
        let peer = self.learn().await?;
        Ok(Description {
            software: peer.software.clone(),
            hypervisor: format!("whatever stands behind {}", peer.software),
            architectures: vec![Architecture::X86_64],
            // Nothing is handed over in any format: what is there is named.
            image_formats: vec![ImageFormat::Raw],
            limits: sizes::limits(&peer, &self.options, volume::are_there(&peer)),
            obstacle: self.obstacle(&peer),
            capabilities: capabilities(&peer),
            sizes: sizes::offers(&peer),
            particulars: Particulars { brokers: peer.brokers.clone(), ..Particulars::default() },
        })
    }

    /// Why no machine can be made there.
    pub(crate) fn obstacle(&self, peer: &Peer) -> Option<String> {
        let own = self.connection.broker.map(|broker| broker.to_string());
        if own.is_some_and(|own| peer.brokers.contains(&own)) {
            return Some(format!(
                "this very broker stands behind {}: a request would go in a circle; remove one of the sites that \
                 lead there",
                self.connection.name()
            ));
        }
        if peer.brokers.len() >= backend::request::Trail::MOST {
            return Some(format!("{} brokers stand behind one another there, too many", peer.brokers.len()));
        }
        if !peer.categories.has_machines() {
            return Some(format!("{} offers no machines: its query interface has no compute", self.connection.name()));
        }
        if peer.categories.systems().next().is_none() {
            return Some(format!(
                "{} offers nothing to start machines from: publish an appliance there",
                self.connection.name()
            ));
        }
        None
    }
}

/// What the server can, by what its query interface offers and what is known of its kind.
pub(crate) fn capabilities(peer: &Peer) -> Capabilities {
    let (categories, dialect) = (&peer.categories, &peer.dialect);
    let has_volumes = volume::are_there(peer);
    let has_networks = network::are_there(peer);
    let is_complete = dialect.is_complete;
    let suspends = categories.offers(&COMPUTE, &SUSPEND);
    let holds = |capability: Capability| match capability {
        Capability::Suspend => suspends,
        Capability::Hibernate => suspends && is_complete,
        Capability::Resize => dialect.sizes_of_choice && is_complete,
        Capability::SshKeys => categories.has(&SSH_KEY) || categories.has(&OPENSTACK_PUBLIC_KEY),
        Capability::UserData => categories.has(&USER_DATA) || categories.has(&OPENSTACK_USER_DATA),
        Capability::VolumeOffline => has_volumes && categories.offers(&STORAGE, &OFFLINE),
        Capability::VolumeResize => has_volumes && is_complete,
        Capability::VolumeBackup => has_volumes && dialect.repeats && categories.offers(&STORAGE, &BACKUP),
        Capability::VolumeSnapshot => has_volumes && dialect.repeats && categories.offers(&STORAGE, &SNAPSHOT),
        Capability::MacOfChoice
        | Capability::AddressOfChoice
        | Capability::VlanOfChoice
        | Capability::NetworkReaddress => has_networks && is_complete,
        Capability::NetworkDown => has_networks && categories.offers(&occi_schema::well_known::NETWORK, &DOWN),
        Capability::ReservationOfChoice => address::are_there(peer) && is_complete,
        // OCCI saves a machine at the server and hands no bytes out; it has no word for the others. What another Tombolo
        // tells of its quota still counts what it is about to remove.
        Capability::SaveHot
        | Capability::SaveDeferred
        | Capability::Snapshots
        | Capability::Console
        | Capability::ImageByUrl
        | Capability::Quota
        | Capability::Events => false,
    };
    Capability::ALL.into_iter().filter(|capability| holds(*capability)).collect()
}
