//! What the site says of itself.

use std::collections::BTreeMap;

use backend::{
    Architecture, BackendError, Capabilities, Capability, Description, HostFacts, Limits, Particulars, SizeOffer,
};
use backend_http::quoted;
use serde::Deserialize;

use crate::{paging, service::Service, site::Site};

#[derive(Deserialize)]
struct Hypervisor {
    #[serde(default)]
    hypervisor_type: String,
    #[serde(default)]
    hypervisor_version: u64,
}

impl Site {
    pub(crate) async fn describe(&self) -> Result<Description, BackendError> {
        let token = self.cloud.session.token().await?;
        let has_volumes = self.cloud.has(Service::BlockStorage, &token);
        let sizes = self.sizes().await?;
        let largest_volume = if has_volumes { self.largest_volume().await? } else { 0 };
        let (hosts, networks, limits) =
            tokio::join!(self.hypervisors(), self.offered_networks(), self.compute_limits());
        let (hosts, networks, limits) = (hosts?, networks?, limits?);
        let has_external = self.cloud.options.external_network.is_some() || networks.iter().any(|net| net.external);
        self.has_parts(has_volumes, has_external);
        let version = self.cloud.version(Service::Compute, &token).await?;
        let spoken = version.map_or_else(String::new, |version| format!(" (compute {version})"));
        let most = |of: fn(&SizeOffer) -> u64| sizes.iter().map(of).max().unwrap_or_default();
        let disk_bytes = match self.cloud.options.boot_from_volume {
            true => largest_volume,
            false => most(|offer| offer.size.disk_bytes),
        };
        let is_full = limits.machines >= 0 && limits.machines_used >= limits.machines.unsigned_abs();
        let obstacle = match (sizes.is_empty(), is_full) {
            (true, _) => Some("OpenStack offers us no flavor; have one made that our project may use".to_owned()),
            (false, true) => Some(format!(
                "our project has all the {} machines that its quota allows; delete some or have it raised",
                limits.machines
            )),
            (false, false) => None,
        };
        let hypervisor = match hosts.as_slice() {
            [] => "unknown: only administrators see OpenStack's hypervisors".to_owned(),
            kinds => kinds.iter().map(|kind| kind.hypervisor.as_str()).collect::<Vec<_>>().join(", "),
        };
        Ok(Description {
            software: format!("OpenStack{spoken}"),
            hypervisor,
            architectures: vec![Architecture::X86_64, Architecture::X86],
            image_formats: self.cloud.options.image_formats.clone(),
            limits: Limits {
                cores: u32::try_from(most(|offer| offer.size.cores.into())).unwrap_or(u32::MAX),
                memory_mib: most(|offer| offer.size.memory_mib),
                disk_bytes,
                volume_bytes: largest_volume,
            },
            obstacle,
            capabilities: self.capabilities(has_volumes),
            sizes: sizes.to_vec(),
            particulars: Particulars { hosts, networks, ..Particulars::default() },
        })
    }

    fn capabilities(&self, has_volumes: bool) -> Capabilities {
        use Capability::{
            AddressOfChoice, Console, Hibernate, ImageByUrl, MacOfChoice, NetworkDown, NetworkReaddress, Quota,
            ReservationOfChoice, Resize, SaveDeferred, SaveHot, SshKeys, Suspend, UserData, VolumeBackup, VolumeResize,
            VolumeSnapshot,
        };
        let options = &self.cloud.options;
        let conditional = [
            (SaveHot, !options.boot_from_volume),
            (SaveDeferred, !options.boot_from_volume),
            (ImageByUrl, options.web_download),
            (VolumeResize, has_volumes),
            (VolumeSnapshot, has_volumes),
            (VolumeBackup, has_volumes && options.volume_backups),
            (ReservationOfChoice, options.reservation_of_choice),
        ];
        let always = [
            Suspend,
            Hibernate,
            Resize,
            Console,
            SshKeys,
            UserData,
            MacOfChoice,
            AddressOfChoice,
            NetworkDown,
            NetworkReaddress,
            Quota,
        ];
        let there = conditional.into_iter().filter_map(|(capability, is_there)| is_there.then_some(capability));
        always.into_iter().chain(there).collect()
    }

    /// The kinds of hypervisor hosts, where we may see them.
    async fn hypervisors(&self) -> Result<Vec<HostFacts>, BackendError> {
        let call = self.cloud.get(Service::Compute, &["os-hypervisors", "detail"], "hypervisors");
        let hypervisors: Vec<Hypervisor> = match paging::all(call, "hypervisors").await {
            Ok(hypervisors) => hypervisors,
            Err(BackendError::Refused(_) | BackendError::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut kinds: BTreeMap<(String, u64), u32> = BTreeMap::new();
        for hypervisor in hypervisors {
            *kinds.entry((quoted(&hypervisor.hypervisor_type), hypervisor.hypervisor_version)).or_default() += 1;
        }
        let facts = kinds.into_iter().map(|((hypervisor, version), count)| HostFacts {
            hypervisor,
            version: Some(dotted(version)),
            count,
            ..HostFacts::default()
        });
        Ok(facts.collect())
    }
}

/// Nova writes 10.0.2 as 10000002.
fn dotted(version: u64) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000)
}
