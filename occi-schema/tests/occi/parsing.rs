//! Requests in all renderings (sections 3, 4 and 8.M, 8.N).

use occi_schema::well_known::{COMPUTE, NETWORK, NETWORK_INTERFACE, OS_TPL, START, STOP, attribute};
use occi_schema::{AttributeName, Class, EntityReference, Limits, MediaType, RawValue, Value, parse};

use crate::{id, json, occi, plain};

const COMPUTE_LINE: &str = r#"Category: compute; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind""#;

fn name(text: &str) -> AttributeName {
    AttributeName::new(text).unwrap()
}

fn quoted(text: &str) -> RawValue {
    RawValue::Quoted(text.to_owned())
}

fn bare(text: &str) -> RawValue {
    RawValue::Bare(text.to_owned())
}

#[test]
fn c_063_c_064_the_same_request_in_body_and_headers() {
    let body = format!("{COMPUTE_LINE}\nX-OCCI-Attribute: occi.compute.cores=2\n");
    let headers = [
        ("Host", "example.com"),
        ("Category", COMPUTE_LINE.strip_prefix("Category: ").unwrap()),
        ("X-OCCI-Attribute", "occi.compute.cores=2"),
    ];
    let from_body = plain(&body).unwrap();
    assert_eq!(from_body, occi(&headers).unwrap());
    assert_eq!(from_body.categories[0].id, COMPUTE);
    assert_eq!(from_body.categories[0].class, Some(Class::Kind));
    assert_eq!(from_body.attributes, [(name("occi.compute.cores"), bare("2"))]);
}

