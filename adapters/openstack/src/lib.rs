//! OpenStack as a backend: Keystone v3, Glance v2, Nova 2.1, Neutron v2.0, Cinder v3 and Placement.
//!
//! All that is made belongs to one project and carries the tag of the intent that made it ([`backend::IntentTag`]):
//! machines and volumes in their metadata, machines in a server tag too, Neutron's objects in their description,
//! images as a property. Names carry nothing.

mod addresses;
mod attachments;
mod call;
mod cinder;
mod cloud;
mod console;
mod copies;
mod creation;
mod delivery;
mod description;
mod glance;
mod guest_data;
mod identifier;
mod images;
mod interfaces;
mod keystone;
mod life;
mod machines;
mod mark;
mod microversion;
mod networks;
mod neutron;
mod nova;
mod openstack_backend;
mod options;
mod paging;
mod ports;
mod quota;
mod refusal;
mod removal;
mod resize;
mod save;
mod secret;
mod security_groups;
mod service;
mod site;
mod site_check;
mod site_networks;
mod turns;
mod volumes;

pub use backend_http::OptionsError;
pub use openstack_backend::OpenStackBackend;
pub use options::{
    CredentialName, Credentials, Domain, EndpointInterface, ImageVisibility, Named, OpenStackOptions, Patience,
};
pub use secret::Secret;
pub use service::Service;
