//! Entities: created, shown, read back, updated.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use occi_schema::well_known::{COMPUTE, IP_NETWORK, NETWORK, NETWORK_INTERFACE, SMALL, attribute};
use occi_schema::{
    AttributeName, CategoryId, CurrentEntity, EntityRequest, EntityUpdate, EntityView, LinkTarget, LinkView, MediaType,
    Mode, NewEntity, Refusal, Value, parse, render,
};

use super::{AMPLE, BASE, MODEL, STRICT, fields_of, message, safe};

/// The renderings that hold all of an entity.
const RENDERINGS: [MediaType; 4] = [MediaType::TextPlain, MediaType::TextOcci, MediaType::Json, MediaType::LegacyJson];

type Attributes = BTreeMap<AttributeName, Value>;

/// Entities that a request may be an update of.
static PRESENT: LazyLock<Vec<(CategoryId, Vec<CategoryId>, Attributes)>> = LazyLock::new(|| {
    let values = |pairs: &[(&AttributeName, Value)]| -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).clone(), value.clone())).collect()
    };
    let debian: CategoryId = "http://example.com/os_tpl#debian12".parse().expect("an identifier");
    let machine = values(&[
        (&attribute::TITLE, Value::from("old")),
        (&attribute::CORES, Value::Integer(1)),
        (&attribute::MEMORY, Value::Float(1.0)),
        (&attribute::EPHEMERAL_STORAGE_SIZE, Value::Float(10.0)),
        (&attribute::COMPUTE_STATE, Value::from("inactive")),
    ]);
    let link =
        values(&[(&attribute::SOURCE, Value::from("/compute/1")), (&attribute::TARGET, Value::from("/network/1"))]);
    vec![
        (COMPUTE.clone(), vec![debian, SMALL.clone()], machine),
        (NETWORK.clone(), vec![IP_NETWORK.clone()], Attributes::new()),
        (NETWORK_INTERFACE.clone(), Vec::new(), link),
    ]
});

/// Does with a description of an entity whatever a server may do with it.
pub fn check(request: EntityRequest) {
    let request = &request.with_local_paths(BASE);
    match MODEL.resolve_new(request, None, Mode::Interop) {
        Ok(new) => created(&new),
        Err(refusal) => refused(&refusal),
    }
    if let Err(refusal) = STRICT.resolve_new(request, Some(&COMPUTE), Mode::Strict) {
        refused(&refusal);
    }
    for (kind, mixins, attributes) in PRESENT.iter() {
        let current = CurrentEntity { kind, mixins, attributes };
        for model in [&*MODEL, &*STRICT] {
            match model.resolve_update(request, current, model.mode()) {
                Ok(update) => updated(&update, current),
                Err(refusal) => refused(&refusal),
            }
            match model.resolve_replacement(request, current, |_| true, model.mode()) {
                Ok(update) => updated(&update, current),
                Err(refusal) => refused(&refusal),
            }
        }
    }
}

fn refused(refusal: &Refusal) {
    message(refusal.class().status(), &refusal.to_string());
    message(refusal.class_in(Mode::Strict).status(), &refusal.to_string());
}

/// An update changes something where it says so, and contradicts itself nowhere.
fn updated(update: &EntityUpdate, current: CurrentEntity<'_>) {
    assert!(update.mixins_added.iter().all(|added| !current.mixins.contains(added)));
    assert!(update.mixins_removed.iter().all(|removed| current.mixins.contains(removed)));
    assert!(update.attributes.iter().all(|(name, value)| current.attributes.get(name) != Some(value)));
    for removed in &update.attributes_removed {
        assert!(current.attributes.contains_key(removed) && !update.attributes.contains_key(removed), "{removed}");
    }
    assert!(!update.attributes.contains_key(&attribute::ID), "an entity keeps its id");
}

fn created(new: &NewEntity) {
    if let Some(ends) = new.ends() {
        assert!(parse::local_path(ends.source, "").is_ok(), "{}", ends.source);
        match ends.target {
            LinkTarget::Here(path) => assert!(parse::local_path(path, "").is_ok() && path != ends.source, "{path}"),
            LinkTarget::Elsewhere(url) => assert!(url.starts_with("http") || url.starts_with("urn:"), "{url}"),
        }
    }
    let actions = MODEL.applicable_actions(&new.kind, &new.mixins, "inactive");
    let paths: Vec<String> = (0..new.links.len()).map(|number| format!("/link/{number}")).collect();
    let links = new.links.iter().zip(&paths).map(|(link, path)| LinkView {
        id: path,
        kind: &link.kind,
        mixins: &link.mixins,
        attributes: &link.attributes,
        location: path,
        target: &link.target,
        target_kind: link.target_kind.as_ref(),
    });
    let mut view = EntityView {
        id: "urn:uuid:1",
        kind: &new.kind,
        mixins: &new.mixins,
        attributes: &new.attributes,
        links: links.collect(),
        actions: &actions,
        location: "/compute/1",
    };
    for media in RENDERINGS {
        let again = read_back(media, &view);
        assert_eq!(again.links.len(), new.links.len(), "{media:?}");
        assert_eq!(again.actions, actions, "{media:?}");
    }
    view.links.clear();
    for media in RENDERINGS {
        reads_back_as_the_same(media, &view, new);
    }
}

fn read_back(media: MediaType, view: &EntityView<'_>) -> EntityRequest {
    let rendered = render::entity(media, view, BASE);
    safe(&rendered);
    match parse::entity(media, &fields_of(&rendered), &rendered.body, &AMPLE) {
        Ok(request) => request,
        Err(error) => panic!("{error}: {rendered:?} {}", String::from_utf8_lossy(&rendered.body)),
    }
}

/// What is shown creates the same entity again, and changes nothing when it is sent back.
fn reads_back_as_the_same(media: MediaType, view: &EntityView<'_>, new: &NewEntity) {
    let request = read_back(media, view);
    let again = MODEL.resolve_new(&request, Some(&new.kind), Mode::Interop).expect("what is shown can be created");
    let mut expected = NewEntity { links: Vec::new(), ..new.clone() };
    if matches!(media, MediaType::TextPlain | MediaType::TextOcci) {
        // The text renderings do not show it.
        expected.attributes.remove(&attribute::TARGET_KIND);
    }
    assert_eq!(again, expected, "{media:?}");
    let current = CurrentEntity { kind: &new.kind, mixins: &new.mixins, attributes: &new.attributes };
    let update = MODEL.resolve_update(&request, current, Mode::Interop).expect("what is shown can be sent back");
    assert_eq!(update, EntityUpdate::default(), "{media:?}");
}
