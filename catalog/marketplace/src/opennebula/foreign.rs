use serde_json::Value;
use thiserror::Error;

use super::{
    foreign_file::ForeignFile,
    lenient::{line, lines},
};
use crate::{ApplianceDraft, ApplianceName, Architecture};

/// Most applications of a list.
const MOST: usize = 5000;
const LONGEST_NAME: usize = 120;
const LONGEST_DESCRIPTION: usize = 4000;

/// The list that somebody else's marketplace answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignListing {
    /// What can be made use of.
    pub appliances: Vec<ForeignAppliance>,
    /// What cannot: its name, and why.
    pub unusable: Vec<(String, String)>,
}

/// An application in somebody else's marketplace. Its texts are plain: no control characters, bounded lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignAppliance {
    /// By what the marketplace knows it.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// What the publisher calls this version; may be empty.
    pub version: String,
    /// Who is said to vouch for it; may be empty.
    pub publisher: String,
    /// Words for people; may be empty.
    pub description: String,
    /// What its code is said to be made for.
    pub architecture: Architecture,
    /// Its disk.
    pub file: ForeignFile,
}

/// Why a list cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListingError {
    /// Not what a marketplace answers.
    #[error("what came is no list of OpenNebula's marketplace: {0}")]
    Malformed(String),
    /// Beyond what is read.
    #[error("the list has more than {MOST} entries")]
    TooMany,
    /// Beyond what is read.
    #[error("the list has more than {} bytes", ForeignListing::LONGEST)]
    TooLong,
}

impl ForeignListing {
    /// Most bytes of a list.
    pub const LONGEST: usize = 8 << 20;

    /// Reads what a marketplace answers to `GET /appliance`. What is wrong with one application makes none of the others
    /// unusable.
    ///
    /// # Errors
    /// [`ListingError`]; JSON nested more than 128 deep is malformed.
    pub fn read(bytes: &[u8]) -> Result<Self, ListingError> {
        if bytes.len() > Self::LONGEST {
            return Err(ListingError::TooLong);
        }
        let malformed = |reason: &str| ListingError::Malformed(reason.to_owned());
        let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
        let entries = value.get("appliances").and_then(Value::as_array);
        let entries = entries.ok_or_else(|| malformed("it has no list named appliances"))?;
        if entries.len() > MOST {
            return Err(ListingError::TooMany);
        }
        let mut listing = Self { appliances: Vec::new(), unusable: Vec::new() };
        for entry in entries {
            match ForeignAppliance::read(entry) {
                Ok(appliance) => listing.appliances.push(appliance),
                Err(reason) => listing.unusable.push((line(entry.get("name"), LONGEST_NAME), reason)),
            }
        }
        Ok(listing)
    }

    /// The application of this name or id.
    ///
    /// # Errors
    /// In words: there is none, none that can be used, or several.
    pub fn find(&self, wanted: &str) -> Result<&ForeignAppliance, String> {
        let mut found = self.appliances.iter().filter(|appliance| appliance.name == wanted || appliance.id == wanted);
        match (found.next(), found.next()) {
            (Some(appliance), None) => Ok(appliance),
            (Some(_), Some(_)) => Err(format!("several are named {wanted:?}; name one by its id")),
            (None, _) => match self.unusable.iter().find(|(name, _)| name == wanted) {
                Some((_, reason)) => Err(format!("{wanted:?} cannot be imported: {reason}")),
                None => Err(format!("the marketplace has nothing named {wanted:?}; --list shows what it has")),
            },
        }
    }
}

