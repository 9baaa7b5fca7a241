use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use disk_image::ImageFormat;
use serde::Deserialize;
use url::Url;

use crate::{Secret, service::Service};

/// How an OpenStack is reached, and how its tenant wants to be served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenStackOptions {
    /// Keystone, with or without its `/v3`.
    pub auth_url: Url,
    /// Who we are.
    pub auth: Credentials,
    /// The project that owns all that is made. An application credential has its own, every other credential needs one.
    #[serde(default)]
    pub project: Option<Named>,
    /// The region; the first one of the catalogue when there is none.
    #[serde(default)]
    pub region: Option<String>,
    /// Which of the catalogue's addresses are called.
    #[serde(default)]
    pub interface: EndpointInterface,
    /// Addresses that replace those of the catalogue.
    #[serde(default)]
    pub endpoints: BTreeMap<Service, Url>,
    /// A forward proxy.
    #[serde(default)]
    pub proxy: Option<Url>,
    /// A file of certificates, in PEM, of authorities that are trusted beside the system's own.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The network of a machine that asks for none, by its id; when there is none here, the only one of the project, or
    /// else the only one that everybody has.
    #[serde(default)]
    pub network: Option<String>,
    /// The network on which reserved addresses live, by its id; the only external one when there is none.
    #[serde(default)]
    pub external_network: Option<String>,
    /// Whether a network with a gateway gets a router to the external network.
    #[serde(default)]
    pub routers: bool,
    /// Formats in which images are handed over, the preferred one first.
    #[serde(default = "usual_formats")]
    pub image_formats: Vec<ImageFormat>,
    /// Who else may use our copies of images.
    #[serde(default)]
    pub image_visibility: ImageVisibility,
    /// Properties of our copies of images: `hw_disk_bus`, `hw_firmware_type`, …
    #[serde(default)]
    pub image_properties: BTreeMap<String, String>,
    /// Whether Glance may fetch images from the broker.
    #[serde(default = "yes")]
    pub web_download: bool,
    /// Whether root disks are volumes. They are as large as wished then, whatever the flavor says, and cannot be saved.
    #[serde(default)]
    pub boot_from_volume: bool,
    /// Whether guests get their data from a small disk; the site's choice when there is none.
    #[serde(default)]
    pub config_drive: Option<bool>,
    /// The availability zone of machines and volumes; the site's choice when there is none.
    #[serde(default)]
    pub availability_zone: Option<String>,
    /// The type of volumes; the site's choice when there is none.
    #[serde(default)]
    pub volume_type: Option<String>,
    /// Whether the site keeps backups of volumes; its catalogue does not tell.
    #[serde(default)]
    pub volume_backups: bool,
    /// Whether we may choose which address is reserved; Neutron lets only administrators, unless its policy says
    /// otherwise.
    #[serde(default)]
    pub reservation_of_choice: bool,
    /// Where a saved disk lies while it is read out of a format that has to be read here and there; the system's
    /// folder for what is temporary when there is none.
    #[serde(default)]
    pub spool: Option<PathBuf>,
    /// How long is waited.
    #[serde(default)]
    pub patience: Patience,
}

fn usual_formats() -> Vec<ImageFormat> {
    vec![ImageFormat::Qcow2, ImageFormat::Raw]
}

fn yes() -> bool {
    true
}

impl OpenStackOptions {
    /// What suits most sites.
    #[must_use]
    pub fn new(auth_url: Url, auth: Credentials, project: Option<Named>) -> Self {
        Self {
            auth_url,
            auth,
            project,
            region: None,
            interface: EndpointInterface::default(),
            endpoints: BTreeMap::new(),
            proxy: None,
            authorities: None,
            network: None,
            external_network: None,
            routers: false,
            image_formats: usual_formats(),
            image_visibility: ImageVisibility::default(),
            image_properties: BTreeMap::new(),
            web_download: true,
            boot_from_volume: false,
            config_drive: None,
            availability_zone: None,
            volume_type: None,
            volume_backups: false,
            reservation_of_choice: false,
            spool: None,
            patience: Patience::default(),
        }
    }
}

/// Who we are to Keystone.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Credentials {
    /// A user with a password.
    Password {
        /// Who.
        user: Named,
        /// The password.
        password: Secret,
    },
    /// An application credential, which has a project and roles of its own.
    ApplicationCredential {
        /// Which one.
        credential: CredentialName,
        /// Its secret.
        secret: Secret,
    },
    /// A token of an `OpenID` provider, exchanged at Keystone.
    OidcAccessToken {
        /// Keystone's name for the provider.
        identity_provider: String,
        /// Keystone's name for the protocol: `openid`.
        protocol: String,
        /// The token.
        access_token: Secret,
    },
}

/// A user or project: by its id, or by a name within a domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Named {
    /// By its id.
    Id {
        /// The id.
        id: String,
    },
    /// By its name.
    Name {
        /// The name.
        name: String,
        /// Where the name is unique.
        #[serde(default)]
        domain: Domain,
    },
}

/// A domain of names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Domain {
    /// By its id.
    Id {
        /// The id.
        id: String,
    },
    /// By its name.
    Name {
        /// The name.
        name: String,
    },
}

impl Default for Domain {
    fn default() -> Self {
        Self::Id { id: "default".to_owned() }
    }
}

/// An application credential: by its id, or by its name among those of a user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum CredentialName {
    /// By its id.
    Id {
        /// The id.
        id: String,
    },
    /// By its name.
    Name {
        /// The name.
        name: String,
        /// Whose it is.
        user: Named,
    },
}

/// Which of a service's addresses are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointInterface {
    /// For everybody.
    #[default]
    Public,
    /// For the site's own network.
    Internal,
    /// For administrators.
    Admin,
}

impl EndpointInterface {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

/// Who may use an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageVisibility {
    /// Our project.
    #[default]
    Private,
    /// Our project, and those with which it shares the image.
    Shared,
    /// Everybody who knows of it.
    Community,
}

impl ImageVisibility {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Community => "community",
        }
    }
}

/// How long is waited, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patience {
    /// For one answer.
    pub answer_seconds: u64,
    /// For what a call asks for, where the contract wants to see it done: a delete, a resize, an attachment.
    pub effect_seconds: u64,
    /// For an image that makes no progress.
    pub image_seconds: u64,
    /// Between two looks at something on its way, in milliseconds.
    pub look_milliseconds: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer_seconds: 60, effect_seconds: 300, image_seconds: 300, look_milliseconds: 500 }
    }
}

impl Patience {
    pub(crate) fn answer(self) -> Duration {
        Duration::from_secs(self.answer_seconds)
    }

    pub(crate) fn effect(self) -> Duration {
        Duration::from_secs(self.effect_seconds)
    }

    pub(crate) fn image(self) -> Duration {
        Duration::from_secs(self.image_seconds)
    }

    pub(crate) fn look(self) -> Duration {
        Duration::from_millis(self.look_milliseconds.max(10))
    }
}
