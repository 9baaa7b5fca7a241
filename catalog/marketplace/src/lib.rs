//! Appliances, their versions and what they ask of a machine. No input and output: texts become types here, and
//! types that exist are valid.

mod appliance;
mod error;
mod name;
pub mod opennebula;
mod requirements;
mod version;

pub use appliance::{Appliance, ApplianceDraft};
pub use error::MarketplaceError;
pub use name::{ApplianceName, VersionLabel};
pub use requirements::{Architecture, Requirements};
pub use version::{ApplianceVersion, PublicationTime, VersionDraft, current_version};
