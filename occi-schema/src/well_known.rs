//! Identifiers and attribute names that a server has to know by heart.

use crate::attribute::AttributeName;
use crate::identifier::CategoryId;

/// Scheme of the core kinds.
pub const CORE: &str = "http://schemas.ogf.org/occi/core#";
/// Scheme of the infrastructure kinds.
pub const INFRASTRUCTURE: &str = "http://schemas.ogf.org/occi/infrastructure#";
/// Scheme of the actions of compute.
pub const COMPUTE_ACTION: &str = "http://schemas.ogf.org/occi/infrastructure/compute/action#";
/// Scheme of the actions of network.
pub const NETWORK_ACTION: &str = "http://schemas.ogf.org/occi/infrastructure/network/action#";
/// Scheme of the actions of storage.
pub const STORAGE_ACTION: &str = "http://schemas.ogf.org/occi/infrastructure/storage/action#";
/// Scheme of the standard sizes (profile 1.1).
pub const COMPUTE_TEMPLATE: &str = "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#";
/// The start of every scheme that is reserved for the standard's authors.
pub const RESERVED_SCHEMES: &str = "http://schemas.ogf.org/occi/";

macro_rules! identifiers {
    ($($scheme:literal { $($(#[$about:meta])* $name:ident = $term:literal;)* })*) => {
        $($(
            $(#[$about])*
            pub static $name: CategoryId =
                CategoryId::well_known(concat!($scheme, $term), $scheme.len() as u16);
        )*)*
        #[cfg(test)]
        pub(crate) static ALL_IDENTIFIERS: &[&CategoryId] = &[$($(&$name),*),*];
    };
}

identifiers! {
    "http://schemas.ogf.org/occi/core#" {
        /// Kind of everything.
        ENTITY = "entity";
        /// Kind of all resources.
        RESOURCE = "resource";
        /// Kind of all links.
        LINK = "link";
    }
    "http://schemas.ogf.org/occi/infrastructure#" {
        /// Kind of machines.
        COMPUTE = "compute";
        /// Kind of networks.
        NETWORK = "network";
        /// Kind of volumes.
        STORAGE = "storage";
        /// Kind of links from compute to network.
        NETWORK_INTERFACE = "networkinterface";
        /// Kind of links from compute to storage.
        STORAGE_LINK = "storagelink";
        /// Family of operating system templates.
        OS_TPL = "os_tpl";
        /// Family of sizes.
        RESOURCE_TPL = "resource_tpl";
        /// Family of availability zones.
        AVAILABILITY_ZONE = "availability_zone";
        /// Family of regions.
        REGION = "region";
        /// Kind of reserved addresses.
        IP_RESERVATION = "ipreservation";
        /// Kind of security groups.
        SECURITY_GROUP = "securitygroup";
        /// Kind of links from compute to a security group.
        SECURITY_GROUP_LINK = "securitygrouplink";
    }
    "http://schemas.ogf.org/occi/infrastructure/network#" {
        /// Mixin of networks with IP addresses.
        IP_NETWORK = "ipnetwork";
    }
    "http://schemas.ogf.org/occi/infrastructure/networkinterface#" {
        /// Mixin of network interfaces with IP addresses.
        IP_NETWORK_INTERFACE = "ipnetworkinterface";
    }
    "http://schemas.ogf.org/occi/infrastructure/credentials#" {
        /// SSH public key, standard form.
        SSH_KEY = "ssh_key";
    }
    "http://schemas.ogf.org/occi/infrastructure/compute#" {
        /// User data, standard form.
        USER_DATA = "user_data";
    }
    "http://schemas.openstack.org/instance/credentials#" {
        /// SSH public key, OpenStack form.
        OPENSTACK_PUBLIC_KEY = "public_key";
    }
    "http://schemas.openstack.org/compute/instance#" {
        /// User data, OpenStack form.
        OPENSTACK_USER_DATA = "user_data";
    }
    "http://schemas.ogf.org/occi/platform#" {
        /// Family of application templates.
        APP_TPL = "app_tpl";
        /// Family of platform sizes.
        RES_TPL = "res_tpl";
    }
    "http://schemas.ogf.org/occi/infrastructure/compute/action#" {
        /// Start a machine.
        START = "start";
        /// Stop a machine.
        STOP = "stop";
        /// Restart a machine.
        RESTART = "restart";
        /// Suspend a machine.
        SUSPEND = "suspend";
        /// Make an operating system template from a machine.
        SAVE = "save";
    }
    "http://schemas.ogf.org/occi/infrastructure/network/action#" {
        /// Bring a network up.
        UP = "up";
        /// Take a network down.
        DOWN = "down";
    }
    "http://schemas.ogf.org/occi/infrastructure/storage/action#" {
        /// Bring a volume online.
        ONLINE = "online";
        /// Take a volume offline.
        OFFLINE = "offline";
        /// Back a volume up (1.1).
        BACKUP = "backup";
        /// Take a snapshot of a volume (1.1).
        SNAPSHOT = "snapshot";
        /// Change the size of a volume (1.1).
        RESIZE = "resize";
    }
    "http://schemas.ogf.org/occi/infrastructure/ipreservation/action#" {
        /// Put a reserved address into use.
        ADDRESS_UP = "up";
        /// Take a reserved address out of use.
        ADDRESS_DOWN = "down";
    }
    "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#" {
        /// Standard size, one core and 1 GiB.
        SMALL = "small";
        /// Standard size, two cores and 2 GiB.
        MEDIUM = "medium";
        /// Standard size, four cores and 4 GiB.
        LARGE = "large";
    }
}

/// Families of which an entity carries at most one template (A-27; GFD.222 R0302).
pub fn template_families() -> impl Iterator<Item = &'static CategoryId> {
    [&OS_TPL, &RESOURCE_TPL, &APP_TPL, &RES_TPL, &AVAILABILITY_ZONE, &REGION].into_iter()
}

/// Names of attributes.
pub mod attribute {
    use super::AttributeName;

    macro_rules! names {
        ($($(#[$about:meta])* $name:ident = $text:literal;)*) => {
            $($(#[$about])* pub static $name: AttributeName = AttributeName::well_known($text);)*
            #[cfg(test)]
            pub(crate) static ALL: &[&AttributeName] = &[$(&$name),*];
        };
    }

    names! {
        /// Identifier of an entity.
        ID = "occi.core.id";
        /// Display name of an entity.
        TITLE = "occi.core.title";
        /// Description of a resource.
        SUMMARY = "occi.core.summary";
        /// Where a link starts.
        SOURCE = "occi.core.source";
        /// Where a link ends.
        TARGET = "occi.core.target";
        /// Kind of what a link points at.
        TARGET_KIND = "occi.core.target.kind";
        /// Kind of what a link starts from.
        SOURCE_KIND = "occi.core.source.kind";
        /// CPU architecture, `x86` or `x64`.
        ARCHITECTURE = "occi.compute.architecture";
        /// Number of virtual cores.
        CORES = "occi.compute.cores";
        /// Host name.
        HOSTNAME = "occi.compute.hostname";
        /// Clock frequency, GHz.
        SPEED = "occi.compute.speed";
        /// Relative share of the CPU.
        SHARE = "occi.compute.share";
        /// Memory, GiB.
        MEMORY = "occi.compute.memory";
        /// State of a machine.
        COMPUTE_STATE = "occi.compute.state";
        /// Why a machine is in its state.
        COMPUTE_STATE_MESSAGE = "occi.compute.state.message";
        /// Ephemeral disk, GiB.
        EPHEMERAL_STORAGE_SIZE = "occi.compute.ephemeral_storage.size";
        /// Device of the ephemeral disk.
        EPHEMERAL_STORAGE_DEVICE = "occi.compute.ephemeral_storage.deviceid";
        /// Public key, standard form.
        SSH_PUBLIC_KEY = "occi.credentials.ssh.publickey";
        /// User data, standard form.
        USER_DATA = "occi.compute.userdata";
        /// Public key, OpenStack form.
        OPENSTACK_PUBLIC_KEY_DATA = "org.openstack.credentials.publickey.data";
        /// Name of the public key, OpenStack form.
        OPENSTACK_PUBLIC_KEY_NAME = "org.openstack.credentials.publickey.name";
        /// User data, OpenStack form.
        OPENSTACK_USER_DATA = "org.openstack.compute.user_data";
        /// Capacity of a volume, GiB.
        STORAGE_SIZE = "occi.storage.size";
        /// State of a volume.
        STORAGE_STATE = "occi.storage.state";
        /// State of a network.
        NETWORK_STATE = "occi.network.state";
        /// 802.1Q identifier.
        VLAN = "occi.network.vlan";
        /// Label of a label-based VLAN.
        NETWORK_LABEL = "occi.network.label";
        /// IP network in CIDR form.
        NETWORK_ADDRESS = "occi.network.address";
        /// A network's gateway.
        NETWORK_GATEWAY = "occi.network.gateway";
        /// How a network hands out addresses.
        NETWORK_ALLOCATION = "occi.network.allocation";
        /// An interface's device inside the machine.
        INTERFACE_DEVICE = "occi.networkinterface.interface";
        /// An interface's Ethernet address.
        INTERFACE_MAC = "occi.networkinterface.mac";
        /// An interface's IP address.
        INTERFACE_ADDRESS = "occi.networkinterface.address";
        /// An interface's gateway.
        INTERFACE_GATEWAY = "occi.networkinterface.gateway";
        /// How an interface gets its address.
        INTERFACE_ALLOCATION = "occi.networkinterface.allocation";
        /// Under which device the guest sees a volume.
        STORAGE_LINK_DEVICE = "occi.storagelink.deviceid";
        /// A reserved address.
        RESERVED_ADDRESS = "occi.ipreservation.address";
        /// Whether a reserved address is in use.
        RESERVED_ADDRESS_USED = "occi.ipreservation.used";
        /// What a security group lets through.
        SECURITY_GROUP_RULES = "occi.securitygroup.rules";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::Extension;
    use crate::model::{Mode, Model};

    #[test]
    fn every_identifier_and_name_is_declared_by_an_extension() {
        let model = Model::new(Extension::ALL, Mode::Interop).unwrap();
        for id in ALL_IDENTIFIERS.iter().copied() {
            assert!(model.category(id).is_some(), "{id}");
            assert_eq!(&id.to_string().parse::<CategoryId>().unwrap(), id);
        }
        for name in attribute::ALL {
            assert!(model.attribute(name).is_some(), "{name}");
        }
    }
}
