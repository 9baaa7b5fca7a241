//! From bytes and header fields to requests, in the client's own words and within [`Limits`].
//!
//! In `text/occi` the request is in the header fields and the body is not looked at; in all other renderings it is in
//! the body and the fields are not looked at. The scanner and the JSON reader borrow from the input; what they return
//! is owned, so that a request can cross threads.

mod error;
mod json;
mod location;
mod request;
mod scanner;
mod text;

pub use error::{ParseError, Position};
pub(crate) use location::is_reference;
pub use location::{ForeignLocation, local_path};
pub use request::{
    ActionRequest, AttributeFlags, CategoryReference, EntityReference, EntityRequest, Filter, LinkRequest,
};

use crate::category::Class;
use crate::limits::Limits;
use crate::media_type::MediaType;

/// Reads one entity: a creation, a replacement, a partial update, or another server's answer.
///
/// # Errors
/// [`ParseError`] (400): malformed, beyond a limit, or more than one entity.
pub fn entity(
    media: MediaType,
    headers: &[(&str, &str)],
    body: &[u8],
    limits: &Limits,
) -> Result<EntityRequest, ParseError> {
    match media {
        MediaType::Json | MediaType::LegacyJson => json::entity(body, dialect(media), limits),
        _ => text::entity(&fields(media, headers, body, limits)?, limits),
    }
}

/// Reads the entities of a creation: one, or in JSON a collection of them (GFD.223 section 11.3.1).
///
/// # Errors
/// [`ParseError`] (400): malformed or beyond a limit.
pub fn entities(
    media: MediaType,
    headers: &[(&str, &str)],
    body: &[u8],
    limits: &Limits,
) -> Result<Vec<EntityRequest>, ParseError> {
    match media {
        MediaType::Json | MediaType::LegacyJson => json::entities(body, dialect(media), limits),
        _ => entity(media, headers, body, limits).map(|request| vec![request]),
    }
}

/// Reads the invocation of an action.
///
/// # Errors
/// [`ParseError`] (400): malformed, beyond a limit, or not exactly one action.
pub fn action(
    media: MediaType,
    headers: &[(&str, &str)],
    body: &[u8],
    limits: &Limits,
) -> Result<ActionRequest, ParseError> {
    match media {
        MediaType::Json | MediaType::LegacyJson => json::action(body, limits),
        _ => text::action(&fields(media, headers, body, limits)?, limits),
    }
}

/// Reads a filter. It travels in header fields whatever the media type says; a text body is read too.
///
/// # Errors
/// [`ParseError`] (400): malformed or beyond a limit.
pub fn filter(headers: &[(&str, &str)], body: &[u8], limits: &Limits) -> Result<Filter, ParseError> {
    let mut found = fields(MediaType::TextOcci, headers, &[], limits)?;
    if !body.is_empty() {
        found.extend(fields(MediaType::TextPlain, &[], body, limits)?);
    }
    text::filter(&found, limits)
}

/// Reads references to entities, for the collections of mixins.
///
/// # Errors
/// [`ParseError`] (400): malformed or beyond a limit.
pub fn locations(
    media: MediaType,
    headers: &[(&str, &str)],
    body: &[u8],
    limits: &Limits,
) -> Result<Vec<EntityReference>, ParseError> {
    match media {
        MediaType::Json | MediaType::LegacyJson if body.is_empty() => Ok(Vec::new()),
        MediaType::Json | MediaType::LegacyJson => json::locations(body, limits),
        MediaType::UriList => text::uri_list(body, limits),
        _ => text::locations(&fields(media, headers, body, limits)?, limits),
    }
}

/// Reads the user mixins of a request to the query interface; kinds and actions are returned too, to be refused.
///
/// # Errors
/// [`ParseError`] (400): malformed, beyond a limit, or no category at all.
pub fn mixins(
    media: MediaType,
    headers: &[(&str, &str)],
    body: &[u8],
    limits: &Limits,
) -> Result<Vec<CategoryReference>, ParseError> {
    let mut found = match media {
        MediaType::Json | MediaType::LegacyJson => json::mixins(body, dialect(media), limits)?,
        _ => model(media, headers, body, limits)?,
    };
    for category in &mut found {
        category.class = category.class.or(Some(Class::Mixin));
    }
    if found.is_empty() {
        return Err(ParseError::new(Position::Request, "a mixin", "no category"));
    }
    Ok(found)
}

/// Reads categories: the query interface of another server.
///
/// # Errors
/// [`ParseError`]: malformed or beyond a limit.
pub fn model(
    media: MediaType,
    headers: &[(&str, &str)],
    body: &[u8],
    limits: &Limits,
) -> Result<Vec<CategoryReference>, ParseError> {
    match media {
        MediaType::Json | MediaType::LegacyJson => json::model(body, dialect(media), limits),
        _ => text::categories(&fields(media, headers, body, limits)?, limits),
    }
}

fn dialect(media: MediaType) -> json::Dialect {
    if media == MediaType::LegacyJson { json::Dialect::Legacy } else { json::Dialect::Standard }
}

fn fields<'a>(
    media: MediaType,
    headers: &[(&'a str, &'a str)],
    body: &'a [u8],
    limits: &Limits,
) -> Result<Vec<text::Field<'a>>, ParseError> {
    match media {
        MediaType::TextPlain => text::fields_of_body(body, limits),
        MediaType::TextOcci => text::fields_of_headers(headers, limits),
        MediaType::UriList | MediaType::Json | MediaType::LegacyJson => Err(ParseError::new(
            Position::Request,
            "text/plain, text/occi or application/occi+json",
            media.content_type(),
        )),
    }
}
