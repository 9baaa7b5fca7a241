//! Entities as servers show them. Whatever a server writes, an entity is read as far as it can be, within bounds.

use backend_http::{Answer, quoted};
use occi_schema::{
    AttributeName, CategoryId, EntityReference, EntityRequest, Limits, LinkRequest, MediaType, RawValue, Value, parse,
    well_known::attribute,
};

use crate::{connection::fields, pieces};

/// The largest entity, in bytes: user data makes it large.
const MOST_ENTITY_BYTES: usize = 1 << 20;

/// Bounds of an answer. The body is bounded where it is received.
fn limits() -> Limits {
    Limits {
        body_bytes: 64 << 20,
        line_bytes: 4 << 20,
        lines: 200_000,
        links: 1024,
        entities: 200_000,
        locations: 200_000,
        json_depth: 32,
        ..Limits::default()
    }
}

/// An entity, as its server shows it.
#[derive(Debug, Clone)]
pub(crate) struct Entity {
    /// What its server calls it within its kind: the last part of its path.
    pub(crate) id: String,
    said: EntityRequest,
}

/// A link that starts at an entity.
#[derive(Debug, Clone)]
pub(crate) struct OwnLink<'a>(&'a LinkRequest);

impl Entity {
    fn new(said: EntityRequest, location: Option<&str>) -> Result<Self, String> {
        if said.categories.is_empty() {
            return Err("an entity without a kind".into());
        }
        let id = location.map(str::to_owned).or_else(|| said.id()).ok_or("an entity without an id")?;
        Ok(Self { id: last_part(&id).to_owned(), said })
    }

    pub(crate) fn text(&self, name: &AttributeName) -> Option<String> {
        self.said.attribute(name).and_then(RawValue::text)
    }

    pub(crate) fn named(&self, name: &str) -> Option<String> {
        self.text(&AttributeName::new(name).ok()?)
    }

    pub(crate) fn number(&self, name: &AttributeName) -> Option<f64> {
        self.text(name)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub(crate) fn value(&self, name: &AttributeName) -> Option<Value> {
        self.said.attribute(name).map(RawValue::guess)
    }

    /// Its state, by whatever kind it is of, and what is said of that.
    pub(crate) fn state(&self, of: &str) -> (Option<String>, Option<String>) {
        let state = self.named(&format!("{of}.state"));
        let message = self.named(&format!("{of}.state.message")).filter(|message| !message.trim().is_empty());
        (state.map(|state| state.to_ascii_lowercase()), message)
    }

    pub(crate) fn has(&self, category: &CategoryId) -> bool {
        self.said.categories.iter().any(|known| known.id == *category)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = OwnLink<'_>> {
        self.said.links.iter().map(OwnLink)
    }
}

impl OwnLink<'_> {
    pub(crate) fn is(&self, kind: &CategoryId) -> bool {
        self.0.categories.iter().any(|known| known.id == *kind)
    }

    pub(crate) fn text(&self, name: &AttributeName) -> Option<String> {
        self.0.attributes.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.text())
    }

    /// What its server calls it within its kind.
    pub(crate) fn id(&self) -> Option<String> {
        let named = self.0.location.clone().or_else(|| self.0.id())?;
        Some(last_part(&named).to_owned())
    }

    /// What its server calls the thing that it leads to.
    pub(crate) fn target_id(&self) -> &str {
        last_part(&self.0.target)
    }

    pub(crate) fn title(&self) -> Option<String> {
        self.text(&attribute::TITLE)
    }
}

/// What stands behind the last slash of a path, and the last colon of a URN.
pub(crate) fn last_part(location: &str) -> &str {
    location.trim().trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default()
}

