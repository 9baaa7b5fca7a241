//! Our own node driver, on the hypervisor host: QEMU over QMP, without libvirt and without `qemu-img`.
//!
//! [`Driver`] keeps the machines of one host; [`door`] lets a broker reach it over HTTP. A machine outlives the
//! driver: it is found again by its directory and its control socket.

pub mod door;
mod driver;
mod error;
mod findings;
mod guest_voice;
mod host;
mod image_cache;
mod kvm;
mod limits;
mod machine_directory;
mod networks;
mod options;
mod overlay_view;
mod ports;
mod saved_disk;
mod seed;
mod serial_log;
mod sparse_copy;
mod turns;
mod volumes;
pub mod wire;

pub use driver::Driver;
pub use error::NodeError;
pub use findings::{Finding, Verdict, examine};
pub use image_cache::ImageCache;
pub use options::{AcceleratorChoice, GuestNetwork, Options};
