//! What one may do in a project, and the roles that give it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One thing that may be allowed in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// See what the project has.
    Read,
    /// Make, change and remove entities.
    Operate,
    /// Let others in, and decide on their share.
    Manage,
}

impl Right {
    const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Manage];

    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Manage => "manage",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Operate => 2,
            Self::Manage => 4,
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of rights. Written as their names with blanks between: `read operate`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Whatever there is.
    pub const ALL: Self = Self(7);

    /// Whether it is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Those of either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Right::ALL.into_iter().filter(|right| self.has(*right)).map(Right::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

/// Not the name of a right or of a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {name:?}; there are {those}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    those: &'static str,
}

impl UnknownName {
    fn new(what: &'static str, name: &str, those: &'static str) -> Self {
        Self { what, name: name.chars().take(40).collect(), those }
    }
}

impl FromStr for Rights {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let read = |name: &str| {
            let found = Right::ALL.into_iter().find(|right| right.as_str() == name);
            found.ok_or_else(|| UnknownName::new("right", name, "read, operate and manage"))
        };
        text.split([' ', ',']).filter(|name| !name.is_empty()).map(read).collect()
    }
}

/// What somebody is to a project, to a site, or to the whole federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Uses a project.
    Member,
    /// Uses a project, and decides who else does.
    Manager,
    /// Looks after a site.
    SiteAdmin,
    /// Looks after everything.
    FederationAdmin,
}

/// Where a role is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a project.
    Project,
    /// At a site.
    Site,
    /// Everywhere.
    Federation,
}

impl Role {
    const ALL: [Self; 4] = [Self::Member, Self::Manager, Self::SiteAdmin, Self::FederationAdmin];

    /// Its name, in the database as for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Manager => "manager",
            Self::SiteAdmin => "site-admin",
            Self::FederationAdmin => "federation-admin",
        }
    }

    /// Where it is held.
    pub fn scope(self) -> Scope {
        match self {
            Self::Member | Self::Manager => Scope::Project,
            Self::SiteAdmin => Scope::Site,
            Self::FederationAdmin => Scope::Federation,
        }
    }

    /// What it allows in a project: the one that it is held in, or any for who looks after everything.
    pub fn rights(self) -> Rights {
        match self {
            Self::Member => [Right::Read, Right::Operate].into_iter().collect(),
            Self::Manager | Self::FederationAdmin => Rights::ALL,
            Self::SiteAdmin => Rights::NONE,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownName::new("role", text, "member, manager, site-admin and federation-admin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_as_they_are_written() {
        for text in ["", "read", "read operate", "read operate manage"] {
            assert_eq!(text.parse::<Rights>().unwrap().to_string(), text);
        }
        assert_eq!("manage,read".parse::<Rights>().unwrap().to_string(), "read manage");
        assert!("read write".parse::<Rights>().unwrap_err().to_string().contains("\"write\""));
    }

    #[test]
    fn roles_are_read_as_they_are_written_and_allow_what_they_should() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
        assert!("admin".parse::<Role>().is_err());
        assert!(Role::Member.rights().has(Right::Operate) && !Role::Member.rights().has(Right::Manage));
        assert!(Role::SiteAdmin.rights().is_empty(), "who looks after a site sees no tenant's things");
        assert_eq!(Role::Manager.rights().and(Role::Member.rights()), Role::Member.rights());
    }
}
