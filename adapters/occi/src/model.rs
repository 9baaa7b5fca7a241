//! What a server's query interface tells of it.

use std::collections::BTreeMap;

use backend::{MachineSize, SizeOffer};
use disk_image::ContentDigest;
use occi_schema::{
    AttributeName, CategoryId, CategoryReference, Class, Value,
    well_known::{
        AVAILABILITY_ZONE, COMPUTE, OS_TPL, RESOURCE_TPL,
        attribute::{CORES, EPHEMERAL_STORAGE_SIZE, MEMORY},
    },
};

use crate::units;

/// The content of an appliance's image, as another Tombolo tells it.
pub(crate) const IMAGE_DIGEST: &str = "org.tombolo.image.digest";
/// The mixin by which another Tombolo takes any size of a root disk.
pub(crate) const DISK_MIXIN: (&str, &str) = ("http://schemas.tombolo.org/occi/infrastructure/compute#", "disk");
/// Its attribute, in GiB.
pub(crate) const DISK_SIZE: &str = "org.tombolo.compute.disk.size";

/// The categories of a server.
#[derive(Debug, Default)]
pub(crate) struct Categories {
    by_id: BTreeMap<String, CategoryReference>,
}

/// An operating system that a server offers.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) id: CategoryId,
    pub(crate) digest: Option<ContentDigest>,
}

impl Categories {
    pub(crate) fn new(found: Vec<CategoryReference>) -> Self {
        // Of two with one identity the first counts.
        let mut by_id = BTreeMap::new();
        for category in found {
            by_id.entry(category.id.to_string()).or_insert(category);
        }
        Self { by_id }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, id: &CategoryId) -> Option<&CategoryReference> {
        self.by_id.get(id.as_str())
    }

    pub(crate) fn has(&self, id: &CategoryId) -> bool {
        self.by_id.contains_key(id.as_str())
    }

    /// Where entities of the kind are.
    pub(crate) fn location(&self, kind: &CategoryId) -> Option<&str> {
        self.get(kind)?.location.as_deref()
    }

    /// Whether the kind, or a mixin, has the action.
    pub(crate) fn offers(&self, kind: &CategoryId, action: &CategoryId) -> bool {
        self.get(kind).is_some_and(|kind| kind.actions.contains(action))
    }

    fn templates_of(&self, base: &CategoryId) -> impl Iterator<Item = &CategoryReference> {
        self.by_id.values().filter(move |category| {
            category.class != Some(Class::Kind) && category.id != *base && category.related.contains(base)
        })
    }

    /// The operating systems.
    pub(crate) fn systems(&self) -> impl Iterator<Item = Template> {
        let digest = AttributeName::new(IMAGE_DIGEST).ok();
        self.templates_of(&OS_TPL).map(move |category| {
            let told = digest.as_ref().and_then(|name| category.default(name)).and_then(Value::as_str);
            Template { id: category.id.clone(), digest: told.and_then(|digest| digest.parse().ok()) }
        })
    }

    /// The zone of this term.
    pub(crate) fn zone(&self, term: &str) -> Option<CategoryId> {
        self.templates_of(&AVAILABILITY_ZONE).find(|zone| zone.id.term() == term).map(|zone| zone.id.clone())
    }

    /// The sizes that tell how large they are. In text there is no place for that.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (CategoryId, SizeOffer)> {
        self.templates_of(&RESOURCE_TPL).filter_map(|category| {
            let number = |name: &AttributeName| category.default(name).and_then(Value::as_float);
            let size = MachineSize {
                cores: units::cores(number(&CORES)?)?,
                memory_mib: units::mib_of_gib(number(&MEMORY)?)?,
                disk_bytes: disk_of(category).and_then(units::bytes_of_gib).unwrap_or(0),
            };
            let name = category.title.clone().unwrap_or_else(|| category.id.term().to_owned());
            let name = name.chars().take(200).collect();
            Some((category.id.clone(), SizeOffer { id: category.id.to_string(), name, size }))
        })
    }

    /// The mixin for root disks of any size, where it is known.
    pub(crate) fn disk_of_choice(&self) -> Option<(CategoryId, AttributeName)> {
        let id = CategoryId::new(DISK_MIXIN.0, DISK_MIXIN.1).ok().filter(|id| self.has(id))?;
        Some((id, AttributeName::new(DISK_SIZE).ok()?))
    }

    /// Whether machines can be made at all.
    pub(crate) fn has_machines(&self) -> bool {
        self.location(&COMPUTE).is_some()
    }
}

/// A size's disk: the standard's attribute, or ooi's.
fn disk_of(category: &CategoryReference) -> Option<f64> {
    let openstack = AttributeName::new("org.openstack.flavor.disk").ok();
    let names = [Some(&EPHEMERAL_STORAGE_SIZE), openstack.as_ref()];
    names.into_iter().flatten().find_map(|name| category.default(name).and_then(Value::as_float))
}
