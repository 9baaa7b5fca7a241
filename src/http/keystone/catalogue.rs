use serde_json::{Value, json};

use super::PATH;

/// There is one.
pub const REGION: &str = "default";

/// What can be reached by a token: name, type and address of each service.
fn services(base: &str) -> [(&'static str, &'static str, String); 2] {
    [("tombolo", "occi", format!("{base}/")), ("keystone", "identity", format!("{base}{PATH}/v3/"))]
}

/// As the third version writes it.
pub fn v3(base: &str) -> Value {
    let service = |(name, kind, url): (&str, &str, String)| {
        let endpoint = |interface: &str| {
            let id = format!("{kind}-{interface}");
            json!({ "id": id, "interface": interface, "region": REGION, "region_id": REGION, "url": url })
        };
        json!({
            "id": kind, "name": name, "type": kind,
            "endpoints": [endpoint("public"), endpoint("internal"), endpoint("admin")],
        })
    };
    Value::Array(services(base).into_iter().map(service).collect())
}

/// As the second version writes it.
pub fn v2(base: &str) -> Value {
    let service = |(name, kind, url): (&str, &str, String)| {
        json!({
            "name": name, "type": kind, "endpoints_links": [],
            "endpoints": [{ "id": kind, "region": REGION, "publicURL": url, "internalURL": url, "adminURL": url }],
        })
    };
    Value::Array(services(base).into_iter().map(service).collect())
}
