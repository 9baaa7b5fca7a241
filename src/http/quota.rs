//! What may be taken still, for clients that look before they ask.

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use serde_json::json;

use super::{address::base_of, challenge, not_allowed, occi::Failure, principal};
use crate::broker::Broker;
use occi_schema::MediaType;

/// The limits of the principal's project and their own, what is taken, and what is left; where there is no number,
/// there is no limit.
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
    let (name, quota) = broker.quota(&principal).await?;
    let body = json!({
        "project": { "id": principal.project.0, "name": name, "limit": quota.project.limit,
            "used": quota.project.used, "left": quota.project.left },
        "user": { "id": principal.user.0, "name": principal.user_name, "limit": quota.own.limit,
            "used": quota.own.used, "left": quota.own.left },
    });
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(body))
}