impl ForeignAppliance {
    fn read(value: &Value) -> Result<Self, String> {
        let kind = line(value.get("type"), 40).to_ascii_uppercase();
        if !matches!(kind.as_str(), "" | "IMAGE") {
            return Err(format!("it is a {kind} and no image"));
        }
        let id = line(value.get("_id").and_then(|id| id.get("$oid")), 65);
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err("it has no id of 1 to 64 letters, digits and '-'".into());
        }
        let name = line(value.get("name"), LONGEST_NAME);
        if name.is_empty() {
            return Err("it has no name".into());
        }
        let architecture = match line(value.get("os-arch"), 20).to_ascii_lowercase().as_str() {
            "" | "x86_64" | "amd64" => Architecture::X86_64,
            "x86" | "i386" | "i586" | "i686" => Architecture::X86,
            other => return Err(format!("it is made for {other}")),
        };
        let files = value.get("files").and_then(Value::as_array);
        let file = files.and_then(|files| files.first()).ok_or("it has no files")?;
        let short = lines(value.get("short_description"), LONGEST_DESCRIPTION);
        let description = lines(value.get("description"), LONGEST_DESCRIPTION);
        Ok(Self {
            id,
            name,
            version: line(value.get("version"), 40),
            publisher: line(value.get("publisher"), 120),
            description: if description.is_empty() { short } else { description },
            architecture,
            file: ForeignFile::read(file)?,
        })
    }

    /// A name for it in our catalogue that is made of its own; `None` when nothing is left of that.
    #[must_use]
    pub fn suggested_name(&self) -> Option<ApplianceName> {
        let mut name = String::new();
        for c in self.name.chars().map(|c| c.to_ascii_lowercase()) {
            match c {
                'a'..='z' | '0'..='9' | '_' => name.push(c),
                _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                _ => {}
            }
        }
        let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        let name: String = name.chars().take(ApplianceName::LONGEST).collect();
        name.trim_end_matches('-').parse().ok()
    }

    /// As an entry of our catalogue under this name, to be checked as any other.
    #[must_use]
    pub fn draft(&self, name: &str) -> ApplianceDraft {
        let publisher = if self.publisher.is_empty() { "unknown" } else { &self.publisher };
        ApplianceDraft {
            name: name.to_owned(),
            title: self.name.replace(',', " "),
            description: self.description.clone(),
            publisher: publisher.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Appliance;

    fn application(name: &str) -> Value {
        json!({
            "_id": { "$oid": "0123456789ab0123456789ab" }, "name": name, "version": 12.7, "publisher": "OpenNebula",
            "short_description": "Small", "os-arch": "x86_64", "format": "qcow2",
            "files": [{ "url": "https://images.example/a", "size": 1_073_741_824_u64, "md5": "ab".repeat(16) }],
        })
    }

    fn read(entries: &[Value]) -> ForeignListing {
        ForeignListing::read(json!({ "sEcho": 1, "appliances": entries }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_application_becomes_an_entry_of_ours() {
        let listing = read(&[application("Alpine Linux 3.20, small")]);
        let found = listing.find("Alpine Linux 3.20, small").unwrap();
        assert_eq!(listing.find("0123456789ab0123456789ab"), Ok(found));
        assert_eq!((found.version.as_str(), found.description.as_str()), ("12.7", "Small"));
        let name = found.suggested_name().unwrap();
        assert_eq!(name.as_str(), "alpine-linux-3-20-small");
        let appliance = Appliance::try_from(found.draft(name.as_str())).unwrap();
        assert_eq!((appliance.title(), appliance.publisher()), ("Alpine Linux 3.20  small", "OpenNebula"));
    }

    #[test]
    fn one_bad_application_does_not_spoil_the_list() {
        let without = |field: &str| {
            let mut value = application(&format!("without {field}"));
            value.as_object_mut().unwrap().remove(field);
            value
        };
        let with = |field: &str, value: Value| {
            let mut changed = application(&format!("with {field}"));
            changed[field] = value;
            changed
        };
        let bad = vec![
            without("_id"),
            without("name"),
            without("files"),
            with("files", json!([])),
            with("files", json!({})),
            with("files", json!([{ "url": "file:///etc/passwd" }])),
            with("_id", json!({ "$oid": "../../x" })),
            with("type", json!("SERVICE_TEMPLATE")),
            with("os-arch", json!("aarch64")),
            json!(null),
            json!("x"),
            json!([]),
        ];
        let count = bad.len();
        let mut all = bad;
        all.push(application("good"));
        let listing = read(&all);
        assert_eq!((listing.appliances.len(), listing.unusable.len()), (1, count));
        assert!(listing.find("good").is_ok());
        assert!(listing.find("with os-arch").unwrap_err().contains("aarch64"));
        assert!(listing.find("nothing").unwrap_err().contains("--list"));
        assert!(read(&[application("a"), application("a")]).find("a").unwrap_err().contains("several"));
    }

    #[test]
    fn a27_lists_are_bounded() {
        let error = |text: &str| ForeignListing::read(text.as_bytes()).unwrap_err();
        let many = format!("{{\"appliances\":[{}null]}}", "null,".repeat(MOST));
        assert_eq!(error(&many), ListingError::TooMany);
        assert_eq!(error(&" ".repeat(ForeignListing::LONGEST + 1)), ListingError::TooLong);
        for odd in ["", "{}", "[]", "<html>", "{\"appliances\":{}}", "{\"appliances\":1}"] {
            assert!(matches!(error(odd), ListingError::Malformed(_)), "{odd}");
        }
        let deep = format!("{{\"appliances\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(error(&deep), ListingError::Malformed(_)));
    }

    #[test]
    fn names_for_us_are_terms() {
        let suggested = |name: &str| read(&[application(name)]).appliances[0].suggested_name().map(String::from);
        assert_eq!(suggested("Service WordPress - KVM").as_deref(), Some("service-wordpress-kvm"));
        assert_eq!(suggested("12 monkeys").as_deref(), Some("monkeys"));
        assert_eq!(suggested("教學"), None);
        assert_eq!(suggested(&"a".repeat(100)).map(|name| name.len()), Some(64));
    }
}
