use backend::{MachineSize, SizeOffer};
use serde::Deserialize;

const GIB: u64 = 1 << 30;

/// A size that Nova offers.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Flavor {
    pub(crate) id: String,
    pub(crate) name: String,
    vcpus: u32,
    ram: u64,
    /// In GiB; 0 for a disk as large as its image.
    disk: u64,
    #[serde(rename = "OS-FLV-DISABLED:disabled", default)]
    disabled: bool,
}

impl Flavor {
    fn size(&self) -> MachineSize {
        MachineSize { cores: self.vcpus, memory_mib: self.ram, disk_bytes: self.disk.saturating_mul(GIB) }
    }

    fn is_plausible(&self) -> bool {
        let id_is_short = (1..=255).contains(&self.id.len());
        id_is_short && self.name.len() <= 1024 && self.vcpus >= 1 && self.ram >= 1 && self.disk < 1 << 30
    }
}

/// What of it a machine can get. Where root disks are volumes, each size takes any disk. Where they are not, flavors
/// without a disk are left out: Nova lets only administrators start machines of them (since Stein).
pub(crate) fn offers(flavors: &[Flavor], boot_from_volume: bool) -> Vec<SizeOffer> {
    let usable = flavors.iter().filter(|flavor| !flavor.disabled && flavor.is_plausible());
    let offers = usable.map(|flavor| {
        let size = flavor.size();
        let size = if boot_from_volume { MachineSize { disk_bytes: 0, ..size } } else { size };
        SizeOffer { id: flavor.id.clone(), name: backend_http::quoted(&flavor.name), size }
    });
    let mut offers: Vec<_> = offers.filter(|offer| boot_from_volume || offer.size.disk_bytes > 0).collect();
    offers.sort_by_key(|offer| (offer.size.memory_mib, offer.size.cores, offer.size.disk_bytes));
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flavors() -> Vec<Flavor> {
        serde_json::from_value(serde_json::json!([
            { "id": "large", "name": "m.large", "ram": 4096, "disk": 40, "vcpus": 4 },
            { "id": "tiny", "name": "m.tiny", "ram": 512, "disk": 1, "vcpus": 1, "OS-FLV-DISABLED:disabled": false },
            { "id": "off", "name": "off", "ram": 1, "disk": 1, "vcpus": 1, "OS-FLV-DISABLED:disabled": true },
            { "id": "no-disk", "name": "no disk", "ram": 512, "disk": 0, "vcpus": 1 },
        ]))
        .unwrap()
    }

    #[test]
    fn flavors_without_disk_need_volumes() {
        let ids = |boot| offers(&flavors(), boot).into_iter().map(|offer| offer.id).collect::<Vec<_>>();
        assert_eq!(ids(false), ["tiny", "large"]);
        assert_eq!(ids(true), ["tiny", "no-disk", "large"]);
        assert!(offers(&flavors(), true).iter().all(|offer| offer.size.disk_bytes == 0));
    }
}