#[test]
fn c_068_a_repeated_field_and_a_comma_list_are_the_same() {
    let list = occi(&[("X-OCCI-Attribute", r#"a=1, b="x, y", , c=true"#)]).unwrap();
    let repeated = [("X-OCCI-Attribute", "a=1"), ("x-occi-attribute", r#"b="x, y""#), ("X-OCCI-ATTRIBUTE", "c=true")];
    assert_eq!(list, occi(&repeated).unwrap());
    assert_eq!(list.attributes[1], (name("b"), quoted("x, y")));
}

#[test]
fn c_114_quoted_commas_and_escaped_quotes_do_not_split() {
    let line = r#"X-OCCI-Attribute: occi.compute.memory=3.6, occi.core.title="q \", occi.compute.memory=1.0""#;
    let request = plain(line).unwrap();
    assert_eq!(
        request.attributes,
        [
            (name("occi.compute.memory"), bare("3.6")),
            (name("occi.core.title"), quoted("q \", occi.compute.memory=1.0"))
        ]
    );
    assert_eq!(request.title().as_deref(), Some("q \", occi.compute.memory=1.0"));
}

#[test]
fn c_121_c_259_c_268_leniency_with_real_clients() {
    let scheme = r#"scheme="http://schemas.ogf.org/occi/infrastructure#""#;
    for line in [
        format!("Category: compute;{scheme};class=\"kind\""),
        format!("Category: compute; class=kind; {scheme};"),
        format!("Category:compute ; {scheme} ; class = \"KIND\" ;"),
        format!("category: compute; location=\"/compute/\"; {scheme}; title=\"x; y, z\"; class=\"kind\"\r"),
        "Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#compute\"; class=\"kind\"".to_owned(),
        "Category: compute; scheme=http://schemas.ogf.org/occi/infrastructure#; class=kind".to_owned(),
        format!("X-OCCI-Category: compute; {scheme}; class=\"kind\"; unheard=\"of\""),
        format!("\r\n\n Category: compute; {scheme}; class=\"kind\"\r\n\r\n"),
    ] {
        let request = plain(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(request.categories.len(), 1, "{line}");
        assert_eq!((&request.categories[0].id, request.categories[0].class), (&COMPUTE, Some(Class::Kind)));
    }
    let without_class = plain(&format!("Category: compute; {scheme}")).unwrap();
    assert_eq!(without_class.categories[0].class, None);
    assert_eq!(plain("X-OCCI-Attribute: a=\"1\";\nX-OCCI-Attribute: b=2;").unwrap().attributes.len(), 2);
}

#[test]
fn c_109_to_c_111_links_with_and_without_attributes() {
    let request = plain(concat!(
        r#"Link: </network/1>; rel="http://schemas.ogf.org/occi/infrastructure#network"; "#,
        r#"category="http://schemas.ogf.org/occi/infrastructure#networkinterface "#,
        r#"http://schemas.ogf.org/occi/infrastructure/networkinterface#ipnetworkinterface"; "#,
        r#"self="/networkinterface/x"; occi.networkinterface.mac="00:11:22:33:44:55";"#,
        "\n",
        r#"Link: </compute/1?action=start>; rel="http://schemas.ogf.org/occi/infrastructure/compute/action#start""#,
        "\n",
    ))
    .unwrap();
    let [link] = &request.links[..] else { panic!("one link") };
    assert_eq!(link.target, "/network/1");
    assert_eq!(link.target_kinds, std::slice::from_ref(&NETWORK));
    assert_eq!(link.location.as_deref(), Some("/networkinterface/x"));
    assert_eq!(link.categories[0].id, NETWORK_INTERFACE);
    assert_eq!(link.categories.len(), 2);
    assert_eq!(link.attributes, [(name("occi.networkinterface.mac"), quoted("00:11:22:33:44:55"))]);
    assert_eq!(request.actions, std::slice::from_ref(&START));
    let rocci =
        occi(&[("X-OCCI-Link", "</network/1>;rel=http://schemas.ogf.org/occi/infrastructure#network;")]).unwrap();
    assert_eq!(rocci.links.len(), 1);
}

#[test]
fn errors_say_where_what_was_expected_and_what_was_found() {
    let message = |body: &str| plain(body).unwrap_err().to_string();
    assert_eq!(
        message("X-OCCI-Attribute: a=1\nX-OCCI-Attribute: b=\n"),
        "cannot read line 2, column 21 of the body: expected a quoted string, a number, true or false, found the end"
    );
    assert_eq!(
        message("Category: compute scheme=x"),
        "cannot read line 1, column 19 of the body: expected `;` and a scheme, found `scheme=x`"
    );
    assert_eq!(message("hello"), "cannot read line 1, column 1 of the body: expected `name: value`, found `hello`");
    assert_eq!(
        message("X-Other: 1"),
        "cannot read line 1, column 1 of the body: expected Category, X-OCCI-Attribute, Link or X-OCCI-Location, \
         found `X-Other: 1`"
    );
    let error = occi(&[("X-OCCI-Attribute", "a=1 b=2")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read column 3 of the header field X-OCCI-Attribute: \
         expected a quoted string, a number, true or false, found `1 b=2`"
    );
    let error = json("{\n  \"kind\": 5\n}").unwrap_err();
    assert_eq!((error.line(), error.found.as_str()), (Some(2), "invalid type: integer `5`"));
}

#[test]
fn c_024_c_113_malformed_requests_are_refused() {
    for bad in [
        "Category: compute; class=\"kind\"",
        "Category: compute; scheme=\"no hash\"",
        "Category: compute; scheme=\"http://a#\"; class=\"other\"",
        "Category: compute; scheme=\"http://a#\"; scheme=\"http://b#\"",
        "Category: ; scheme=\"http://a#\"",
        "Category: a; scheme=\"http://a#\" b; scheme=\"http://b#\"",
        "X-OCCI-Attribute: =1",
        "X-OCCI-Attribute: a",
        "X-OCCI-Attribute: a=\"x",
        "X-OCCI-Attribute: a=x\"y\"",
        "X-OCCI-Attribute: a=\"x\" b=1",
        "Link: /network/1; rel=\"http://a#b\"",
        "Link: <>; rel=\"http://a#b\"",
        "Link: </n>; rel=\"nonsense\"",
        "X-OCCI-Location: /compute/1",
    ] {
        assert!(plain(bad).is_err(), "{bad}");
    }
}

#[test]
fn c_115_c_116_json_entities() {
    let request = json(
        r#"{"kind":"http://schemas.ogf.org/occi/infrastructure#compute","title":"vm",
            "mixins":["http://schemas.ogf.org/occi/infrastructure#os_tpl"],
            "attributes":{"occi.compute.cores":2,"occi.compute.memory":2.5},
            "links":[{"kind":"http://schemas.ogf.org/occi/infrastructure#networkinterface",
                      "target":{"location":"/network/1",
                                "kind":"http://schemas.ogf.org/occi/infrastructure#network"}}]}"#,
    )
    .unwrap();
    assert_eq!(request.categories.iter().map(|each| &each.id).collect::<Vec<_>>(), [&COMPUTE, &OS_TPL]);
    assert_eq!(request.attribute(&attribute::CORES), Some(&RawValue::Typed(Value::Integer(2))));
    assert_eq!(request.title().as_deref(), Some("vm"));
    assert_eq!(request.links[0].target, "/network/1");
    let link = json(
        r#"{"kind":"http://schemas.ogf.org/occi/infrastructure#networkinterface",
            "source":{"location":"/compute/1"},"target":"/network/1"}"#,
    )
    .unwrap();
    assert_eq!(link.attribute(&attribute::SOURCE).and_then(RawValue::text).as_deref(), Some("/compute/1"));
    assert_eq!(link.attribute(&attribute::TARGET).and_then(RawValue::text).as_deref(), Some("/network/1"));
}

#[test]
fn c_117_collections_of_entities() {
    let many = |body: &str| parse::entities(MediaType::Json, &[], body.as_bytes(), &Limits::default());
    let kind = r#""kind":"http://schemas.ogf.org/occi/infrastructure#compute""#;
    assert_eq!(many(&format!("{{\"resources\":[{{{kind}}},{{{kind}}}]}}")).unwrap().len(), 2);
    assert_eq!(many(&format!("{{{kind}}}")).unwrap().len(), 1);
    assert!(many(&format!("{{{kind},\"resources\":[]}}")).is_err());
    assert!(json(&format!("{{\"resources\":[{{{kind}}},{{{kind}}}]}}")).is_err());
    assert!(json(&format!("{{\"resources\":[{{{kind}}}]}}")).is_ok());
}

#[test]
fn c_118_c_119_c_276_json_that_is_none_of_ours() {
    for bad in [
        "",
        "{",
        "[]",
        "5",
        r#"{"kind":"nonsense"}"#,
        r#"{"unknown":1}"#,
        r#"{"kind":"http://a#b","kind":"http://a#b"}"#,
        r#"{"attributes":{"a b":1}}"#,
        r#"{"attributes":{"a":null}}"#,
        r#"{"links":[{"kind":"http://a#b"}]}"#,
        r#"{"attributes":{"a":1}} trailing"#,
    ] {
        assert!(json(bad).is_err(), "{bad}");
    }
}

#[test]
fn c_229_c_233_actions() {
    let action = |media, body: &str| parse::action(media, &[], body.as_bytes(), &Limits::default());
    let text = concat!(
        r#"Category: stop; scheme="http://schemas.ogf.org/occi/infrastructure/compute/action#"; class="action""#,
        "\nX-OCCI-Attribute: method=\"poweroff\"\n"
    );
    let from_text = action(MediaType::TextPlain, text).unwrap();
    let from_json = action(MediaType::Json, &format!(r#"{{"action":"{STOP}","attributes":{{"method":"poweroff"}}}}"#));
    assert_eq!(from_text.action.id, STOP);
    assert_eq!(from_text.action.id, from_json.unwrap().action.id);
    assert_eq!(from_text.attributes, [(name("method"), quoted("poweroff"))]);
    assert!(action(MediaType::TextPlain, "").is_err());
    assert!(action(MediaType::TextPlain, &format!("{text}{text}")).is_err());
}

#[test]
fn c_023_c_189_filters_come_from_headers_and_bodies() {
    let headers = [("Category", r#"my_stuff; scheme="http://example.com/occi/my_stuff#""#), ("Link", "<x>; rel=next")];
    let filter = parse::filter(&headers, b"X-OCCI-Attribute: a=1", &Limits::default()).unwrap();
    assert_eq!(filter.categories[0].id, id("http://example.com/occi/my_stuff#my_stuff"));
    assert_eq!(filter.attributes, [(name("a"), bare("1"))]);
    assert!(parse::filter(&[("X-OCCI-Attribute", "a")], b"", &Limits::default()).is_err());
    assert!(parse::filter(&[("Accept", "text/occi")], b"", &Limits::default()).unwrap().is_empty());
}

#[test]
fn c_265_c_266_c_280_locations() {
    let read = |media, headers: &[(&str, &str)], body: &str| {
        parse::locations(media, headers, body.as_bytes(), &Limits::default())
    };
    let one = || EntityReference::Location("/compute/1".to_owned());
    let two = || EntityReference::Location("http://example.com/compute/2".to_owned());
    let list = "/compute/1, http://example.com/compute/2";
    assert_eq!(read(MediaType::TextOcci, &[("X-OCCI-Location", list)], "").unwrap(), [one(), two()]);
    let body = "X-OCCI-Location: /compute/1;\nX-OCCI-Location: http://example.com/compute/2\n";
    assert_eq!(read(MediaType::TextPlain, &[], body).unwrap(), [one(), two()]);
    let uris = "# uri:/compute/\r\n/compute/1\r\nhttp://example.com/compute/2\r\n";
    assert_eq!(read(MediaType::UriList, &[], uris).unwrap(), [one(), two()]);
    let strings = r#"["/compute/1","http://example.com/compute/2"]"#;
    assert_eq!(read(MediaType::Json, &[], strings).unwrap(), [one(), two()]);
    let objects = r#"{"resources":[{"location":"/compute/1"},{"id":"urn:uuid:7"}]}"#;
    assert_eq!(read(MediaType::Json, &[], objects).unwrap(), [one(), EntityReference::Id("urn:uuid:7".to_owned())]);
    assert!(read(MediaType::Json, &[], r#"["a b"]"#).is_err());
    assert!(read(MediaType::TextPlain, &[], "X-OCCI-Location: a b").is_err());
    assert!(read(MediaType::Json, &[], "").unwrap().is_empty());
}

#[test]
fn c_029_to_c_036_user_mixins_in_three_renderings() {
    let read = |media, headers: &[(&str, &str)], body: &str| {
        parse::mixins(media, headers, body.as_bytes(), &Limits::default())
    };
    let value = r#"my_stuff; scheme="http://example.com/occi/my_stuff#"; class="mixin"; location="/my_stuff/""#;
    let from_text = read(MediaType::TextPlain, &[], &format!("Category: {value}")).unwrap();
    let from_fields = read(MediaType::TextOcci, &[("Category", value)], "").unwrap();
    let object = r#"{"term":"my_stuff","scheme":"http://example.com/occi/my_stuff#","location":"/my_stuff/"}"#;
    let from_json = read(MediaType::Json, &[], &format!("{{\"mixins\":[{object}]}}")).unwrap();
    assert_eq!(from_text, from_fields);
    assert_eq!(from_text, from_json);
    assert_eq!(from_text, read(MediaType::Json, &[], object).unwrap());
    assert_eq!(from_text[0].location.as_deref(), Some("/my_stuff/"));
    let ids = read(MediaType::Json, &[], r#"{"mixins":["http://example.com/occi/my_stuff#my_stuff"]}"#).unwrap();
    assert_eq!(ids[0].id, from_text[0].id);
    assert!(read(MediaType::TextPlain, &[], "").is_err());
    assert_eq!(read(MediaType::Json, &[], &format!("{{\"kinds\":[{object}]}}")).unwrap()[0].class, Some(Class::Kind));
}
