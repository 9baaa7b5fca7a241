//! What entities are found by: one row per mixin that an entity carries, and one per attribute that it has.
//!
//! The entity's own row holds the same as documents, so that showing an entity reads one row. Both are written by
//! the functions of this module and its parent alone, in the same transaction.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use occi_schema::{AttributeName, CategoryId, Value};
use sha2::{Digest, Sha256};

use super::super::{
    DbConnection, StoreError,
    row::to_json,
    schema::{entity_attributes, entity_mixins},
};

/// Longest value, in bytes, that is kept as it is; of a longer one the index has the digest.
const LONGEST: usize = 256;

/// Writes the index of a new entity.
pub(super) fn insert(
    connection: &mut DbConnection,
    id: &str,
    mixins: &[CategoryId],
    attributes: &BTreeMap<AttributeName, Value>,
) -> Result<(), StoreError> {
    let mixins = (0_i32..).zip(mixins).map(|(position, mixin)| {
        (entity_mixins::entity_id.eq(id), entity_mixins::position.eq(position), entity_mixins::mixin.eq(mixin.as_str()))
    });
    let attributes = attributes.iter().map(|(name, value)| {
        Ok((
            entity_attributes::entity_id.eq(id),
            entity_attributes::name.eq(name.as_str()),
            entity_attributes::value.eq(indexed(value)?),
        ))
    });
    match connection {
        // Each statement is a way to the server and back.
        DbConnection::Postgres(connection) => {
            let mixins: Vec<_> = mixins.collect();
            if !mixins.is_empty() {
                diesel::insert_into(entity_mixins::table).values(mixins).execute(connection)?;
            }
            let attributes = attributes.collect::<Result<Vec<_>, StoreError>>()?;
            if !attributes.is_empty() {
                diesel::insert_into(entity_attributes::table).values(attributes).execute(connection)?;
            }
        }
        // A statement that is prepared already is quicker than one with as many rows as there happen to be.
        DbConnection::Sqlite(connection) => {
            for row in mixins {
                diesel::insert_into(entity_mixins::table).values(row).execute(connection)?;
            }
            for row in attributes {
                diesel::insert_into(entity_attributes::table).values(row?).execute(connection)?;
            }
        }
    }
    Ok(())
}

/// Writes the index of an entity anew.
pub(super) fn replace(
    connection: &mut DbConnection,
    id: &str,
    mixins: &[CategoryId],
    attributes: &BTreeMap<AttributeName, Value>,
) -> Result<(), StoreError> {
    diesel::delete(entity_mixins::table.filter(entity_mixins::entity_id.eq(id))).execute(connection)?;
    diesel::delete(entity_attributes::table.filter(entity_attributes::entity_id.eq(id))).execute(connection)?;
    insert(connection, id, mixins, attributes)
}

/// The text by which a value is found: the same for values that are equal, another one for values that are not.
pub(super) fn indexed(value: &Value) -> Result<String, StoreError> {
    let text = match canonical(value) {
        Some(canonical) => to_json("entity_attributes", "", &canonical)?,
        None => to_json("entity_attributes", "", value)?,
    };
    if text.len() <= LONGEST {
        return Ok(text);
    }
    // No JSON text begins like this.
    Ok(Sha256::digest(text.as_bytes()).iter().fold("sha256:".to_owned(), |shown, byte| shown + &format!("{byte:02x}")))
}

/// The value with 2 for 2.0, if that makes a difference: a filter means the number, not the way it is written.
fn canonical(value: &Value) -> Option<Value> {
    /// The first number that is no `i64` any more: 2^63.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
        Value::Float(number) if number.fract() == 0.0 && (-BOUND..BOUND).contains(number) => {
            Some(Value::Integer(*number as i64))
        }
        Value::List(items) => {
            Some(Value::List(items.iter().map(|item| canonical(item).unwrap_or_else(|| item.clone())).collect()))
        }
        Value::Map(members) => Some(Value::Map(
            members
                .iter()
                .map(|(name, member)| (name.clone(), canonical(member).unwrap_or_else(|| member.clone())))
                .collect(),
        )),
        _ => None,
    }
}

/// What the index says of an entity: its mixins in order, and its attributes.
#[cfg(test)]
pub fn entry(
    connection: &mut DbConnection,
    id: super::EntityId,
) -> Result<(Vec<String>, BTreeMap<String, String>), StoreError> {
    let mixins = entity_mixins::table
        .filter(entity_mixins::entity_id.eq(id.to_string()))
        .order(entity_mixins::position.asc())
        .select(entity_mixins::mixin)
        .load(connection)?;
    let attributes: Vec<(String, String)> = entity_attributes::table
        .filter(entity_attributes::entity_id.eq(id.to_string()))
        .select((entity_attributes::name, entity_attributes::value))
        .load(connection)?;
    Ok((mixins, attributes.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Into<Value>) -> String {
        indexed(&value.into()).unwrap()
    }

    #[test]
    fn equal_numbers_are_found_by_the_same_text() {
        assert_eq!(indexed(&Value::Float(2.0)).unwrap(), text(2));
        assert_eq!(indexed(&Value::Float(-0.0)).unwrap(), "0");
        assert_eq!(indexed(&Value::Float(0.5)).unwrap(), "0.5");
        assert_eq!(indexed(&Value::Float(1e16)).unwrap(), text(10_000_000_000_000_000));
        assert_ne!(indexed(&Value::Float(1e300)).unwrap(), indexed(&Value::Float(1e301)).unwrap());
        assert_eq!(
            indexed(&Value::List(vec![Value::Float(1.0), Value::Boolean(true)])).unwrap(),
            indexed(&Value::List(vec![Value::Integer(1), Value::Boolean(true)])).unwrap()
        );
    }

    #[test]
    fn texts_are_not_numbers_and_long_ones_are_digested() {
        assert_ne!(text("2"), text(2));
        assert_ne!(text("true"), text(true));
        let (long, other) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        assert_eq!(text(long.as_str()).len(), 7 + 64);
        assert_ne!(text(long.as_str()), text(other.as_str()));
        assert_ne!(text(text(long.as_str()).as_str()), text(long.as_str()), "a text that looks like a digest is none");
    }
}
