//! VMDK.
