//! Lists, read page by page.
//!
//! A page is a part of a list that changes meanwhile. Each page begins a little before the end of the one before: if
//! an object is seen again there, nothing between the two was missed, whatever came and went. In ranges of names
//! instead, a service that has made a million machines and keeps ten would be asked a thousand times.

use std::{collections::HashSet, ops::ControlFlow};

use backend::{BackendError, Listing};

use crate::{
    document::Document,
    names::Id,
    oned::Oned,
    rpc::Call,
    xml::{Bounds, Element, XmlError, read_children},
};

/// Objects of one page.
const PAGE: usize = 200;
/// By how many objects two pages overlap at first.
const OVERLAP: usize = 8;
/// How often two pages are tried to be joined before the list is given up.
const TRIES: usize = 6;
/// Pages of one list.
const MOST_PAGES: usize = 1000;

/// A list of the service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool {
    pub(crate) method: &'static str,
    pub(crate) filter: i32,
    /// What follows the bounds of the page: for machines, which states.
    pub(crate) state: Option<i32>,
}

impl Pool {
    /// Machines with all that belongs to them, without those that are gone.
    pub(crate) fn machines(filter: i32) -> Self {
        Self { method: "one.vmpool.infoextended", filter, state: Some(-1) }
    }

    pub(crate) fn images(filter: i32) -> Self {
        Self { method: "one.imagepool.info", filter, state: None }
    }

    pub(crate) fn networks(filter: i32) -> Self {
        Self { method: "one.vnpool.info", filter, state: None }
    }

    pub(crate) fn security_groups(filter: i32) -> Self {
        Self { method: "one.secgrouppool.info", filter, state: None }
    }

    fn page(self, start: usize, size: usize) -> Call {
        let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        // An end below -1 is the size of a page whose first object is the start-th.
        let call = Call::new(self.method).with(self.filter).with(number(start)).with(-number(size));
        match self.state {
            Some(state) => call.with(state),
            None => call,
        }
    }
}

/// An object of a list: what could be read of it.
type Listed<D> = Result<D, String>;

impl Oned {
    /// Hands over the objects of a list one by one, until the list ends or `take` has what it wants. What cannot be
    /// read is handed over as the reason.
    pub(crate) async fn walk<D: Document>(
        &self,
        pool: Pool,
        mut take: impl FnMut(Listed<D>) -> ControlFlow<()> + Send,
    ) -> Result<(), BackendError> {
        let mut seen: HashSet<Id> = HashSet::new();
        let (mut offset, mut overlap, mut tries) = (0_usize, OVERLAP, 0);
        // Even a list that comes and goes has an end.
        for _ in 0..MOST_PAGES {
            let start = if offset == 0 { 0 } else { offset.saturating_sub(overlap) };
            let page = self.page(pool, start).await?;
            let is_last = page.len() < PAGE;
            let joins = start == 0 || page.iter().any(|one| named(one).is_some_and(|id| seen.contains(&id)));
            if !joins {
                // So many objects have gone meanwhile that something may lie between the two pages.
                tries += 1;
                if tries == TRIES {
                    let method = pool.method;
                    return Err(BackendError::Unreachable(format!(
                        "the list of {method} changes faster than it is read"
                    )));
                }
                overlap *= 8;
                continue;
            }
            (overlap, tries) = (OVERLAP, 0);
            offset = start + page.len();
            for one in page {
                if named(&one).is_some_and(|id| !seen.insert(id)) {
                    continue;
                }
                let object = one.map_err(|why| why.to_string());
                let object = object.and_then(|element| D::read(&element).map_err(|why| why.to_string()));
                if take(object).is_break() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
        Err(BackendError::Failed(format!("the list of {} does not end after {MOST_PAGES} pages", pool.method)))
    }

    /// The objects of a list that `choose` makes something of.
    pub(crate) async fn list<D: Document, T: Send>(
        &self,
        pool: Pool,
        choose: impl Fn(D) -> Result<Option<T>, BackendError> + Send + Sync,
    ) -> Result<Listing<T>, BackendError> {
        let mut listing = Listing::default();
        self.walk(pool, |object: Listed<D>| {
            match object.and_then(|object| choose(object).map_err(|error| error.to_string())) {
                Ok(Some(chosen)) => listing.objects.push(chosen),
                Ok(None) => {}
                Err(why) => listing.note_unreadable(why),
            }
            ControlFlow::Continue(())
        })
        .await?;
        Ok(listing)
    }

    /// The first object of a list that `is_it` says yes to.
    pub(crate) async fn find<D: Document + Send>(
        &self,
        pool: Pool,
        is_it: impl Fn(&D) -> bool + Send + Sync,
    ) -> Result<Option<D>, BackendError> {
        let mut found = None;
        self.walk(pool, |object: Listed<D>| match object {
            Ok(object) if is_it(&object) => {
                found = Some(object);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })
        .await?;
        Ok(found)
    }

    /// All objects of a list that has no pages.
    pub(crate) async fn whole<D: Document>(&self, method: &'static str) -> Result<Vec<D>, BackendError> {
        let elements = self.elements(&Call::new(method)).await?;
        Ok(elements.into_iter().flatten().filter_map(|element| D::read(&element).ok()).collect())
    }

    async fn page(&self, pool: Pool, start: usize) -> Result<Vec<Result<Element, XmlError>>, BackendError> {
        self.elements(&pool.page(start, PAGE)).await
    }

    async fn elements(&self, call: &Call) -> Result<Vec<Result<Element, XmlError>>, BackendError> {
        let text = self.text(call).await?;
        let mut elements = Vec::new();
        read_children(&text, Bounds::OBJECT, |element| elements.push(element))
            .map_err(|why| BackendError::Failed(format!("OpenNebula answers {} with nonsense: {why}", call.method)))?;
        Ok(elements)
    }
}

fn named(one: &Result<Element, XmlError>) -> Option<Id> {
    one.as_ref().ok()?.value_of("ID")
}
