use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::MarketplaceError;

/// An appliance's name: the term of its `os_tpl` mixin, and the last part of its URL.
///
/// A lower-case letter, then up to 63 lower-case letters, digits, `-` and `_`: what a term may be both in OCCI 1.1
/// (GFD.185, which has no dot and no leading digit) and in OCCI 1.2 (GFD.223).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApplianceName(String);

impl ApplianceName {
    /// Most characters.
    pub const LONGEST: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ApplianceName {
    type Error = MarketplaceError;

    fn try_from(text: String) -> Result<Self, MarketplaceError> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if first && rest && text.len() <= Self::LONGEST {
            Ok(Self(text))
        } else {
            Err(MarketplaceError::invalid(
                "an appliance's name",
                "must be a lower-case letter, then at most 63 of a-z, 0-9, '-' and '_'",
            ))
        }
    }
}

/// What the publisher calls a version: a letter or digit, then up to 39 of `A-Z a-z 0-9 . _ + ~ -`.
///
/// Labels have no order of their own; [`crate::current_version`] goes by the time of publication.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionLabel(String);

impl VersionLabel {
    /// Most characters.
    pub const LONGEST: usize = 40;

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VersionLabel {
    type Error = MarketplaceError;

    fn try_from(text: String) -> Result<Self, MarketplaceError> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~-".contains(&byte));
        if first && rest && text.len() <= Self::LONGEST {
            Ok(Self(text))
        } else {
            Err(MarketplaceError::invalid(
                "a version's label",
                "must be a letter or digit, then at most 39 of letters, digits, '.', '_', '+', '~' and '-'",
            ))
        }
    }
}

macro_rules! text_type {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = MarketplaceError;

            fn from_str(text: &str) -> Result<Self, MarketplaceError> {
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

text_type!(ApplianceName);
text_type!(VersionLabel);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_terms_of_both_standards() {
        for good in ["a", "debian-12", "x_y", &"a".repeat(64)] {
            assert_eq!(good.parse::<ApplianceName>().unwrap().to_string(), good);
        }
        for bad in ["", "12-debian", "-a", "_a", "Debian", "debian.12", "a b", "a\n", "a#", "a/b", "é", &"a".repeat(65)]
        {
            assert!(bad.parse::<ApplianceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn labels_hold_versions_of_distributions() {
        for good in ["1", "12.7", "2026-11-21", "1:2".replace(':', "~").as_str(), "1.0+deb12u1", &"9".repeat(40)] {
            assert_eq!(good.parse::<VersionLabel>().unwrap().as_str(), good);
        }
        for bad in ["", ".1", "-1", "1 2", "1,2", "1\0", "1/2", &"9".repeat(41)] {
            assert!(bad.parse::<VersionLabel>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn json_is_checked_too() {
        assert_eq!(serde_json::from_str::<ApplianceName>("\"debian\"").unwrap().as_str(), "debian");
        assert!(serde_json::from_str::<ApplianceName>("\"De bian\"").is_err());
        assert!(serde_json::from_str::<VersionLabel>("\" \"").is_err());
    }

    proptest! {
        #[test]
        fn a_name_is_what_the_pattern_says(text in "[a-z0-9A-Z._-]{0,66}") {
            let term = text.starts_with(|first: char| first.is_ascii_lowercase())
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
                && text.len() <= 64;
            prop_assert_eq!(text.parse::<ApplianceName>().is_ok(), term);
        }
    }
}
