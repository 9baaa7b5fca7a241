//! `/-/`: the query interface (GFD.223 section 9).

use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
};
use occi_schema::{Limits, OcciVersion, Purpose, parse, render};

use super::{
    answer::{self, Failure},
    received::Received,
};
use crate::{
    broker::{Broker, BrokerError},
    login::Principal,
};

/// Who this broker is, and which brokers stand behind it, the nearest first: who finds itself there stands in a circle.
const BROKER_HEADER: HeaderName = HeaderName::from_static("x-tombolo-broker");

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
    let client = OcciVersion::of_client(received.header("user-agent")).unwrap_or_default();
    let model = present.model.for_version(client);
    let wanted = model.resolve_filter(&filter).map_err(BrokerError::from)?.categories;
    let categories = model.queried(&wanted, client);
    let mut response = answer::rendered(200, render::categories(media, &model, categories).in_mode(model.mode()));
    if let Some(brokers) = broker.brokers().and_then(|brokers| HeaderValue::from_str(&brokers).ok()) {
        response.headers_mut().insert(BROKER_HEADER, brokers);
    }
    Ok(response)
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
