use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::InvalidName;

const MOST: usize = 128;

fn check(what: &'static str, text: &str) -> Result<(), InvalidName> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    // A leading dot would make `..` a legal name, and some backends use the name as a path segment.
    if text.is_empty() || text.len() > MOST || text.starts_with('.') || !text.chars().all(plain) {
        return Err(InvalidName { what, most: MOST, allowed: "A-Z a-z 0-9 . _ -, not starting with a dot" });
    }
    Ok(())
}

macro_rules! name {
    ($name:ident, $what:literal) => {
        #[doc = concat!("What the backend itself calls ", $what, ": 1 to 128 characters of `[A-Za-z0-9._-]`.")]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                check(concat!("the name of ", $what), &text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(MachineId, "a machine");
name!(VolumeId, "a volume");
name!(NetworkId, "a network");
name!(AddressId, "a reserved address");
name!(SecurityGroupId, "a security group");
name!(SnapshotId, "a snapshot");
