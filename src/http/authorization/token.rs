use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{Limits, fields::Fields, refusal::Refusal};
use crate::{
    http::{
        Addresses, Doors,
        limit::{TooOften, neighbourhood},
    },
    login::{code::Code, device},
    request::came_from,
};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const AUTHORIZATION_CODE: &str = "authorization_code";

/// `POST /login/token`: what somebody has agreed to becomes an app token.
pub async fn hand_out(
    request: HttpRequest,
    doors: web::Data<Doors>,
    addresses: web::Data<Addresses>,
    limits: web::Data<Limits>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let address = addresses.client(&request);
    came_from(address.to_string());
    limits.exchanges.take(neighbourhood(address))?;
    let fields = Fields::read(payload).await?;
    let none = |what| Refusal::new("invalid_grant", what);
    let handed_out = match fields.need("grant_type")? {
        DEVICE_CODE => {
            let code = Code::presented(fields.need("device_code")?).ok_or_else(|| none("this is no device code"))?;
            // The database sees only as much of a flood as it may.
            let too_often = |TooOften(seconds)| {
                Refusal::new("slow_down", &format!("that was too soon; wait {seconds} seconds between two questions"))
            };
            limits.questions.take(code.hash()).map_err(too_often)?;
            device::poll(&doors.db, &code).await?
        }
        AUTHORIZATION_CODE => {
            let code = Code::presented(fields.need("code")?).ok_or_else(|| none("this is no code"))?;
            let (client, verifier) = (fields.need("client_id")?, fields.need("code_verifier")?);
            device::exchange(&doors.db, &code, fields.need("redirect_uri")?, client, verifier).await?
        }
        _ => {
            let words = format!("grant_type is {AUTHORIZATION_CODE} or {DEVICE_CODE}");
            return Err(Refusal::new("unsupported_grant_type", &words));
        }
    };
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").insert_header(("Cache-Control", "no-store"));
    Ok(response.body(
        json!({
            "access_token": handed_out.token.to_string(),
            "token_type": "Bearer",
            "expires_in": handed_out.valid_for.as_secs(),
            "scope": handed_out.rights.to_string(),
            "project": handed_out.project,
            "user": handed_out.user,
        })
        .to_string(),
    ))
}

/// `POST /login/revoke`: a program gives its token back (RFC 7009). Whether there was one is not told.
pub async fn give_back(
    request: HttpRequest,
    doors: web::Data<Doors>,
    addresses: web::Data<Addresses>,
    limits: web::Data<Limits>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let address = addresses.client(&request);
    came_from(address.to_string());
    limits.exchanges.take(neighbourhood(address))?;
    let fields = Fields::read(payload).await?;
    device::give_back(&doors.db, fields.need("token")?).await?;
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).finish())
}
