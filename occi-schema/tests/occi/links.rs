//! Links that are created on their own (section 8.L).

use occi_schema::well_known::{COMPUTE, LINK, NETWORK, NETWORK_INTERFACE, RESOURCE, STORAGE, STORAGE_LINK, attribute};
use occi_schema::{
    EntityRequest, Extension, LinkEnds, LinkTarget, Mode, Model, NewEntity, Refusal, RefusalClass, Value,
};

use crate::{id, json, plain};

const BASE: &str = "http://here.example:8080";

fn model() -> Model {
    Model::new(Extension::ALL, Mode::Interop).unwrap()
}

fn resolved(request: EntityRequest) -> Result<NewEntity, Refusal> {
    model().resolve_new(&request.with_local_paths(BASE), None, Mode::Interop)
}

fn in_text(kind: &str, source: &str, target: &str) -> Result<NewEntity, Refusal> {
    let (scheme, term) = kind.split_once('#').unwrap();
    let body = format!(
        "Category: {term}; scheme=\"{scheme}#\"; class=\"kind\"\n\
         X-OCCI-Attribute: occi.core.source=\"{source}\", occi.core.target=\"{target}\""
    );
    resolved(plain(&body).unwrap())
}

fn interface(source: &str, target: &str) -> Result<NewEntity, Refusal> {
    in_text(NETWORK_INTERFACE.as_str(), source, target)
}

#[test]
fn c_247_a_link_knows_its_ends_in_every_rendering() {
    let expected = LinkEnds { source: "/compute/1", target: LinkTarget::Here("/network/1"), target_kind: None };
    assert_eq!(interface("/compute/1", "/network/1").unwrap().ends(), Some(expected.clone()));
    let new = resolved(
        json(&format!(
            r#"{{"kind":"{NETWORK_INTERFACE}","source":{{"location":"/compute/1","kind":"{COMPUTE}"}},
                "target":{{"location":"{BASE}/network/1","kind":"{NETWORK}"}}}}"#
        ))
        .unwrap(),
    )
    .unwrap();
    assert_eq!(new.ends(), Some(LinkEnds { target_kind: Some(NETWORK.clone()), ..expected }));
    assert!(!new.attributes.contains_key(&attribute::SOURCE_KIND), "it is implied by the source (A-55)");
    let compute = plain(r#"Category: compute; scheme="http://schemas.ogf.org/occi/infrastructure#""#).unwrap();
    assert_eq!(resolved(compute).unwrap().ends(), None);
}

#[test]
fn c_248_c_274_both_ends_are_needed() {
    for member in ["source", "target"] {
        let body = format!(r#"{{"kind":"{NETWORK_INTERFACE}","{member}":{{"location":"/compute/1"}}}}"#);
        let refusal = resolved(json(&body).unwrap()).unwrap_err();
        assert!(matches!(refusal, Refusal::MissingAttribute { .. }), "{refusal}");
        assert_eq!(refusal.class(), RefusalClass::BadRequest);
    }
}

#[test]
fn c_250_urls_of_this_server_are_paths() {
    let ends = interface(&format!("{BASE}/compute/1"), &format!("{BASE}/network/1")).unwrap();
    assert_eq!(ends, interface("/compute/1", "/network/1").unwrap());
    let inline = format!(
        "Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"\n\
         Link: <{BASE}/network/1>; rel=\"{NETWORK}\"; self=\"{BASE}/networkinterface/x\""
    );
    let new = resolved(plain(&inline).unwrap()).unwrap();
    assert_eq!(new.links[0].target, "/network/1");
    assert_eq!(new.links[0].location.as_deref(), Some("/networkinterface/x"));
}

#[test]
fn a_32_a_link_starts_here() {
    for source in [
        "http://evil.example/compute/1",
        "http://here.example:80801/compute/1",
        "//evil.example/compute/1",
        "/compute/../x",
        "compute/1",
        "/compute/",
    ] {
        let refusal = interface(source, "/network/1").unwrap_err();
        assert!(matches!(refusal, Refusal::ForeignSource(_)), "{source}: {refusal}");
        assert_eq!(refusal.class(), RefusalClass::BadRequest);
    }
}

#[test]
fn c_251_where_a_link_may_point_depends_on_its_kind() {
    let elsewhere = "https://elsewhere.example/x";
    assert!(matches!(interface("/compute/1", elsewhere), Err(Refusal::ForeignTarget { .. })));
    let agreement_link = "http://schemas.ogf.org/occi/sla#agreement_link";
    let new = in_text(agreement_link, "/agreement/1", elsewhere).unwrap();
    assert_eq!(new.ends().map(|ends| ends.target), Some(LinkTarget::Elsewhere(elsewhere)));
    assert!(in_text(agreement_link, "/agreement/1", "urn:example:1").is_ok());
    for bad in ["javascript:alert(1)", "data:text/html;x", "//evil.example/", "x", "http://", "/a/../b", "/x/"] {
        let refusal = in_text(agreement_link, "/agreement/1", bad).unwrap_err();
        assert!(matches!(refusal, Refusal::ForeignTarget { .. }), "{bad}: {refusal}");
    }
    let inline = "Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"\n\
                  Link: <http://evil.example/network/1>; rel=\"http://schemas.ogf.org/occi/infrastructure#network\"";
    assert!(matches!(resolved(plain(inline).unwrap()), Err(Refusal::ForeignTarget { .. })));
}

#[test]
fn a_31_a_link_does_not_point_at_its_source() {
    assert!(matches!(interface("/compute/1", "/compute/1"), Err(Refusal::SelfLink(_))));
    assert!(matches!(interface("/compute/1", &format!("{BASE}/compute/1")), Err(Refusal::SelfLink(_))));
}

#[test]
fn c_255_a_55_the_targets_kind_is_checked_where_it_is_said() {
    let of = |kind: &str| {
        let body = format!(
            r#"{{"kind":"{NETWORK_INTERFACE}","source":"/compute/1","target":"/network/1",
                "attributes":{{"occi.core.target.kind":"{kind}"}}}}"#
        );
        resolved(json(&body).unwrap())
    };
    assert_eq!(of(NETWORK.as_str()).unwrap().ends().and_then(|ends| ends.target_kind), Some(NETWORK.clone()));
    assert!(matches!(of(STORAGE.as_str()), Err(Refusal::WrongTarget { .. })));
    assert!(matches!(of("nonsense"), Err(Refusal::BadValue(_))));
    let inline = format!(
        "Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"\n\
         Link: </network/1>; category=\"{NETWORK_INTERFACE}\"; occi.core.target.kind=\"{STORAGE}\""
    );
    assert!(matches!(resolved(plain(&inline).unwrap()), Err(Refusal::WrongTarget { .. })));
}

