//! The JSON of rOCCI 4 (section 4.9), which is spoken only where it is configured (A-08).

use std::collections::BTreeMap;

use occi_schema::well_known::{COMPUTE, NETWORK, NETWORK_INTERFACE, SMALL, START, attribute};
use occi_schema::{
    EntityRequest, EntityView, Limits, LinkView, MediaType, Mode, Model, ParseError, Purpose, RawValue, Value, parse,
    render,
};
use serde_json::json;

const CREATE: &str = r#"{"resources":[{
    "kind":"http://schemas.ogf.org/occi/infrastructure#compute",
    "mixins":["http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#small"],
    "attributes":{"occi":{"core":{"id":"1","title":"vm"},"compute":{"hostname":"vm-1","cores":2}}},
    "id":"1","links":["/networkinterface/9"]}],
  "links":[{
    "kind":"http://schemas.ogf.org/occi/infrastructure#networkinterface",
    "attributes":{"occi":{"networkinterface":{"mac":"00:11:22:33:44:55"}}},
    "rel":"http://schemas.ogf.org/occi/infrastructure#network",
    "id":"9","source":"/compute/1","target":"/network/1"}]}"#;

fn entities(media: MediaType, body: &str) -> Result<Vec<EntityRequest>, ParseError> {
    parse::entities(media, &[], body.as_bytes(), &Limits::default())
}

fn legacy(body: &str) -> Vec<EntityRequest> {
    entities(MediaType::LegacyJson, body).unwrap()
}

#[test]
fn a_08_the_switch_changes_the_shape_but_not_the_media_type() {
    let asked = MediaType::negotiate(Some("application/occi+json"), Purpose::Single).unwrap();
    assert_eq!(asked.with_legacy_json(false), MediaType::Json);
    assert_eq!(asked.with_legacy_json(true), MediaType::LegacyJson);
    assert_eq!(MediaType::TextOcci.with_legacy_json(true), MediaType::TextOcci);
    assert_eq!(MediaType::LegacyJson.content_type(), "application/occi+json");
    assert!(!MediaType::ALL.contains(&MediaType::LegacyJson), "it is never negotiated");
}

#[test]
fn a_creation_with_links_beside_it_is_one_entity() {
    let [request] = &legacy(CREATE)[..] else { panic!("one entity") };
    assert_eq!(request.categories[0].id, COMPUTE);
    assert_eq!(request.attribute(&attribute::CORES), Some(&RawValue::Typed(Value::Integer(2))));
    assert_eq!(request.title().as_deref(), Some("vm"));
    let [link] = &request.links[..] else { panic!("one link") };
    assert_eq!((link.target.as_str(), &link.target_kinds[..]), ("/network/1", std::slice::from_ref(&NETWORK)));
    assert_eq!(link.attributes[0].0.as_str(), "occi.networkinterface.mac");
    let new = Model::standard().resolve_new(request, Some(&COMPUTE), Mode::Interop).unwrap();
    assert_eq!((&new.links[0].kind, &new.mixins[0]), (&NETWORK_INTERFACE, &SMALL));
    let alone = parse::entity(MediaType::LegacyJson, &[], CREATE.as_bytes(), &Limits::default());
    assert_eq!(alone.as_ref(), Ok(request));
}

#[test]
fn a_link_is_with_the_resource_that_it_starts_from() {
    let without_source = CREATE.replace(r#""source":"/compute/1","#, "");
    assert_eq!(legacy(&without_source)[0].links.len(), 1);
    let of_another = CREATE.replace("/compute/1", "/compute/7");
    let found = legacy(&of_another);
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].attribute(&attribute::SOURCE).and_then(RawValue::text).as_deref(), Some("/compute/7"));
    assert_eq!(found[1].attribute(&attribute::TARGET_KIND).and_then(RawValue::text).as_deref(), Some(NETWORK.as_str()));
    assert!(parse::entity(MediaType::LegacyJson, &[], of_another.as_bytes(), &Limits::default()).is_err());
    let link =
        format!("{{\"links\":[{}}}", CREATE.split_once("\"links\":[{\n").map(|(_, rest)| format!("{{{rest}")).unwrap());
    let link = link.strip_suffix('}').unwrap();
    assert_eq!(legacy(link)[0].categories[0].id, NETWORK_INTERFACE);
}

