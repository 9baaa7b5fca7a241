//! Listings that are written piece by piece, and answers that are the same each time.

use std::collections::BTreeMap;

use occi_schema::well_known::{COMPUTE, NETWORK_INTERFACE, attribute};
use occi_schema::{AttributeName, EntityView, MediaType, Value, render};

/// `count` computes, and as many links, as views of the same attributes.
fn shown(count: usize, media: MediaType) -> Vec<Vec<u8>> {
    let machine = BTreeMap::from([(attribute::CORES.clone(), Value::Integer(2))]);
    let link = BTreeMap::from([
        (attribute::SOURCE.clone(), Value::from("/compute/1")),
        (attribute::TARGET.clone(), Value::from("/network/1")),
    ]);
    let mut writer = render::ListingWriter::new(media);
    let mut pieces = Vec::new();
    let mut write = |kind, attributes: &BTreeMap<AttributeName, Value>, location: &str| {
        let view =
            EntityView { id: location, kind, mixins: &[], attributes, links: Vec::new(), actions: &[], location };
        let mut piece = Vec::new();
        writer.entity(&view, "http://localhost/", &mut piece);
        pieces.push(piece);
    };
    (0..count).for_each(|number| write(&COMPUTE, &machine, &format!("/compute/{number}")));
    (0..count).for_each(|number| write(&NETWORK_INTERFACE, &link, &format!("/networkinterface/{number}")));
    let mut last = Vec::new();
    writer.finish(&mut last);
    pieces.push(last);
    pieces
}

#[test]
fn c_183_c_205_a_listing_of_any_length_is_written_in_small_pieces() {
    let pieces = shown(2000, MediaType::Json);
    assert!(pieces.iter().all(|piece| piece.len() < 1024), "no piece grows with the listing");
    let listing: serde_json::Value = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(listing["resources"].as_array().unwrap().len(), 2000);
    assert_eq!(listing["links"].as_array().unwrap().len(), 2000);
    assert_eq!(listing.as_object().unwrap().len(), 2);
    let legacy: serde_json::Value = serde_json::from_slice(&shown(20, MediaType::LegacyJson).concat()).unwrap();
    assert_eq!(legacy["resources"].as_array().unwrap().len() + legacy["links"].as_array().unwrap().len(), 40);
}

#[test]
fn c_184_an_empty_listing_has_no_entity() {
    let empty = |media| String::from_utf8(shown(0, media).concat()).unwrap();
    assert_eq!(empty(MediaType::Json), r#"{"resources":[]}"#);
    assert_eq!(empty(MediaType::LegacyJson), r#"{"resources":[]}"#);
    assert_eq!((empty(MediaType::TextPlain), empty(MediaType::UriList)), (String::new(), String::new()));
}

#[test]
fn c_179_c_180_a_listing_in_pieces_is_the_listing_as_a_whole() {
    for media in [MediaType::TextPlain, MediaType::UriList] {
        let resources = (0..3).map(|number| format!("/compute/{number}"));
        let paths: Vec<String> = resources.chain((0..3).map(|number| format!("/networkinterface/{number}"))).collect();
        let whole = render::locations(media, paths.iter().map(String::as_str), "http://localhost");
        assert_eq!(shown(3, media).concat(), whole.body, "{media:?}");
    }
}

#[test]
fn a_resource_that_comes_late_leaves_the_document_well_formed() {
    let machine = BTreeMap::new();
    let link = BTreeMap::from([
        (attribute::SOURCE.clone(), Value::from("/compute/1")),
        (attribute::TARGET.clone(), Value::from("/network/1")),
    ]);
    let view = |kind, attributes, location| EntityView {
        id: location,
        kind,
        mixins: &[],
        attributes,
        links: Vec::new(),
        actions: &[],
        location,
    };
    let mut writer = render::ListingWriter::new(MediaType::Json);
    let mut body = Vec::new();
    writer.entity(&view(&NETWORK_INTERFACE, &link, "/networkinterface/1"), "", &mut body);
    writer.entity(&view(&COMPUTE, &machine, "/compute/1"), "", &mut body);
    writer.finish(&mut body);
    let listing: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(listing["links"].as_array().unwrap().len(), 2);
    // `render::entities` puts them in order itself.
    let views = [view(&NETWORK_INTERFACE, &link, "/networkinterface/1"), view(&COMPUTE, &machine, "/compute/1")];
    let listing: serde_json::Value =
        serde_json::from_slice(&render::entities(MediaType::Json, views, "").body).unwrap();
    assert_eq!(listing["resources"].as_array().unwrap().len(), 1);
}

/// A server may compare or hash what it sends, for an `ETag`.
#[test]
fn the_same_entity_is_the_same_bytes_each_time() {
    let name = |number: usize| AttributeName::new(&format!("com.example.a{number}")).unwrap();
    let forwards: BTreeMap<_, _> = (0..50).map(|number| (name(number), Value::from("x"))).collect();
    let backwards: BTreeMap<_, _> = (0..50).rev().map(|number| (name(number), Value::from("x"))).collect();
    let shown = |media, attributes: &BTreeMap<AttributeName, Value>| {
        let view = EntityView {
            id: "urn:uuid:1",
            kind: &COMPUTE,
            mixins: &[],
            attributes,
            links: Vec::new(),
            actions: &[],
            location: "/compute/1",
        };
        render::entity(media, &view, "http://localhost")
    };
    for media in MediaType::ALL.into_iter().chain([MediaType::LegacyJson]) {
        assert_eq!(shown(media, &forwards), shown(media, &backwards), "{media:?}");
        assert_eq!(shown(media, &forwards), shown(media, &forwards.clone()), "{media:?}");
    }
    let mut changed = forwards.clone();
    changed.insert(name(7), Value::from("y"));
    assert_ne!(shown(MediaType::Json, &forwards), shown(MediaType::Json, &changed));
}
