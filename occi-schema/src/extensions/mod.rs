//! The standard's extensions, declared as data: one file each, embedded and read once.

mod versions;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::attribute::{AttributeDefinition, AttributeName, Change, Presence, ValueType};
use crate::category::{Action, Kind, Mixin, StateMachine};
use crate::identifier::CategoryId;
use crate::pattern::Pattern;
use crate::value::Value;
use crate::version::OcciVersion;

/// A set of categories that a server offers as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    /// Entity, resource and link (GFD.221); every model has it.
    Core,
    /// Compute, network, storage, their links and templates (GFD.224, with what GFD.184 had and A-26 keeps).
    Infrastructure,
    /// SSH key and user data, in the standard's form and in OpenStack's.
    Contextualization,
    /// The standard sizes (GFD.222).
    ResourceTemplates,
    /// Availability zones and regions.
    Placement,
    /// Reserved addresses and pools of them.
    Addresses,
    /// Security groups and their links.
    SecurityGroups,
    /// Applications and components (GFD.227).
    Platform,
    /// Agreements (GFD.228). Off by default: older clients cannot read its attribute names.
    Sla,
    /// Sensors and collectors (draft of 2015).
    Monitoring,
    /// Mixins of the EGI Federated Cloud.
    Egi,
    /// Mixins of OpenNebula's servers.
    OpenNebula,
    /// Mixins of OpenStack's servers.
    OpenStack,
}

impl Extension {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Core,
        Self::Infrastructure,
        Self::Contextualization,
        Self::ResourceTemplates,
        Self::Placement,
        Self::Addresses,
        Self::SecurityGroups,
        Self::Platform,
        Self::Sla,
        Self::Monitoring,
        Self::Egi,
        Self::OpenNebula,
        Self::OpenStack,
    ];
    /// The ones of [`crate::Model::standard`].
    pub const STANDARD: &'static [Self] =
        &[Self::Core, Self::Infrastructure, Self::Contextualization, Self::ResourceTemplates];

    fn text(self) -> &'static str {
        match self {
            Self::Core => include_str!("core.json"),
            Self::Infrastructure => include_str!("infrastructure.json"),
            Self::Contextualization => include_str!("contextualization.json"),
            Self::ResourceTemplates => include_str!("resource-templates.json"),
            Self::Placement => include_str!("placement.json"),
            Self::Addresses => include_str!("addresses.json"),
            Self::SecurityGroups => include_str!("security-groups.json"),
            Self::Platform => include_str!("platform.json"),
            Self::Sla => include_str!("sla.json"),
            Self::Monitoring => include_str!("monitoring.json"),
            Self::Egi => include_str!("egi.json"),
            Self::OpenNebula => include_str!("opennebula.json"),
            Self::OpenStack => include_str!("openstack.json"),
        }
    }

    /// Reads the extension's file.
    pub(crate) fn load(self) -> Result<Declarations, serde_json::Error> {
        serde_json::from_str(self.text())
    }
}

/// The content of an extension's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declarations {
    #[serde(rename = "extension")]
    _name: String,
    #[serde(rename = "documents")]
    _documents: Vec<String>,
    #[serde(default)]
    pub kinds: Vec<KindEntry>,
    #[serde(default)]
    pub mixins: Vec<MixinEntry>,
    #[serde(default)]
    pub actions: Vec<ActionEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KindEntry {
    id: CategoryId,
    title: String,
    parent: Option<CategoryId>,
    #[serde(default = "yes")]
    instantiable: bool,
    location: String,
    #[serde(default)]
    sources: Vec<CategoryId>,
    #[serde(default)]
    targets: Vec<CategoryId>,
    #[serde(default)]
    attributes: Vec<AttributeEntry>,
    #[serde(default)]
    actions: Vec<CategoryId>,
    states: Option<StateMachine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MixinEntry {
    id: CategoryId,
    title: String,
    location: String,
    #[serde(default)]
    depends: Vec<CategoryId>,
    #[serde(default)]
    applies: Vec<CategoryId>,
    #[serde(default)]
    attributes: Vec<AttributeEntry>,
    #[serde(default)]
    actions: Vec<CategoryId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionEntry {
    id: CategoryId,
    title: String,
    #[serde(default)]
    attributes: Vec<AttributeEntry>,
    /// For readers of the file.
    #[serde(rename = "since")]
    _since: Option<OcciVersion>,
    until: Option<OcciVersion>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TypeEntry {
    String,
    Integer,
    Float,
    Boolean,
    Enum,
    Uri,
    List,
    Map,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeEntry {
    name: AttributeName,
    #[serde(rename = "type")]
    value_type: TypeEntry,
    #[serde(default)]
    values: Vec<String>,
    /// Further values that only OCCI 1.1 has.
    #[serde(default, rename = "values-until-1.1")]
    older_values: Vec<String>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    pattern: Option<Pattern>,
    #[serde(default)]
    change: Change,
    #[serde(default)]
    presence: Presence,
    default: Option<Value>,
    unit: Option<String>,
    since: Option<OcciVersion>,
    until: Option<OcciVersion>,
    description: Option<String>,
}

fn yes() -> bool {
    true
}

impl From<KindEntry> for Kind {
    fn from(entry: KindEntry) -> Self {
        Self {
            id: entry.id,
            title: Some(entry.title),
            parent: entry.parent,
            attributes: definitions(entry.attributes),
            actions: entry.actions,
            location: Some(entry.location),
            instantiable: entry.instantiable,
            sources: entry.sources,
            targets: entry.targets,
            states: entry.states,
        }
    }
}

impl From<MixinEntry> for Mixin {
    fn from(entry: MixinEntry) -> Self {
        Self {
            id: entry.id,
            title: Some(entry.title),
            depends: entry.depends,
            applies: entry.applies,
            attributes: definitions(entry.attributes),
            actions: entry.actions,
            location: entry.location,
        }
    }
}

impl From<ActionEntry> for Action {
    fn from(entry: ActionEntry) -> Self {
        Self { id: entry.id, title: Some(entry.title), attributes: definitions(entry.attributes) }
    }
}

fn definitions(entries: Vec<AttributeEntry>) -> Vec<AttributeDefinition> {
    entries.into_iter().map(AttributeDefinition::from).collect()
}

impl From<AttributeEntry> for AttributeDefinition {
    fn from(entry: AttributeEntry) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "bounds in the files are small whole numbers")]
        let whole = |bound: Option<f64>| bound.map(|bound| bound as i64);
        let value_type = match entry.value_type {
            TypeEntry::String => ValueType::String(entry.pattern),
            TypeEntry::Integer => ValueType::Integer { minimum: whole(entry.minimum), maximum: whole(entry.maximum) },
            TypeEntry::Float => ValueType::Float { minimum: entry.minimum, maximum: entry.maximum },
            TypeEntry::Boolean => ValueType::Boolean,
            TypeEntry::Enum => ValueType::Enum([entry.values, entry.older_values].concat()),
            TypeEntry::Uri => ValueType::Uri,
            TypeEntry::List => ValueType::List,
            TypeEntry::Map => ValueType::Map,
        };
        Self {
            name: entry.name,
            value_type,
            change: entry.change,
            presence: entry.presence,
            default: entry.default,
            unit: entry.unit,
            description: entry.description,
            aliases: entry.aliases,
            since: entry.since,
            until: entry.until,
        }
    }
}
