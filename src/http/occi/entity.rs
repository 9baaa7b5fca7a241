//! One entity: read, act, change, delete (GFD.223 section 10).

use actix_web::HttpResponse;
use occi_schema::{EntityView, Limits, LinkView, Purpose, parse, render, well_known::attribute};

use super::{
    answer::{self, Failure},
    received::Received,
};
use crate::{
    broker::{Acted, Address, Broker, BrokerError, Shown},
    login::Principal,
    store::entity::EntityId,
};

pub async fn serve(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    path: &str,
    id: EntityId,
) -> Result<HttpResponse, Failure> {
    let method = received.method.as_str();
    let media = received.answer_media(if method == "DELETE" { Purpose::Listing } else { Purpose::Single })?;
    if !matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "DELETE") {
        return Err(Failure::NotAllowed("GET, HEAD, POST, PUT, DELETE"));
    }
    let known = match broker.show(principal, id).await {
        // The id alone does not make it the entity of this path: the collection has to be its kind's.
        Ok(shown) if shown.location == path => Some(shown),
        Ok(_) => return Err(BrokerError::NotFound(format!("entity at {}", super::excerpt(path))).into()),
        Err(BrokerError::NotFound(_)) if method == "PUT" => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(shown) = &known {
        let tag = answer::entity_tag(shown);
        let names_it = |field| received.header(field).map(|named| answer::names_tag(named, &tag));
        if names_it("if-match") == Some(false) {
            return Err(Failure::status(412, "the entity has changed since; GET it and decide anew"));
        }
        if matches!(method, "GET" | "HEAD") && names_it("if-none-match") == Some(true) {
            let mut response = HttpResponse::NotModified().finish();
            answer::tag(&mut response, &tag);
            return Ok(response);
        }
    }
    let shown = match (method, &received.action, known) {
        ("GET" | "HEAD", _, Some(shown)) => shown,
        ("POST", Some(term), _) => {
            let request_media = received.request_media()?;
            let request = parse::action(request_media, &received.headers(), &received.body, &Limits::default())?;
            let repeatable = received.repeatable(path)?;
            match broker.act(principal, id, term, &request, repeatable.as_ref()).await? {
                Acted::Entity(shown) => shown,
                Acted::Template(model, template) => {
                    let new = model.category(&template);
                    return Ok(answer::rendered(200, render::categories(media, &model, new)));
                }
            }
        }
        ("DELETE", ..) => {
            broker.delete(principal, id).await?;
            return Ok(answer::rendered(200, render::ok(media)));
        }
        ("PUT", _, None) => return create(broker, principal, received, path).await,
        ("PUT", _, Some(known)) => {
            // Links that are repeated as they were read are no change.
            let is_present = |id: &str| known.links.iter().any(|link| link.id == id);
            broker.replace(principal, id, &received.entity()?.without_links(is_present), &received.base).await?
        }
        _ => broker.update(principal, id, &received.entity()?, &received.base).await?,
    };
    let model = broker.present_to(principal).await?.model;
    let mut response =
        answer::rendered(200, render::entity_in(media, &view(&shown), &model, &received.base).in_mode(model.mode()));
    answer::tag(&mut response, &answer::entity_tag(&shown));
    if method == "PUT" {
        // jOCCI reads it out of every answer to a PUT.
        answer::place(&mut response, &format!("{}{}", received.base, shown.location));
    }
    Ok(response)
}

/// A creation at a path that the client has chosen (GFD.223 section 10.2.1).
async fn create(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    path: &str,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    let request = received.entity()?;
    if !request.links.is_empty() {
        return Err(Failure::status(400, "a PUT has no links; POST to the kind's collection, or add them afterwards"));
    }
    let address = Address { kind: None, path: Some(path), base_url: &received.base };
    let locations = broker.create(principal, address, &[request], None).await?;
    let urls: Vec<String> = locations.iter().map(|location| format!("{}{location}", received.base)).collect();
    Ok(answer::rendered(201, render::created(media, &urls)))
}

/// The entity as the renderings want it.
pub fn view(shown: &Shown) -> EntityView<'_> {
    EntityView {
        id: &shown.id,
        kind: &shown.kind,
        mixins: &shown.mixins,
        attributes: &shown.attributes,
        links: shown.links.iter().map(link_view).collect(),
        actions: &shown.actions,
        location: &shown.location,
    }
}

fn link_view(link: &Shown) -> LinkView<'_> {
    let text = |name| link.attributes.get(name).and_then(occi_schema::Value::as_str);
    LinkView {
        id: &link.id,
        kind: &link.kind,
        mixins: &link.mixins,
        attributes: &link.attributes,
        location: &link.location,
        target: text(&attribute::TARGET).unwrap_or_default(),
        target_kind: link.target_kind.as_ref(),
    }
}
