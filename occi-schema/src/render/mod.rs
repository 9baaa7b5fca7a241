//! From answers to bytes and header fields.
//!
//! Whatever an attribute holds, a rendering stays well formed: in text, strings are quoted and `"`, `\`, line ends and
//! control characters are escaped (`\"`, `\\`, `\n`, `\r`, `\t`, `\uXXXX`); in header fields everything outside visible
//! ASCII is escaped too, so that no value can end a field. Locations are percent-encoded where they must be.

mod escape;
mod json;
mod listing;
mod request;
mod text;

use std::collections::BTreeMap;

pub use listing::ListingWriter;
pub use request::{Attributes, LinkWish, Wish, filter, invocation, wish};

use crate::attribute::AttributeName;
use crate::category::Category;
use crate::identifier::CategoryId;
use crate::media_type::MediaType;
use crate::model::{Mode, Model};
use crate::value::Value;
use crate::well_known::attribute;
use escape::{header_safe, uri};

/// An answer, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// Further header fields. Their values are visible ASCII and spaces.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Rendered {
    fn new(media: MediaType, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: media.content_type(), headers: Vec::new(), body: body.into() }
    }

    fn of_headers(headers: Vec<(&'static str, String)>) -> Self {
        Self { headers, ..Self::new(MediaType::TextOcci, "OK") }
    }

    /// The same with the line ends of the mode. The documents want CRLF in bodies of text (RFC 2483, GFD.229 section 5);
    /// deployed clients keep the CR as a part of what they read.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        let has_lines = self.content_type != MediaType::TextOcci.content_type()
            && self.content_type.starts_with("text/")
            && !self.body.is_empty()
            && self.body != b"OK";
        if mode == Mode::Strict && has_lines {
            let lines = self.body.strip_suffix(b"\n").unwrap_or(&self.body).split(|byte| *byte == b'\n');
            self.body = lines.flat_map(|line| [line, b"\r\n"]).flatten().copied().collect();
        }
        self
    }

    /// Size of the header fields, in bytes: text/occi is never truncated, so a server must refuse what its limit on
    /// header fields does not hold (C-070).
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        self.headers.iter().map(|(name, value)| name.len() + value.len() + ": \r\n".len()).sum()
    }
}

/// An entity as it is to be shown.
#[derive(Debug, Clone)]
pub struct EntityView<'a> {
    /// `occi.core.id`.
    pub id: &'a str,
    /// Its kind.
    pub kind: &'a CategoryId,
    /// Its mixins.
    pub mixins: &'a [CategoryId],
    /// Its attributes. An entity that has `occi.core.source` and `occi.core.target` is shown as a link.
    pub attributes: &'a BTreeMap<AttributeName, Value>,
    /// Its outgoing links.
    pub links: Vec<LinkView<'a>>,
    /// The actions it offers now, in order.
    pub actions: &'a [CategoryId],
    /// Its path.
    pub location: &'a str,
}

impl EntityView<'_> {
    fn end(&self, name: &AttributeName) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_str)
    }

    /// Whether it is shown as a link.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.end(&attribute::SOURCE).is_some() && self.end(&attribute::TARGET).is_some()
    }
}

/// A link as it is to be shown with its source.
#[derive(Debug, Clone)]
pub struct LinkView<'a> {
    /// `occi.core.id` of the link.
    pub id: &'a str,
    /// Its kind.
    pub kind: &'a CategoryId,
    /// Its mixins.
    pub mixins: &'a [CategoryId],
    /// Its attributes.
    pub attributes: &'a BTreeMap<AttributeName, Value>,
    /// Its own path.
    pub location: &'a str,
    /// What it points at: a path, or a URL elsewhere.
    pub target: &'a str,
    /// The target's kind; `None` for what is elsewhere.
    pub target_kind: Option<&'a CategoryId>,
}

/// One entity. `text/uri-list` shows its location.
#[must_use]
pub fn entity(media: MediaType, view: &EntityView<'_>, base_url: &str) -> Rendered {
    entity_of(media, view, None, base_url)
}

/// The same, with titles and locations of its categories in the text renderings, which older clients look for there.
#[must_use]
pub fn entity_in(media: MediaType, view: &EntityView<'_>, model: &Model, base_url: &str) -> Rendered {
    entity_of(media, view, Some(model), base_url)
}

fn entity_of(media: MediaType, view: &EntityView<'_>, model: Option<&Model>, base_url: &str) -> Rendered {
    match media {
        MediaType::TextPlain => Rendered::new(media, text::entity_lines(view, model)),
        MediaType::TextOcci => Rendered::of_headers(text::entity_fields(view, model)),
        MediaType::UriList => locations(media, [view.location], base_url),
        MediaType::Json => {
            let mut body = Vec::with_capacity(1024);
            json::entity(view, &mut body);
            Rendered::new(media, body)
        }
        // A single one is a collection there.
        MediaType::LegacyJson => Rendered::new(media, listing::json(media, std::slice::from_ref(view).iter())),
    }
}

