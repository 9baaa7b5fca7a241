//! What a server answered, and a strict reader of its own for each rendering: a tester that shared the server's
//! parser would share its mistakes.

mod category;
mod entity;
mod scanner;
mod value;

pub(crate) use category::Category;
pub(crate) use entity::{Entity, LinkSeen};
pub(crate) use scanner::{split_commas, split_parameters};
pub(crate) use value::Value;

use serde_json::Value as Json;

use crate::check::Stop;

pub(crate) const PLAIN: &str = "text/plain";
pub(crate) const OCCI: &str = "text/occi";
pub(crate) const URI_LIST: &str = "text/uri-list";
pub(crate) const JSON: &str = "application/occi+json";

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first field of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_fields(name).first().copied()
    }

    /// All fields of that name, in their order.
    pub(crate) fn header_fields(&self, name: &str) -> Vec<&str> {
        let fields = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// `Content-Type` without its parameters, in lower case.
    pub(crate) fn media_type(&self) -> String {
        let value = self.header("Content-Type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Fails unless the status is one of these.
    pub(crate) fn expect(&self, allowed: &[u16]) -> Result<&Self, Stop> {
        if allowed.contains(&self.status) {
            return Ok(self);
        }
        let allowed: Vec<_> = allowed.iter().map(u16::to_string).collect();
        fail!("{} was expected, and {} came: {}", allowed.join(" or "), self.status, self.first_words());
    }

    /// Fails unless the answer is of this media type; text/occi+plain is text/plain.
    pub(crate) fn expect_media(&self, media_type: &str) -> Result<&Self, Stop> {
        let found = self.media_type();
        let is_plain = media_type == PLAIN && found == "text/occi+plain";
        hold!(found == media_type || is_plain, "Content-Type is {found:?} instead of {media_type}");
        Ok(self)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<&str, Stop> {
        std::str::from_utf8(&self.body).map_err(|_| Stop::Failed("the body is not UTF-8".to_owned()))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Json, Stop> {
        self.expect_media(JSON)?;
        serde_json::from_slice(&self.body).map_err(|error| Stop::Failed(format!("the body is not JSON: {error}")))
    }

    /// Values of a rendering field (`Category`, `Link`, `X-OCCI-Attribute`, `X-OCCI-Location`): from the body of
    /// text/plain, or from the header fields of text/occi.
    pub(crate) fn rendered(&self, name: &str) -> Result<Vec<String>, Stop> {
        let mut values = Vec::new();
        match self.media_type().as_str() {
            "text/plain" | "text/occi+plain" => {
                for line in self.text()?.lines().filter(|line| !line.trim().is_empty()) {
                    let Some((field, value)) = line.split_once(':') else {
                        fail!("a line of text/plain has no field name: {line:?}");
                    };
                    if field.eq_ignore_ascii_case(name) {
                        values.extend(split_commas(value)?);
                    }
                }
            }
            "text/occi" => {
                for field in self.header_fields(name) {
                    values.extend(split_commas(field)?);
                }
            }
            other => fail!("text/plain or text/occi was expected, not {other:?}"),
        }
        Ok(values)
    }

    /// The categories of a query interface, in any rendering.
    pub(crate) fn categories(&self) -> Result<Vec<Category>, Stop> {
        if self.media_type() == JSON {
            return category::from_model(&self.json()?);
        }
        self.rendered("Category")?.iter().map(|value| Category::parse(value)).collect()
    }

    /// The entity that the answer holds, in any rendering.
    pub(crate) fn entity(&self) -> Result<Entity, Stop> {
        Entity::of(self)
    }

    /// The locations of a listing, in any rendering; an empty collection may have no body at all.
    pub(crate) fn locations(&self) -> Result<Vec<String>, Stop> {
        if self.status == 204 {
            return Ok(Vec::new());
        }
        match self.media_type().as_str() {
            URI_LIST => {
                let lines = self.text()?.lines().map(str::trim);
                Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
            }
            JSON => match self.json()? {
                Json::Array(items) => {
                    let locations = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                    let Some(locations) = locations else { fail!("the array holds something else than URIs") };
                    Ok(locations)
                }
                _ => fail!("JSON collections hold entities, not locations"),
            },
            _ => self.rendered("X-OCCI-Location"),
        }
    }

    /// The beginning of the body, for messages.
    pub(crate) fn first_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let words: String = text.trim().chars().take(160).collect();
        if words.is_empty() { "no body".to_owned() } else { words.replace(['\r', '\n'], " ") }
    }
}
