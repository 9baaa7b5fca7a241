use serde::Serialize;

use crate::{DiskView, ImageError};

/// A view of an image's file, with what the file says beyond the guest's bytes.
pub trait ImageReader: DiskView {
    /// What a person wants to know of the file, in the order to show it in: version, block size, creator …
    fn facts(&self) -> Vec<Fact> {
        Vec::new()
    }

    /// What is odd about the file and does not change the guest's bytes: one sentence each.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Looks for damage that opening does not look for, because it does not change the guest's bytes: leaked
    /// clusters, wrong counts. One sentence each, at most `most` of them.
    ///
    /// # Errors
    /// Whatever the reader meets in the file.
    fn damage(&self, most: usize) -> Result<Vec<String>, ImageError> {
        let _ = most;
        Ok(Vec::new())
    }
}

/// Something that an image's file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// In words of the format's specification, lower case with hyphens.
    pub name: &'static str,
    /// What it says.
    pub value: FactValue,
}

/// What a fact says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FactValue {
    /// A count, or a length in bytes.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Words, cleaned of control characters.
    Text(String),
}

impl Fact {
    /// Pairs a name with what the file says. Text is cut to 256 characters and cleaned, since it comes from the file.
    #[must_use]
    pub fn new(name: &'static str, value: impl Into<FactValue>) -> Self {
        Self { name, value: value.into() }
    }
}

impl From<u64> for FactValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for FactValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for FactValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&str> for FactValue {
    fn from(text: &str) -> Self {
        const LONGEST: usize = 256;
        // Terminals obey control characters.
        let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Self::Text(text.chars().take(LONGEST).map(clean).collect())
    }
}

impl From<String> for FactValue {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl std::fmt::Display for FactValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Text(text) => f.write_str(text),
        }
    }
}
