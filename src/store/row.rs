//! From columns to values: what a row holds is checked, for another version may have written it.

use uuid::Uuid;

use super::StoreError;

/// An id column as an id.
pub(super) fn parse_id(table: &'static str, text: &str) -> Result<Uuid, StoreError> {
    text.parse().map_err(|error: uuid::Error| StoreError::Unreadable {
        table,
        id: text.chars().take(64).collect(),
        reason: error.to_string(),
    })
}

/// A JSON column as what it holds.
pub(super) fn parse_json<T: serde::de::DeserializeOwned>(
    table: &'static str,
    id: &str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        table,
        id: id.to_owned(),
        reason: error.to_string(),
    })
}

/// A document as a JSON column.
pub(super) fn to_json<T: serde::Serialize>(table: &'static str, id: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unreadable {
        table,
        id: id.to_owned(),
        reason: error.to_string(),
    })
}
