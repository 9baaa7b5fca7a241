//! What the site says of itself.

use backend::{
    Architecture, BackendError, Capabilities, Capability, Description, Firmware, HostFacts, OfferedNetwork,
    Particulars, Price, Priced,
};

use crate::{
    NewNetworks,
    document::{HostDocument, NetworkDocument},
    names::Id,
    site::Site,
};

impl Site {
    pub(crate) async fn describe(&self) -> Result<Description, BackendError> {
        let version = self.version().await?;
        let hosts = self.hosts().await?;
        Ok(Description {
            software: format!("OpenNebula {version}"),
            hypervisor: hypervisor(&hosts),
            architectures: vec![Architecture::X86_64, Architecture::X86],
            image_formats: self.options.image_formats.clone(),
            limits: self.limits().await?,
            obstacle: obstacle(&hosts),
            capabilities: self.capabilities(),
            sizes: Vec::new(),
            particulars: self.particulars(&hosts).await,
        })
    }

    /// What the service can, and what it could only with more options than there are.
    pub(crate) fn capabilities(&self) -> Capabilities {
        use Capability::{
            AddressOfChoice, Hibernate, ImageByUrl, Quota, ReservationOfChoice, Resize, SaveDeferred, SaveHot,
            Snapshots, SshKeys, UserData, VlanOfChoice, VolumeBackup, VolumeOffline, VolumeSnapshot,
        };
        let always = [
            Hibernate,
            Resize,
            Snapshots,
            SshKeys,
            UserData,
            ImageByUrl,
            VolumeOffline,
            VolumeBackup,
            VolumeSnapshot,
            AddressOfChoice,
        ];
        let mut capabilities = Vec::from(always);
        if self.has_quota() {
            capabilities.push(Quota);
        }
        if self.saves() {
            capabilities.extend([SaveHot, SaveDeferred]);
        }
        if self.options.public_network.is_some() {
            capabilities.push(ReservationOfChoice);
        }
        if matches!(self.options.networks, Some(NewNetworks::Created { .. })) {
            capabilities.push(VlanOfChoice);
        }
        capabilities.into_iter().collect()
    }

    async fn particulars(&self, hosts: &[HostDocument]) -> Particulars {
        Particulars {
            hosts: kinds(hosts),
            firmware: vec![Firmware::Bios],
            disk_buses: vec![self.disk_bus().to_owned()],
            network_cards: vec!["virtio".into()],
            networks: self.offered_networks().await,
            prices: self.prices(),
            brokers: Vec::new(),
        }
    }

    fn disk_bus(&self) -> &str {
        match self.options.disk_prefix.as_str() {
            "vd" => "virtio",
            "sd" => "scsi",
            "hd" => "ide",
            other => other,
        }
    }

    /// Those that the options name. One that cannot be looked at now is left out.
    async fn offered_networks(&self) -> Vec<OfferedNetwork> {
        let (usual, public) = (self.options.default_network, self.options.public_network);
        let mut offered = Vec::new();
        for id in usual.into_iter().chain(public.filter(|public| Some(*public) != usual)) {
            let Ok(there) = Id::of("network", &id.to_string()) else { continue };
            let Ok(network) = self.oned.object::<NetworkDocument>("one.vn.info", there).await else { continue };
            offered.push(OfferedNetwork {
                id: id.to_string(),
                name: network.name,
                external: Some(id) == public,
                subnets: network.subnet.into_iter().collect(),
            });
        }
        offered
    }

    fn prices(&self) -> Vec<Price> {
        let options = &self.options;
        let currency = options.currency.clone().unwrap_or_else(|| "credit".into());
        [
            (Priced::Core, options.cpu_cost),
            (Priced::MemoryGib, options.memory_cost),
            (Priced::DiskGib, options.disk_cost),
        ]
        .into_iter()
        .filter_map(|(of, cost)| {
            let cost = cost.filter(|cost| cost.is_finite() && *cost >= 0.0)?;
            let millionths_per_hour = (cost * 1e6).round() as u64;
            Some(Price { of, millionths_per_hour, currency: currency.clone() })
        })
        .collect()
    }
}

fn hypervisor(hosts: &[HostDocument]) -> String {
    let mut names: Vec<&str> = hosts.iter().filter_map(|host| host.hypervisor.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "not told to our user".to_owned() } else { names.join(", ") }
}

/// Where hosts are seen, and none of them takes machines.
fn obstacle(hosts: &[HostDocument]) -> Option<String> {
    let down = !hosts.is_empty() && hosts.iter().all(|host| !host.is_up);
    down.then(|| "no host of this OpenNebula takes machines; its administrator has to enable one".to_owned())
}

/// Hosts that are alike, counted.
fn kinds(hosts: &[HostDocument]) -> Vec<HostFacts> {
    let mut kinds: Vec<HostFacts> = Vec::new();
    for host in hosts.iter().filter(|host| host.is_up) {
        let facts = HostFacts {
            hypervisor: host.hypervisor.clone().unwrap_or_else(|| "unknown".into()),
            version: host.version.clone(),
            cpu_model: host.cpu_model.clone(),
            cpu_flags: host.cpu_flags.clone(),
            count: 1,
            cores: host.most_cpu.map(|cpu| cpu / 100),
            memory_mib: host.most_memory_kib.map(|kib| kib / 1024),
        };
        let alike = |other: &&mut HostFacts| {
            (&other.hypervisor, &other.version, &other.cpu_model, &other.cpu_flags)
                == (&facts.hypervisor, &facts.version, &facts.cpu_model, &facts.cpu_flags)
        };
        let sum = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other?));
        match kinds.iter_mut().find(alike) {
            Some(kind) => {
                kind.count += 1;
                kind.cores = sum(kind.cores, facts.cores);
                kind.memory_mib = sum(kind.memory_mib, facts.memory_mib);
            }
            None => kinds.push(facts),
        }
    }
    kinds
}
