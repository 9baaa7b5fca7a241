//! `/appliance`: what is offered to everybody, as OpenNebula's marketplace driver reads it. Served where the
//! configuration says so; elsewhere these paths are OCCI's like any other.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use marketplace::opennebula::Release;
use occi_schema::MediaType;
use serde_json::json;

use super::{
    Addresses,
    address::base_of,
    limit::{Limit, TooOften, neighbourhood},
    not_allowed, occi, plain,
};
use crate::broker::{Broker, BrokerError};

/// What a guest will see of the disk, in bytes.
const SIZE: &str = "OpenNebula-AppMarket-Size";

/// How often strangers may ask. A marketplace asks once in ten minutes, and once for each import.
pub struct Strangers(Limit<IpAddr>);

impl Default for Strangers {
    fn default() -> Self {
        Self(Limit::new(NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN), Duration::from_secs(1)))
    }
}

/// The paths, for the server. Drivers of OpenNebula 6 and 7 put a slash behind an address that has one already.
pub fn routes(server: &mut web::ServiceConfig) {
    server
        .service(web::resource("/{slash:/?}appliance").to(list))
        .service(web::resource("/{slash:/?}appliance/{id:[0-9a-f]+}").to(show))
        .service(web::resource("/{slash:/?}appliance/{id:[0-9a-f]+}/download").to(download))
        .service(web::resource("/{slash:/?}appliance/{id:[0-9a-f]+}/download/{number}").to(download));
}

async fn list(request: HttpRequest, broker: web::Data<Broker>, payload: web::Payload) -> HttpResponse {
    if !broker.serves_market() {
        return occi::door(request, broker, payload).await;
    }
    answer(&request, &broker, async {
        let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let release = agent.and_then(Release::of_agent);
        let mut entries = broker.market_entries(&base(&request, &broker)).await?;
        entries.retain(|entry| entry.is_for(release));
        Ok(answered().json(json!({ "sEcho": 1, "appliances": entries })))
    })
    .await
}

async fn show(request: HttpRequest, broker: web::Data<Broker>, payload: web::Payload) -> HttpResponse {
    if !broker.serves_market() {
        return occi::door(request, broker, payload).await;
    }
    answer(&request, &broker, async {
        let id = request.match_info().get("id").unwrap_or_default();
        let entries = broker.market_entries(&base(&request, &broker)).await?;
        let entry = entries.into_iter().find(|entry| entry.id() == id);
        Ok(answered().json(entry.ok_or_else(|| BrokerError::NotFound("appliance of this id".into()))?))
    })
    .await
}

async fn download(request: HttpRequest, broker: web::Data<Broker>, payload: web::Payload) -> HttpResponse {
    if !broker.serves_market() {
        return occi::door(request, broker, payload).await;
    }
    answer(&request, &broker, async {
        let id = request.match_info().get("id").unwrap_or_default();
        if request.match_info().get("number").is_some_and(|number| number != "0") {
            return Err(BrokerError::NotFound("other file than 0".into()));
        }
        let download = broker.market_download(id).await?;
        let mut response = HttpResponse::build(StatusCode::FOUND);
        response
            .insert_header((header::LOCATION, format!("{}{}", base(&request, &broker), download.path)))
            .insert_header((SIZE, download.disk_size.to_string()))
            // Where it leads holds for a while only, and is a credential.
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"));
        Ok(response.finish())
    })
    .await
}

/// What all doors of the marketplace have in common.
async fn answer(
    request: &HttpRequest,
    broker: &Broker,
    found: impl Future<Output = Result<HttpResponse, BrokerError>>,
) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    let addresses = request.app_data::<web::Data<Addresses>>();
    let strangers = request.app_data::<web::Data<Strangers>>();
    if let (Some(addresses), Some(strangers)) = (addresses, strangers)
        && let Err(TooOften(seconds)) = strangers.0.take(neighbourhood(addresses.client(request)))
    {
        let mut response = plain(StatusCode::TOO_MANY_REQUESTS, format!("too often; again after {seconds} s\n"));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return response;
    }
    match found.await {
        Ok(response) => response,
        Err(error) => occi::Failure::from(error).response(MediaType::TextPlain, broker.mode()),
    }
}

fn answered() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-cache"));
    response
}

/// Where whoever asks reaches this server.
fn base(request: &HttpRequest, broker: &Broker) -> String {
    broker.image_base().map_or_else(|| base_of(request), str::to_owned)
}
