//! What is done with entities of any kind: found by their tags, listed, made, acted on, waited for, removed.

use std::{
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use backend::{BackendError, IntentTag, Listing};
use backend_http::{Answer, Method, StatusCode, quoted};
use futures_util::{StreamExt, stream};
use occi_schema::{
    CategoryId, MediaType, Value,
    render::{self, Attributes, LinkWish, Wish},
    well_known::attribute::{SOURCE, SUMMARY, TARGET, TITLE},
};
use tokio::time::{Instant, sleep};

use crate::{
    connection::{Asked, Connection},
    dialect::{Busy, TagPlace},
    options::OcciOptions,
    peer::Peer,
    reading::{self, Entity, Listed},
    tag,
};

/// Entities of one page, and of one where that is too much for an answer.
const PAGES: [usize; 2] = [500, 20];
/// Pages of one list.
const MOST_PAGES: usize = 10_000;
/// How many entities are asked for at the same time, where a list tells only where they are.
const AT_ONCE: usize = 8;
/// How many are asked for at all then.
const MOST_SINGLE: usize = 20_000;
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The server, and what is known of it.
pub(crate) struct Server {
    pub(crate) connection: Connection,
    pub(crate) options: OcciOptions,
    known: RwLock<Option<Arc<Peer>>>,
}

/// How an entity stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// In small letters; empty where nothing is said.
    pub(crate) state: String,
    /// In bounds.
    pub(crate) message: Option<String>,
    /// Whether the server is at work on it.
    pub(crate) is_busy: bool,
}

impl Server {
    pub(crate) fn new(connection: Connection, options: OcciOptions) -> Self {
        Self { connection, options, known: RwLock::new(None) }
    }

    /// What was known last, however old.
    pub(crate) fn known(&self) -> Option<Arc<Peer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known, learnt anew where it is old.
    pub(crate) async fn peer(&self) -> Result<Arc<Peer>, BackendError> {
        match self.known().filter(|peer| peer.is_fresh()) {
            Some(peer) => Ok(peer),
            None => Box::pin(self.learn()).await,
        }
    }

