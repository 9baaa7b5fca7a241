use actix_web::{HttpResponse, http::StatusCode};
use serde_json::{Value, json};

use super::PATH;

/// Both versions. Clients take the status as a sign that there are several (RFC 9110 section 15.4.1).
pub fn list(base: &str) -> HttpResponse {
    let values = [document(base, "v3.14", "v3", "stable"), document(base, "v2.0", "v2.0", "deprecated")];
    let mut response = HttpResponse::build(StatusCode::MULTIPLE_CHOICES);
    super::json(&mut response, &json!({ "versions": { "values": values } }))
}

/// The second version.
pub fn v2(base: &str) -> HttpResponse {
    one(&document(base, "v2.0", "v2.0", "deprecated"))
}

/// The third version.
pub fn v3(base: &str) -> HttpResponse {
    one(&document(base, "v3.14", "v3", "stable"))
}

fn one(document: &Value) -> HttpResponse {
    super::json(&mut HttpResponse::Ok(), &json!({ "version": document }))
}

fn document(base: &str, id: &str, path: &str, status: &str) -> Value {
    json!({
        "id": id,
        "status": status,
        "updated": "2026-11-22T00:00:00Z",
        "links": [{ "rel": "self", "href": format!("{base}{PATH}/{path}/") }],
        "media-types": [{
            "base": "application/json",
            "type": format!("application/vnd.openstack.identity-{path}+json"),
        }],
    })
}
