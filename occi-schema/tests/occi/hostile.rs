//! Hostile input: bounded, refused with a reason, never a panic (ABUSE A30, A31, A40).

use occi_schema::{Limits, MediaType, Mode, Model, parse};
use proptest::prelude::*;

use crate::{json, occi, plain};

const MEDIA: [MediaType; 4] = MediaType::ALL;

fn try_everything(headers: &[(&str, &str)], body: &[u8], limits: &Limits) {
    let model = Model::standard();
    for media in MEDIA {
        if let Ok(requests) = parse::entities(media, headers, body, limits) {
            for request in &requests {
                let _ = model.resolve_new(request, None, Mode::Interop);
                let _ = model.resolve_new(request, None, Mode::Strict);
            }
        }
        let _ = parse::entity(media, headers, body, limits);
        let _ = parse::locations(media, headers, body, limits);
        if let Ok(request) = parse::action(media, headers, body, limits) {
            let _ = model.resolve_action(&request, "start", &occi_schema::well_known::COMPUTE, &[]);
        }
        for mixin in parse::mixins(media, headers, body, limits).unwrap_or_default() {
            let _ = model.resolve_user_mixin(&mixin, "http://localhost");
        }
    }
    if let Ok(filter) = parse::filter(headers, body, limits) {
        let _ = model.resolve_filter(&filter);
    }
    let text = String::from_utf8_lossy(body);
    let _ = MediaType::negotiate(Some(&text), occi_schema::Purpose::Listing);
    let _ = MediaType::of_request(Some(&text), false);
    let _ = parse::local_path(&text, "http://localhost");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        try_everything(&[], &body, &Limits::default());
    }

    #[test]
    fn arbitrary_mixtures_of_our_own_words_never_panic(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "Category: ", "X-OCCI-Attribute: ", "Link: ", "X-OCCI-Location: ", "compute", "; ", "scheme=", "\"", "\\",
            "http://schemas.ogf.org/occi/infrastructure#", "class=\"kind\"", ",", "\n", "\r\n", "=", "<", ">", "{", "}",
            "[", "]", ":", "occi.compute.cores", "2", "2.0", "true", "é", "\\u00e9", "\\ud83d", "\\", "rel=", "self=",
            "\"kind\"", "\"attributes\"", "\"resources\"", "\"links\"", "\"mixins\"", "\"action\"", "?action=start",
            " ",
            "start; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"", "attributes=\"a{immutable}",
        ]), 0..40)
    ) {
        let text = words.concat();
        try_everything(&[("Category", &text), ("X-OCCI-Attribute", &text), ("Link", &text)], text.as_bytes(),
            &Limits::default());
    }
}

#[test]
fn a_30_control_characters_and_other_encodings_are_refused() {
    let value = |text: &str| plain(&format!("X-OCCI-Attribute: occi.core.title=\"{text}\""));
    assert!(value("a\tb é 😀").is_ok());
    for bad in ["a\0b", "a\u{1b}b", "a\u{7f}b", "a\u{85}b", "a\rb"] {
        assert!(value(bad).is_err(), "{bad:?}");
        assert!(occi(&[("X-OCCI-Attribute", &format!("a=\"{bad}\""))]).is_err(), "{bad:?}");
    }
    assert!(occi(&[("X-OCCI-Attribute", "a=\"x\"\r\nb=1")]).is_err());
    assert!(json("{\"attributes\":{\"a\":\"\\u0000\"}}").is_err());
    let latin = parse::entity(MediaType::TextPlain, &[], b"X-OCCI-Attribute: a=1\nb\xe9", &Limits::default());
    assert_eq!(
        latin.unwrap_err().to_string(),
        "cannot read line 2, column 2 of the body: expected UTF-8, found other bytes"
    );
}

#[test]
fn a_30_a_40_counts_lengths_and_depth_are_bounded() {
    let many = |count: usize, item: &str| vec![item; count].join("\n");
    let limits = Limits::default();
    assert!(plain(&many(limits.attributes, "X-OCCI-Attribute: a=1")).is_ok());
    assert!(plain(&many(limits.attributes + 1, "X-OCCI-Attribute: a=1")).is_err());
    let category = "Category: a; scheme=\"http://a#\"";
    assert!(plain(&many(limits.categories + 1, category)).is_err());
    assert!(plain(&many(limits.links + 1, "Link: </n/1>; rel=\"http://a#b\"")).is_err());
    assert!(plain(&many(limits.lines + 1, "")).is_err());
    assert!(plain(&"x".repeat(limits.body_bytes + 1)).is_err());
    assert!(plain(&format!("X-OCCI-Attribute: a={}", "1".repeat(limits.line_bytes))).is_err());
    assert!(plain(&format!("X-OCCI-Attribute: a=\"{}\"", "1".repeat(limits.value_bytes + 1))).is_err());
    assert!(plain(&format!("X-OCCI-Attribute: a={}", "1".repeat(limits.value_bytes + 1))).is_err());
    let objects = format!("{{\"resources\":[{}]}}", vec!["{}"; limits.lines].join(","));
    assert_eq!(
        json(&objects).unwrap_err().to_string(),
        "cannot read the request: expected at most 4096 objects, found more"
    );
    assert!(parse::mixins(MediaType::Json, &[], objects.as_bytes(), &limits).is_err());
    let deep = format!("{{\"attributes\":{{\"a\":{}1{}}}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(
        json(&deep).unwrap_err().to_string(),
        "cannot read the request: expected at most 16 levels of nesting, found more"
    );
    let wide: Vec<String> = (0..=limits.attributes).map(|number| format!("\"a{number}\":1")).collect();
    assert!(json(&format!("{{\"attributes\":{{{}}}}}", wide.join(","))).is_err());
    let mixins = vec!["\"http://a#b\""; limits.categories + 1].join(",");
    assert!(json(&format!("{{\"mixins\":[{mixins}]}}")).is_err());
    let locations = vec!["\"/a\""; limits.locations + 1].join(",");
    assert!(parse::locations(MediaType::Json, &[], format!("[{locations}]").as_bytes(), &limits).is_err());
}

#[test]
fn messages_about_hostile_input_are_short_and_on_one_line() {
    let long = "x\u{7}".repeat(10_000);
    for message in [
        plain(&long).unwrap_err().to_string(),
        plain(&format!("X-OCCI-Attribute: {}", "=".repeat(10_000))).unwrap_err().to_string(),
        json(&format!("{{\"{}\":1}}", "k".repeat(100_000))).unwrap_err().to_string(),
        json(&format!("{{\"kind\":\"{}\"}}", "k".repeat(100_000))).unwrap_err().to_string(),
    ] {
        assert!(message.len() < 400 && !message.contains(char::is_control), "{message}");
    }
}
