//! The categories that are offered: the standard's as far as they are served, the configured sizes, the sites as
//! availability zones, and the catalogue's appliances as they come and go.

use std::sync::Arc;

use marketplace::ApplianceVersion;
use occi_schema::{
    AttributeDefinition, AttributeName, CategoryId, Change, Extension, Mixin, Mode, Model, Presence, Value, ValueType,
    Versions,
    well_known::{
        AVAILABILITY_ZONE, COMPUTE, IP_RESERVATION, NETWORK, NETWORK_INTERFACE, OS_TPL, REGION, RESOURCE_TPL,
        SECURITY_GROUP, SECURITY_GROUP_LINK, STORAGE, STORAGE_LINK, attribute,
    },
};

use super::{Broker, BrokerError, permission, site_mixin};
use crate::{
    config::{Config, SizeConfig},
    dispatch::{PresentSites, Sites},
    login::Principal,
    store::{
        Cached, DbConnection, Topic,
        appliance::{self, Offered},
        member::ProjectId,
        user_mixin,
    },
};

/// What OCCI has no word for: where a machine is and how to reach it.
pub const ACCESS_SCHEME: &str = "http://schemas.tombolo.org/occi/infrastructure/compute#";
const ACCESS_TERM: &str = "access";
const DISK_TERM: &str = "disk";

/// The size of a root disk, in GiB, where a client chooses it.
pub const DISK_SIZE: &str = "org.tombolo.compute.disk.size";
/// The digest of an appliance's image.
pub const IMAGE_DIGEST: &str = "org.tombolo.image.digest";

/// Attributes of the access mixin.
pub const SITE: &str = "org.tombolo.compute.site";
pub const SSH_HOST: &str = "org.tombolo.compute.ssh.host";
pub const SSH_PORT: &str = "org.tombolo.compute.ssh.port";
pub const SSH_ANSWERS: &str = "org.tombolo.compute.ssh.answers";

/// Makes models, and keeps them for as long as the catalogue and the sites stay the same.
pub struct Models {
    base: Model,
    sites: Sites,
    sizes: Vec<Mixin>,
    zone_scheme: String,
    site_scheme: String,
    os_tpl_scheme: String,
    access: CategoryId,
    /// By the revision of the sites as well.
    present: Cached<(u64, Option<ProjectId>), Present>,
}

/// How many projects' models are kept in memory.
const MOST_KEPT: usize = 256;

/// The model of the moment, and the appliances behind its templates. Cheap to clone.
#[derive(Clone)]
pub struct Present {
    pub model: Model,
    pub offered: Arc<[Offered]>,
    /// The mixins that members of the project have defined.
    pub own: Arc<[CategoryId]>,
}

impl Models {
    pub fn new(config: &Config, sites: &Sites) -> Result<Self, BrokerError> {
        let authority = &config.occi.authority;
        let access = CategoryId::new(ACCESS_SCHEME, ACCESS_TERM).map_err(internal)?;
        let ours = [Extension::Placement, Extension::Addresses, Extension::SecurityGroups];
        let extensions = [Extension::STANDARD, &ours].concat();
        let mode = if config.occi.strict { Mode::Strict } else { Mode::Interop };
        let served = [
            &COMPUTE,
            &STORAGE,
            &NETWORK,
            &STORAGE_LINK,
            &NETWORK_INTERFACE,
            &IP_RESERVATION,
            &SECURITY_GROUP,
            &SECURITY_GROUP_LINK,
        ];
        let versions = if config.occi.only_1_2 { Versions::Only1_2 } else { Versions::Both };
        let standard = Model::of_versions(&extensions, mode, versions).map_err(internal)?;
        let mut base = standard.serving(&served.map(CategoryId::clone));
        // There are sites here, and no regions of sites.
        base.remove_mixin(&REGION).map_err(internal)?;
        base.add_mixin(access_mixin(&access)?).map_err(internal)?;
        base.add_mixin(disk_mixin()?).map_err(internal)?;
        let zone_scheme = format!("http://occi.{authority}/occi/infrastructure/availability_zone#");
        let scheme = format!("http://occi.{authority}/occi/infrastructure/resource_tpl#");
        let mut sizes = Vec::with_capacity(config.size.len());
        let mut trial = base.clone();
        for size in &config.size {
            let refused = |error: &dyn std::fmt::Display| {
                BrokerError::Invalid(format!("configured size {:?}: {error}", size.name))
            };
            let mixin = size_mixin(&scheme, size).map_err(|error| refused(&error))?;
            trial.add_mixin(mixin.clone()).map_err(|error| refused(&error))?;
            sizes.push(mixin);
        }
        let os_tpl_scheme = format!("http://occi.{authority}/occi/infrastructure/os_tpl#");
        CategoryId::new(&os_tpl_scheme, "x")
            .map_err(|error| BrokerError::Invalid(format!("[occi] authority = {authority:?}: {error}")))?;
        let (site_scheme, sites) = (format!("http://occi.{authority}/occi/site#"), sites.clone());
        Ok(Self {
            base,
            sites,
            sizes,
            zone_scheme,
            site_scheme,
            os_tpl_scheme,
            access,
            present: Cached::new(Topic::Catalogue, MOST_KEPT),
        })
    }