#[test]
fn links_start_where_their_kinds_say() {
    let model = model();
    assert!(model.check_link_source(&NETWORK_INTERFACE, &COMPUTE).is_ok());
    assert!(matches!(model.check_link_source(&STORAGE_LINK, &NETWORK), Err(Refusal::WrongSource { .. })));
    assert!(model.check_link_source(&LINK, &RESOURCE).is_ok());
    let collector = id("http://schemas.ogf.org/occi/monitoring#collector");
    assert!(model.check_link_source(&collector, &COMPUTE).is_err());
}

#[test]
fn a_23_the_ends_of_a_link_do_not_change() {
    let attributes = std::collections::BTreeMap::from([
        (attribute::SOURCE.clone(), Value::from("/compute/1")),
        (attribute::TARGET.clone(), Value::from("/network/1")),
        (attribute::TARGET_KIND.clone(), Value::from(NETWORK.as_str())),
    ]);
    let current = occi_schema::CurrentEntity { kind: &NETWORK_INTERFACE, mixins: &[], attributes: &attributes };
    let update = |target: &str| {
        let request = plain(&format!("X-OCCI-Attribute: occi.core.target=\"{target}\"")).unwrap();
        model().resolve_update(&request.with_local_paths(BASE), current, Mode::Interop)
    };
    assert_eq!(update(&format!("{BASE}/network/1")), Ok(occi_schema::EntityUpdate::default()));
    assert_eq!(update("/network/2").unwrap_err().class(), RefusalClass::Forbidden);
    // The text renderings do not show the target's kind: leaving it out takes nothing away.
    let put = plain("X-OCCI-Attribute: occi.core.source=\"/compute/1\", occi.core.target=\"/network/1\"").unwrap();
    let replaced = model().resolve_replacement(&put, current, |_| false, Mode::Interop).unwrap();
    assert_eq!(replaced, occi_schema::EntityUpdate::default());
}

#[test]
fn a_19_a_replacement_may_repeat_the_links_that_are_there() {
    let body = format!(
        r#"{{"kind":"{COMPUTE}","links":[{{"kind":"{NETWORK_INTERFACE}","id":"urn:uuid:9","target":"/network/1"}}]}}"#
    );
    let request = json(&body).unwrap();
    assert_eq!(request.links[0].id().as_deref(), Some("urn:uuid:9"));
    let current = occi_schema::CurrentEntity { kind: &COMPUTE, mixins: &[], attributes: &Default::default() };
    let replace = |request: &EntityRequest| model().resolve_replacement(request, current, |_| false, Mode::Interop);
    assert!(replace(&request.clone().without_links(|id| id == "urn:uuid:9")).is_ok());
    assert!(matches!(replace(&request.without_links(|_| false)), Err(Refusal::LinkNotAllowed)));
}

#[test]
fn a_30_a_link_cannot_pass_for_an_action() {
    let body = format!(
        r#"{{"kind":"{COMPUTE}","links":[{{"kind":"{NETWORK_INTERFACE}","target":"/compute/1?action=stop"}}]}}"#
    );
    assert!(json(&body).is_err());
}
