use super::{Document, Unreadable, id_of, name_of};
use crate::{names::Id, xml::Element};

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UserDocument {
    pub(crate) id: Id,
    pub(crate) group: Option<Id>,
    pub(crate) name: String,
    /// What the user may use.
    pub(crate) own: QuotaFigures,
    /// What every user may use of whom nothing else is said.
    pub(crate) usual: QuotaFigures,
}

/// What a user or a group may use and uses. Limits are as the service writes them: -1 is the usual one, -2 is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct QuotaFigures {
    pub(crate) machines: Figure,
    /// In cores, and parts of one.
    pub(crate) cpu: Figure,
    /// In MiB.
    pub(crate) memory: Figure,
    /// In MiB.
    pub(crate) system_disk: Figure,
    /// Images of all datastores together.
    pub(crate) images: Figure,
    /// In MiB, of all datastores together.
    pub(crate) image_room: Figure,
    /// Addresses of all networks together.
    pub(crate) leases: Figure,
}

/// A limit and what is used of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figure {
    pub(crate) limit: Option<f64>,
    pub(crate) used: f64,
}

impl Document for UserDocument {
    const ELEMENT: &'static str = "USER";

    fn read(element: &Element) -> Result<Self, Unreadable> {
        let usual = element.child("DEFAULT_USER_QUOTAS").or_else(|| element.child("DEFAULT_GROUP_QUOTAS"));
        Ok(Self {
            id: id_of(element)?,
            group: element.value_of("GID"),
            name: name_of(element)?,
            own: QuotaFigures::of(element),
            usual: usual.map(QuotaFigures::of).unwrap_or_default(),
        })
    }
}

impl QuotaFigures {
    /// The quotas that stand in this element.
    pub(crate) fn of(element: &Element) -> Self {
        let vm = element.child("VM_QUOTA").and_then(|quota| quota.child("VM"));
        let of_vm = |name| vm.map(|vm| figure(vm, name)).unwrap_or_default();
        let together = |quota: &str, each: &'static str, name: &str| {
            let all = element.child(quota).map(|quota| quota.all(each)).into_iter().flatten();
            all.map(|one| figure(one, name)).reduce(Figure::with).unwrap_or_default()
        };
        Self {
            machines: of_vm("VMS"),
            cpu: of_vm("CPU"),
            memory: of_vm("MEMORY"),
            system_disk: of_vm("SYSTEM_DISK_SIZE"),
            images: together("DATASTORE_QUOTA", "DATASTORE", "IMAGES"),
            image_room: together("DATASTORE_QUOTA", "DATASTORE", "SIZE"),
            leases: together("NETWORK_QUOTA", "NETWORK", "LEASES"),
        }
    }
}

impl Figure {
    /// Both together; without a limit where one of them has none.
    fn with(self, other: Self) -> Self {
        let bounded = |limit: Option<f64>| limit.filter(|limit| *limit >= 0.0);
        let limit = match (bounded(self.limit), bounded(other.limit)) {
            (Some(one), Some(another)) => Some(one + another),
            _ => Some(-2.0),
        };
        Self { limit, used: self.used + other.used }
    }

    /// The limit, given the usual one: none where there is no bound.
    pub(crate) fn limit(self, usual: Self) -> Option<f64> {
        let own = self.limit.unwrap_or(-1.0);
        let limit = if own == -1.0 { usual.limit.unwrap_or(-2.0) } else { own };
        (limit >= 0.0).then_some(limit)
    }
}

fn figure(element: &Element, name: &str) -> Figure {
    let number = |name: &str| element.value_of::<f64>(name).filter(|number| number.is_finite());
    Figure { limit: number(name), used: number(&format!("{name}_USED")).unwrap_or(0.0).max(0.0) }
}
