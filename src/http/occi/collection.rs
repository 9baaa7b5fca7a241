//! Paths that end in a slash: collections of kinds and mixins, and `/` for everything.

use actix_web::HttpResponse;
use occi_schema::{Category, CategoryId, EntityReference, Filter, Limits, Purpose, parse, render};

use super::{
    Place,
    answer::{self, Failure},
    entity::view,
    received::Received,
};
use crate::{
    broker::{Broker, Membership},
    login::Principal,
    store::entity::EntityId,
};

/// What is collected at a path.
enum Collected {
    Everything,
    Kind(CategoryId),
    Mixin(CategoryId),
}

pub async fn serve(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    path: &str,
) -> Result<HttpResponse, Failure> {
    let model = broker.present_to(principal).await?.model;
    let collected = match model.at_location(path) {
        _ if path == "/" => Collected::Everything,
        Some(Category::Kind(kind)) => Collected::Kind(kind.id.clone()),
        Some(Category::Mixin(mixin)) => Collected::Mixin(mixin.id.clone()),
        _ => return Err(Failure::status(404, format!("there is no collection at {}", super::excerpt(path)))),
    };
    match (received.method.as_str(), collected) {
        ("GET" | "HEAD", collected) => list(broker, principal, received, collected.category()).await,
        ("POST", Collected::Kind(id) | Collected::Mixin(id)) if received.action.is_some() => {
            act(broker, principal, received, &id).await
        }
        ("POST", Collected::Everything) if received.action.is_some() => {
            Err(Failure::status(400, "an action is invoked on an entity, or on the collection of a kind or mixin"))
        }
        ("POST", Collected::Everything) => create(broker, principal, received, None).await,
        ("POST", Collected::Kind(id)) => create(broker, principal, received, Some(&id)).await,
        ("DELETE", Collected::Everything) => delete(broker, principal, received, None).await,
        ("DELETE", Collected::Kind(id)) => delete(broker, principal, received, Some(&id)).await,
        ("POST", Collected::Mixin(id)) => change_members(broker, principal, received, &id, Membership::Join).await,
        ("PUT", Collected::Mixin(id)) => change_members(broker, principal, received, &id, Membership::Become).await,
        ("DELETE", Collected::Mixin(id)) => change_members(broker, principal, received, &id, Membership::Leave).await,
        (_, Collected::Everything | Collected::Kind(_)) => Err(Failure::NotAllowed("GET, HEAD, POST, DELETE")),
        (_, Collected::Mixin(_)) => Err(Failure::NotAllowed("GET, HEAD, POST, PUT, DELETE")),
    }
}

impl Collected {
    fn category(&self) -> Option<&CategoryId> {
        match self {
            Self::Everything => None,
            Self::Kind(id) | Self::Mixin(id) => Some(id),
        }
    }
}

async fn list(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    category: Option<&CategoryId>,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    // The filter travels in header fields whatever the rendering is.
    let filter: Filter = parse::filter(&received.headers(), &[], &Limits::default())?;
    let entities = broker.list(principal, category, &filter, received.page()?).await?;
    Ok(answer::rendered(200, render::entities(media, entities.iter().map(view), &received.base)))
}

async fn create(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    kind: Option<&CategoryId>,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    let locations = broker.create(principal, kind, &received.entities()?).await?;
    let urls: Vec<String> = locations.iter().map(|location| format!("{}{location}", received.base)).collect();
    Ok(answer::rendered(201, render::created(media, &urls)))
}

async fn delete(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    kind: Option<&CategoryId>,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    broker.delete_all(principal, kind).await?;
    Ok(answer::rendered(200, render::ok(media)))
}

async fn act(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    category: &CategoryId,
) -> Result<HttpResponse, Failure> {
    let term = received.action.as_deref().unwrap_or_default();
    let request = parse::action(received.request_media()?, &received.headers(), &received.body, &Limits::default())?;
    // Negotiated first: what cannot be answered must not be done.
    received.answer_media(Purpose::Listing)?;
    broker.act_on_all(principal, category, term, &request).await?;
    members(broker, principal, received, category).await
}

async fn change_members(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    mixin: &CategoryId,
    membership: Membership,
) -> Result<HttpResponse, Failure> {
    received.answer_media(Purpose::Listing)?;
    let request_media = received.request_media()?;
    let named = parse::locations(request_media, &received.headers(), &received.body, &Limits::default())?;
    let ids = named.iter().map(|reference| entity_id(reference, &received.base)).collect::<Result<Vec<_>, _>>()?;
    broker.change_members(principal, mixin, &ids, membership).await?;
    members(broker, principal, received, mixin).await
}

/// The answer to a change of a collection is the collection.
async fn members(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    category: &CategoryId,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    let entities = broker.list(principal, Some(category), &Filter::default(), None).await?;
    Ok(answer::rendered(200, render::entities(media, entities.iter().map(view), &received.base)))
}

/// The entity that a client points at, by location or by `occi.core.id`.
fn entity_id(reference: &EntityReference, base: &str) -> Result<EntityId, Failure> {
    let unknown = |text: &str| Failure::status(404, format!("there is no entity {}", super::excerpt(text)));
    match reference {
        EntityReference::Location(location) => {
            let path = parse::local_path(location, base).map_err(|error| Failure::status(400, error.to_string()))?;
            match Place::of(path) {
                Place::Entity(id) => Ok(id),
                _ => Err(unknown(path)),
            }
        }
        EntityReference::Id(id) => {
            id.strip_prefix("urn:uuid:").unwrap_or(id).parse().map(EntityId).map_err(|_| unknown(id))
        }
    }
}
