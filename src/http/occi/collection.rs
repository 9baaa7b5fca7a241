//! Paths that end in a slash: collections of kinds and mixins, `/` for everything, and paths above collections.

use actix_web::HttpResponse;
use occi_schema::{Category, CategoryId, EntityReference, Limits, Model, Purpose, parse, render};

use super::{
    Place,
    answer::{self, Failure},
    listing,
    received::Received,
};
use crate::{
    broker::{Address, Broker, Membership, Selected},
    login::Principal,
    store::entity::EntityId,
};

/// What is collected at a path.
enum Collected {
    /// At `/`, or at a path that only leads to collections (GFD.185 section 3.4.2).
    Unbound(Vec<CategoryId>),
    Kind(CategoryId),
    Mixin(CategoryId),
}

impl Collected {
    fn at(model: &Model, path: &str) -> Option<Self> {
        match model.at_location(path) {
            _ if path == "/" => Some(Self::Unbound(Vec::new())),
            Some(Category::Kind(kind)) => Some(Self::Kind(kind.id.clone())),
            Some(Category::Mixin(mixin)) => Some(Self::Mixin(mixin.id.clone())),
            _ => {
                let kinds =
                    model.kinds().filter(|kind| kind.location.as_deref().is_some_and(|at| at.starts_with(path)));
                let mixins = model.mixins().filter(|mixin| mixin.location.starts_with(path));
                let below = kinds.map(|kind| &kind.id).chain(mixins.map(|mixin| &mixin.id));
                let below: Vec<CategoryId> = below.cloned().collect();
                (!below.is_empty()).then_some(Self::Unbound(below))
            }
        }
    }

    fn categories(&self) -> Vec<CategoryId> {
        match self {
            Self::Unbound(below) => below.clone(),
            Self::Kind(id) | Self::Mixin(id) => vec![id.clone()],
        }
    }
}

pub async fn serve(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    path: &str,
) -> Result<HttpResponse, Failure> {
    let model = broker.present_to(principal).await?.model;
    let collected = Collected::at(&model, path)
        .ok_or_else(|| Failure::status(404, format!("there is no collection at {}", super::excerpt(path))))?;
    let selected = Selected { any_of: collected.categories(), ..Selected::default() };
    match (received.method.as_str(), collected) {
        ("GET" | "HEAD", _) => {
            // The filter travels in header fields whatever the rendering is.
            let filter = parse::filter(&received.headers(), &[], &Limits::default())?;
            listing::serve(broker, principal, received, &Selected { filter, ..selected }).await
        }
        ("POST", Collected::Kind(_) | Collected::Mixin(_)) if received.action.is_some() => {
            act(broker, principal, received, &selected, path).await
        }
        ("POST", Collected::Unbound(_)) if received.action.is_some() => {
            Err(Failure::status(400, "an action is invoked on an entity, or on the collection of a kind or mixin"))
        }
        ("POST", Collected::Unbound(_)) if path == "/" => create(broker, principal, received, None, path).await,
        ("POST", Collected::Kind(id)) => create(broker, principal, received, Some(&id), path).await,
        ("DELETE", Collected::Unbound(_) | Collected::Kind(_)) => delete(broker, principal, received, &selected).await,
        ("POST", Collected::Mixin(id)) => change_members(broker, principal, received, &id, Membership::Join).await,
        ("PUT", Collected::Mixin(id)) => change_members(broker, principal, received, &id, Membership::Become).await,
        ("DELETE", Collected::Mixin(id)) => change_members(broker, principal, received, &id, Membership::Leave).await,
        (_, Collected::Unbound(_)) if path != "/" => Err(Failure::NotAllowed("GET, HEAD, DELETE")),
        (_, Collected::Unbound(_) | Collected::Kind(_)) => Err(Failure::NotAllowed("GET, HEAD, POST, DELETE")),
        (_, Collected::Mixin(_)) => Err(Failure::NotAllowed("GET, HEAD, POST, PUT, DELETE")),
    }
}

async fn create(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    kind: Option<&CategoryId>,
    path: &str,
) -> Result<HttpResponse, Failure> {
    let repeatable = received.repeatable(path)?;
    let media = received.answer_media(Purpose::Listing)?;
    let address = Address { kind, path: None, base_url: &received.base };
    let locations = broker.create(principal, address, &received.entities()?, repeatable.as_ref()).await?;
    let urls: Vec<String> = locations.iter().map(|location| format!("{}{location}", received.base)).collect();
    Ok(answer::rendered(201, render::created(media, &urls)))
}

/// All members, or those that are named (GFD.185 section 3.4.3).
async fn delete(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    selected: &Selected,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    let named = named(received)?;
    if named.is_empty() {
        let filter = parse::filter(&received.headers(), &[], &Limits::default())?;
        broker.delete_all(principal, &Selected { filter, ..selected.clone() }).await?;
    } else {
        broker.delete_named(principal, &named).await?;
    }
    Ok(answer::rendered(200, render::ok(media)))
}

async fn act(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    selected: &Selected,
    path: &str,
) -> Result<HttpResponse, Failure> {
    let repeatable = received.repeatable(path)?;
    let term = received.action.as_deref().unwrap_or_default();
    let request = parse::action(received.request_media()?, &received.headers(), &received.body, &Limits::default())?;
    // Negotiated first: what cannot be answered must not be done.
    received.answer_media(Purpose::Listing)?;
    broker.act_on_all(principal, selected, term, &request, repeatable.as_ref()).await?;
    listing::serve(broker, principal, received, selected).await
}

async fn change_members(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    mixin: &CategoryId,
    membership: Membership,
) -> Result<HttpResponse, Failure> {
    received.answer_media(Purpose::Listing)?;
    broker.change_members(principal, mixin, &named(received)?, membership).await?;
    // The answer to a change of a collection is the collection.
    let selected = Selected { any_of: vec![mixin.clone()], ..Selected::default() };
    listing::serve(broker, principal, received, &selected).await
}

/// The entities that the request points at.
fn named(received: &Received) -> Result<Vec<EntityId>, Failure> {
    let media = received.request_media()?;
    let named = parse::locations(media, &received.headers(), &received.body, &Limits::default())?;
    named.iter().map(|reference| entity_id(reference, &received.base)).collect()
}

/// The entity that a client points at, by location or by `occi.core.id`.
fn entity_id(reference: &EntityReference, base: &str) -> Result<EntityId, Failure> {
    let unknown = |text: &str| Failure::status(404, format!("there is no entity {}", super::excerpt(text)));
    match reference {
        EntityReference::Location(location) => {
            let path = parse::local_path(location, base).map_err(|error| Failure::status(400, error.to_string()))?;
            match Place::of(path) {
                Place::Entity(_, id) => Ok(id),
                _ => Err(unknown(path)),
            }
        }
        EntityReference::Id(id) => {
            id.strip_prefix("urn:uuid:").unwrap_or(id).parse().map(EntityId).map_err(|_| unknown(id))
        }
    }
}
