//! Lists: what a collection holds, a part at a time, so that no list has to fit into memory.

use std::collections::BTreeMap;

use occi_schema::{
    CategoryId, Filter, Model,
    well_known::{COMPUTE, ENTITY},
};

use super::{Broker, BrokerError, Shown, link, model};
use crate::{
    login::Principal,
    store::entity::{self, AnyCategory, Entity, EntityClass, EntityId, Selection},
};

/// Most entities of one page, and of one operation on many.
pub const MOST_AT_ONCE: usize = 10_000;

/// How many entities are read from the store at once: few, since a list begins when the first of them are there, and
/// each is a few kilobytes.
const PORTION: i64 = 100;
/// How many places are read at once: a line each.
const PORTION_OF_PLACES: i64 = 2000;

/// What a client points at by a path and a filter.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// The categories whose collections are meant, together; everything when there is none.
    pub any_of: Vec<CategoryId>,
    /// What the members have to be and to carry.
    pub filter: Filter,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many entities come before it.
    pub skip: usize,
    /// How many it may have.
    pub most: usize,
}

/// A list that is being read.
pub struct Listing {
    broker: Broker,
    model: Model,
    selection: Selection,
    after: Option<EntityId>,
    ended: bool,
}

impl Broker {
    /// The selected entities of the project, to be read in portions.
    ///
    /// # Errors
    /// The filter names what there is not.
    pub async fn listing(
        &self,
        principal: &Principal,
        selected: &Selected,
        class: EntityClass,
    ) -> Result<Listing, BrokerError> {
        let model = self.present_to(principal).await?.model;
        let selection = Selection { class, ..self.selection(principal, &model, selected)? };
        Ok(Listing { broker: self.clone(), model, selection, after: None, ended: false })
    }

    /// One page of the selected entities.
    ///
    /// # Errors
    /// The filter names what there is not.
    pub async fn page(
        &self,
        principal: &Principal,
        selected: &Selected,
        page: Page,
    ) -> Result<Vec<Shown>, BrokerError> {
        let model = self.present_to(principal).await?.model;
        let selection = self.selection(principal, &model, selected)?;
        let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (skip, most) = (bound(page.skip), bound(page.most.min(MOST_AT_ONCE)));
        let found = self
            .inner
            .db
            .read(move |connection| with_links(connection, |c| entity::select_page(c, &selection, skip, most)))
            .await?;
        Ok(found.into_iter().map(|(entity, links)| self.shown(&model, entity, links)).collect())
    }

    /// All selected entities.
    ///
    /// # Errors
    /// The filter names what there is not, or there are too many.
    pub(super) async fn members(&self, principal: &Principal, selected: &Selected) -> Result<Vec<Entity>, BrokerError> {
        let model = self.present_to(principal).await?.model;
        let selection = self.selection(principal, &model, selected)?;
        let limit = i64::try_from(MOST_AT_ONCE + 1).unwrap_or(i64::MAX);
        let found = self.inner.db.read(move |c| entity::select(c, &selection, None, limit)).await?;
        if found.len() > MOST_AT_ONCE {
            return Err(BrokerError::TooMany(MOST_AT_ONCE));
        }
        Ok(found)
    }

    /// What the store is asked for.
    pub(super) fn selection(
        &self,
        principal: &Principal,
        model: &Model,
        selected: &Selected,
    ) -> Result<Selection, BrokerError> {
        let filter = model.resolve_filter(&selected.filter)?;
        let mut wanted = Selection::of(principal.project);
        if !selected.any_of.is_empty() {
            wanted.categories.extend(self.carriers(model, &selected.any_of));
        }
        for category in &filter.categories {
            wanted.categories.extend(self.carriers(model, std::slice::from_ref(category)));
        }
        for (name, value) in filter.attributes {
            if name.as_str() == model::SITE {
                wanted.site = Some(value.as_str().unwrap_or_default().to_owned());
            } else if [model::SSH_HOST, model::SSH_PORT, model::SSH_ANSWERS].contains(&name.as_str()) {
                // Sites say this anew every second; nothing finds computes by it.
                return Err(BrokerError::Unimplemented("a filter by how a machine is reached"));
            } else {
                wanted.attributes.push((name, value));
            }
        }
        Ok(wanted)
    }

    /// The kinds and mixins by which an entity belongs to one of the categories: themselves, and what builds on them.
    /// Nothing when every entity does.
    fn carriers(&self, model: &Model, categories: &[CategoryId]) -> Option<AnyCategory> {
        let mut any = AnyCategory::default();
        for category in categories {
            if *category == ENTITY {
                return None;
            }
            // What every compute carries is written down with none.
            if category == self.inner.models.access() {
                any.kinds.push(COMPUTE.clone());
                continue;
            }
            let kinds = model.kinds().map(|kind| &kind.id).filter(|kind| model.descends_from(kind, category));
            any.kinds.extend(kinds.cloned());
            let mixins = model.mixins().map(|mixin| &mixin.id).filter(|mixin| model.depends_on(mixin, category));
            any.mixins.extend(mixins.cloned());
        }
        Some(any)
    }
}

impl Listing {
    /// The next portion with everything about each, or nothing at the end.
    ///
    /// # Errors
    /// The store failed.
    pub async fn entities(&mut self) -> Result<Option<Vec<Shown>>, BrokerError> {
        if self.ended {
            return Ok(None);
        }
        let (selection, after) = (self.selection.clone(), self.after);
        let read = move |connection: &mut _| with_links(connection, |c| entity::select(c, &selection, after, PORTION));
        let found = self.broker.inner.db.read(read).await?;
        self.note(found.last().map(|(entity, _)| entity.id), found.len(), PORTION);
        let shown = found.into_iter().map(|(entity, links)| self.broker.shown(&self.model, entity, links));
        Ok(Some(shown.collect()))
    }

    /// The paths of the next portion, or nothing at the end.
    ///
    /// # Errors
    /// The store failed.
    pub async fn paths(&mut self) -> Result<Option<Vec<String>>, BrokerError> {
        if self.ended {
            return Ok(None);
        }
        let (selection, after) = (self.selection.clone(), self.after);
        let read = move |connection: &mut _| entity::select_places(connection, &selection, after, PORTION_OF_PLACES);
        let found = self.broker.inner.db.read(read).await?;
        self.note(found.last().map(|(id, _)| *id), found.len(), PORTION_OF_PLACES);
        Ok(Some(found.into_iter().map(|(id, kind)| link::path_to(&self.model, &kind, id)).collect()))
    }

    fn note(&mut self, last: Option<EntityId>, found: usize, asked: i64) {
        self.after = last;
        self.ended = last.is_none() || i64::try_from(found).is_ok_and(|found| found < asked);
    }
}

type WithLinks = Vec<(Entity, Vec<Entity>)>;

/// The entities that a query finds, each with the links that start there.
fn with_links(
    connection: &mut crate::store::DbConnection,
    query: impl FnOnce(&mut crate::store::DbConnection) -> Result<Vec<Entity>, crate::store::StoreError>,
) -> Result<WithLinks, crate::store::StoreError> {
    let found = query(connection)?;
    let ids: Vec<EntityId> = found.iter().filter(|entity| entity.source.is_none()).map(|entity| entity.id).collect();
    let mut links: BTreeMap<EntityId, Vec<Entity>> = BTreeMap::new();
    for link in entity::links_from(connection, &ids)? {
        if let Some(source) = link.source {
            links.entry(source).or_default().push(link);
        }
    }
    Ok(found
        .into_iter()
        .map(|entity| {
            let own = links.remove(&entity.id).unwrap_or_default();
            (entity, own)
        })
        .collect())
}
