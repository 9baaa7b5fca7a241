//! What is rendered is read again as the same, in every rendering that carries it.

use std::collections::BTreeMap;

use occi_schema::well_known::{COMPUTE, NETWORK, NETWORK_INTERFACE, SECURITY_GROUP, SSH_KEY, START, STOP, attribute};
use occi_schema::{
    AttributeDefinition, AttributeName, CategoryId, EntityRequest, EntityView, Extension, Limits, LinkView, MediaType,
    Mode, Model, RawValue, Rendered, Value, ValueType, parse, render,
};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            4 => proptest::char::range(' ', '~'),
            1 => proptest::sample::select(vec!['"', '\\', ',', ';', '\n', '\r', '\t', '=', '<', 'é', '😀', 'u', 'n']),
        ],
        0..24,
    )
    .prop_map(|letters| letters.into_iter().collect())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::String),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("JSON has no other numbers", |number| number.is_finite()).prop_map(Value::Float),
        any::<bool>().prop_map(Value::Boolean),
    ]
}

fn values() -> impl Strategy<Value = BTreeMap<AttributeName, Value>> {
    let name = "[a-z][a-z0-9_.-]{0,12}".prop_map(|text| AttributeName::new(&text).unwrap());
    // The text renderings tell no difference between a parameter of a link and an attribute of that name.
    let name = name.prop_filter("parameters of links", |name| !["rel", "self", "category"].contains(&name.as_str()));
    proptest::collection::btree_map(name, value(), 0..8)
}

/// Lists and maps, as deep as they are taken.
fn lists() -> impl Strategy<Value = Value> {
    let nested = value().prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map("[a-z\"\\\\ ]{0,6}", inner, 0..6).prop_map(Value::Map),
        ]
    });
    proptest::collection::vec(nested, 0..4).prop_map(Value::List)
}

/// Without the names that go on from another one, which the older JSON cannot hold.
fn nestable(mut attributes: BTreeMap<AttributeName, Value>) -> BTreeMap<AttributeName, Value> {
    let names: Vec<String> = attributes.keys().map(|name| format!("{name}.")).collect();
    attributes.retain(|name, _| !names.iter().any(|other| name.as_str().starts_with(other)));
    attributes
}

fn ids() -> impl Strategy<Value = Vec<CategoryId>> {
    proptest::collection::vec(
        ("[a-z]{1,8}", "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,8}")
            .prop_map(|(host, term)| CategoryId::new(&format!("http://{host}.example/x#"), &term).unwrap()),
        0..4,
    )
}

fn request_text(rendered: &Rendered, media: MediaType) -> EntityRequest {
    let headers: Vec<(&str, &str)> = rendered.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    parse::entity(media, &headers, &rendered.body, &Limits::default()).unwrap()
}

