//! Providers of identities, over OpenID Connect. Nothing here knows the database or the web server: what must be
//! remembered of a visitor travels in a sealed cookie.

mod algorithm;
mod config;

pub use algorithm::SigningAlgorithm;
pub use config::{ClientSecretText, ProviderConfig};
