use super::{Document, Unreadable, id_of, number};
use crate::{names::Id, xml::Element};

/// A hypervisor host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostDocument {
    pub(crate) id: Id,
    /// Whether machines are placed on it.
    pub(crate) is_up: bool,
    pub(crate) hypervisor: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) cpu_model: Option<String>,
    pub(crate) cpu_flags: Vec<String>,
    pub(crate) architecture: Option<String>,
    /// For guests, in hundredths of a core.
    pub(crate) most_cpu: Option<u64>,
    /// For guests, in KiB.
    pub(crate) most_memory_kib: Option<u64>,
}

/// HOST/STATE of a host that takes machines (source `Host::HostState`): being monitored, or monitored.
const UP: [i32; 2] = [1, 2];

impl Document for HostDocument {
    const ELEMENT: &'static str = "HOST";

    fn read(element: &Element) -> Result<Self, Unreadable> {
        let share = element.child("HOST_SHARE");
        let template = element.child("TEMPLATE");
        let of_template = |name| template.and_then(|template| template.text_of(name)).map(backend_http::quoted);
        let flags = template.and_then(|template| template.text_of("KVM_CPU_FEATURES")).unwrap_or_default();
        let flags = flags.split(',').map(str::trim).filter(|flag| !flag.is_empty() && flag.len() <= 40);
        Ok(Self {
            id: id_of(element)?,
            is_up: UP.contains(&number(element, "STATE")?),
            hypervisor: of_template("HYPERVISOR"),
            version: of_template("VERSION"),
            cpu_model: of_template("MODELNAME"),
            cpu_flags: flags.take(1000).map(ToOwned::to_owned).collect(),
            architecture: of_template("ARCH"),
            most_cpu: share.and_then(|share| share.value_of("MAX_CPU")),
            most_memory_kib: share.and_then(|share| share.value_of("MAX_MEM")),
        })
    }
}
