use std::borrow::Cow;

use disk_image::{ContentDigest, ImageFormat};
use serde::{Deserialize, Serialize};

use crate::{
    login::secret::{Secret, SecretError},
    store::Timestamp,
};

/// What the secret makes a key for.
const PURPOSE: &str = "image ticket";
/// None of ours is longer, in characters.
const LONGEST: usize = 1024;
const FIELD: &str = "ticket=";

/// The right to fetch one image in one format for a while. Whoever has it has the right, and nothing is remembered of
/// it here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    #[serde(rename = "d")]
    pub digest: ContentDigest,
    #[serde(rename = "f")]
    pub format: ImageFormat,
    #[serde(rename = "h")]
    pub holder: Holder,
    #[serde(rename = "e")]
    pub expires: Timestamp,
}

/// Whom a ticket was made for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The backend of this site.
    Site(String),
    /// Anybody: the image is offered to everybody.
    Marketplace,
}

impl Ticket {
    /// As it stands in a URL.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn seal(&self, secret: &Secret) -> Result<String, SecretError> {
        secret.seal(PURPOSE, &serde_json::to_vec(self).map_err(|_| SecretError::TooLong)?)
    }

    /// What was sealed with this secret, expired or not; `None` for anything else.
    pub fn open(secret: &Secret, text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        serde_json::from_slice(&secret.open(PURPOSE, text)?).ok()
    }
}

/// The text without the tickets in it. Backends say which address they could not fetch, and whoever reads that must not
/// be able to.
pub fn withhold(text: &str) -> Cow<'_, str> {
    if !text.contains(FIELD) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(FIELD);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '%'));
        shown.push_str(FIELD);
        shown.push_str("(withheld)");
        shown.push_str(rest);
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a47_what_a_backend_says_of_an_address_has_no_ticket() {
        let said = "cannot get 'https://b.example/images/ab.qcow2?ticket=Ab-_9' (404), nor ticket=xyz";
        let shown = "cannot get 'https://b.example/images/ab.qcow2?ticket=(withheld)' (404), nor ticket=(withheld)";
        assert_eq!(withhold(said), shown);
        assert!(matches!(withhold("no room"), Cow::Borrowed("no room")));
    }
}
