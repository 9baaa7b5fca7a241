//! QEMU, with KVM or without.

pub(crate) mod accelerator;
pub(crate) mod command_line;
pub(crate) mod hotplug;
pub(crate) mod hypervisor;
pub(crate) mod launch;
pub(crate) mod process;
pub(crate) mod qmp;
