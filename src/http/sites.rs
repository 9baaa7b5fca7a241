//! `/sites`: what the sites are, for clients that choose one and for those who look after them.

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use occi_schema::MediaType;

use super::{address::base_of, challenge, not_allowed, occi::Failure, principal};
use crate::broker::Broker;

/// The list of all sites, or the one that the path names, as JSON.
pub async fn door(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    match show(&request, &broker).await {
        Ok(response) => response,
        Err(failure) => {
            let mut response = failure.response(MediaType::TextPlain, broker.mode());
            challenge::put(&mut response, &request, &base_of(&request));
            response
        }
    }
}

async fn show(request: &HttpRequest, broker: &Broker) -> Result<HttpResponse, Failure> {
    let principal = principal::of(request).await?.ok_or(Failure::Unauthenticated)?;
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", "no-store"));
    Ok(match request.match_info().get("name").filter(|name| !name.is_empty()) {
        Some(name) => response.json(broker.site(&principal, name).await?),
        None => response.json(broker.sites(&principal).await?),
    })
}
