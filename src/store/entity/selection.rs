//! Which entities a list has: a query of the database, never a scan in this process.

use std::{collections::BTreeMap, sync::LazyLock};

use diesel::{BoolExpressionMethods, Connection, ExpressionMethods, QueryDsl, RunQueryDsl};
use occi_schema::{
    AttributeName, CategoryId, Extension, Mode, Model, Value,
    well_known::attribute::{ID, SOURCE, TARGET},
};
use uuid::Uuid;

use super::{
    super::{
        DbConnection, StoreError,
        member::ProjectId,
        row::parse_id,
        schema::{entities, entity_attributes, entity_mixins},
    },
    CHUNK, Entity, EntityId, Row, index, unreadable,
};

// Links, found by their ends first: few lead to one place, whatever the planner thinks of that.
diesel::alias! {
    const ENDS: Alias<Ends> = entities as ends;
}

type Backend = <DbConnection as Connection>::Backend;
type Query<'a> = entities::BoxedQuery<'a, Backend>;

/// What the entities of a list have in common. Those that are being removed are in no list.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Their owner.
    pub project: ProjectId,
    /// Each of these holds.
    pub categories: Vec<AnyCategory>,
    /// They show each of these attributes with this value, numbers compared as numbers. `occi.core.id`, the ends of
    /// links, states and their messages are found although they are computed.
    pub attributes: Vec<(AttributeName, Value)>,
    /// Where they were placed.
    pub site: Option<String>,
    /// Resources, links or both.
    pub class: EntityClass,
}

/// An entity that is of one of the kinds or carries one of the mixins. Who asks has added the descendants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnyCategory {
    /// Kinds.
    pub kinds: Vec<CategoryId>,
    /// Mixins.
    pub mixins: Vec<CategoryId>,
}

/// Resources have no source, links have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntityClass {
    /// Both.
    #[default]
    All,
    /// What is not a link.
    Resources,
    /// Links.
    Links,
}

impl Selection {
    /// All entities of the project.
    pub fn of(project: ProjectId) -> Self {
        let (categories, attributes) = (Vec::new(), Vec::new());
        Self { project, categories, attributes, site: None, class: EntityClass::All }
    }
}

/// The selected entities in the order of their creation, at most `limit`, after the given one.
///
/// # Errors
/// The database failed.
pub fn select(
    connection: &mut DbConnection,
    selection: &Selection,
    after: Option<EntityId>,
    limit: i64,
) -> Result<Vec<Entity>, StoreError> {
    let query = matching(selection, after)?.order(entities::id.asc()).limit(limit);
    query.load::<Row>(connection)?.into_iter().map(Row::entity).collect()
}

/// The selected entities in the order of their creation, at most `limit`, without the first `offset`.
///
/// # Errors
/// The database failed.
pub fn select_page(
    connection: &mut DbConnection,
    selection: &Selection,
    offset: i64,
    limit: i64,
) -> Result<Vec<Entity>, StoreError> {
    let query = matching(selection, None)?.order(entities::id.asc()).offset(offset).limit(limit);
    query.load::<Row>(connection)?.into_iter().map(Row::entity).collect()
}

/// Ids and kinds of the selected entities, which is all that a list of locations needs, in the order of their
/// creation, at most `limit`, after the given one.
///
/// # Errors
/// The database failed.
pub fn select_places(
    connection: &mut DbConnection,
    selection: &Selection,
    after: Option<EntityId>,
    limit: i64,
) -> Result<Vec<(EntityId, CategoryId)>, StoreError> {
    let query = matching(selection, after)?.order(entities::id.asc()).limit(limit);
    let rows: Vec<(String, String)> = query.select((entities::id, entities::kind)).load(connection)?;
    // Most rows of a list are of the kind of the one before.
    let mut places: Vec<(EntityId, CategoryId)> = Vec::with_capacity(rows.len());
    for (id, kind) in rows {
        let kind = match places.last() {
            Some((_, last)) if last.as_str() == kind => last.clone(),
            _ => kind.parse().map_err(|error| unreadable(&id, error))?,
        };
        places.push((EntityId(parse_id("entities", &id)?), kind));
    }
    Ok(places)
}