    /// What is to be known at this moment.
    pub(crate) async fn learn(&self) -> Result<Arc<Peer>, BackendError> {
        let peer = Arc::new(Peer::learn(&self.connection, &self.options).await?);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&peer));
        Ok(peer)
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.options.patience_seconds)
    }

    pub(crate) async fn path(&self, kind: &CategoryId, id: &str) -> Result<String, BackendError> {
        Ok(format!("{}{id}", self.peer().await?.collection(&self.connection, kind)?))
    }

    pub(crate) async fn get(&self, kind: &CategoryId, id: &str) -> Result<Entity, BackendError> {
        let peer = self.peer().await?;
        let path = self.path(kind, id).await?;
        Box::pin(self.get_at(&peer, kind, &path)).await
    }

    async fn get_at(&self, peer: &Peer, kind: &CategoryId, path: &str) -> Result<Entity, BackendError> {
        let answer = self.connection.must(&Asked::new(Method::GET, path, peer.media)).await;
        // Some servers take an id that they could not have given for a malformed question.
        let answer = answer.map_err(|error| match error {
            BackendError::Refused(words) => BackendError::NotFound(format!("{path}: {words}")),
            error => error,
        })?;
        let entity = reading::entity(&answer, peer.media, path)
            .map_err(|why| BackendError::Failed(format!("{path} cannot be read: {}", quoted(&why))))?;
        if entity.has(kind) {
            Ok(entity)
        } else {
            Err(BackendError::NotFound(format!("{path}, which is no {}", kind.term())))
        }
    }

    /// The kind's entity with this tag.
    pub(crate) async fn find(&self, kind: &CategoryId, tag: IntentTag) -> Result<Option<Entity>, BackendError> {
        let peer = self.peer().await?;
        if peer.dialect.filters && peer.dialect.tag_place == TagPlace::Summary {
            let wanted = Attributes::from([(SUMMARY.clone(), Value::from(tag::alone(tag)))]);
            let found = Box::pin(self.listed(&peer, kind, &wanted, false)).await?.objects;
            return Ok(found.into_iter().find(|entity| tag_of(entity).is_some_and(|(_, known)| known == tag)));
        }
        let all = Box::pin(self.listed(&peer, kind, &Attributes::new(), false)).await?.objects;
        Ok(all.into_iter().find(|entity| tag_of(entity).is_some_and(|(_, known)| known == tag)))
    }

    /// All of the kind that `read` takes for ours.
    pub(crate) async fn list<T>(
        &self,
        kind: &CategoryId,
        read: impl Fn(&Peer, &Entity) -> Result<Option<T>, String>,
    ) -> Result<Listing<T>, BackendError> {
        let peer = self.peer().await?;
        let all = Box::pin(self.listed(&peer, kind, &Attributes::new(), false)).await?;
        let Listing { objects, unreadable, more_unreadable } = all;
        let mut listing = Listing { objects: Vec::new(), unreadable, more_unreadable };
        for entity in &objects {
            match read(&peer, entity) {
                Ok(Some(object)) => listing.objects.push(object),
                Ok(None) => {}
                Err(why) => listing.note_unreadable(format_args!("{} {}: {why}", kind.term(), entity.id)),
            }
        }
        Ok(listing)
    }

    /// Links of the kind that lead to the entity, whoever has made them.
    pub(crate) async fn links_to(&self, link: &CategoryId, target: &str) -> Result<Vec<Entity>, BackendError> {
        let peer = self.peer().await?;
        let wanted = if peer.dialect.filters {
            Attributes::from([(TARGET.clone(), Value::from(target))])
        } else {
            Attributes::new()
        };
        let links = Box::pin(self.listed(&peer, link, &wanted, true)).await?.objects;
        let leads = |link: &Entity| {
            let to = link.text(&TARGET).and_then(|to| self.connection.path_of(&to).ok());
            to.is_some_and(|to| to == target)
        };
        Ok(links.into_iter().filter(leads).collect())
    }

    async fn listed(
        &self,
        peer: &Peer,
        kind: &CategoryId,
        wanted: &Attributes,
        are_links: bool,
    ) -> Result<Listing<Entity>, BackendError> {
        let path = peer.collection(&self.connection, kind)?;
        let mut listing = Listing::default();
        if !peer.dialect.pages || peer.media != MediaType::Json || !wanted.is_empty() {
            let answer = self.collection(peer, &path, wanted).await?;
            Box::pin(self.take(peer, kind, &answer, are_links, &mut listing)).await?;
            return Ok(listing);
        }
        let mut taken = 0;
        for _ in 0..MOST_PAGES {
            let (answer, most) = self.page(peer, &path, taken).await?;
            let count = Box::pin(self.take(peer, kind, &answer, are_links, &mut listing)).await?;
            taken += count;
            if count < most {
                return Ok(listing);
            }
        }
        Err(BackendError::Failed(format!("{path} lists without end")))
    }

    /// The next entities behind so many: as many as an answer holds.
    async fn page(&self, peer: &Peer, path: &str, behind: usize) -> Result<(Answer, usize), BackendError> {
        let mut outcome = Err(BackendError::Failed(format!("{path} has no pages")));
        // A smaller page may begin where the larger ones have ended.
        for most in PAGES.into_iter().filter(|most| behind.is_multiple_of(*most)) {
            let page = format!("{path}?page={}&number={most}", behind / most + 1);
            match self.collection(peer, &page, &Attributes::new()).await {
                Ok(answer) => return Ok((answer, most)),
                Err(error @ BackendError::Failed(_)) => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        outcome
    }

    async fn collection(&self, peer: &Peer, path: &str, wanted: &Attributes) -> Result<Answer, BackendError> {
        let filter = render::filter(&[], wanted);
        self.connection.must(&Asked { filter, ..Asked::new(Method::GET, path, peer.media) }).await
    }

    /// Takes what an answer lists; answers how much that was.
    async fn take(
        &self,
        peer: &Peer,
        kind: &CategoryId,
        answer: &Answer,
        are_links: bool,
        listing: &mut Listing<Entity>,
    ) -> Result<usize, BackendError> {
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(0);
        }
        let listed = reading::listing(answer, peer.media, are_links)
            .map_err(|why| BackendError::Failed(format!("the list of {} cannot be read: {why}", kind.term())))?;
        let count = listed.len();
        let mut places = Vec::new();
        for one in listed {
            match one {
                Listed::Whole(entity) => listing.objects.push(*entity),
                Listed::At(location) => places.push(location),
                Listed::Unreadable(why) => listing.note_unreadable(format_args!("a {}: {why}", kind.term())),
            }
        }
        if places.len() > MOST_SINGLE {
            let many = places.len();
            return Err(BackendError::Failed(format!("a list of {many} locations, more than are asked for")));
        }
        let single = stream::iter(places).map(|location| async move {
            let path = self.connection.path_of(&location)?;
            self.get_at(peer, kind, &path).await
        });
        let mut single = single.buffer_unordered(AT_ONCE);
        while let Some(outcome) = single.next().await {
            match outcome {
                Ok(entity) => listing.objects.push(entity),
                // It has gone since, or is of another kind.
                Err(BackendError::NotFound(_)) => {}
                Err(error @ (BackendError::Unreachable(_) | BackendError::Unauthorized(_))) => return Err(error),
                Err(error) => listing.note_unreadable(error),
            }
        }
        Ok(count)
    }

    /// Makes an entity with this tag, and answers it as it is then.
    pub(crate) async fn make(
        &self,
        kind: &CategoryId,
        tag: IntentTag,
        mixins: &[CategoryId],
        attributes: &Attributes,
        links: &[LinkWish],
    ) -> Result<Entity, BackendError> {
        let peer = self.peer().await?;
        let collection = peer.collection(&self.connection, kind)?;
        let wish = render::wish(peer.media, &Wish { kind: Some(kind), mixins, attributes, links });
        let asked = Asked {
            key: peer.dialect.repeats.then_some(tag.0),
            ..Asked::new(Method::POST, &collection, peer.media).saying(wish)
        };
        let answer = self.connection.must(&asked).await?;
        let place = reading::created(&answer, peer.media).ok_or_else(|| {
            BackendError::Unreachable(format!("the server does not say where the {} is that it made", kind.term()))
        })?;
        let id = reading::last_part(&place);
        if id.is_empty() {
            return Err(BackendError::Unreachable(format!("the new {} has no id: {}", kind.term(), quoted(&place))));
        }
        Box::pin(self.get_at(&peer, kind, &format!("{collection}{id}"))).await
    }

    /// Makes a link with this tag.
    pub(crate) async fn join(
        &self,
        kind: &CategoryId,
        tag: IntentTag,
        ends: (&str, &str),
        mixins: &[CategoryId],
        mut attributes: Attributes,
    ) -> Result<Entity, BackendError> {
        attributes.insert(TITLE.clone(), Value::from(tag::alone(tag)));
        attributes.insert(SOURCE.clone(), Value::from(ends.0));
        attributes.insert(TARGET.clone(), Value::from(ends.1));
        self.make(kind, tag, mixins, &attributes, &[]).await
    }

    /// Changes what the wish names.
    pub(crate) async fn change(
        &self,
        kind: &CategoryId,
        id: &str,
        mixins: &[CategoryId],
        attributes: &Attributes,
    ) -> Result<(), BackendError> {
        let peer = self.peer().await?;
        let path = self.path(kind, id).await?;
        let wish = render::wish(peer.media, &Wish { kind: None, mixins, attributes, links: &[] });
        self.connection.must(&Asked::new(Method::POST, &path, peer.media).saying(wish)).await.map(drop)
    }

    /// Invokes an action; under a key it is done once.
    pub(crate) async fn act(
        &self,
        kind: &CategoryId,
        id: &str,
        action: &CategoryId,
        parameters: &Attributes,
        key: Option<IntentTag>,
    ) -> Result<(), BackendError> {
        let peer = self.peer().await?;
        let path = format!("{}?action={}", self.path(kind, id).await?, action.term());
        let said = render::invocation(peer.media, action, parameters);
        let key = key.filter(|_| peer.dialect.repeats).map(|tag| tag.0);
        self.connection.must(&Asked { key, ..Asked::new(Method::POST, &path, peer.media).saying(said) }).await.map(drop)
    }

    /// Removes the entity, and waits until its server does not know it any more. An unknown one is a success.
    pub(crate) async fn remove(&self, kind: &CategoryId, id: &str) -> Result<(), BackendError> {
        let peer = self.peer().await?;
        let path = self.path(kind, id).await?;
        match self.connection.must(&Asked::new(Method::DELETE, &path, peer.media)).await {
            Ok(_) => {}
            Err(BackendError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        let gone = self.wait(|| async {
            match self.get_at(&peer, kind, &path).await {
                Err(BackendError::NotFound(_)) => Ok(Some(())),
                Ok(_) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let late = || BackendError::Unreachable(format!("{path} is still there, though its removal was accepted"));
        gone.await?.ok_or_else(late)
    }

    /// The entity as soon as its server is not at work on it any more.
    pub(crate) async fn settled(&self, kind: &CategoryId, id: &str) -> Result<(Entity, Standing), BackendError> {
        let settled = self.wait(|| async {
            let (entity, peer) = (self.get(kind, id).await?, self.peer().await?);
            let standing = standing(&peer, kind, &entity);
            Ok((!standing.is_busy).then_some((entity, standing)))
        });
        let late = || BackendError::Unreachable(format!("{} {id} is still being worked on", kind.term()));
        settled.await?.ok_or_else(late)
    }

    async fn wait<T, F: Future<Output = Result<Option<T>, BackendError>>>(
        &self,
        mut look: impl FnMut() -> F,
    ) -> Result<Option<T>, BackendError> {
        let until = Instant::now() + self.patience();
        let mut pause = FIRST_LOOK;
        loop {
            if let Some(seen) = Box::pin(look()).await? {
                return Ok(Some(seen));
            }
            if Instant::now() + pause > until {
                return Ok(None);
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// The name and tag of a new resource, as its server keeps them.
    pub(crate) fn mark(peer: &Peer, name: &str, tag: IntentTag) -> Attributes {
        match peer.dialect.tag_place {
            TagPlace::Summary => {
                Attributes::from([(TITLE.clone(), Value::from(name)), (SUMMARY.clone(), Value::from(tag::alone(tag)))])
            }
            TagPlace::Title => Attributes::from([(TITLE.clone(), Value::from(tag::behind(name, tag)))]),
        }
    }
}

/// An entity's name and tag, wherever they stand; nothing where it is none of ours.
pub(crate) fn tag_of(entity: &Entity) -> Option<(String, IntentTag)> {
    let title = entity.text(&TITLE).unwrap_or_default();
    if let Some(tag) = entity.text(&SUMMARY).as_deref().and_then(tag::of_alone) {
        return Some((title, tag));
    }
    tag::of_behind(&title).map(|(name, tag)| (name.to_owned(), tag))
}

/// How an entity stands, by the habits of its server.
pub(crate) fn standing(peer: &Peer, kind: &CategoryId, entity: &Entity) -> Standing {
    let (state, message) = entity.state(&format!("occi.{}", kind.term()));
    let state = state.unwrap_or_default();
    let is_busy = match peer.dialect.busy {
        Busy::Message => state != "error" && message.as_deref().is_some_and(|message| !tells_failure(message)),
        Busy::Waiting => state == "waiting",
        Busy::Silent => false,
    };
    Standing { state, message: message.map(|message| quoted(&message)), is_busy }
}

/// Whether a message of another Tombolo is about something that has failed for good, and about nothing under way: what
/// will be tried again tells when.
fn tells_failure(message: &str) -> bool {
    message.contains(" failed: ") && !message.contains("; tried ") && !message.starts_with("being undone")
}

/// What an entity's failure means, by the words of another Tombolo, which are those of our own errors.
pub(crate) fn failure(standing: &Standing) -> BackendError {
    let message = standing.message.clone().unwrap_or_else(|| "the server does not say why".into());
    let words = message.split_once(" failed: ").map_or(message.as_str(), |(_, words)| words);
    let after = |start: &str| words.strip_prefix(start).map(str::to_owned);
    if let Some(words) = after("not in this state: ") {
        BackendError::Conflict(words)
    } else if let Some(words) = after("the backend refuses: ") {
        BackendError::Refused(words)
    } else if let Some(words) = after("the backend has no room: ") {
        BackendError::Capacity(words)
    } else if let Some(words) = after("the backend cannot ") {
        BackendError::Unsupported(words)
    } else {
        BackendError::Failed(message)
    }
}
