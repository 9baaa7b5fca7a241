//! One entity: read, act, delete (GFD.223 section 10).

use actix_web::HttpResponse;
use occi_schema::{EntityView, Limits, Purpose, parse, render};

use super::{
    answer::{self, Failure},
    received::Received,
};
use crate::{
    broker::{Broker, Shown},
    login::Principal,
    store::entity::EntityId,
};

pub async fn serve(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    id: EntityId,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(if received.method == "DELETE" { Purpose::Listing } else { Purpose::Single })?;
    let shown = match (received.method.as_str(), &received.action) {
        ("GET" | "HEAD", _) => broker.show(principal, id).await?,
        ("POST", Some(term)) => {
            let request_media = received.request_media()?;
            let request = parse::action(request_media, &received.headers(), &received.body, &Limits::default())?;
            broker.act(principal, id, term, &request).await?
        }
        ("DELETE", _) => {
            broker.delete(principal, id).await?;
            return Ok(answer::rendered(200, render::ok(media)));
        }
        ("POST", None) => broker.update(principal, id, &received.entity()?).await?,
        ("PUT", _) => broker.replace(principal, id, &received.entity()?).await?,
        _ => return Err(Failure::NotAllowed("GET, HEAD, POST, PUT, DELETE")),
    };
    Ok(answer::rendered(200, render::entity(media, &view(&shown), &received.base)))
}

/// The entity as the renderings want it.
pub fn view(shown: &Shown) -> EntityView<'_> {
    EntityView {
        id: &shown.id,
        kind: &shown.kind,
        mixins: &shown.mixins,
        attributes: &shown.attributes,
        links: Vec::new(),
        actions: &shown.actions,
        location: &shown.location,
    }
}