/// The kinds of those of these entities that the project has.
///
/// # Errors
/// The database failed.
pub fn kinds_of(
    connection: &mut DbConnection,
    project: ProjectId,
    ids: &[EntityId],
) -> Result<Vec<(EntityId, CategoryId)>, StoreError> {
    let mut kinds = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<(String, String)> = entities::table
            .filter(entities::project_id.eq(project.0.to_string()))
            .filter(entities::id.eq_any(chunk.iter().map(EntityId::to_string)))
            .select((entities::id, entities::kind))
            .load(connection)?;
        for (id, kind) in rows {
            kinds.push((EntityId(parse_id("entities", &id)?), kind.parse().map_err(|error| unreadable(&id, error))?));
        }
    }
    Ok(kinds)
}

/// How many entities are selected.
///
/// # Errors
/// The database failed.
#[cfg(test)]
pub fn count(connection: &mut DbConnection, selection: &Selection) -> Result<i64, StoreError> {
    Ok(matching(selection, None)?.count().get_result(connection)?)
}

/// The query of a selection, not yet ordered.
pub(super) fn matching(selection: &Selection, after: Option<EntityId>) -> Result<Query<'_>, StoreError> {
    let mut query = entities::table
        .filter(entities::project_id.eq(selection.project.0.to_string()))
        .filter(entities::removal_requested_at.is_null())
        .into_boxed();
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    // Where another table says which entities there are, it also says which of them are left; told twice, SQLite
    // would walk through all of the project's.
    let is_walk = selection.categories.iter().all(|any| !any.kinds.is_empty() || any.mixins.is_empty())
        && selection.attributes.iter().all(|(name, _)| *name == ID || COMPUTED.contains_key(name));
    if is_walk && !after.is_empty() {
        query = query.filter(entities::id.gt(after.clone()));
    }
    query = match selection.class {
        EntityClass::All => query,
        EntityClass::Resources => query.filter(entities::source.is_null()),
        EntityClass::Links => query.filter(entities::source.is_not_null()),
    };
    if let Some(site) = &selection.site {
        query = query.filter(entities::site.eq(site));
    }
    for any in &selection.categories {
        query = with_category(query, any, &after);
    }
    for (name, value) in &selection.attributes {
        query = with_attribute(query, name, value, &after)?;
    }
    Ok(query)
}

fn with_category<'a>(query: Query<'a>, any: &'a AnyCategory, after: &str) -> Query<'a> {
    let kinds: Vec<&str> = any.kinds.iter().map(CategoryId::as_str).collect();
    let mixins: Vec<&str> = any.mixins.iter().map(CategoryId::as_str).collect();
    // The index of carriers is in the order of the list, so only the rest of the list is looked at.
    let carriers = entity_mixins::table
        .filter(entity_mixins::mixin.eq_any(mixins))
        .filter(entity_mixins::entity_id.gt(after.to_owned()))
        .select(entity_mixins::entity_id);
    match (kinds.as_slice(), any.mixins.is_empty()) {
        // One kind is one range of an index that is in the order of the list.
        ([kind], true) => query.filter(entities::kind.eq(*kind)),
        (_, true) => query.filter(entities::kind.eq_any(kinds)),
        ([], false) => query.filter(entities::id.eq_any(carriers)),
        (_, false) => query.filter(entities::kind.eq_any(kinds).or(entities::id.eq_any(carriers))),
    }
}

