//! Which site a machine goes to, and why not to the others.

use backend::{Capability, Description, MachineSize, MachineSpec};
use serde::{Deserialize, Serialize};

use super::{BrokerError, ability};
use crate::dispatch::{Site, SiteView, Sites};

/// Seconds after which a site that is away may be back.
const RETRY_AFTER: u32 = 10;

/// What was decided, kept with the entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The chosen site.
    pub site: String,
    /// All sites that were considered, in order.
    pub candidates: Vec<Candidate>,
}

/// One site in the light of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The site.
    pub site: String,
    /// Requirement by requirement.
    pub requirements: Vec<Requirement>,
}

/// One requirement, and whether the site meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What is asked: `memory`.
    pub name: String,
    /// Whether it is met.
    pub met: bool,
    /// Whether the same request may be met later.
    pub passing: bool,
    /// What was compared, for people.
    pub reason: String,
}

impl Candidate {
    fn fits(&self) -> bool {
        self.requirements.iter().all(|requirement| requirement.met)
    }

    /// Whether only time stands between the request and this site.
    fn may_fit_later(&self) -> bool {
        self.requirements.iter().all(|requirement| requirement.met || requirement.passing)
    }

    fn obstacles(&self) -> String {
        let unmet = self.requirements.iter().filter(|requirement| !requirement.met);
        let reasons: Vec<&str> = unmet.map(|requirement| requirement.reason.as_str()).collect();
        format!("site {}: {}", self.site, reasons.join(", "))
    }
}

/// What a site is to have room for.
#[derive(Debug)]
pub enum Demand<'a> {
    /// A machine.
    Machine(&'a MachineSpec),
    /// A volume of this many bytes.
    Volume(u64),
    /// A network.
    Network,
    /// A reserved address.
    Address,
    /// A security group.
    SecurityGroup,
}

impl Demand<'_> {
    fn noun(&self) -> &'static str {
        match self {
            Self::Machine(_) => "machine",
            Self::Volume(_) => "volume",
            Self::Network => "network",
            Self::Address => "address",
            Self::SecurityGroup => "security group",
        }
    }
}

/// Where the client wants it, and what has to be possible there.
#[derive(Debug, Default)]
pub struct Place<'a> {
    /// The availability zone that it names.
    pub zone: Option<&'a str>,
    /// Sites of what it is to be linked with, and what that is.
    pub beside: Vec<(String, String)>,
    /// What the client wishes for that not every site can grant.
    pub wishes: Vec<Capability>,
}

/// Chooses the first site, in the order of names, that meets every requirement; one of them is the zone, if the request
/// names one, and another one the site of whatever it is to be linked with.
///
/// # Errors
/// [`BrokerError::Invalid`] when no site can ever meet them, [`BrokerError::Unavailable`] when one may later.
pub fn choose(sites: &Sites, demand: &Demand<'_>, place: &Place<'_>) -> Result<Placement, BrokerError> {
    let present = sites.present();
    let candidates: Vec<Candidate> = present
        .iter()
        .map(|site| {
            let mut requirements = examine(site, demand, &place.wishes);
            requirements.extend(place.zone.map(|zone| in_zone(&site.name, zone)));
            requirements.extend(place.beside.iter().map(|(other, what)| beside(&site.name, other, what)));
            Candidate { site: site.name.clone(), requirements }
        })
        .collect();
    if let Some(chosen) = candidates.iter().find(|candidate| candidate.fits()) {
        return Ok(Placement { site: chosen.site.clone(), candidates: candidates.clone() });
    }
    let obstacles: Vec<String> = candidates.iter().map(Candidate::obstacles).collect();
    let reason = format!("no site can take this {}: {}", demand.noun(), obstacles.join("; "));
    if candidates.is_empty() || candidates.iter().any(Candidate::may_fit_later) {
        Err(BrokerError::Unavailable { reason, retry_after: RETRY_AFTER })
    } else {
        Err(BrokerError::Invalid(reason))
    }
}

fn in_zone(site: &str, zone: &str) -> Requirement {
    Requirement {
        name: "availability zone".into(),
        met: site == zone,
        passing: false,
        reason: format!("availability zone {zone} asked"),
    }
}

