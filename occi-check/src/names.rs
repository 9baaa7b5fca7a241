//! Identifiers of the documents that checks speak of.

pub(crate) const CORE_SCHEME: &str = "http://schemas.ogf.org/occi/core#";
pub(crate) const ENTITY: &str = "http://schemas.ogf.org/occi/core#entity";
pub(crate) const RESOURCE: &str = "http://schemas.ogf.org/occi/core#resource";
pub(crate) const LINK: &str = "http://schemas.ogf.org/occi/core#link";

pub(crate) const COMPUTE: &str = "http://schemas.ogf.org/occi/infrastructure#compute";
pub(crate) const NETWORK: &str = "http://schemas.ogf.org/occi/infrastructure#network";
pub(crate) const STORAGE: &str = "http://schemas.ogf.org/occi/infrastructure#storage";
pub(crate) const NETWORK_INTERFACE: &str = "http://schemas.ogf.org/occi/infrastructure#networkinterface";
pub(crate) const STORAGE_LINK: &str = "http://schemas.ogf.org/occi/infrastructure#storagelink";
pub(crate) const OS_TPL: &str = "http://schemas.ogf.org/occi/infrastructure#os_tpl";
pub(crate) const RESOURCE_TPL: &str = "http://schemas.ogf.org/occi/infrastructure#resource_tpl";

/// Actions of `compute`; the term follows.
pub(crate) const COMPUTE_ACTION: &str = "http://schemas.ogf.org/occi/infrastructure/compute/action#";
pub(crate) const START: &str = "http://schemas.ogf.org/occi/infrastructure/compute/action#start";
pub(crate) const STOP: &str = "http://schemas.ogf.org/occi/infrastructure/compute/action#stop";
pub(crate) const COMPUTE_STATE: &str = "occi.compute.state";
pub(crate) const RESTART: &str = "http://schemas.ogf.org/occi/infrastructure/compute/action#restart";
pub(crate) const SUSPEND: &str = "http://schemas.ogf.org/occi/infrastructure/compute/action#suspend";
pub(crate) const SAVE: &str = "http://schemas.ogf.org/occi/infrastructure/compute/action#save";

pub(crate) const NETWORK_ACTION: &str = "http://schemas.ogf.org/occi/infrastructure/network/action#";
pub(crate) const UP: &str = "http://schemas.ogf.org/occi/infrastructure/network/action#up";
pub(crate) const DOWN: &str = "http://schemas.ogf.org/occi/infrastructure/network/action#down";
pub(crate) const NETWORK_STATE: &str = "occi.network.state";
pub(crate) const STORAGE_ACTION: &str = "http://schemas.ogf.org/occi/infrastructure/storage/action#";
pub(crate) const ONLINE: &str = "http://schemas.ogf.org/occi/infrastructure/storage/action#online";
pub(crate) const OFFLINE: &str = "http://schemas.ogf.org/occi/infrastructure/storage/action#offline";
pub(crate) const STORAGE_STATE: &str = "occi.storage.state";

pub(crate) const IP_NETWORK: &str = "http://schemas.ogf.org/occi/infrastructure/network#ipnetwork";
pub(crate) const IP_NETWORK_INTERFACE: &str =
    "http://schemas.ogf.org/occi/infrastructure/networkinterface#ipnetworkinterface";
pub(crate) const SSH_KEY: &str = "http://schemas.ogf.org/occi/infrastructure/credentials#ssh_key";
pub(crate) const USER_DATA: &str = "http://schemas.ogf.org/occi/infrastructure/compute#user_data";

pub(crate) const TITLE: &str = "occi.core.title";
pub(crate) const SUMMARY: &str = "occi.core.summary";
pub(crate) const HOSTNAME: &str = "occi.compute.hostname";
pub(crate) const CORES: &str = "occi.compute.cores";
pub(crate) const MEMORY: &str = "occi.compute.memory";

/// Standard sizes; the term follows.
pub(crate) const PROFILE: &str = "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#";