#[test]
fn the_standard_shape_is_read_too_where_the_older_one_is() {
    for body in [
        format!(r#"{{"kind":"{COMPUTE}","attributes":{{"occi.compute.cores":2}}}}"#),
        format!(r#"{{"kind":"{COMPUTE}","links":[{{"target":{{"location":"/network/1","kind":"{NETWORK}"}}}}]}}"#),
        format!(r#"{{"kind":"{NETWORK_INTERFACE}","source":{{"location":"/compute/1"}},"target":"/network/1"}}"#),
    ] {
        assert_eq!(entities(MediaType::LegacyJson, &body), entities(MediaType::Json, &body), "{body}");
    }
}

#[test]
fn off_means_that_nothing_of_it_is_taken() {
    let rel =
        format!(r#"{{"kind":"{NETWORK_INTERFACE}","source":"/compute/1","target":"/network/1","rel":"{NETWORK}"}}"#);
    assert!(entities(MediaType::LegacyJson, &rel).is_ok());
    let links = format!(r#"{{"kind":"{COMPUTE}","links":["/networkinterface/1"]}}"#);
    assert_eq!(legacy(&links)[0].links.len(), 0, "a link that exists already");
    for body in [rel.as_str(), links.as_str(), CREATE] {
        assert!(entities(MediaType::Json, body).is_err(), "{body}");
    }
    let nested = format!(r#"{{"kind":"{COMPUTE}","attributes":{{"occi":{{"compute":{{"cores":2}}}}}}}}"#);
    let standard = &entities(MediaType::Json, &nested).unwrap()[0];
    assert!(Model::standard().resolve_new(standard, None, Mode::Interop).is_err(), "C-272");
    assert!(Model::standard().resolve_new(&legacy(&nested)[0], None, Mode::Interop).is_ok());
}

#[test]
fn a_30_nested_names_are_checked_and_counted() {
    let of = |attributes: &str| entities(MediaType::LegacyJson, &format!(r#"{{"attributes":{attributes}}}"#));
    for bad in [r#"{"":{"a":1}}"#, r#"{"a":{"b c":1}}"#, r#"{"a":{"b\r\nX":{"c":1}}}"#] {
        assert!(of(bad).is_err(), "{bad}");
    }
    let many: Vec<String> = (0..=Limits::default().attributes).map(|number| format!("\"a{number}\":1")).collect();
    assert!(of(&format!("{{\"x\":{{{}}}}}", many.join(","))).is_err());
    assert!(of(&format!("{}1{}", "{\"a\":".repeat(20), "}".repeat(20))).is_err());
}

#[test]
fn mixins_with_nested_descriptions_in_either_case() {
    let body = r#"{"mixins":[{"term":"t","scheme":"http://example.com/x#","location":"/t/",
        "related":["http://example.com/x#base"],
        "attributes":{"com":{"example":{"size":{"Mutable":false,"Required":true,"Type":"number",
        "unit":{"mutable":true}}}}}}]}"#;
    let found = parse::mixins(MediaType::LegacyJson, &[], body.as_bytes(), &Limits::default()).unwrap();
    let names: Vec<(&str, bool, bool)> =
        found[0].attributes.iter().map(|(name, flags)| (name.as_str(), flags.immutable, flags.required)).collect();
    assert_eq!(names, [("com.example.size", true, true), ("com.example.size.unit", false, false)]);
    assert_eq!(found[0].related.len(), 1);
    assert!(parse::mixins(MediaType::Json, &[], body.as_bytes(), &Limits::default()).is_err());
}

#[test]
fn an_answer_is_a_collection_with_links_beside() {
    let attributes = BTreeMap::from([
        (attribute::TITLE.clone(), Value::from("vm")),
        (attribute::CORES.clone(), Value::Integer(2)),
        (attribute::COMPUTE_STATE.clone(), Value::from("inactive")),
        (attribute::COMPUTE_STATE_MESSAGE.clone(), Value::from("accepted")),
    ]);
    let none = BTreeMap::new();
    let actions = [START.clone()];
    let link = LinkView {
        id: "9",
        kind: &NETWORK_INTERFACE,
        mixins: &[],
        attributes: &none,
        location: "/networkinterface/9",
        target: "/network/3",
        target_kind: Some(&NETWORK),
    };
    let view = EntityView {
        id: "1",
        kind: &COMPUTE,
        mixins: &[],
        attributes: &attributes,
        links: vec![link],
        actions: &actions,
        location: "/compute/1",
    };
    let of_link = BTreeMap::from([
        (attribute::SOURCE.clone(), Value::from("/compute/1")),
        (attribute::TARGET.clone(), Value::from("/network/3")),
    ]);
    let on_its_own = EntityView {
        id: "9",
        kind: &NETWORK_INTERFACE,
        attributes: &of_link,
        links: Vec::new(),
        actions: &[],
        location: "/networkinterface/9",
        ..view.clone()
    };
    let expected = json!({
        "resources": [{
            "kind": COMPUTE.as_str(),
            "attributes": {"occi": {
                "core": {"id": "1", "title": "vm"},
                // The state's message has no place beside the state.
                "compute": {"cores": 2, "state": "inactive"},
            }},
            "actions": [START.as_str()],
            "id": "1",
            "title": "vm",
            "links": ["/networkinterface/9"],
        }],
        "links": [{
            "kind": NETWORK_INTERFACE.as_str(),
            "attributes": {"occi": {"core": {"id": "9", "source": "/compute/1", "target": "/network/3"}}},
            "id": "9",
            "rel": NETWORK.as_str(),
            "source": "/compute/1",
            "target": "/network/3",
        }],
    });
    let single = render::entity(MediaType::LegacyJson, &view, "http://localhost");
    assert_eq!(single.content_type, "application/occi+json");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&single.body).unwrap(), expected);
    // A link that is listed on its own, too, is there once.
    let listing = render::entities(MediaType::LegacyJson, [on_its_own.clone(), view], "http://localhost");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&listing.body).unwrap(), expected);
    let link = render::entity(MediaType::LegacyJson, &on_its_own, "http://localhost");
    let link: serde_json::Value = serde_json::from_slice(&link.body).unwrap();
    assert_eq!((&link["links"][0]["target"], link.get("resources")), (&json!("/network/3"), None));
}

#[test]
fn the_query_interface_nests_its_attributes() {
    let model = Model::standard();
    let rendered = render::model(MediaType::LegacyJson, &model);
    let shown: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
    let compute = shown["kinds"].as_array().unwrap().iter().find(|kind| kind["term"] == "compute").unwrap();
    assert_eq!(compute["related"], json!(["http://schemas.ogf.org/occi/core#resource"]));
    assert_eq!(compute["parent"], compute["related"][0]);
    assert_eq!(compute["attributes"]["occi"]["compute"]["cores"]["type"], "number");
    assert_eq!(compute["attributes"]["occi"]["compute"]["state"]["mutable"], false);
    assert_eq!(compute["location"], "/compute/");
    assert!(shown["actions"][0].get("attributes").is_none() && shown["kinds"][0].get("related").is_none());
    let read = parse::model(MediaType::LegacyJson, &[], &rendered.body, &Limits::default()).unwrap();
    assert_eq!(read.len(), model.categories().count());
    let storage = read.iter().find(|category| category.id.term() == "storage").unwrap();
    let size = storage.attributes.iter().find(|(name, _)| *name == attribute::STORAGE_SIZE).unwrap();
    assert!(size.1.required && !size.1.immutable);
}