    /// Whether deployed clients or the documents decide.
    pub fn mode(&self) -> Mode {
        self.base.mode()
    }

    /// The mixin that every compute carries.
    pub fn access(&self) -> &CategoryId {
        &self.access
    }

    /// The template of an appliance.
    pub fn template_of(&self, appliance: &str) -> Result<CategoryId, BrokerError> {
        CategoryId::new(&self.os_tpl_scheme, appliance).map_err(internal)
    }

    /// The template of an appliance, as it is listed.
    pub fn template_mixin(&self, name: &str, title: &str) -> Result<Mixin, BrokerError> {
        let location = format!("/mixin/os_tpl/{name}/");
        Ok(Mixin::template(self.template_of(name)?, title, OS_TPL.clone(), COMPUTE.clone(), location))
    }

    /// The appliance behind a template.
    pub fn appliance_of<'a>(&self, template: &CategoryId, offered: &'a [Offered]) -> Option<&'a Offered> {
        let own = template.scheme() == self.os_tpl_scheme;
        offered.iter().find(|offered| own && offered.appliance.name().as_str() == template.term())
    }

    fn with(&self, sites: &PresentSites, offered: &[Offered]) -> Result<Model, BrokerError> {
        let mut model = self.base.clone();
        for site in sites.iter() {
            model.add_mixin(self.zone_mixin(&site.name)?).map_err(internal)?;
        }
        for size in &self.sizes {
            model.add_mixin(size.clone()).map_err(internal)?;
        }
        for offered in offered {
            let appliance = &offered.appliance;
            let mixin = self.template_mixin(appliance.name().as_str(), appliance.title())?;
            let mixin = Mixin { attributes: vec![digest_of(&offered.version)?], ..mixin };
            model.add_mixin(mixin).map_err(internal)?;
        }
        Ok(model)
    }

    /// The zone that is a site.
    fn zone_mixin(&self, site: &str) -> Result<Mixin, BrokerError> {
        let zone = Mixin::template(
            CategoryId::new(&self.zone_scheme, site).map_err(internal)?,
            format!("Site {site}"),
            AVAILABILITY_ZONE.clone(),
            COMPUTE.clone(),
            format!("/mixin/availability_zone/{site}/"),
        );
        let applies = [&COMPUTE, &STORAGE, &NETWORK, &IP_RESERVATION, &SECURITY_GROUP];
        Ok(Mixin { applies: applies.map(CategoryId::clone).to_vec(), ..zone })
    }

    /// The scheme of what is said of sites.
    pub fn site_scheme(&self) -> &str {
        &self.site_scheme
    }

    /// Refuses what says what a site is: it is read, and nothing that is made carries it.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`], naming the zone that is meant.
    pub fn check_carried(&self, mixins: &[CategoryId]) -> Result<(), BrokerError> {
        match mixins.iter().find(|mixin| mixin.scheme() == self.site_scheme) {
            Some(mixin) => Err(BrokerError::Invalid(format!(
                "{mixin} says what the site is and is nothing to carry; ask for the zone {}{}",
                self.zone_scheme,
                mixin.term()
            ))),
            None => Ok(()),
        }
    }

    /// The scheme of sites as zones.
    pub fn zone_scheme(&self) -> &str {
        &self.zone_scheme
    }

    fn read(
        &self,
        connection: &mut DbConnection,
        sites: &PresentSites,
        project: Option<ProjectId>,
    ) -> Result<Present, BrokerError> {
        let offered = appliance::offered(connection, project)?;
        let mut model = self.with(sites, &offered)?;
        if project.is_some() {
            // What is said of sites is for those who may use them.
            for site in sites.iter() {
                let Some(description) = site.description() else { continue };
                let mixin = site_mixin::of(&self.site_scheme, &site.name, &description)?;
                model.add_mixin(mixin).map_err(internal)?;
            }
        }
        let mut own = Vec::new();
        let mixins = project.map(|project| user_mixin::list(connection, project)).transpose()?;
        for mixin in mixins.unwrap_or_default() {
            let id = mixin.id.clone();
            // An appliance that was published later may have taken the place; its machines matter more than a tag.
            match model.add_mixin(mixin) {
                Ok(()) => own.push(id),
                Err(error) => tracing::warn!(%id, %error, "a user mixin is hidden"),
            }
        }
        Ok(Present { model, offered: offered.into(), own: own.into() })
    }
}

