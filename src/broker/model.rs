//! The categories that are offered: the standard's as far as they are served, the configured sizes, the sites as
//! availability zones, and the catalogue's appliances as they come and go.

use std::sync::{Mutex, PoisonError};

use occi_schema::{
    AttributeDefinition, AttributeName, CategoryId, Change, Extension, Mixin, Mode, Model, Presence, Value, ValueType,
    well_known::{AVAILABILITY_ZONE, COMPUTE, OS_TPL, REGION, RESOURCE_TPL, attribute},
};

use super::{Broker, BrokerError};
use crate::{
    config::{Config, SizeConfig},
    dispatch::Sites,
    login::Principal,
    store::{
        DbConnection,
        appliance::{self, Offered},
        user_mixin,
    },
};

/// What OCCI has no word for: where a machine is and how to reach it.
pub const ACCESS_SCHEME: &str = "http://schemas.tombolo.org/occi/infrastructure/compute#";
const ACCESS_TERM: &str = "access";

/// Attributes of the access mixin.
pub const SITE: &str = "org.tombolo.compute.site";
pub const SSH_HOST: &str = "org.tombolo.compute.ssh.host";
pub const SSH_PORT: &str = "org.tombolo.compute.ssh.port";
pub const SSH_ANSWERS: &str = "org.tombolo.compute.ssh.answers";

/// Makes models, and keeps the last one for as long as the catalogue stays the same.
pub struct Models {
    base: Model,
    os_tpl_scheme: String,
    access: CategoryId,
    last: Mutex<Option<(Vec<Offered>, Model)>>,
}

/// The model of the moment, and the appliances behind its templates.
pub struct Present {
    pub model: Model,
    pub offered: Vec<Offered>,
    /// The mixins that members of the project have defined.
    pub own: Vec<CategoryId>,
}

impl Models {
    pub fn new(config: &Config, sites: &Sites) -> Result<Self, BrokerError> {
        let authority = &config.occi.authority;
        let access = CategoryId::new(ACCESS_SCHEME, ACCESS_TERM).map_err(internal)?;
        let extensions = [Extension::STANDARD, &[Extension::Placement]].concat();
        let standard = Model::new(&extensions, Mode::Interop).map_err(internal)?;
        let mut base = standard.serving(std::slice::from_ref(&COMPUTE));
        // There are sites here, and no regions of sites.
        base.remove_mixin(&REGION).map_err(internal)?;
        base.add_mixin(access_mixin(&access)?).map_err(internal)?;
        let zone_scheme = format!("http://occi.{authority}/occi/infrastructure/availability_zone#");
        for site in sites.iter() {
            let zone = Mixin::template(
                CategoryId::new(&zone_scheme, &site.name).map_err(internal)?,
                format!("Site {}", site.name),
                AVAILABILITY_ZONE.clone(),
                COMPUTE.clone(),
                format!("/mixin/availability_zone/{}/", site.name),
            );
            base.add_mixin(zone).map_err(internal)?;
        }
        let scheme = format!("http://occi.{authority}/occi/infrastructure/resource_tpl#");
        for size in &config.size {
            let refused = |error: &dyn std::fmt::Display| {
                BrokerError::Invalid(format!("configured size {:?}: {error}", size.name))
            };
            let mixin = size_mixin(&scheme, size).map_err(|error| refused(&error))?;
            base.add_mixin(mixin).map_err(|error| refused(&error))?;
        }
        let os_tpl_scheme = format!("http://occi.{authority}/occi/infrastructure/os_tpl#");
        CategoryId::new(&os_tpl_scheme, "x")
            .map_err(|error| BrokerError::Invalid(format!("[occi] authority = {authority:?}: {error}")))?;
        Ok(Self { base, os_tpl_scheme, access, last: Mutex::new(None) })
    }

    /// The mixin that every compute carries.
    pub fn access(&self) -> &CategoryId {
        &self.access
    }

    /// The template of an appliance.
    pub fn template_of(&self, appliance: &str) -> Result<CategoryId, BrokerError> {
        CategoryId::new(&self.os_tpl_scheme, appliance).map_err(internal)
    }

    /// The appliance behind a template.
    pub fn appliance_of<'a>(&self, template: &CategoryId, offered: &'a [Offered]) -> Option<&'a Offered> {
        let own = template.scheme() == self.os_tpl_scheme;
        offered.iter().find(|offered| own && offered.appliance.name().as_str() == template.term())
    }

    fn with(&self, offered: &[Offered]) -> Result<Model, BrokerError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, model)) = last.as_ref()
            && known == offered
        {
            return Ok(model.clone());
        }
        let mut model = self.base.clone();
        for offered in offered {
            let appliance = &offered.appliance;
            let mixin = Mixin::template(
                self.template_of(appliance.name().as_str())?,
                appliance.title(),
                OS_TPL.clone(),
                COMPUTE.clone(),
                format!("/mixin/os_tpl/{}/", appliance.name()),
            );
            model.add_mixin(mixin).map_err(internal)?;
        }
        *last = Some((offered.to_vec(), model.clone()));
        Ok(model)
    }
}

impl Broker {
    /// The model of the moment, as strangers see it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn present(&self) -> Result<Present, BrokerError> {
        let offered = self.inner.db.read(appliance::offered).await?;
        let model = self.inner.models.with(&offered)?;
        Ok(Present { model, offered, own: Vec::new() })
    }

    /// The model of the moment, as the members of a project see it: with the mixins that they have defined.
    ///
    /// # Errors
    /// The store failed.
    pub async fn present_to(&self, principal: &Principal) -> Result<Present, BrokerError> {
        let project = principal.project;
        let read = move |connection: &mut DbConnection| {
            Ok((appliance::offered(connection)?, user_mixin::list(connection, project)?))
        };
        let (offered, mixins) = self.inner.db.read(read).await?;
        let mut model = self.inner.models.with(&offered)?;
        let mut own = Vec::with_capacity(mixins.len());
        for mixin in mixins {
            let id = mixin.id.clone();
            // An appliance that was published later may have taken the place; its machines matter more than a tag.
            match model.add_mixin(mixin) {
                Ok(()) => own.push(id),
                Err(error) => tracing::warn!(%id, %error, "a user mixin is hidden"),
            }
        }
        Ok(Present { model, offered, own })
    }
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
            shown(SSH_ANSWERS, ValueType::Boolean, "Whether the guest has answered on it.")?,
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

fn internal(error: impl std::fmt::Display) -> BrokerError {
    BrokerError::Internal(error.to_string())
}
