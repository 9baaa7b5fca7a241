//! The wire documents (sections 3, 4, 8.A, 8.E, 8.H).

use std::collections::BTreeMap;

use occi_schema::well_known::{
    COMPUTE, NETWORK, NETWORK_INTERFACE, OS_TPL, RESOURCE_TPL, SMALL, START, STORAGE, attribute,
};
use occi_schema::{
    AttributeName, Category, EntityView, Extension, LinkView, MediaType, Mixin, Mode, Model, Rendered, Value, render,
};

use crate::id;

fn body(rendered: &Rendered) -> &str {
    std::str::from_utf8(&rendered.body).unwrap()
}

/// Headers and body, as a person would look at them.
fn shown(rendered: &Rendered) -> String {
    let headers: String = rendered.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("Content-Type: {}\n{headers}\n{}", rendered.content_type, body(rendered))
}

fn values(pairs: &[(&AttributeName, Value)]) -> BTreeMap<AttributeName, Value> {
    pairs.iter().map(|(name, value)| ((*name).clone(), value.clone())).collect()
}

fn with_machine<T>(show: impl FnOnce(&EntityView<'_>) -> T) -> T {
    let attributes = values(&[
        (&attribute::TITLE, Value::from("My \"first\" VM")),
        (&attribute::CORES, Value::Integer(2)),
        (&attribute::MEMORY, Value::Float(2.0)),
        (&attribute::COMPUTE_STATE, Value::from("inactive")),
    ]);
    let of_link = values(&[(&AttributeName::new("occi.networkinterface.interface").unwrap(), Value::from("eth0"))]);
    let mixins = [SMALL.clone()];
    let actions = [START.clone()];
    let link = LinkView {
        id: "urn:uuid:2",
        kind: &NETWORK_INTERFACE,
        mixins: &[],
        attributes: &of_link,
        location: "/networkinterface/2",
        target: "/network/3",
        target_kind: Some(&NETWORK),
    };
    show(&EntityView {
        id: "urn:uuid:1",
        kind: &COMPUTE,
        mixins: &mixins,
        attributes: &attributes,
        links: vec![link],
        actions: &actions,
        location: "/compute/1",
    })
}

fn with_link<T>(show: impl FnOnce(&EntityView<'_>) -> T) -> T {
    let attributes = values(&[
        (&attribute::SOURCE, Value::from("/compute/1")),
        (&attribute::TARGET, Value::from("/network/3")),
        (&attribute::TARGET_KIND, Value::from(NETWORK.as_str())),
    ]);
    show(&EntityView {
        id: "urn:uuid:2",
        kind: &NETWORK_INTERFACE,
        mixins: &[],
        attributes: &attributes,
        links: vec![],
        actions: &[],
        location: "/networkinterface/2",
    })
}

fn show_machine(media: MediaType) -> String {
    with_machine(|view| shown(&render::entity(media, view, "http://localhost")))
}

#[test]
fn c_129_to_c_138_a_machine_in_each_rendering() {
    insta::assert_snapshot!("machine_text_plain", show_machine(MediaType::TextPlain));
    insta::assert_snapshot!("machine_text_occi", show_machine(MediaType::TextOcci));
    insta::assert_snapshot!("machine_json", show_machine(MediaType::Json));
}

#[test]
fn c_140_c_143_a_link_in_each_rendering() {
    for (name, media) in [("link_text_plain", MediaType::TextPlain), ("link_json", MediaType::Json)] {
        insta::assert_snapshot!(name, with_link(|view| shown(&render::entity(media, view, "http://localhost"))));
    }
}

#[test]
fn c_001_c_014_c_015_the_query_interface_in_each_rendering() {
    let model = Model::standard();
    insta::assert_snapshot!("query_text_plain", shown(&render::model(MediaType::TextPlain, &model)));
    insta::assert_snapshot!("query_text_occi", shown(&render::model(MediaType::TextOcci, &model)));
    let json: serde_json::Value = serde_json::from_slice(&render::model(MediaType::Json, &model).body).unwrap();
    insta::assert_snapshot!("query_json", serde_json::to_string_pretty(&json).unwrap());
}

#[test]
fn c_014_text_occi_has_ok_as_its_body() {
    let rendered = render::model(MediaType::TextOcci, &Model::standard());
    assert_eq!((rendered.body.as_slice(), rendered.headers.len()), (&b"OK"[..], 1));
    assert!(rendered.header_bytes() > rendered.headers[0].1.len());
}

#[test]
fn c_020_c_026_one_category_has_no_comma() {
    let model = Model::standard();
    let compute = model.kind(&COMPUTE).map(Category::Kind);
    let rendered = render::categories(MediaType::TextOcci, &model, compute);
    assert!(!rendered.headers[0].1.contains(','), "{}", rendered.headers[0].1);
}

#[test]
fn c_291_what_the_working_groups_tool_wants_of_1_1() {
    let model = Model::standard();
    let query = render::model(MediaType::TextPlain, &model);
    let line = |start: &str| body(&query).lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("Category: compute;").contains("occi.compute.speed"));
    for action in ["backup", "snapshot", "resize"] {
        assert!(line("Category: storage;").contains(&format!("storage/action#{action}")));
    }
    assert!(line("Category: resize;").contains("attributes=\"size\""));
    for action in ["stop", "restart", "suspend"] {
        assert!(line(&format!("Category: {action};")).contains("attributes=\"method\""), "{action}");
    }
    assert!(!line("Category: ipnetwork;").contains("rel="), "C-290");
    assert!(line("Category: small;").contains(&format!("rel=\"{}\"", RESOURCE_TPL)), "C-302");
    assert!(line("Category: storage;").contains("occi.storage.size{required}"), "C-008");
}

#[test]
fn c_018_c_281_json_suits_the_strictest_client() {
    fn check(value: &serde_json::Value, path: &str) {
        match value {
            serde_json::Value::Array(items) => {
                assert!(!items.is_empty(), "empty array at {path}");
                items.iter().for_each(|item| check(item, path));
            }
            serde_json::Value::Object(members) => {
                members.iter().for_each(|(name, member)| check(member, &format!("{path}/{name}")));
            }
            _ => {}
        }
    }
    let json: serde_json::Value =
        serde_json::from_slice(&render::model(MediaType::Json, &Model::standard()).body).unwrap();
    check(&json, "");
    let members: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 3);
    for kind in json["kinds"].as_array().unwrap() {
        assert!(kind["location"].is_string());
        for description in kind["attributes"].as_object().unwrap().values() {
            assert!(description["type"].is_string() && description["mutable"].is_boolean());
            assert!(description["required"].is_boolean() && description.get("pattern").is_none());
        }
    }
    let strict = Model::new(Extension::STANDARD, Mode::Strict).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&render::model(MediaType::Json, &strict).body).unwrap();
    assert_eq!(json["kinds"][3]["attributes"]["occi.compute.hostname"]["pattern"]["type"], "string");
    assert!(json["kinds"][0].get("location").is_none());
}

