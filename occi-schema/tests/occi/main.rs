//! The crate from outside: wire documents, clients' habits, properties.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

mod clients;
mod hostile;
mod legacy;
mod links;
mod listing;
mod parsing;
mod rendering;
mod resolution;
mod round_trip;
mod strict;

use occi_schema::{CategoryId, EntityRequest, Limits, MediaType, ParseError, parse};

/// Reads an entity from a text/plain body.
fn plain(body: &str) -> Result<EntityRequest, ParseError> {
    parse::entity(MediaType::TextPlain, &[], body.as_bytes(), &Limits::default())
}

/// Reads an entity from text/occi header fields.
fn occi(headers: &[(&str, &str)]) -> Result<EntityRequest, ParseError> {
    parse::entity(MediaType::TextOcci, headers, b"", &Limits::default())
}

/// Reads an entity from JSON.
fn json(body: &str) -> Result<EntityRequest, ParseError> {
    parse::entity(MediaType::Json, &[], body.as_bytes(), &Limits::default())
}

fn id(text: &str) -> CategoryId {
    text.parse().unwrap()
}
