//! What this node says of itself.

use backend::{
    Architecture, Capabilities, Capability, Description, Firmware, HostFacts, Particulars, Quota, QuotaEntry,
    QuotaResource,
};
use disk_image::ImageFormat;

use super::{Driver, admission, lock, means::Means};
use crate::{
    NodeError, host,
    kvm::{accelerator::Accelerator, hypervisor::Hypervisor},
};

/// What a node can. Its screens lie on sockets of its own host, which is no console for somebody with a ticket.
const CAPABILITIES: [Capability; 17] = [
    Capability::Suspend,
    Capability::Hibernate,
    Capability::SaveHot,
    Capability::SaveDeferred,
    Capability::Resize,
    Capability::SshKeys,
    Capability::UserData,
    Capability::VolumeOffline,
    Capability::VolumeResize,
    Capability::VolumeBackup,
    Capability::VolumeSnapshot,
    Capability::MacOfChoice,
    Capability::AddressOfChoice,
    Capability::VlanOfChoice,
    Capability::NetworkDown,
    Capability::NetworkReaddress,
    Capability::Quota,
];

impl Driver {
    /// What this node is and can.
    pub async fn describe(&self) -> Description {
        let means = &self.0.means;
        let found = means.hypervisor().await;
        let hypervisor = match (&found, means.choice_made()) {
            (Ok(Hypervisor { version, .. }), Some(choice)) => format!("QEMU {version} ({})", choice.accelerator.name()),
            (Ok(Hypervisor { version, .. }), None) => format!("QEMU {version} (its accelerator is being probed)"),
            (Err(_), _) => "no QEMU".to_owned(),
        };
        let version = found.as_ref().ok().map(|hypervisor| hypervisor.version.clone());
        Description {
            software: format!("tombolo node {}", env!("CARGO_PKG_VERSION")),
            hypervisor,
            architectures: vec![Architecture::X86_64, Architecture::X86],
            image_formats: vec![ImageFormat::Raw],
            limits: admission::limits(&means.options, &means.memory),
            obstacle: found.err().map(|error| error.to_string()).or_else(|| means.shortage()),
            capabilities: Capabilities::from_iter(CAPABILITIES),
            sizes: Vec::new(),
            particulars: Particulars {
                hosts: vec![host_facts(means, version)],
                firmware: vec![Firmware::Bios],
                disk_buses: vec!["virtio".into()],
                network_cards: vec!["virtio".into()],
                ..Particulars::default()
            },
        }
    }

    /// How much of this node its machines, volumes and networks have. Only memory is bounded for all together, and
    /// machines that are off have none of it.
    ///
    /// # Errors
    /// [`NodeError::Closing`].
    pub async fn quota(&self) -> Result<Quota, NodeError> {
        let sizes: Vec<_> = lock(&self.0.machines).values().map(|card| card.facts().size).collect();
        let (volumes, networks) = (self.volumes().await?, self.networks().await?);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let memory = &self.0.means.memory;
        let entry = |resource, used| QuotaEntry { resource, limit: None, used };
        Ok(Quota {
            entries: vec![
                entry(QuotaResource::Machines, count(sizes.len())),
                entry(QuotaResource::Cores, sizes.iter().map(|size| u64::from(size.cores)).sum()),
                QuotaEntry {
                    resource: QuotaResource::MemoryMib,
                    limit: Some(memory.total_mib()),
                    used: memory.given_mib(),
                },
                entry(QuotaResource::DiskBytes, sizes.iter().map(|size| size.disk_bytes).sum()),
                entry(QuotaResource::Volumes, count(volumes.len())),
                entry(QuotaResource::VolumeBytes, volumes.iter().map(|volume| volume.size_bytes).sum()),
                entry(QuotaResource::Networks, count(networks.len())),
            ],
        })
    }
}

/// Guests see the host's processor under KVM alone.
fn host_facts(means: &Means, version: Option<String>) -> HostFacts {
    let by_processor = means.choice_made().is_some_and(|choice| choice.accelerator == Accelerator::Kvm);
    let processor = if by_processor { host::processor() } else { host::Processor::default() };
    HostFacts {
        hypervisor: "QEMU".into(),
        version,
        cpu_model: processor.model,
        cpu_flags: processor.flags,
        count: 1,
        cores: Some(host::cores().into()),
        memory_mib: Some(means.memory.total_mib()),
    }
}
