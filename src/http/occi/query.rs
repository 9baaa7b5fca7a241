//! `/-/`: the query interface (GFD.223 section 9).

use actix_web::HttpResponse;
use occi_schema::{Limits, Purpose, parse, render};

use super::{
    answer::{self, Failure},
    received::Received,
};
use crate::{
    broker::{Broker, BrokerError},
    login::Principal,
};

/// The categories, with the mixins of the project if the request says whose it is.
pub async fn show(
    broker: &Broker,
    principal: Option<&Principal>,
    received: &Received,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Query)?;
    let filter = parse::filter(&received.headers(), &received.body, &Limits::default())?;
    let present = match principal {
        Some(principal) => broker.present_to(principal).await?,
        None => broker.present().await?,
    };
    let model = present.model;
    let wanted = model.resolve_filter(&filter).map_err(BrokerError::from)?.categories;
    let categories = model.categories().filter(|category| wanted.is_empty() || wanted.contains(category.id()));
    Ok(answer::rendered(200, render::categories(media, &model, categories)))
}

/// Defines or takes back mixins of the project.
pub async fn change(broker: &Broker, principal: &Principal, received: &Received) -> Result<HttpResponse, Failure> {
    if !matches!(received.method.as_str(), "POST" | "DELETE") {
        return Err(Failure::NotAllowed("GET, HEAD, POST, DELETE"));
    }
    let media = received.answer_media(Purpose::Query)?;
    let mixins = parse::mixins(received.request_media()?, &received.headers(), &received.body, &Limits::default())?;
    if received.method == "POST" {
        broker.define_mixins(principal, &mixins, &received.base).await?;
    } else {
        broker.undefine_mixins(principal, &mixins).await?;
    }
    Ok(answer::rendered(200, render::ok(media)))
}
