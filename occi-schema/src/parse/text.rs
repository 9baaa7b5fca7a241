//! text/plain, text/occi and text/uri-list.

use super::error::{ParseError, Position};
use super::location::is_reference;
use super::request::{
    ActionRequest, AttributeFlags, CategoryReference, EntityReference, EntityRequest, Filter, LinkRequest,
};
use super::scanner::{Origin, Scanner};
use crate::attribute::AttributeName;
use crate::category::Class;
use crate::identifier::CategoryId;
use crate::limits::Limits;
use crate::value::{RawValue, is_forbidden};
use crate::well_known::ENTITY;

/// What tells a link to an action from one to a resource.
pub(super) const ACTION_QUERY: &str = "?action=";

/// Lines of an ordinary request.
const USUAL_LINES: usize = 16;

/// What a field of the text renderings holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldName {
    Category,
    Link,
    Attribute,
    Location,
}

impl FieldName {
    fn new(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name {
            _ if is("Category") || is("X-OCCI-Category") => Some(Self::Category),
            _ if is("Link") || is("X-OCCI-Link") => Some(Self::Link),
            _ if is("X-OCCI-Attribute") => Some(Self::Attribute),
            _ if is("X-OCCI-Location") => Some(Self::Location),
            _ => None,
        }
    }
}

/// A field, and its value ready to be scanned.
#[derive(Debug)]
pub(super) struct Field<'a> {
    name: FieldName,
    value: Scanner<'a>,
}

/// The fields among the header fields of a request; all others are HTTP's.
pub(super) fn fields_of_headers<'a>(
    headers: &[(&'a str, &'a str)],
    limits: &Limits,
) -> Result<Vec<Field<'a>>, ParseError> {
    let mut fields = Vec::new();
    for (name, value) in headers {
        let Some(known) = FieldName::new(name) else { continue };
        if value.len() > limits.line_bytes {
            let position = Position::Field { name: (*name).to_owned(), column: 1 };
            return Err(ParseError::too_many(position, "bytes", limits.line_bytes));
        }
        if let Some((at, letter)) = find_control(value) {
            let position = Position::Field { name: (*name).to_owned(), column: at + 1 };
            return Err(control_character(position, letter));
        }
        fields.push(Field { name: known, value: Scanner::new(value, Origin::Field(name), limits.value_bytes) });
    }
    Ok(fields)
}

/// The fields of a text/plain body, one per line; empty lines are skipped.
pub(super) fn fields_of_body<'a>(body: &'a [u8], limits: &Limits) -> Result<Vec<Field<'a>>, ParseError> {
    let lines = lines(body, limits)?;
    let mut fields = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Scanner::new(line, Origin::Line { number, before: 0 }, 0).expected("`name: value`"));
        };
        let Some(known) = FieldName::new(name.trim()) else {
            let scanner = Scanner::new(line, Origin::Line { number, before: 0 }, 0);
            return Err(scanner.expected("Category, X-OCCI-Attribute, Link or X-OCCI-Location"));
        };
        let origin = Origin::Line { number, before: name.len() + 1 };
        fields.push(Field { name: known, value: Scanner::new(value, origin, limits.value_bytes) });
    }
    Ok(fields)
}

/// The non-empty lines of a body with their numbers, after every check on the body as a whole.
fn lines<'a>(body: &'a [u8], limits: &Limits) -> Result<Vec<(usize, &'a str)>, ParseError> {
    if body.len() > limits.body_bytes {
        return Err(ParseError::too_many(Position::Request, "bytes", limits.body_bytes));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let before = body.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        ParseError::new(Position::Body { line, column }, "UTF-8", "other bytes")
    })?;
    let mut found = Vec::with_capacity(USUAL_LINES);
    for (place, line) in text.split('\n').enumerate() {
        let number = place + 1;
        // A client joins its lines the wrong way round (pOCCI).
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = line.strip_prefix('\r').unwrap_or(line);
        if line.len() > limits.line_bytes {
            return Err(ParseError::too_many(Position::Body { line: number, column: 1 }, "bytes", limits.line_bytes));
        }
        if let Some((at, letter)) = find_control(line) {
            return Err(control_character(Position::Body { line: number, column: at + 1 }, letter));
        }
        if number > limits.lines {
            return Err(ParseError::too_many(Position::Body { line: number, column: 1 }, "lines", limits.lines));
        }
        if !line.trim_matches([' ', '\t']).is_empty() {
            found.push((number, line));
        }
    }
    Ok(found)
}