fn typed(attributes: &[(AttributeName, RawValue)]) -> BTreeMap<AttributeName, Value> {
    let core = [&attribute::ID, &attribute::SOURCE, &attribute::TARGET];
    let own = attributes.iter().filter(|(name, _)| !core.contains(&name));
    own.map(|(name, raw)| (name.clone(), raw.guess())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entities_survive_every_rendering(attributes in values(), of_link in values(), mixins in ids()) {
        let actions = [START.clone(), STOP.clone()];
        let link = LinkView {
            id: "urn:uuid:2",
            kind: &NETWORK_INTERFACE,
            mixins: &mixins,
            attributes: &of_link,
            location: "/networkinterface/2",
            target: "/network/3",
            target_kind: Some(&NETWORK),
        };
        let view = EntityView {
            id: "urn:uuid:1",
            kind: &COMPUTE,
            mixins: &mixins,
            attributes: &attributes,
            links: vec![link],
            actions: &actions,
            location: "/compute/1",
        };
        let (nested, nested_of_link) = (nestable(attributes.clone()), nestable(of_link.clone()));
        let mut older = view.clone();
        older.attributes = &nested;
        older.links.iter_mut().for_each(|link| link.attributes = &nested_of_link);
        for media in [MediaType::TextPlain, MediaType::TextOcci, MediaType::Json, MediaType::LegacyJson] {
            let (view, attributes, of_link) = match media {
                MediaType::LegacyJson => (&older, &nested, &nested_of_link),
                _ => (&view, &attributes, &of_link),
            };
            let rendered = render::entity(media, view, "http://localhost");
            for (_, value) in &rendered.headers {
                prop_assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{value}");
            }
            let request = request_text(&rendered, media);
            let named: Vec<&CategoryId> = request.categories.iter().map(|each| &each.id).collect();
            let kind: &CategoryId = &COMPUTE;
            let expected: Vec<&CategoryId> = std::iter::once(kind).chain(&mixins).collect();
            prop_assert_eq!(named, expected);
            prop_assert_eq!(&typed(&request.attributes), attributes);
            prop_assert_eq!(request.id(), Some("urn:uuid:1".to_owned()));
            prop_assert_eq!(&request.actions[..], &actions[..]);
            let link = request.links.first().unwrap();
            prop_assert_eq!(link.target.as_str(), "/network/3");
            prop_assert_eq!(&link.target_kinds[..], std::slice::from_ref(&NETWORK));
            prop_assert_eq!(link.categories.len(), mixins.len() + 1);
            prop_assert_eq!(&typed(&link.attributes), of_link);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The text renderings quote lists as JSON, so only the attribute's type tells them from texts.
    #[test]
    fn lists_survive_every_rendering(list in lists()) {
        let name = AttributeName::new("occi.securitygroup.rules").unwrap();
        let definition = AttributeDefinition::new(name.clone(), ValueType::List);
        let attributes = BTreeMap::from([(name.clone(), list.clone())]);
        let view = EntityView {
            id: "urn:uuid:1",
            kind: &SECURITY_GROUP,
            mixins: &[],
            attributes: &attributes,
            links: Vec::new(),
            actions: &[],
            location: "/securitygroup/1",
        };
        for media in [MediaType::TextPlain, MediaType::TextOcci, MediaType::Json, MediaType::LegacyJson] {
            let request = request_text(&render::entity(media, &view, "http://localhost"), media);
            for mode in [Mode::Interop, Mode::Strict] {
                let read = definition.coerce(request.attribute(&name).unwrap(), mode);
                prop_assert_eq!(read.as_ref(), Ok(&list));
            }
        }
    }

    #[test]
    fn locations_survive_every_rendering(paths in proptest::collection::vec("(/[a-z0-9_.~-]{1,8}[a-z0-9]){1,4}", 0..8)) {
        for media in MediaType::ALL.into_iter().chain([MediaType::LegacyJson]) {
            let rendered = render::locations(media, paths.iter().map(String::as_str), "https://here.example:8443");
            let headers: Vec<(&str, &str)> =
                rendered.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let read = parse::locations(media, &headers, &rendered.body, &Limits::default()).unwrap();
            let found = read.iter().map(|reference| match reference {
                occi_schema::EntityReference::Location(url) => {
                    parse::local_path(url, "https://here.example:8443").unwrap().to_owned()
                }
                occi_schema::EntityReference::Id(id) => panic!("{id}"),
            });
            prop_assert_eq!(&found.collect::<Vec<String>>(), &paths);
        }
    }
}

#[test]
fn the_whole_model_survives_every_rendering() {
    for mode in [Mode::Interop, Mode::Strict] {
        let model = Model::new(Extension::ALL, mode).unwrap();
        model_survives(&model);
    }
}

fn model_survives(model: &Model) {
    let mode = model.mode();
    for media in [MediaType::TextPlain, MediaType::TextOcci, MediaType::Json] {
        let rendered = render::model(media, model);
        let headers: Vec<(&str, &str)> = rendered.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let read = parse::model(media, &headers, &rendered.body, &Limits::default()).unwrap();
        assert_eq!(read.len(), model.categories().count());
        let compute = read.iter().find(|category| category.id == COMPUTE).unwrap();
        let attributes = model.attributes_of_kind(&COMPUTE);
        assert_eq!(compute.attributes.len(), attributes.len());
        for (name, flags) in &compute.attributes {
            let definition = attributes.iter().find(|definition| definition.name == *name).unwrap();
            assert_eq!((flags.immutable, flags.required), (!definition.is_mutable(), definition.is_required_in(mode)));
        }
        assert_eq!(compute.actions, model.kind(&COMPUTE).unwrap().actions);
        assert_eq!(compute.location.as_deref(), Some("/compute/"));
        assert!(read.iter().any(|category| category.id == SSH_KEY));
    }
}

#[test]
fn listings_survive_every_rendering() {
    let paths = ["/compute/1", "/network/2"];
    for media in MediaType::ALL {
        let rendered = render::locations(media, paths, "http://localhost:1/");
        let headers: Vec<(&str, &str)> = rendered.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let read = parse::locations(media, &headers, &rendered.body, &Limits::default()).unwrap();
        let found: Vec<&str> = read
            .iter()
            .map(|reference| match reference {
                occi_schema::EntityReference::Location(url) => parse::local_path(url, "http://localhost:1").unwrap(),
                occi_schema::EntityReference::Id(id) => panic!("{id}"),
            })
            .collect();
        assert_eq!(found, paths);
    }
}
