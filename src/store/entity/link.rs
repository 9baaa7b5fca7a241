//! Links: entities with a source, which is an entity of this server, and a target, which may be elsewhere.

#[cfg(test)]
use diesel::OptionalExtension;
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{
    super::{DbConnection, StoreError, schema::entities},
    CHUNK, Entity, EntityId, Row,
};

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkTarget {
    /// An entity of this server.
    Entity(EntityId),
    /// Something of another server: an absolute URI.
    Elsewhere(String),
}

impl LinkTarget {
    /// As it is stored: an entity's bare id, which no URI looks like.
    pub(super) fn stored(&self) -> String {
        match self {
            Self::Entity(id) => id.to_string(),
            Self::Elsewhere(uri) => uri.clone(),
        }
    }

    pub(super) fn from_stored(text: String) -> Self {
        text.parse().map_or(Self::Elsewhere(text), |id| Self::Entity(EntityId(id)))
    }
}

/// The links that begin at these entities, by source and in the order of their creation.
///
/// # Errors
/// The database failed.
pub fn links_from(connection: &mut DbConnection, sources: &[EntityId]) -> Result<Vec<Entity>, StoreError> {
    let mut found = Vec::new();
    for chunk in sources.chunks(CHUNK) {
        let present = entities::table
            .filter(entities::removal_requested_at.is_null())
            .order((entities::source.asc(), entities::id.asc()));
        let rows: Vec<Row> = match chunk {
            // By far the most frequent, and unlike a list of any length a statement that stays prepared.
            [one] => present.filter(entities::source.eq(one.to_string())).load(connection)?,
            many => {
                let many: Vec<_> = many.iter().map(|id| Some(id.to_string())).collect();
                present.filter(entities::source.eq_any(many)).load(connection)?
            }
        };
        found.extend(rows);
    }
    found.into_iter().map(Row::entity).collect()
}

/// The links that lead to this entity, in the order of their creation.
///
/// # Errors
/// The database failed.
pub fn links_to(connection: &mut DbConnection, target: EntityId) -> Result<Vec<Entity>, StoreError> {
    entities::table
        .filter(entities::target.eq(target.to_string()))
        .filter(entities::removal_requested_at.is_null())
        .order(entities::id.asc())
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::entity)
        .collect()
}

/// The links that begin at the entity or lead to it, those that are being removed too: for dispatch.
///
/// # Errors
/// The database failed.
pub fn links_for_dispatch(connection: &mut DbConnection, end: EntityId) -> Result<Vec<Entity>, StoreError> {
    let end = end.to_string();
    entities::table
        .filter(entities::source.eq(&end).or(entities::target.eq(&end)))
        .order(entities::id.asc())
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::entity)
        .collect()
}

/// Whether a link begins at the entity, one that is being removed too: until it is gone, the entity cannot be
/// forgotten ([`super::remove`]).
///
/// # Errors
/// The database failed.
#[cfg(test)]
pub fn has_links(connection: &mut DbConnection, source: EntityId) -> Result<bool, StoreError> {
    let found: Option<String> = entities::table
        .filter(entities::source.eq(source.to_string()))
        .select(entities::id)
        .first(connection)
        .optional()?;
    Ok(found.is_some())
}
