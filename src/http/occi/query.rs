//! `/-/`: the query interface (GFD.223 section 9).

use actix_web::HttpResponse;
use occi_schema::{Limits, Purpose, parse, render};

use super::{
    answer::{self, Failure},
    received::Received,
};
use crate::broker::{Broker, BrokerError};

pub async fn show(broker: &Broker, received: &Received) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Query)?;
    let filter = parse::filter(&received.headers(), &received.body, &Limits::default())?;
    let model = broker.present().await?.model;
    let wanted = model.resolve_filter(&filter).map_err(BrokerError::from)?.categories;
    let categories = model.categories().filter(|category| wanted.is_empty() || wanted.contains(category.id()));
    Ok(answer::rendered(200, render::categories(media, &model, categories)))
}

pub fn change(received: &Received) -> Result<HttpResponse, Failure> {
    match received.method.as_str() {
        "POST" | "DELETE" => Err(BrokerError::Unimplemented("changing user mixins").into()),
        _ => Err(Failure::NotAllowed("GET, HEAD, POST, DELETE")),
    }
}
