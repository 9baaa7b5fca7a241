//! What all objects share: an owner, permissions, a lock, a name.

use std::collections::BTreeMap;

use super::Daemon;
use super::access::{Caller, Right, authorize, locked};
use crate::form::Form;
use crate::template::Template;
use crate::wire::answer::{Code, Refusal};

mod alike;

pub use alike::{chmod, chown, lock, rename, unlock, update};

/// Objects of one kind by their identifiers.
#[derive(Clone, Debug)]
pub struct Pool<T> {
    next: i32,
    items: BTreeMap<i32, T>,
}

impl<T> Pool<T> {
    /// An empty pool whose first identifier is this one.
    pub fn starting_at(next: i32) -> Self {
        Self { next, items: BTreeMap::new() }
    }

    /// Adds an object and gives its identifier.
    pub fn add(&mut self, item: T) -> i32 {
        let id = self.next;
        self.next += 1;
        self.items.insert(id, item);
        id
    }

    /// The identifier that the next object will have.
    pub fn next_id(&self) -> i32 {
        self.next
    }

    /// Goes on counting at this identifier.
    pub fn continue_at(&mut self, next: i32) {
        self.next = next;
    }

    /// The object.
    pub fn get(&self, id: i32) -> Option<&T> {
        self.items.get(&id)
    }

    /// The object, to be changed.
    pub fn get_mut(&mut self, id: i32) -> Option<&mut T> {
        self.items.get_mut(&id)
    }

    /// Takes the object out.
    pub fn remove(&mut self, id: i32) -> Option<T> {
        self.items.remove(&id)
    }

    /// All objects, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, &T)> {
        self.items.iter().map(|(id, item)| (*id, item))
    }

    /// All objects, descending, the order of all listings (`API_LIST_ORDER` of oned.conf).
    pub fn descending(&self) -> impl Iterator<Item = (i32, &T)> {
        self.iter().rev()
    }

    /// All objects, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (i32, &mut T)> {
        self.items.iter_mut().map(|(id, item)| (*id, item))
    }
}

/// What kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A machine.
    Machine,
    /// A host.
    Host,
    /// A virtual network.
    Network,
    /// An image.
    Image,
    /// A user.
    User,
    /// A machine template.
    Template,
    /// A group.
    Group,
    /// A datastore.
    Datastore,
    /// A cluster.
    Cluster,
    /// A security group.
    SecurityGroup,
    /// A marketplace.
    Marketplace,
    /// An appliance in a marketplace.
    App,
}

impl Kind {
    /// The word in "Not authorized to perform USE ..." and in "NAME is already taken by ...".
    pub fn word(self) -> &'static str {
        match self {
            Self::Machine => "VM",
            Self::Host => "HOST",
            Self::Network => "NET",
            Self::Image => "IMAGE",
            Self::User => "USER",
            Self::Template => "TEMPLATE",
            Self::Group => "GROUP",
            Self::Datastore => "DATASTORE",
            Self::Cluster => "CLUSTER",
            Self::SecurityGroup => "SECGROUP",
            Self::Marketplace => "MARKETPLACE",
            Self::App => "MARKETPLACEAPP",
        }
    }

    /// The words in "Error getting ...".
    pub fn long_name(self) -> &'static str {
        match self {
            Self::Machine => "virtual machine",
            Self::Host => "host",
            Self::Network => "virtual network",
            Self::Image => "image",
            Self::User => "user",
            Self::Template => "virtual machine template",
            Self::Group => "group",
            Self::Datastore => "datastore",
            Self::Cluster => "cluster",
            Self::SecurityGroup => "security group",
            Self::Marketplace => "marketplace",
            Self::App => "marketplaceapp",
        }
    }

    /// The bit in the resource of an ACL rule.
    pub fn bit(self) -> u64 {
        let shift = match self {
            Self::Machine => 0,
            Self::Host => 1,
            Self::Network => 2,
            Self::Image => 3,
            Self::User => 4,
            Self::Template => 5,
            Self::Group => 6,
            Self::Datastore => 8,
            Self::Cluster => 9,
            Self::SecurityGroup => 12,
            Self::Marketplace => 15,
            Self::App => 16,
        };
        0x10_0000_0000 << shift
    }
}

/// How far a lock goes (the level of `one.*.lock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// 1: nothing is allowed; 2: only use; 3: use and management.
    pub level: i32,
    /// Who locked.
    pub owner: i32,
    /// When, in seconds since 1970.
    pub time: i64,
}

/// Who owns an object, and who may do what with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The user.
    pub uid: i32,
    /// The group.
    pub gid: i32,
    /// Use, manage, administrate for the owner, for the group, for all others.
    pub permissions: [bool; 9],
    /// The lock, if there is one.
    pub lock: Option<Lock>,
}

const PERMISSIONS: Form = Form::new(include_str!("../../forms/permissions.xml"));

impl Ownership {
    /// Owned by the caller, with the default permissions (`DEFAULT_UMASK` 177).
    pub fn of(caller: &Caller) -> Self {
        Self { uid: caller.uid, gid: caller.gid, permissions: permissions("110000000"), lock: None }
    }

    /// Owned by oneadmin, with these permissions, as nine digits.
    pub fn of_oneadmin(digits: &str) -> Self {
        Self { uid: 0, gid: 0, permissions: permissions(digits), lock: None }
    }