/// A listing of entities: locations in text, full objects in JSON, where resources come before links.
pub fn entities<'a>(media: MediaType, views: impl IntoIterator<Item = EntityView<'a>>, base_url: &str) -> Rendered {
    match media {
        MediaType::Json | MediaType::LegacyJson => {
            let (links, resources): (Vec<_>, Vec<_>) = views.into_iter().partition(EntityView::is_link);
            Rendered::new(media, listing::json(media, resources.iter().chain(&links)))
        }
        _ => {
            let paths: Vec<&str> = views.into_iter().map(|view| view.location).collect();
            locations(media, paths, base_url)
        }
    }
}

/// A listing of locations, given as paths. JSON has an array of strings for them. Nothing stands behind the last line:
/// a client takes the base name of the whole body for the id (the Infrastructure Manager). In header fields the list
/// stands in `Location` too, where jOCCI looks for it, without blanks, which it would keep.
pub fn locations<'a>(media: MediaType, paths: impl IntoIterator<Item = &'a str>, base_url: &str) -> Rendered {
    let base = base_url.trim_end_matches('/');
    let urls = paths.into_iter().map(|path| uri(&format!("{base}{path}")));
    match media {
        MediaType::TextPlain => {
            let lines: Vec<String> = urls.map(|url| format!("X-OCCI-Location: {url}")).collect();
            Rendered::new(media, lines.join("\n"))
        }
        MediaType::UriList => Rendered::new(media, urls.collect::<Vec<_>>().join("\n")),
        MediaType::TextOcci => {
            let list: Vec<String> = urls.collect();
            let fields = vec![("X-OCCI-Location", list.join(", ")), ("Location", list.join(","))];
            Rendered::of_headers(if list.is_empty() { vec![] } else { fields })
        }
        MediaType::Json | MediaType::LegacyJson => Rendered::new(media, json::strings(urls)),
    }
}

/// The query interface: the whole model, core kinds first. `text/uri-list` shows the collections' paths.
#[must_use]
pub fn model(media: MediaType, model: &Model) -> Rendered {
    categories(media, model, model.categories())
}

/// Some categories of a model, such as the answer to a filter or to `save`.
pub fn categories<'a>(
    media: MediaType,
    model: &'a Model,
    categories: impl IntoIterator<Item = Category<'a>>,
) -> Rendered {
    match media {
        MediaType::TextPlain => {
            let mut body = String::new();
            for category in categories {
                body.push_str("Category: ");
                text::category(&mut body, model, category, escape::Place::Line);
                body.push('\n');
            }
            Rendered::new(media, body)
        }
        MediaType::TextOcci => {
            let mut value = String::new();
            for category in categories {
                text::separate(&mut value);
                text::category(&mut value, model, category, escape::Place::Field);
            }
            Rendered::of_headers(if value.is_empty() { vec![] } else { vec![("Category", value)] })
        }
        MediaType::UriList => {
            let mut body = String::new();
            for category in categories {
                let location = match category {
                    Category::Kind(kind) => kind.location.as_deref(),
                    Category::Mixin(mixin) => Some(mixin.location.as_str()),
                    Category::Action(_) => None,
                };
                if let Some(location) = location {
                    body.push_str(location);
                    body.push('\n');
                }
            }
            Rendered::new(media, body)
        }
        MediaType::Json => Rendered::new(media, json::model(model, categories)),
        MediaType::LegacyJson => Rendered::new(media, json::legacy_model(model, categories)),
    }
}

/// The answer to a creation (201): the absolute URLs of what was created, in the body as well as, for a single one, in
/// `Location`.
#[must_use]
pub fn created(media: MediaType, urls: &[impl AsRef<str>]) -> Rendered {
    let mut rendered = match media {
        // The body is `OK` here: the clients of this rendering read `Location`.
        MediaType::TextOcci if urls.len() == 1 => Rendered::of_headers(Vec::new()),
        _ => locations(media, urls.iter().map(AsRef::as_ref), ""),
    };
    // Several are no single location (RFC 9110 section 10.2.2).
    rendered.headers.retain(|(name, _)| *name != "Location");
    if let [url] = urls {
        rendered.headers.push(("Location", uri(url.as_ref())));
    }
    rendered
}

/// The answer to a deletion.
#[must_use]
pub fn deleted(media: MediaType) -> Rendered {
    ok(media)
}

/// The answer to something that has nothing to show.
#[must_use]
pub fn ok(media: MediaType) -> Rendered {
    match media {
        MediaType::TextPlain | MediaType::TextOcci => Rendered::new(media, "OK"),
        MediaType::UriList => Rendered::new(media, ""),
        MediaType::Json | MediaType::LegacyJson => Rendered::new(media, "{}"),
    }
}

/// The answer to a failure. `text/uri-list` cannot say anything, so it becomes text/plain.
#[must_use]
pub fn error(media: MediaType, status: u16, message: &str) -> Rendered {
    match media {
        MediaType::TextPlain | MediaType::UriList => {
            Rendered::new(MediaType::TextPlain, format!("{}\n", escape::one_line(message)))
        }
        MediaType::TextOcci => {
            let safe = header_safe(message);
            Rendered { headers: vec![("X-OCCI-Error", safe.clone())], ..Rendered::new(media, safe) }
        }
        MediaType::Json | MediaType::LegacyJson => Rendered::new(media, json::error(status, message)),
    }
}
