use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{CONSENT, METADATA, REVOCATION, TERMINAL, TOKEN};
use crate::http::address::base_of;

/// What programs have to know about this authorization server (RFC 8414).
pub async fn show(request: HttpRequest) -> HttpResponse {
    let base = base_of(&request);
    debug_assert_eq!(request.path(), METADATA);
    let metadata = json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}{CONSENT}"),
        "token_endpoint": format!("{base}{TOKEN}"),
        "device_authorization_endpoint": format!("{base}{TERMINAL}"),
        "revocation_endpoint": format!("{base}{REVOCATION}"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["read", "operate", "manage"],
        "authorization_response_iss_parameter_supported": true,
    });
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").insert_header(("Cache-Control", "max-age=300"));
    response.body(metadata.to_string())
}
