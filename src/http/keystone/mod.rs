//! A small Keystone, for clients that first fetch a token and then speak OCCI: rOCCI, jOCCI, whatever is built on
//! OpenStack's libraries. It exchanges what our other doors take as well for a token of an hour.

mod asked;
mod catalogue;
mod fault;
mod issue;
mod v2;
mod v3;
mod version;

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use futures_util::StreamExt;

use self::fault::Fault;
use crate::login::{
    Credentials,
    gate::{Gate, Known},
};

/// No request is longer, in bytes.
const BODY_LIMIT: usize = 64 << 10;
/// Where this door is, below the server's base address.
pub const PATH: &str = "/keystone";

/// A request to this door.
struct Asked<'a> {
    request: &'a HttpRequest,
    gate: &'a Gate,
    /// How the client calls this server.
    base: String,
}

impl Asked<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Who asks, by a token in `X-Auth-Token` or `Authorization`.
    async fn asker(&self) -> Result<Known, Fault> {
        let authorization = self.header("authorization");
        let credentials = Credentials::from_headers(authorization, self.header("x-auth-token"));
        self.known(credentials).await
    }

    async fn known(&self, credentials: Option<Credentials>) -> Result<Known, Fault> {
        let credentials = credentials.ok_or(Fault::Unauthenticated)?;
        self.gate.known(&credentials).await?.ok_or(Fault::Unauthenticated)
    }
}

/// The door, for everything below its path.
pub async fn door(request: HttpRequest, gate: web::Data<Gate>, payload: web::Payload) -> HttpResponse {
    let base = super::address::base_of(&request);
    let asked = Asked { request: &request, gate: &gate, base: base.clone() };
    lead(&asked, payload).await.unwrap_or_else(|fault| fault.response(&base))
}

async fn lead(asked: &Asked<'_>, payload: web::Payload) -> Result<HttpResponse, Fault> {
    let path = asked.request.path();
    let below: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect();
    let method = asked.request.method();
    let (get, post) = (method == Method::GET || method == Method::HEAD, method == Method::POST);
    match below.as_slice() {
        [] if get => Ok(version::list(&asked.base)),
        ["v2.0"] if get => Ok(version::v2(&asked.base)),
        ["v3"] if get => Ok(version::v3(&asked.base)),
        ["v2.0", "tokens"] if post => v2::issue(asked, &read(payload).await?).await,
        ["v2.0", "tenants"] if get => v2::tenants(asked).await,
        ["v3", "auth", "tokens"] => match method.as_str() {
            "POST" => v3::issue(asked, &read(payload).await?).await,
            "GET" | "HEAD" => v3::validate(asked).await,
            "DELETE" => v3::revoke(asked).await,
            _ => Err(Fault::NotAllowed("GET, HEAD, POST, DELETE")),
        },
        ["v3", "auth" | "OS-FEDERATION", "projects"] if get => v3::projects(asked).await,
        ["v3", "auth", "catalog"] if get => v3::catalogue(asked).await,
        ["v3", "OS-FEDERATION", "identity_providers", provider, "protocols", _, "auth"] if get || post => {
            v3::federated(asked, provider).await
        }
        [] | ["v2.0" | "v3"] | ["v2.0", "tenants"] | ["v3", "auth" | "OS-FEDERATION", "projects" | "catalog"] => {
            Err(Fault::NotAllowed("GET, HEAD"))
        }
        ["v2.0", "tokens"] => Err(Fault::NotAllowed("POST")),
        _ => Err(Fault::NotFound),
    }
}

async fn read(mut payload: web::Payload) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Fault::Malformed(format!("the body ended early: {error}")))?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Fault::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn json(response: &mut actix_web::HttpResponseBuilder, value: &serde_json::Value) -> HttpResponse {
    response.content_type("application/json").insert_header(("Cache-Control", "no-store"));
    response.insert_header(("Vary", "X-Auth-Token")).body(value.to_string())
}
