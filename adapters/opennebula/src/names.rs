//! How our objects are told from others at the service, and what they are called there.
//!
//! Names of images, networks and security groups are unique for one owner. So ours end in what they are and the tag of
//! the intent that made them: an allocate whose answer was lost cannot be done twice, and the object is found again by
//! its name alone. Machines may share a name; theirs stays as people gave it, and the tag is an attribute.

use backend::{BackendError, IntentTag};

/// The attribute that holds a tag.
pub(crate) const TAG: &str = "TOMBOLO_TAG";
/// The attribute of a machine that holds its name as it was ordered.
pub(crate) const NAME: &str = "TOMBOLO_NAME";
/// The attribute of an image that holds its digest.
pub(crate) const DIGEST: &str = "TOMBOLO_DIGEST";

/// The service's name of an object: a number from 0 on, for each kind of object apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(i32);

impl Id {
    /// The number.
    pub(crate) fn number(self) -> i32 {
        self.0
    }

    /// The name of an object that an allocate answered.
    ///
    /// # Errors
    /// [`BackendError::Failed`] for what is no name.
    pub(crate) fn answered(number: i64) -> Result<Self, BackendError> {
        let id = i32::try_from(number).ok().filter(|id| *id >= 0).map(Self);
        id.ok_or_else(|| BackendError::Failed(format!("OpenNebula calls an object {number}, which is no name of its")))
    }

    /// The name that the broker has for an object; what is no number the service cannot know.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] for anything else.
    pub(crate) fn of(what: &str, name: &str) -> Result<Self, BackendError> {
        name.parse().map_err(|()| BackendError::NotFound(format!("{what} {name}: OpenNebula's names are numbers")))
    }

    /// As a name of the contract.
    ///
    /// # Errors
    /// Never: a number is a name.
    pub(crate) fn named<T: TryFrom<String, Error = backend::InvalidName>>(self) -> Result<T, BackendError> {
        T::try_from(self.to_string()).map_err(|error| BackendError::Failed(error.to_string()))
    }
}

impl std::str::FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // A sign or a leading zero would give one object two names.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse().ok().filter(|_| plain).map(Self).ok_or(())
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What an object with a unique name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Volume,
    Network,
    Address,
    SecurityGroup,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Address => "address",
            Self::SecurityGroup => "group",
        }
    }

    /// The unique name of the object that this intent makes.
    pub(crate) fn name(self, for_people: &str, tag: IntentTag) -> String {
        let suffix = format!(".{}-{tag}", self.word());
        format!("{}{suffix}", presentable(for_people, LONGEST - suffix.len()))
    }

    /// The tag of the object, if the name is that of one of ours of this kind.
    pub(crate) fn tag_in(self, name: &str) -> Option<IntentTag> {
        let (_, suffix) = name.rsplit_once('.')?;
        suffix.strip_prefix(self.word())?.strip_prefix('-')?.parse().ok()
    }
}

/// The longest name, in characters.
const LONGEST: usize = 128;

/// The name with what the service does not take in names replaced, cut to so many bytes.
pub(crate) fn presentable(name: &str, most: usize) -> String {
    let mut presentable = String::new();
    for c in name.trim().chars() {
        let forbidden =
            c.is_control() || u32::from(c) > 0xffff || matches!(c, '/' | ':' | '<' | '>' | '\'' | '\\' | '"');
        let c = if forbidden { '_' } else { c };
        if presentable.len() + c.len_utf8() > most {
            break;
        }
        presentable.push(c);
    }
    let trimmed = presentable.trim_end().len();
    presentable.truncate(trimmed);
    if presentable.is_empty() { "unnamed".to_owned() } else { presentable }
}

/// The name of a machine.
pub(crate) fn of_machine(name: &str) -> String {
    presentable(name, LONGEST)
}

/// The name of a copy of a volume, which says of which.
pub(crate) fn of_copy(volume: IntentTag, copy: IntentTag) -> String {
    format!("volume-{volume}.copy-{copy}")
}

/// Whether the name is that of a copy of this volume.
pub(crate) fn is_copy_of(volume: IntentTag, name: &str) -> bool {
    name.strip_prefix(&format!("volume-{volume}.copy-")).is_some_and(|tag| tag.parse::<IntentTag>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbers_in_one_form() {
        assert_eq!(Id::of("machine", "0").unwrap().number(), 0);
        for strange in ["", "-1", "+1", "01", "1.0", "2147483648", "unknown-1", "1 "] {
            assert!(matches!(Id::of("machine", strange), Err(BackendError::NotFound(_))), "{strange}");
        }
        assert!(Id::answered(-1).is_err() && Id::answered(1 << 40).is_err());
    }

    #[test]
    fn a_tag_is_read_from_a_name_of_its_kind_alone() {
        let tag = IntentTag(uuid::Uuid::now_v7());
        for people in ["db", "", "a.volume-b", "ünï: /漢字/ 😀", &"x".repeat(500), "a\u{0}b"] {
            let name = Kind::Volume.name(people, tag);
            assert!(name.len() <= LONGEST && !name.contains(['/', ':', '<', '\'', '\\', '\n']), "{name}");
            assert_eq!(Kind::Volume.tag_in(&name), Some(tag));
            assert_eq!(Kind::Network.tag_in(&name), None);
        }
        assert_eq!(Kind::Volume.tag_in("db.volume-"), None);
        let copy = of_copy(tag, IntentTag(uuid::Uuid::now_v7()));
        assert!(copy.len() <= LONGEST && is_copy_of(tag, &copy));
        assert_eq!(Kind::Volume.tag_in(&copy), None);
    }
}