/// The first control character of a line that is no tab. Beyond ASCII they all start with the byte C2.
fn find_control(line: &str) -> Option<(usize, char)> {
    let is_suspect = |byte: u8| ((byte < b' ') & (byte != b'\t')) | (byte == 0x7F) | (byte == 0xC2);
    // Without a way out of each chunk, all its bytes are compared at once.
    let is_clean = |chunk: &[u8]| !chunk.iter().fold(false, |found, byte| found | is_suspect(*byte));
    if line.as_bytes().chunks(64).all(is_clean) {
        return None;
    }
    line.char_indices().find(|(_, letter)| letter.is_control() && *letter != '\t')
}

fn control_character(position: Position, letter: char) -> ParseError {
    ParseError::new(position, "text", format!("the control character U+{:04X}", u32::from(letter)))
}

pub(super) fn entity(fields: &[Field<'_>], limits: &Limits) -> Result<EntityRequest, ParseError> {
    let mut request = EntityRequest::default();
    for field in fields {
        match field.name {
            FieldName::Category => read_categories(field, &mut request.categories, limits)?,
            FieldName::Attribute => read_attributes(field, &mut request.attributes, limits)?,
            FieldName::Link => read_links(field, &mut request, limits)?,
            FieldName::Location => return Err(misplaced(field, "Category, X-OCCI-Attribute or Link")),
        }
    }
    Ok(request)
}

pub(super) fn action(fields: &[Field<'_>], limits: &Limits) -> Result<ActionRequest, ParseError> {
    let mut categories = Vec::new();
    let mut attributes = Vec::new();
    for field in fields {
        match field.name {
            FieldName::Category => read_categories(field, &mut categories, limits)?,
            FieldName::Attribute => read_attributes(field, &mut attributes, limits)?,
            FieldName::Link | FieldName::Location => return Err(misplaced(field, "Category or X-OCCI-Attribute")),
        }
    }
    let found = categories.len();
    match categories.pop() {
        Some(action) if found == 1 => Ok(ActionRequest { action, attributes }),
        _ => Err(ParseError::new(Position::Request, "exactly one action as Category", found.to_string())),
    }
}

pub(super) fn filter(fields: &[Field<'_>], limits: &Limits) -> Result<Filter, ParseError> {
    let mut filter = Filter::default();
    for field in fields {
        match field.name {
            FieldName::Category => read_categories(field, &mut filter.categories, limits)?,
            FieldName::Attribute => read_attributes(field, &mut filter.attributes, limits)?,
            // `Link` is also a field of plain HTTP, and no filter.
            FieldName::Link | FieldName::Location => {}
        }
    }
    Ok(filter)
}

pub(super) fn categories(fields: &[Field<'_>], limits: &Limits) -> Result<Vec<CategoryReference>, ParseError> {
    let mut categories = Vec::new();
    // A query interface lists far more categories than a request names.
    let limits = Limits { categories: limits.lines, ..limits.clone() };
    for field in fields {
        match field.name {
            FieldName::Category => read_categories(field, &mut categories, &limits)?,
            _ => return Err(misplaced(field, "Category")),
        }
    }
    Ok(categories)
}

pub(super) fn locations(fields: &[Field<'_>], limits: &Limits) -> Result<Vec<EntityReference>, ParseError> {
    let mut found = Vec::new();
    // Other fields are let pass: clients repeat the mixin's Category beside the locations.
    for field in fields.iter().filter(|field| field.name == FieldName::Location) {
        let mut scanner = field.value.clone();
        let mut is_first = true;
        while scanner.next_item(is_first)? {
            is_first = false;
            let text = scanner.until(b",").trim_end_matches([';', ' ', '\t']);
            push_location(&mut found, text, &scanner, limits)?;
        }
    }
    Ok(found)
}

pub(super) fn uri_list(body: &[u8], limits: &Limits) -> Result<Vec<EntityReference>, ParseError> {
    let mut found = Vec::new();
    for (number, line) in lines(body, limits)? {
        if !line.starts_with('#') {
            let scanner = Scanner::new(line, Origin::Line { number, before: 0 }, limits.value_bytes);
            push_location(&mut found, line.trim_matches([' ', '\t']), &scanner, limits)?;
        }
    }
    Ok(found)
}

fn push_location(
    found: &mut Vec<EntityReference>,
    text: &str,
    scanner: &Scanner<'_>,
    limits: &Limits,
) -> Result<(), ParseError> {
    if !is_reference(text) {
        return Err(scanner.not_a("a URL or path", text));
    }
    if found.len() >= limits.locations {
        return Err(ParseError::too_many(scanner.position(), "locations", limits.locations));
    }
    found.push(EntityReference::Location(text.to_owned()));
    Ok(())
}

fn misplaced(field: &Field<'_>, expected: &str) -> ParseError {
    let found = match field.name {
        FieldName::Category => "Category",
        FieldName::Link => "Link",
        FieldName::Attribute => "X-OCCI-Attribute",
        FieldName::Location => "X-OCCI-Location",
    };
    ParseError::new(field.value.position(), expected, found)
}

fn read_categories(
    field: &Field<'_>,
    categories: &mut Vec<CategoryReference>,
    limits: &Limits,
) -> Result<(), ParseError> {
    let mut scanner = field.value.clone();
    let mut is_first = true;
    while scanner.next_item(is_first)? {
        is_first = false;
        if categories.len() >= limits.categories {
            return Err(ParseError::too_many(scanner.position(), "categories", limits.categories));
        }
        categories.push(read_category(&mut scanner, limits)?);
    }
    Ok(())
}

fn read_category(scanner: &mut Scanner<'_>, limits: &Limits) -> Result<CategoryReference, ParseError> {
    let start = scanner.clone();
    let term = scanner.name();
    let mut scheme = None;
    // The identity is known only after all parameters: their order is free.
    let mut said = CategoryReference::new(ENTITY.clone(), None);
    while scanner.take(';') {
        if scanner.is_at_end() || scanner.is_at(',') || scanner.is_at(';') {
            continue;
        }
        let before = scanner.clone();
        let parameter = scanner.name();
        if parameter.is_empty() {
            return Err(before.expected("the name of a parameter"));
        }
        scanner.require('=')?;
        let value = scanner.parameter()?;
        let known = |known: &str| parameter.eq_ignore_ascii_case(known);
        if known("scheme") {
            if scheme.replace(value).is_some() {
                return Err(before.expected("one scheme"));
            }
        } else if known("class") {
            let class = Class::from_word(&value).ok_or_else(|| before.not_a("kind, mixin or action", &value))?;
            if said.class.replace(class).is_some() {
                return Err(before.expected("one class"));
            }
        } else if known("title") {
            said.title = Some(value.into_owned());
        } else if known("rel") {
            said.related = before.identifiers(&value)?;
        } else if known("location") {
            if !is_reference(&value) {
                return Err(before.not_a("a URL or path", &value));
            }
            said.location = Some(value.into_owned());
        } else if known("attributes") {
            said.attributes = read_attribute_list(&before, &value, limits)?;
        } else if known("actions") {
            said.actions = before.identifiers(&value)?;
        }
        if said.related.len().max(said.actions.len()) > limits.categories {
            return Err(ParseError::too_many(before.position(), "type identifiers", limits.categories));
        }
    }
    let Some(scheme) = scheme else { return Err(scanner.expected("`;` and a scheme")) };
    // Some clients write the whole identifier where the scheme belongs.
    let scheme = scheme.strip_suffix(term).filter(|cut| cut.ends_with('#')).unwrap_or(&scheme);
    said.id = CategoryId::new(scheme, term).map_err(|error| start.not_a("a category", &error.to_string()))?;
    Ok(said)
}

fn read_attribute_list(
    place: &Scanner<'_>,
    text: &str,
    limits: &Limits,
) -> Result<Vec<(AttributeName, AttributeFlags)>, ParseError> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', '{']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = AttributeName::new(name).map_err(|_| place.not_a("an attribute name", name))?;
        let mut flags = AttributeFlags::default();
        rest = match after.strip_prefix('{') {
            None => after,
            Some(after) => {
                let (words, after) = after.split_once('}').ok_or_else(|| place.not_a("`}`", rest))?;
                for word in words.split_ascii_whitespace() {
                    match word {
                        "immutable" => flags.immutable = true,
                        "required" => flags.required = true,
                        _ => return Err(place.not_a("immutable or required", word)),
                    }
                }
                after
            }
        };
        rest = rest.trim_start();
        if found.len() >= limits.attributes {
            return Err(ParseError::too_many(place.position(), "attributes", limits.attributes));
        }
        found.push((name, flags));
    }
    Ok(found)
}

fn read_attributes(
    field: &Field<'_>,
    attributes: &mut Vec<(AttributeName, RawValue)>,
    limits: &Limits,
) -> Result<(), ParseError> {
    let mut scanner = field.value.clone();
    let mut is_first = true;
    while scanner.next_item(is_first)? {
        is_first = false;
        if attributes.len() >= limits.attributes {
            return Err(ParseError::too_many(scanner.position(), "attributes", limits.attributes));
        }
        let name = scanner.attribute_name()?;
        scanner.require('=')?;
        attributes.push((name, read_value(&mut scanner)?));
    }
    Ok(())
}

fn read_value(scanner: &mut Scanner<'_>) -> Result<RawValue, ParseError> {
    if scanner.is_at('"') {
        return Ok(RawValue::Quoted(scanner.quoted()?.into_owned()));
    }
    let before = scanner.clone();
    match scanner.bare()? {
        word if word.is_empty() || word.contains([' ', '\t', '"']) || word.contains(is_forbidden) => {
            Err(before.expected("a quoted string, a number, true or false"))
        }
        word => Ok(RawValue::Bare(word.to_owned())),
    }
}

fn read_links(field: &Field<'_>, request: &mut EntityRequest, limits: &Limits) -> Result<(), ParseError> {
    let mut scanner = field.value.clone();
    let mut is_first = true;
    while scanner.next_item(is_first)? {
        is_first = false;
        let link = read_link(&mut scanner, limits)?;
        if link.target.contains(ACTION_QUERY) {
            if request.actions.len() >= limits.categories {
                return Err(ParseError::too_many(scanner.position(), "actions", limits.categories));
            }
            request.actions.extend(link.target_kinds.into_iter().next());
        } else if request.links.len() >= limits.links {
            return Err(ParseError::too_many(scanner.position(), "links", limits.links));
        } else {
            request.links.push(link);
        }
    }
    Ok(())
}

fn read_link(scanner: &mut Scanner<'_>, limits: &Limits) -> Result<LinkRequest, ParseError> {
    scanner.require('<')?;
    let before = scanner.clone();
    let target = scanner.until(b">");
    if !is_reference(target) {
        return Err(before.not_a("a URL or path", target));
    }
    scanner.require('>')?;
    let mut link = LinkRequest {
        target: target.to_owned(),
        target_kinds: Vec::new(),
        location: None,
        categories: Vec::new(),
        attributes: Vec::new(),
    };
    while scanner.take(';') {
        if scanner.is_at_end() || scanner.is_at(',') || scanner.is_at(';') {
            continue;
        }
        let before = scanner.clone();
        let parameter = scanner.attribute_name()?;
        scanner.require('=')?;
        match parameter.as_str() {
            "rel" => link.target_kinds = before.identifiers(&scanner.parameter()?)?,
            "self" => {
                let value = scanner.parameter()?;
                if !is_reference(&value) {
                    return Err(before.not_a("a URL or path", &value));
                }
                link.location = Some(value.into_owned());
            }
            "category" => {
                let named = before.identifiers(&scanner.parameter()?)?;
                link.categories = named.into_iter().map(|id| CategoryReference::new(id, None)).collect();
            }
            _ if link.attributes.len() >= limits.attributes => {
                return Err(ParseError::too_many(before.position(), "attributes", limits.attributes));
            }
            _ => link.attributes.push((parameter, read_value(scanner)?)),
        }
        if link.categories.len().max(link.target_kinds.len()) > limits.categories {
            return Err(ParseError::too_many(before.position(), "categories", limits.categories));
        }
    }
    Ok(link)
}
