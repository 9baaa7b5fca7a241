//! What is wrong with a request, and where.

use std::fmt;

use thiserror::Error;

use crate::identifier::excerpt;

/// Where a parser stopped. Lines and columns count from 1; columns count bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// In the body.
    Body {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In the value of a header field.
    Field {
        /// The field's name.
        name: String,
        /// The column within its value.
        column: usize,
    },
    /// Nowhere in particular: something is missing or too much.
    Request,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { line, column } => write!(formatter, "line {line}, column {column} of the body"),
            Self::Field { name, column } => write!(formatter, "column {column} of the header field {name}"),
            Self::Request => formatter.write_str("the request"),
        }
    }
}

/// A request cannot be read: answer 400.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot read {position}: expected {expected}, found {found}")]
pub struct ParseError {
    /// Where.
    pub position: Position,
    /// What should have been there.
    pub expected: String,
    /// What was there: a bounded excerpt.
    pub found: String,
}

impl ParseError {
    pub(super) fn new(position: Position, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { position, expected: expected.into(), found: found.into() }
    }

    pub(super) fn too_many(position: Position, what: &str, limit: usize) -> Self {
        Self::new(position, format!("at most {limit} {what}"), "more")
    }

    /// The line of the body, if the error is there.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self.position {
            Position::Body { line, .. } => Some(line),
            _ => None,
        }
    }

    /// The column, in bytes, if the error has a place.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        match self.position {
            Position::Body { column, .. } | Position::Field { column, .. } => Some(column),
            Position::Request => None,
        }
    }
}

impl From<serde_json::Error> for ParseError {
    fn from(error: serde_json::Error) -> Self {
        let position = Position::Body { line: error.line().max(1), column: error.column().max(1) };
        let full = error.to_string();
        let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(message, _)| message);
        // The words of serde's errors are "<what was found>, expected <what was expected>".
        match message.split_once(", expected ") {
            Some((found, expected)) => Self::new(position, excerpt(expected), excerpt(found)),
            None if error.is_data() => Self::new(position, "an OCCI object", excerpt(message)),
            None => Self::new(position, "JSON", excerpt(message)),
        }
    }
}
