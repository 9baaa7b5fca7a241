//! What a client is told who has shown nothing that opens the door: by what it can be opened.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderValue, WWW_AUTHENTICATE},
    },
};

use super::keystone;

/// Says in a 401 how to get in, one way per field.
///
/// jOCCI reads the first field only, and looks for Keystone there. rOCCI's HTTP library joins all fields to one, in which
/// its pattern (`^(Keystone|snf-auth) uri=("|')(.+)("|')$`) then finds no address, or a wrong one: it hears of Keystone
/// alone. It sends a user name and password without being asked for them.
pub fn put(response: &mut HttpResponse, request: &HttpRequest, base: &str) {
    if response.status() != StatusCode::UNAUTHORIZED {
        return;
    }
    let agent = request.headers().get("user-agent").and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let keystone = format!("Keystone uri='{base}{}/v2.0'", keystone::PATH);
    let headers = response.headers_mut();
    headers.remove(WWW_AUTHENTICATE);
    if let Ok(keystone) = HeaderValue::from_str(&keystone) {
        headers.append(WWW_AUTHENTICATE, keystone);
    }
    if !agent.starts_with("rOCCI") {
        // Basic, since every client has it; the token is its password.
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"tombolo\""));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tombolo\""));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn challenges(agent: &str) -> Vec<String> {
        let request = TestRequest::get().insert_header(("user-agent", agent)).to_http_request();
        let mut response = HttpResponse::Unauthorized().insert_header((WWW_AUTHENTICATE, "Basic realm=\"x\"")).finish();
        put(&mut response, &request, "https://broker.example");
        response.headers().get_all(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_way_has_a_field_and_keystone_the_first() {
        let keystone = "Keystone uri='https://broker.example/keystone/v2.0'";
        for agent in ["", "curl/8.0", "jOCCI-api/0.2.6"] {
            assert_eq!(challenges(agent), [keystone, "Basic realm=\"tombolo\"", "Bearer realm=\"tombolo\""], "{agent}");
        }
    }

    #[test]
    fn rocci_hears_of_keystone_alone() {
        for agent in ["rOCCI HTTPClient 4.0.0", "rOCCI-core/5.0.4 rOCCI-api/5.0.0 OCCI/1.1 ruby-x86_64-linux/2.3.1p112"]
        {
            assert_eq!(challenges(agent), ["Keystone uri='https://broker.example/keystone/v2.0'"]);
        }
    }

    #[test]
    fn other_answers_stay_as_they_are() {
        let mut response = HttpResponse::Ok().finish();
        put(&mut response, &TestRequest::get().to_http_request(), "https://broker.example");
        assert!(response.headers().get(WWW_AUTHENTICATE).is_none());
    }
}
