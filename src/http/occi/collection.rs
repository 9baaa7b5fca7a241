//! Paths that end in a slash: collections of kinds and mixins, and `/` for everything.

use actix_web::HttpResponse;
use occi_schema::{Category, CategoryId, Filter, Limits, MediaType, Purpose, parse, render};

use super::{
    answer::{self, Failure},
    entity::view,
    received::Received,
};
use crate::{
    broker::{Broker, BrokerError},
    login::Principal,
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
    let model = broker.present().await?.model;
    let collected = match model.at_location(path) {
        _ if path == "/" => Collected::Everything,
        Some(Category::Kind(kind)) => Collected::Kind(kind.id.clone()),
        Some(Category::Mixin(mixin)) => Collected::Mixin(mixin.id.clone()),
        _ => return Err(Failure::status(404, format!("there is no collection at {}", super::excerpt(path)))),
    };
    match (received.method.as_str(), collected) {
        ("GET" | "HEAD", Collected::Everything) => list(broker, principal, received, None).await,
        ("GET" | "HEAD", Collected::Kind(id) | Collected::Mixin(id)) => {
            list(broker, principal, received, Some(&id)).await
        }
        ("POST", _) if received.action.is_some() => {
            Err(BrokerError::Unimplemented("an action on a whole collection").into())
        }
        ("POST", Collected::Everything) => create(broker, principal, received, None).await,
        ("POST", Collected::Kind(id)) => create(broker, principal, received, Some(&id)).await,
        ("DELETE", Collected::Kind(id)) => {
            let media = received.answer_media(Purpose::Listing)?;
            broker.delete_all(principal, &id).await?;
            Ok(answer::rendered(200, render::ok(media)))
        }
        ("POST" | "PUT" | "DELETE", Collected::Mixin(_)) => {
            Err(BrokerError::Unimplemented("changing who carries a mixin").into())
        }
        ("DELETE", Collected::Everything) => Err(BrokerError::Unimplemented("deleting everything at once").into()),
        (_, Collected::Everything | Collected::Kind(_)) => Err(Failure::NotAllowed("GET, HEAD, POST, DELETE")),
        (_, Collected::Mixin(_)) => Err(Failure::NotAllowed("GET, HEAD, POST, PUT, DELETE")),
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
    let entities = broker.list(principal, category, &filter).await?;
    Ok(answer::rendered(200, render::entities(media, entities.iter().map(view), &received.base)))
}

async fn create(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    kind: Option<&CategoryId>,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    let request_media = received.request_media()?;
    if request_media == MediaType::UriList {
        return Err(Failure::status(400, "text/uri-list cannot describe an entity"));
    }
    let request = parse::entity(request_media, &received.headers(), &received.body, &Limits::default())?;
    let location = broker.create(principal, kind, &request).await?;
    let url = format!("{}{location}", received.base);
    Ok(answer::rendered(201, render::created(media, &[url])))
}