#[test]
fn c_179_to_c_184_listings() {
    let list = |media, paths: &[&str]| render::locations(media, paths.iter().copied(), "http://localhost:8080/");
    let paths = ["/compute/1", "/compute/2"];
    assert_eq!(
        body(&list(MediaType::TextPlain, &paths)),
        "X-OCCI-Location: http://localhost:8080/compute/1\nX-OCCI-Location: http://localhost:8080/compute/2"
    );
    assert_eq!(
        body(&list(MediaType::UriList, &paths)),
        "http://localhost:8080/compute/1\nhttp://localhost:8080/compute/2"
    );
    assert_eq!(
        list(MediaType::TextOcci, &paths).headers,
        [
            ("X-OCCI-Location", "http://localhost:8080/compute/1, http://localhost:8080/compute/2".to_owned()),
            // Where jOCCI looks for it (A-39).
            ("Location", "http://localhost:8080/compute/1,http://localhost:8080/compute/2".to_owned()),
        ]
    );
    assert_eq!(body(&list(MediaType::TextPlain, &[])), "");
    assert!(list(MediaType::TextOcci, &[]).headers.is_empty());
    assert_eq!(body(&render::entities(MediaType::Json, [], "")), r#"{"resources":[]}"#);
}

#[test]
fn c_183_c_205_json_collections_separate_resources_and_links() {
    let json = with_link(|link| {
        with_machine(|machine| {
            render::entities(MediaType::Json, [link.clone(), machine.clone(), link.clone()], "").body
        })
    });
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["resources"].as_array().unwrap().len(), 1);
    assert_eq!(json["links"].as_array().unwrap().len(), 2);
    assert_eq!(json["links"][0]["target"]["kind"], NETWORK.as_str());
    assert_eq!(json["resources"][0]["attributes"]["occi.core.id"], "urn:uuid:1");
}

