use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What the heavy requests to a site are, as far as the policy tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Makes a machine, volume, network, address or security group.
    Create,
    /// Removes what an entity stands for.
    Remove,
    /// Starts, stops, restarts or freezes a machine.
    Power,
    /// Gives what is there other properties.
    Change,
    /// Saves a disk.
    Save,
    /// Joins two things, or parts them.
    Link,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Create, Self::Remove, Self::Power, Self::Change, Self::Save, Self::Link];

    /// The word in the policy's text, in the store and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Power => "power",
            Self::Change => "change",
            Self::Save => "save",
            Self::Link => "link",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|operation| operation.as_str() == text);
        known.ok_or_else(|| "is none of create, remove, power, change, save, link".to_owned())
    }
}

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// A client's. What is in reserve is not for it.
    User,
    /// The broker's own, or an operator's: unwinding, removals by the system. Goes on until the full constraint.
    Internal,
}
