//! `Accept`, `Content-Type` and `User-Agent`, one per line of the input, then a list of locations.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occi_schema::{MediaType, OcciVersion, Purpose, parse};

const BASE: &str = "http://here.example:8080";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(4, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (accept, content_type, user_agent, list) = (next(), next(), next(), next());
    for purpose in [Purpose::Listing, Purpose::Single, Purpose::Query] {
        match MediaType::negotiate(Some(accept), purpose) {
            Ok(media) => assert!(media != MediaType::UriList || purpose == Purpose::Listing),
            Err(refusal) => tombolo_fuzz::occi::message(refusal.status(), &refusal.to_string()),
        }
    }
    if let Err(refusal) = MediaType::of_request(Some(content_type), list.is_empty()) {
        tombolo_fuzz::occi::message(406, &refusal.to_string());
    }
    if let Err(refusal) = OcciVersion::of_client(Some(user_agent)) {
        tombolo_fuzz::occi::message(501, &refusal.to_string());
    }
    tombolo_fuzz::occi::locations(MediaType::UriList, &[], list.as_bytes());
    for line in list.split('\n') {
        match parse::local_path(line, BASE) {
            Ok(path) => {
                let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
                assert!(path.starts_with('/') && path.bytes().all(safe), "{path}");
                assert!(!path.contains("//") && !path.split('/').any(|segment| segment == ".." || segment == "."));
                assert_eq!(parse::local_path(&format!("{BASE}{path}"), BASE), Ok(path));
            }
            Err(refusal) => tombolo_fuzz::occi::message(400, &refusal.to_string()),
        }
    }
});