fn beside(site: &str, other: &str, what: &str) -> Requirement {
    Requirement {
        name: "beside".into(),
        met: site == other,
        passing: false,
        reason: format!("the {what} that it is linked with is at site {other}"),
    }
}

fn examine(site: &Site, demand: &Demand<'_>, wishes: &[Capability]) -> Vec<Requirement> {
    match site.view() {
        SiteView::Unknown => vec![away("it has not been asked yet")],
        SiteView::Unreachable(reason) => vec![away(&reason)],
        SiteView::Reachable(description) => {
            let mut requirements = compare(site, &description, demand);
            requirements.extend(wishes.iter().map(|wish| able(&site.name, &description, *wish)));
            requirements
        }
    }
}

fn able(site: &str, description: &Description, wish: Capability) -> Requirement {
    let met = description.capabilities.contain(wish);
    let reason = if met { format!("it can {wish}") } else { ability::cannot(site, description, wish) };
    Requirement { name: "capability".into(), met, passing: false, reason }
}

fn away(reason: &str) -> Requirement {
    Requirement { name: "reachable".into(), met: false, passing: true, reason: reason.to_owned() }
}

fn compare(site: &Site, description: &Description, demand: &Demand<'_>) -> Vec<Requirement> {
    let backend = &site.backend;
    match demand {
        Demand::Machine(spec) => compare_machine(description, spec),
        Demand::Volume(bytes) => {
            let most = description.limits.volume_bytes;
            vec![part("volumes", backend.volumes().is_some()), bound("volume", bytes >> 20, most >> 20, " MiB")]
        }
        Demand::Network => vec![part("networks", backend.networks().is_some())],
        Demand::Address => vec![part("addresses", backend.addresses().is_some())],
        Demand::SecurityGroup => vec![part("security groups", backend.security_groups().is_some())],
    }
}

fn part(name: &str, met: bool) -> Requirement {
    let reason = if met { format!("it has {name}") } else { format!("it has no {name}") };
    Requirement { name: name.to_owned(), met, passing: false, reason }
}

fn bound(name: &str, asked: u64, most: u64, unit: &str) -> Requirement {
    Requirement {
        name: name.to_owned(),
        met: asked <= most,
        passing: false,
        reason: format!("{name} {asked}{unit} asked, at most {most}{unit}"),
    }
}

fn compare_machine(description: &Description, spec: &MachineSpec) -> Vec<Requirement> {
    let limits = description.limits;
    let mut requirements = vec![
        Requirement {
            name: "working".into(),
            met: description.obstacle.is_none(),
            passing: true,
            reason: description.obstacle.clone().unwrap_or_else(|| description.hypervisor.clone()),
        },
        Requirement {
            name: "architecture".into(),
            met: description.architectures.contains(&spec.architecture),
            passing: false,
            reason: format!("architecture {} asked", spec.architecture),
        },
        bound("cores", spec.cores.into(), limits.cores.into(), ""),
        bound("memory", spec.memory_mib, limits.memory_mib, " MiB"),
        bound("disk", spec.disk_bytes >> 20, limits.disk_bytes >> 20, " MiB"),
    ];
    if !description.sizes.is_empty() {
        requirements.push(offered(description, size_of(spec)));
    }
    requirements
}

/// How large the machine is to be.
pub fn size_of(spec: &MachineSpec) -> MachineSize {
    MachineSize { cores: spec.cores, memory_mib: spec.memory_mib, disk_bytes: spec.disk_bytes }
}

fn offered(description: &Description, wanted: MachineSize) -> Requirement {
    let offer = description.offer_for(wanted);
    let asked = format!("{} cores, {} MiB, {} MiB of disk", wanted.cores, wanted.memory_mib, wanted.disk_bytes >> 20);
    let reason = match offer {
        Some(offer) => format!("size {} holds {asked}", offer.name),
        None => format!("none of its {} sizes holds {asked}", description.sizes.len()),
    };
    Requirement { name: "size".into(), met: offer.is_some(), passing: false, reason }
}

/// The size that a machine of the wanted size gets where there are only some: at least as large, in everything.
pub fn granted(description: &Description, wanted: MachineSize) -> MachineSize {
    description.offer_for(wanted).map_or(wanted, |offer| MachineSize {
        // An offer without a disk of its own takes any.
        disk_bytes: offer.size.disk_bytes.max(wanted.disk_bytes),
        ..offer.size
    })
}

