use serde::{Deserialize, Serialize};

use crate::{ApplianceName, MarketplaceError};

const LONGEST_TITLE: usize = 120;
const LONGEST_DESCRIPTION: usize = 4000;
const LONGEST_PUBLISHER: usize = 120;

/// An entry of the catalogue: something that a machine can be made from, in several versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ApplianceDraft", into = "ApplianceDraft")]
pub struct Appliance {
    name: ApplianceName,
    title: String,
    description: String,
    publisher: String,
}

/// An entry as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApplianceDraft {
    /// See [`ApplianceName`].
    pub name: String,
    /// One line for people: 1 to 120 characters without commas and control characters, because old OCCI clients
    /// split a category at every comma, quoted or not.
    pub title: String,
    /// More for people: at most 4000 characters, without control characters but line breaks and tabs.
    #[serde(default)]
    pub description: String,
    /// Who vouches for it: 1 to 120 characters without control characters.
    pub publisher: String,
}

impl Appliance {
    /// The term of its mixin.
    #[must_use]
    pub fn name(&self) -> &ApplianceName {
        &self.name
    }

    /// One line for people.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// More for people; may be empty.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Who vouches for it.
    #[must_use]
    pub fn publisher(&self) -> &str {
        &self.publisher
    }
}

impl TryFrom<ApplianceDraft> for Appliance {
    type Error = MarketplaceError;

    fn try_from(draft: ApplianceDraft) -> Result<Self, MarketplaceError> {
        let name = draft.name.try_into()?;
        check_line("an appliance's title", &draft.title, LONGEST_TITLE)?;
        if draft.title.contains(',') {
            return Err(MarketplaceError::invalid("an appliance's title", "must not have a comma"));
        }
        check_line("an appliance's publisher", &draft.publisher, LONGEST_PUBLISHER)?;
        check_text("an appliance's description", &draft.description, LONGEST_DESCRIPTION)?;
        Ok(Self { name, title: draft.title, description: draft.description, publisher: draft.publisher })
    }
}

impl From<Appliance> for ApplianceDraft {
    fn from(appliance: Appliance) -> Self {
        Self {
            name: appliance.name.into(),
            title: appliance.title,
            description: appliance.description,
            publisher: appliance.publisher,
        }
    }
}

fn check_line(field: &'static str, text: &str, longest: usize) -> Result<(), MarketplaceError> {
    if text.trim().is_empty() {
        return Err(MarketplaceError::invalid(field, "must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(MarketplaceError::invalid(field, "must not have line breaks or other control characters"));
    }
    check_length(field, text, longest)
}

fn check_text(field: &'static str, text: &str, longest: usize) -> Result<(), MarketplaceError> {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(MarketplaceError::invalid(field, "must not have control characters but line breaks and tabs"));
    }
    check_length(field, text, longest)
}

fn check_length(field: &'static str, text: &str, longest: usize) -> Result<(), MarketplaceError> {
    match text.chars().count() {
        length if length > longest => {
            Err(MarketplaceError::invalid(field, format!("must have at most {longest} characters, not {length}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> ApplianceDraft {
        ApplianceDraft {
            name: "debian-12".into(),
            title: "Debian 12 教學用".into(),
            description: "First line\n\tsecond line".into(),
            publisher: "A school".into(),
        }
    }

    fn refusal(draft: ApplianceDraft) -> String {
        Appliance::try_from(draft).unwrap_err().to_string()
    }

    #[test]
    fn a_good_draft_keeps_its_words() {
        let appliance = Appliance::try_from(draft()).unwrap();
        assert_eq!(appliance.name().as_str(), "debian-12");
        assert_eq!(ApplianceDraft::from(appliance), draft());
        let longest = ApplianceDraft { title: "題".repeat(120), description: "文".repeat(4000), ..draft() };
        Appliance::try_from(longest).unwrap();
    }

    #[test]
    fn each_field_is_named_when_it_is_wrong() {
        let title = |title: &str| refusal(ApplianceDraft { title: title.into(), ..draft() });
        assert_eq!(title(" "), "an appliance's title must not be empty");
        assert_eq!(title("a, b"), "an appliance's title must not have a comma");
        assert!(title("a\r\nX-Header: b").contains("line breaks"));
        assert!(title(&"x".repeat(121)).contains("at most 120 characters, not 121"));
        assert!(refusal(ApplianceDraft { publisher: String::new(), ..draft() }).contains("publisher"));
        assert!(refusal(ApplianceDraft { description: "\u{1b}[2J".into(), ..draft() }).contains("description"));
        assert!(refusal(ApplianceDraft { description: "x".repeat(4001), ..draft() }).contains("4000"));
        assert!(refusal(ApplianceDraft { name: "Debian".into(), ..draft() }).contains("name"));
    }

    #[test]
    fn json_is_checked_too() {
        let text = serde_json::to_string(&Appliance::try_from(draft()).unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Appliance>(&text).unwrap(), Appliance::try_from(draft()).unwrap());
        assert!(serde_json::from_str::<Appliance>(&text.replace("Debian 12", "a, b")).is_err());
    }
}