/// The rendering of an answer; that of the question where it does not say.
pub(crate) fn media_of(answer: &Answer, asked: MediaType) -> MediaType {
    let named = answer.header("content-type").map(|field| field.split(';').next().unwrap_or_default().trim());
    match named.map(str::to_ascii_lowercase).as_deref() {
        Some("text/occi") => MediaType::TextOcci,
        Some("text/plain" | "text/occi+plain") => MediaType::TextPlain,
        Some("text/uri-list") => MediaType::UriList,
        Some("application/occi+json" | "application/json") if asked == MediaType::LegacyJson => MediaType::LegacyJson,
        Some("application/occi+json" | "application/json") => MediaType::Json,
        _ => asked,
    }
}

/// The one entity of an answer.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn entity(answer: &Answer, asked: MediaType, location: &str) -> Result<Entity, String> {
    let media = media_of(answer, asked);
    let said = match media {
        MediaType::Json | MediaType::LegacyJson => of_json(&answer.body, media)?,
        _ => of_text(answer, media)?,
    };
    Entity::new(said, Some(location))
}

/// What an answer lists.
pub(crate) enum Listed {
    /// An entity with all that is said of it.
    Whole(Box<Entity>),
    /// Only where it is.
    At(String),
    /// Something that cannot be read, and why.
    Unreadable(String),
}

/// The entities of a listing, one by one; links are listed in `links`, everything else in `resources`.
///
/// # Errors
/// The answer is no listing.
pub(crate) fn listing(answer: &Answer, asked: MediaType, are_links: bool) -> Result<Vec<Listed>, String> {
    let media = media_of(answer, asked);
    if matches!(media, MediaType::Json | MediaType::LegacyJson) {
        let member = if are_links { "links" } else { "resources" };
        let pieces = pieces::of(&answer.body, member)?;
        return Ok(pieces.into_iter().map(|piece| listed(piece, media)).collect());
    }
    let found = locations(answer, media)?;
    if found.is_empty() && matches!(asked, MediaType::Json | MediaType::LegacyJson) {
        // Who speaks JSON lists nothing in JSON. Anything else may be a proxy's, and would mean that everything is gone.
        return Err("it is not in JSON, and lists nothing".into());
    }
    Ok(found.into_iter().map(Listed::At).collect())
}

fn listed(piece: &[u8], media: MediaType) -> Listed {
    if piece.first() == Some(&b'"') {
        return match serde_json::from_slice(piece) {
            Ok(location) => Listed::At(location),
            Err(error) => Listed::Unreadable(error.to_string()),
        };
    }
    match of_json(piece, media).and_then(|said| Entity::new(said, None)) {
        Ok(entity) => Listed::Whole(Box::new(entity)),
        Err(why) => Listed::Unreadable(why),
    }
}

/// The locations in an answer: `X-OCCI-Location` in lines or fields, `Location` where a server lists there (rOCCI), a
/// list of URIs, a JSON array.
pub(crate) fn locations(answer: &Answer, media: MediaType) -> Result<Vec<String>, String> {
    let fields = fields(answer);
    let found = parse::locations(media, &fields, &answer.body, &limits()).map_err(|error| error.to_string())?;
    let found: Vec<String> = found.into_iter().map(text_of).collect();
    if found.is_empty() && media == MediaType::TextOcci {
        let listed = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("location"));
        return Ok(listed.flat_map(|(_, list)| list.split(',')).map(|one| one.trim().to_owned()).collect());
    }
    Ok(found)
}

fn text_of(reference: EntityReference) -> String {
    match reference {
        EntityReference::Location(text) | EntityReference::Id(text) => text,
    }
}

/// Where something was made, by the answer to its creation: the field, the line, the list, or the rendering itself.
pub(crate) fn created(answer: &Answer, asked: MediaType) -> Option<String> {
    if let Some(location) = answer.header("location").filter(|location| !location.is_empty()) {
        return location.split(',').next().map(|first| first.trim().to_owned());
    }
    if let Some(location) = answer.header("x-occi-location") {
        return location.split(',').next().map(|first| first.trim().to_owned());
    }
    let media = media_of(answer, asked);
    if let Some(first) = locations(answer, media).ok().and_then(|found| found.into_iter().next()) {
        return Some(first);
    }
    match media {
        MediaType::Json | MediaType::LegacyJson => of_json(&answer.body, media).ok(),
        _ => of_text(answer, media).ok(),
    }
    .and_then(|said| said.id())
}