impl Broker {
    /// The model of the moment, as strangers see it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn present(&self) -> Result<Present, BrokerError> {
        self.present_in(None).await
    }

    /// The model of the moment, as the members of a project see it: with the mixins that they have defined.
    ///
    /// # Errors
    /// The store failed.
    pub async fn present_to(&self, principal: &Principal) -> Result<Present, BrokerError> {
        // Whatever is shown of a project is shown by its model, so that this is on the way of everybody who reads.
        permission::to_read(principal)?;
        self.present_in(Some(principal.project)).await
    }

    async fn present_in(&self, project: Option<ProjectId>) -> Result<Present, BrokerError> {
        let inner = Arc::clone(&self.inner);
        let sites = self.inner.models.sites.present();
        let key = (sites.revision(), project);
        let read = move |connection: &mut DbConnection| inner.models.read(connection, &sites, project);
        let present = self.inner.models.present.get(&self.inner.db, key, read).await?;
        Ok(Present::clone(&present))
    }
}

/// What an appliance's newest version holds, so that another broker finds the image that it has too.
fn digest_of(version: &ApplianceVersion) -> Result<AttributeDefinition, BrokerError> {
    let name = AttributeName::new(IMAGE_DIGEST).map_err(internal)?;
    Ok(AttributeDefinition::new(name, ValueType::TEXT)
        .immutable()
        .with_default(Value::from(version.image().to_string()))
        .described("The digest of what a guest sees of the image."))
}

/// What OCCI has no word for: a root disk of any size, whatever the template.
fn disk_mixin() -> Result<Mixin, BrokerError> {
    let id = CategoryId::new(ACCESS_SCHEME, DISK_TERM).map_err(internal)?;
    let name = AttributeName::new(DISK_SIZE).map_err(internal)?;
    let size = AttributeDefinition::new(name, ValueType::FLOAT).described("Least size of the root disk. Unit: GiB.");
    Ok(Mixin {
        title: Some("A root disk of a size of choice".into()),
        applies: vec![COMPUTE.clone()],
        attributes: vec![AttributeDefinition { unit: Some("GiB".into()), ..size }],
        ..Mixin::tag(id, "/mixin/disk/")
    })
}

fn access_mixin(id: &CategoryId) -> Result<Mixin, BrokerError> {
    let shown = |name: &str, value_type: ValueType, description: &str| {
        Ok::<_, BrokerError>(AttributeDefinition {
            name: AttributeName::new(name).map_err(internal)?,
            value_type,
            change: Change::Never,
            presence: Presence::Optional,
            default: None,
            unit: None,
            description: Some(description.to_owned()),
            aliases: std::collections::BTreeMap::new(),
            since: None,
            until: None,
        })
    };
    Ok(Mixin {
        title: Some("Where a machine is and how to reach it".into()),
        applies: vec![COMPUTE.clone()],
        attributes: vec![
            shown(SITE, ValueType::TEXT, "The site where the machine was placed.")?,
            shown(SSH_HOST, ValueType::TEXT, "Where the machine's SSH port can be reached.")?,
            shown(SSH_PORT, ValueType::INTEGER, "The TCP port there.")?,
            // A word: three clients in the field cannot read a bare boolean.
            shown(SSH_ANSWERS, ValueType::TEXT, "Whether the guest has answered on it: yes or no.")?,
        ],
        ..Mixin::tag(id.clone(), "/mixin/access/")
    })
}

fn size_mixin(scheme: &str, size: &SizeConfig) -> Result<Mixin, Box<dyn std::error::Error>> {
    let fixed = |name: &AttributeName, value_type: ValueType, value: Value, unit: Option<&str>| AttributeDefinition {
        name: name.clone(),
        value_type,
        change: Change::Never,
        presence: Presence::Optional,
        default: Some(value),
        unit: unit.map(str::to_owned),
        description: None,
        aliases: std::collections::BTreeMap::new(),
        since: None,
        until: None,
    };
    let id = CategoryId::new(scheme, &size.name)?;
    let location = format!("/mixin/resource_tpl/{}/", size.name);
    let template = Mixin::template(id, size.title.as_str(), RESOURCE_TPL.clone(), COMPUTE.clone(), location);
    Ok(Mixin {
        attributes: vec![
            fixed(&attribute::CORES, ValueType::INTEGER, Value::Integer(size.cores.into()), None),
            fixed(&attribute::MEMORY, ValueType::FLOAT, Value::Float(size.memory), Some("GiB")),
            fixed(&attribute::EPHEMERAL_STORAGE_SIZE, ValueType::FLOAT, Value::Float(size.disk), Some("GiB")),
        ],
        ..template
    })
}

pub(super) fn internal(error: impl std::fmt::Display) -> BrokerError {
    BrokerError::Internal(error.to_string())
}