#[test]
fn c_088_c_089_creations() {
    let url = ["http://localhost/compute/1"];
    for (media, expected) in [
        (MediaType::TextPlain, "X-OCCI-Location: http://localhost/compute/1"),
        (MediaType::TextOcci, "OK"),
        (MediaType::UriList, "http://localhost/compute/1"),
        (MediaType::Json, "[\"http://localhost/compute/1\"]"),
    ] {
        let rendered = render::created(media, &url);
        assert_eq!(body(&rendered), expected);
        assert!(rendered.headers.contains(&("Location", url[0].to_owned())), "{media:?}");
    }
}

#[test]
fn a_20_c_282_errors() {
    let error = |media| render::error(media, 404, "no such thing\r\nX-Evil: é");
    assert_eq!(body(&error(MediaType::TextPlain)), "no such thing  X-Evil: é\n");
    assert_eq!(error(MediaType::UriList).content_type, "text/plain; charset=utf-8");
    assert_eq!(error(MediaType::TextOcci).headers, [("X-OCCI-Error", "no such thing  X-Evil: ?".to_owned())]);
    let json: serde_json::Value = serde_json::from_slice(&error(MediaType::Json).body).unwrap();
    assert_eq!((&json["code"], &json["status"]), (&404.into(), &"not_found".into()));
    assert_eq!(body(&render::deleted(MediaType::TextPlain)), "OK");
    assert_eq!(body(&render::ok(MediaType::Json)), "{}");
}

#[test]
fn a_30_catalogue_titles_cannot_break_the_query_interface() {
    let mut model = Model::standard();
    let template = id("http://example.com/os_tpl#evil");
    let title = "A \"nice\", title;\r\nX-Evil: 1 \\ é";
    model.add_mixin(Mixin::template(template.clone(), title, OS_TPL.clone(), COMPUTE.clone(), "/os/evil/")).unwrap();
    let evil = || model.mixin(&template).map(Category::Mixin);
    let line = render::categories(MediaType::TextPlain, &model, evil());
    assert_eq!(
        body(&line),
        "Category: evil; scheme=\"http://example.com/os_tpl#\"; class=\"mixin\"; \
         title=\"A 'nice' title:  X-Evil: 1 / é\"; rel=\"http://schemas.ogf.org/occi/infrastructure#os_tpl\"; \
         location=\"/os/evil/\"\n"
    );
    let field = render::categories(MediaType::TextOcci, &model, evil());
    assert!(field.headers[0].1.is_ascii());
    let json: serde_json::Value =
        serde_json::from_slice(&render::categories(MediaType::Json, &model, evil()).body).unwrap();
    assert_eq!(json["mixins"][0]["title"], title);
}

#[test]
fn a_filter_on_a_kind_that_links_shows_its_ends_as_required() {
    let model = Model::standard();
    let storage = render::categories(MediaType::TextPlain, &model, model.kind(&STORAGE).map(Category::Kind));
    assert!(body(&storage).starts_with("Category: storage; scheme="));
    let link = render::categories(MediaType::TextPlain, &model, model.kind(&NETWORK_INTERFACE).map(Category::Kind));
    assert!(body(&link).contains("occi.core.source{required} occi.core.target{required}"));
}