/// An entity in JSON. What a server adds to the standard's members is left aside.
fn of_json(text: &[u8], media: MediaType) -> Result<EntityRequest, String> {
    const KNOWN: [&str; 11] =
        ["kind", "mixins", "attributes", "actions", "id", "title", "summary", "source", "target", "links", "resources"];
    if text.len() > MOST_ENTITY_BYTES {
        return Err(format!("{} bytes, more than an entity has", text.len()));
    }
    let first = match parse::entity(media, &[], text, &limits()) {
        Ok(said) => return Ok(said),
        Err(error) => error.to_string(),
    };
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    members.retain(|name, value| KNOWN.contains(&name.as_str()) && !value.is_null());
    if let Some(serde_json::Value::Object(attributes)) = members.get_mut("attributes") {
        attributes.retain(|_, value| !value.is_null());
    }
    let text = serde_json::to_vec(&members).map_err(|error| error.to_string())?;
    parse::entity(media, &[], &text, &limits()).map_err(|_| first)
}

/// An entity in text. A line that cannot be read costs itself: servers in the field write values that no grammar has.
fn of_text(answer: &Answer, media: MediaType) -> Result<EntityRequest, String> {
    let fields = fields(answer);
    let first = match parse::entity(media, &fields, &answer.body, &limits()) {
        Ok(said) => return Ok(said),
        Err(error) => error.to_string(),
    };
    let mut whole = EntityRequest::default();
    let mut take = |media: MediaType, fields: &[(&str, &str)], line: &[u8]| {
        if let Ok(part) = parse::entity(media, fields, line, &limits()) {
            whole.categories.extend(part.categories);
            whole.attributes.extend(part.attributes);
            whole.links.extend(part.links);
            whole.actions.extend(part.actions);
        }
    };
    match media {
        MediaType::TextOcci => fields.iter().for_each(|field| take(media, std::slice::from_ref(field), b"")),
        _ => answer.body.split(|byte| *byte == b'\n').for_each(|line| take(media, &[], line)),
    }
    let most = limits().attributes;
    let is_bounded = whole.attributes.len() <= most && whole.links.len() <= limits().links;
    if whole.categories.is_empty() || !is_bounded { Err(quoted(&first)) } else { Ok(whole) }
}

/// The categories of a query interface, each read by itself, and how many could not be.
///
/// # Errors
/// The answer is no query interface.
pub(crate) fn categories(
    answer: &Answer,
    asked: MediaType,
) -> Result<(Vec<occi_schema::CategoryReference>, usize), String> {
    const MOST_CATEGORIES: usize = 50_000;
    let media = media_of(answer, asked);
    let (mut found, mut unreadable) = (Vec::new(), 0);
    let mut take = |fields: &[(&str, &str)], text: &[u8]| {
        match parse::model(media, fields, text, &limits()) {
            Ok(read) => found.extend(read),
            Err(_) => unreadable += 1,
        }
        if found.len() > MOST_CATEGORIES { Err(format!("more than {MOST_CATEGORIES} categories")) } else { Ok(()) }
    };
    match media {
        MediaType::Json | MediaType::LegacyJson => {
            for member in ["kinds", "mixins", "actions"] {
                for piece in pieces::of(&answer.body, member)? {
                    let alone = [format!("{{\"{member}\":[").as_bytes(), piece, b"]}"].concat();
                    take(&[], &alone)?;
                }
            }
        }
        MediaType::TextOcci => take(&fields(answer), b"")?,
        MediaType::TextPlain => {
            for line in answer.body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
                take(&[], line)?;
            }
        }
        MediaType::UriList => return Err("a list of URIs is no query interface".into()),
    }
    Ok((found, unreadable))
}