/// As [`granted`], at the site where the machine is.
///
/// # Errors
/// [`BrokerError::Invalid`]: the site has no size that holds it.
pub fn granted_at(site: &str, description: &Description, wanted: MachineSize) -> Result<MachineSize, BrokerError> {
    if !description.sizes.is_empty() && description.offer_for(wanted).is_none() {
        return Err(BrokerError::Invalid(format!("site {site}: {}", offered(description, wanted).reason)));
    }
    Ok(granted(description, wanted))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use backend::{
        Architecture, BackendError, IntentTag,
        simulator::{Behaviour, Fault, Operation, Simulator},
    };
    use disk_image::ContentDigest;
    use uuid::Uuid;

    use super::*;

    fn spec(memory_mib: u64) -> MachineSpec {
        MachineSpec {
            tag: IntentTag(Uuid::now_v7()),
            name: String::new(),
            hostname: None,
            cores: 1,
            memory_mib,
            disk_bytes: 1 << 20,
            architecture: Architecture::X86_64,
            image: ContentDigest::from_bytes([0; 32]),
            ssh_keys: Vec::new(),
            user_data: None,
            joins: backend::MachineJoins::default(),
        }
    }

    fn simulator(memory_mib: u64) -> Simulator {
        let mut behaviour = Behaviour::default();
        behaviour.description.limits.memory_mib = memory_mib;
        Simulator::new(behaviour)
    }

    fn zone(zone: &str) -> Place<'_> {
        Place { zone: Some(zone), ..Place::default() }
    }

    async fn sites(given: Vec<(&str, Simulator)>) -> Sites {
        let sites = Sites::new(given.into_iter().map(|(name, backend)| Site::new(name, Arc::new(backend))));
        for site in sites.present().iter() {
            site.look().await;
        }
        sites
    }

    #[tokio::test]
    async fn the_first_site_that_fits_is_chosen_and_the_others_explained() {
        let sites = sites(vec![("a", simulator(512)), ("b", simulator(4096))]).await;
        let placement = choose(&sites, &Demand::Machine(&spec(1024)), &Place::default()).unwrap();
        assert_eq!(placement.site, "b");
        assert!(placement.candidates[0].obstacles().contains("memory 1024 MiB asked, at most 512 MiB"));
    }

    #[tokio::test]
    async fn too_much_for_all_is_the_clients_error() {
        let sites = sites(vec![("a", simulator(512)), ("b", simulator(512))]).await;
        let error = choose(&sites, &Demand::Machine(&spec(1024)), &Place::default()).unwrap_err();
        assert!(matches!(error, BrokerError::Invalid(_)), "{error}");
        assert!(error.to_string().contains("site a") && error.to_string().contains("site b"), "{error}");
    }

    #[tokio::test]
    async fn a_silent_site_may_come_back() {
        let silent = simulator(4096);
        silent.inject(Operation::Describe, Fault::Before(BackendError::Unreachable("no answer".into())), 1);
        let sites = sites(vec![("a", simulator(512)), ("b", silent)]).await;
        let error = choose(&sites, &Demand::Machine(&spec(1024)), &Place::default()).unwrap_err();
        assert!(matches!(error, BrokerError::Unavailable { retry_after: 10, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_named_zone_is_the_only_place() {
        let sites = sites(vec![("a", simulator(4096)), ("b", simulator(4096))]).await;
        assert_eq!(choose(&sites, &Demand::Machine(&spec(64)), &Place::default()).unwrap().site, "a");
        assert_eq!(choose(&sites, &Demand::Machine(&spec(64)), &zone("b")).unwrap().site, "b");
        let error = choose(&sites, &Demand::Machine(&spec(8192)), &zone("b")).unwrap_err();
        assert!(error.to_string().contains("site a: memory"), "{error}");
        assert!(matches!(choose(&sites, &Demand::Machine(&spec(64)), &zone("c")), Err(BrokerError::Invalid(_))));
    }

    #[tokio::test]
    async fn an_obstacle_is_told() {
        let mut behaviour = Behaviour::default();
        behaviour.description.obstacle = Some("QEMU is not installed".into());
        let sites = sites(vec![("a", Simulator::new(behaviour))]).await;
        assert!(
            choose(&sites, &Demand::Machine(&spec(64)), &Place::default())
                .unwrap_err()
                .to_string()
                .contains("QEMU is not installed")
        );
    }

    #[tokio::test]
    async fn what_is_linked_is_at_one_site() {
        let sites = sites(vec![("a", simulator(4096)), ("b", simulator(4096))]).await;
        let beside = |sites: &[&str]| Place {
            beside: sites.iter().map(|site| ((*site).to_owned(), "network".to_owned())).collect(),
            ..Place::default()
        };
        assert_eq!(choose(&sites, &Demand::Machine(&spec(64)), &beside(&["b"])).unwrap().site, "b");
        let error = choose(&sites, &Demand::Machine(&spec(64)), &beside(&["a", "b"])).unwrap_err();
        assert!(error.to_string().contains("the network that it is linked with is at site b"), "{error}");
    }

    #[tokio::test]
    async fn a_wish_is_granted_where_it_can_be() {
        let mut limited = Behaviour::default();
        let capabilities = limited.description.capabilities.clone();
        limited.description.capabilities = capabilities.without(&[Capability::VlanOfChoice]);
        let sites = sites(vec![("a", Simulator::new(limited)), ("b", simulator(64))]).await;
        let wishing = |zone| Place { zone, wishes: vec![Capability::VlanOfChoice], ..Place::default() };
        let placement = choose(&sites, &Demand::Network, &wishing(None)).unwrap();
        let reason = "site a (simulator) cannot give a network a VLAN of choice";
        assert_eq!(placement.site, "b");
        assert!(placement.candidates[0].requirements.iter().any(|requirement| requirement.reason == reason));
        let error = choose(&sites, &Demand::Network, &wishing(Some("a"))).unwrap_err();
        assert!(matches!(&error, BrokerError::Invalid(words) if words.contains(reason)), "{error}");
        assert_eq!(choose(&sites, &Demand::Network, &Place::default()).unwrap().site, "a");
    }

    #[tokio::test]
    async fn where_sizes_are_fixed_one_has_to_hold_the_machine() {
        let offer = |name: &str, cores, memory_mib, disk_bytes| backend::SizeOffer {
            id: name.to_owned(),
            name: name.to_owned(),
            size: MachineSize { cores, memory_mib, disk_bytes },
        };
        let mut fixed = Behaviour::default();
        fixed.description.sizes = vec![offer("large", 4, 4096, 1 << 34), offer("small", 1, 512, 0)];
        let description = fixed.description.clone();
        let sites = sites(vec![("a", Simulator::new(fixed)), ("b", simulator(1 << 20))]).await;
        let chosen = |memory| choose(&sites, &Demand::Machine(&spec(memory)), &Place::default()).unwrap();
        assert_eq!((chosen(512).site, chosen(600).site, chosen(5000).site), ("a".into(), "a".into(), "b".into()));
        let words = chosen(5000).candidates[0].obstacles();
        assert!(words.contains("none of its 2 sizes holds 1 cores, 5000 MiB"), "{words}");
        assert_eq!(
            granted(&description, size_of(&spec(600))),
            MachineSize { cores: 4, memory_mib: 4096, disk_bytes: 1 << 34 }
        );
        let small = granted(&description, size_of(&spec(64)));
        assert_eq!((small.memory_mib, small.disk_bytes), (512, 1 << 20), "the disk is as large as it is wanted");
    }

    #[tokio::test]
    async fn volumes_go_where_there_is_room_for_them() {
        let mut small = Behaviour::default();
        small.description.limits.volume_bytes = 1 << 20;
        let sites = sites(vec![("a", Simulator::new(small)), ("b", simulator(64))]).await;
        assert_eq!(choose(&sites, &Demand::Volume(1 << 20), &Place::default()).unwrap().site, "a");
        assert_eq!(choose(&sites, &Demand::Volume(1 << 30), &Place::default()).unwrap().site, "b");
        assert!(choose(&sites, &Demand::Volume(1 << 50), &Place::default()).is_err());
    }
}
