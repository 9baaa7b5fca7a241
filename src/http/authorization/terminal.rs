use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{Limits, TERMINAL_PAGE, fields::Fields, refusal::Refusal, wish::Wish};
use crate::{
    http::{Addresses, Doors, address::base_of, limit::neighbourhood},
    login::device::{self, INTERVAL, WAITS},
};

/// `POST /login/device`: a terminal begins to wait (RFC 8628 section 3.1).
pub async fn open(
    request: HttpRequest,
    doors: web::Data<Doors>,
    addresses: web::Data<Addresses>,
    limits: web::Data<Limits>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let address = addresses.client(&request);
    limits.terminals.take(neighbourhood(address))?;
    let wish = Wish::of(&Fields::read(payload).await?)?;
    let address = address.to_string();
    let opening = device::open(&doors.db, &doors.secret, &wish.client, &address, wish.rights).await?;
    let page = format!("{}{TERMINAL_PAGE}", base_of(&request));
    let code = opening.user_code.to_string();
    tracing::info!(client = wish.client, address, "a terminal waits until somebody lets it in");
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").insert_header(("Cache-Control", "no-store"));
    Ok(response.body(
        json!({
            "device_code": opening.device_code.reveal(),
            "user_code": code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={code}"),
            "expires_in": WAITS.as_secs(),
            "interval": INTERVAL,
        })
        .to_string(),
    ))
}