fn with_attribute<'a>(
    query: Query<'a>,
    name: &'a AttributeName,
    value: &'a Value,
    after: &str,
) -> Result<Query<'a>, StoreError> {
    // Columns show what the index does not know; a value that they cannot have is in no row.
    let text = value.as_str().unwrap_or_default();
    if *name == ID {
        return Ok(query.filter(entities::id.eq(id_in(text).unwrap_or_default())));
    }
    if *name == SOURCE {
        let links = ENDS
            .filter(ENDS.field(entities::source).eq(id_in(text).unwrap_or_default()))
            .filter(ENDS.field(entities::id).gt(after.to_owned()));
        return Ok(query.filter(entities::id.eq_any(links.select(ENDS.field(entities::id)))));
    }
    if *name == TARGET {
        let ends: Vec<Option<String>> = vec![Some(text.to_owned()), Some(id_in(text).unwrap_or_default())];
        let links = ENDS
            .filter(ENDS.field(entities::target).eq_any(ends))
            .filter(ENDS.field(entities::id).gt(after.to_owned()));
        return Ok(query.filter(entities::id.eq_any(links.select(ENDS.field(entities::id)))));
    }
    if let Some(column) = COMPUTED.get(name) {
        let of_kinds = query.filter(entities::kind.eq_any(column.kinds.iter().map(CategoryId::as_str)));
        return Ok(match column.what {
            Computed::State => of_kinds.filter(entities::state.eq(text)),
            Computed::Message => of_kinds.filter(entities::state_message.eq(text)),
        });
    }
    let having = entity_attributes::table
        .filter(entity_attributes::name.eq(name.as_str()))
        .filter(entity_attributes::value.eq(index::indexed(value)?))
        .filter(entity_attributes::entity_id.gt(after.to_owned()))
        .select(entity_attributes::entity_id);
    Ok(query.filter(entities::id.eq_any(having)))
}

/// The id in a URN, a path or an URL, as it is stored.
fn id_in(text: &str) -> Option<String> {
    let last = text.rsplit(['/', ':']).next()?;
    // Only one of the forms that are read as an id is how one is written.
    Uuid::try_parse(last).ok().map(|id| id.to_string())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Computed {
    State,
    Message,
}

struct ComputedColumn {
    what: Computed,
    /// The kinds that show it under this name.
    kinds: Vec<CategoryId>,
}

/// What the state is called where: `occi.compute.state` for computes, and so on for all the kinds there can be.
static COMPUTED: LazyLock<BTreeMap<AttributeName, ComputedColumn>> = LazyLock::new(|| {
    let mut columns: BTreeMap<AttributeName, ComputedColumn> = BTreeMap::new();
    // The extensions are constants, and a test reads them all.
    let Ok(model) = Model::new(Extension::ALL, Mode::Interop) else { return columns };
    for kind in model.kinds() {
        let Some(states) = model.ancestry(&kind.id).find_map(|ancestor| ancestor.states.as_ref()) else { continue };
        let message = AttributeName::new(&format!("{}.message", states.attribute));
        for (name, what) in [(Some(states.attribute.clone()), Computed::State), (message.ok(), Computed::Message)] {
            if let Some(name) = name {
                let new = || ComputedColumn { what, kinds: Vec::new() };
                columns.entry(name).or_insert_with(new).kinds.push(kind.id.clone());
            }
        }
    }
    columns
});

#[cfg(test)]
mod tests {
    use occi_schema::well_known::{COMPUTE, attribute::COMPUTE_STATE};

    use super::*;

    #[test]
    fn states_are_known_by_the_names_of_their_kinds() {
        assert_eq!(COMPUTED[&COMPUTE_STATE].kinds, std::slice::from_ref(&COMPUTE));
        assert_eq!(COMPUTED["occi.storage.state.message"].what, Computed::Message);
        assert!(COMPUTED.len() > 15);
    }

    #[test]
    fn ids_are_found_in_urns_paths_and_urls() {
        let id = Uuid::now_v7().to_string();
        for text in [id.clone(), format!("urn:uuid:{id}"), format!("/compute/{id}"), format!("http://h/compute/{id}")] {
            assert_eq!(id_in(&text).as_ref(), Some(&id));
        }
        assert_eq!(id_in("http://h/"), None);
    }
}