    /// The document's element, and that of the lock behind it.
    pub fn write_permissions(&self, out: &mut String) {
        const NAMES: [&str; 9] =
            ["OWNER_U", "OWNER_M", "OWNER_A", "GROUP_U", "GROUP_M", "GROUP_A", "OTHER_U", "OTHER_M", "OTHER_A"];
        PERMISSIONS.fill(out, |hole| {
            let set = NAMES.iter().zip(self.permissions).any(|(name, set)| *name == hole && set);
            if set { "1" } else { "0" }.into()
        });
        if let Some(lock) = self.lock {
            out.push_str(&format!(
                "<LOCK><LOCKED>{}</LOCKED><OWNER>{}</OWNER><TIME>{}</TIME><REQ_ID>0</REQ_ID></LOCK>",
                lock.level, lock.owner, lock.time
            ));
        }
    }
}

fn permissions(digits: &str) -> [bool; 9] {
    let mut set = [false; 9];
    for (bit, digit) in set.iter_mut().zip(digits.chars()) {
        *bit = digit == '1';
    }
    set
}

/// An object with owner and name.
pub trait Object: Sized {
    /// What kind it is.
    const KIND: Kind;
    /// Who owns it.
    fn ownership(&self) -> &Ownership;
    /// Who owns it, to be changed.
    fn ownership_mut(&mut self) -> &mut Ownership;
    /// Its name.
    fn name(&self) -> &str;
    /// Gives it another name.
    fn set_name(&mut self, name: String);
    /// What `update` changes.
    fn attributes_mut(&mut self) -> &mut Template;
    /// Where its like are kept.
    fn pool(daemon: &Daemon) -> &Pool<Self>;
    /// Where its like are kept, to be changed.
    fn pool_mut(daemon: &mut Daemon) -> &mut Pool<Self>;
    /// The code of "NAME is already taken": 8192 or 16384, according to the kind.
    const TAKEN: Code = Code::Internal;
    /// Whether names must differ among the objects of one owner.
    const UNIQUE: bool = true;
}

/// "Error getting image [7]."
pub fn no_such(kind: Kind, id: i32) -> Refusal {
    Refusal::about(Code::NoExists, format!("Error getting {} [{id}].", kind.long_name()), id)
}

/// The object, if the caller has this right on it.
///
/// # Errors
/// 1024 when there is none, 512 when the caller may not or the object is locked.
pub fn take<'d, T: Object>(daemon: &'d Daemon, caller: &Caller, id: i32, right: Right) -> Result<&'d T, Refusal> {
    let object = T::pool(daemon).get(id).ok_or_else(|| no_such(T::KIND, id))?;
    authorize(daemon, caller, right, T::KIND, Some(id), object.ownership())?;
    Ok(object)
}

/// The object, to be changed, if the caller has this right on it and it is not locked.
///
/// # Errors
/// 1024 when there is none, 512 when the caller may not or the object is locked.
pub fn take_mut<'d, T: Object>(
    daemon: &'d mut Daemon,
    caller: &Caller,
    id: i32,
    right: Right,
) -> Result<&'d mut T, Refusal> {
    let object = take::<T>(daemon, caller, id, right)?;
    locked(caller, right, T::KIND, id, object.ownership())?;
    T::pool_mut(daemon).get_mut(id).ok_or_else(|| no_such(T::KIND, id))
}

/// Whether a name can be given.
///
/// # Errors
/// The text, when it is empty, too long, holds forbidden characters or is taken by another object of the owner.
pub fn check_name<T: Object>(daemon: &Daemon, name: &str, uid: i32) -> Result<(), (Code, String)> {
    if name.is_empty() {
        return Err((Code::Internal, "Invalid NAME, it cannot be empty".into()));
    }
    if name.chars().count() > 128 {
        return Err((Code::Internal, "Invalid NAME, max length is 128 chars.".into()));
    }
    if let Some(bad) = name.chars().find(|c| "/:<'\\\n".contains(*c)) {
        return Err((Code::Internal, format!("Invalid NAME, it cannot contain '{bad}' character.")));
    }
    if T::UNIQUE
        && let Some((id, _)) = T::pool(daemon).iter().find(|(_, o)| o.name() == name && o.ownership().uid == uid)
    {
        return Err((T::TAKEN, format!("NAME is already taken by {} {id}.", T::KIND.word())));
    }
    Ok(())
}

/// Implements [`Object`] for a type with the fields `ownership`, `name` and the named template.
macro_rules! object {
    ($type:ty, $kind:expr, $pool:ident, $template:ident $(, $constant:ident = $value:expr)*) => {
        impl $crate::daemon::objects::Object for $type {
            const KIND: $crate::daemon::objects::Kind = $kind;
            $(object!(@constant $constant = $value);)*
            fn ownership(&self) -> &$crate::daemon::objects::Ownership {
                &self.ownership
            }
            fn ownership_mut(&mut self) -> &mut $crate::daemon::objects::Ownership {
                &mut self.ownership
            }
            fn name(&self) -> &str {
                &self.name
            }
            fn set_name(&mut self, name: String) {
                self.name = name;
            }
            fn attributes_mut(&mut self) -> &mut $crate::template::Template {
                &mut self.$template
            }
            fn pool(daemon: &$crate::daemon::Daemon) -> &$crate::daemon::objects::Pool<Self> {
                &daemon.$pool
            }
            fn pool_mut(daemon: &mut $crate::daemon::Daemon) -> &mut $crate::daemon::objects::Pool<Self> {
                &mut daemon.$pool
            }
        }
    };
    (@constant TAKEN = $value:expr) => {
        const TAKEN: $crate::wire::answer::Code = $value;
    };
    (@constant UNIQUE = $value:expr) => {
        const UNIQUE: bool = $value;
    };
}
pub(crate) use object;
