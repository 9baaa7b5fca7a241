//! What a strict server does otherwise: the documents' letter where deployed clients need something else (section 9).

use occi_schema::well_known::{COMPUTE, IP_NETWORK_INTERFACE, NETWORK_INTERFACE, OS_TPL, SMALL, STORAGE, attribute};
use occi_schema::{
    Category, EntityView, Extension, Limits, MediaType, Mixin, Mode, Model, OcciVersion, Refusal, RefusalClass, parse,
    render,
};

use crate::{id, json, plain};

const KIND: &str = r#"Category: compute; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind""#;

fn strict() -> Model {
    let mut model = Model::new(Extension::STANDARD, Mode::Strict).unwrap();
    let debian = id("http://example.com/os_tpl#debian12");
    let title = "Debian 12, \"bookworm\"";
    model.add_mixin(Mixin::template(debian, title, OS_TPL.clone(), COMPUTE.clone(), "/os/debian12/")).unwrap();
    model
}

/// What both modes make of a creation.
fn both(body: &str) -> (Option<RefusalClass>, Option<RefusalClass>) {
    let request = plain(body).unwrap();
    let outcome = |model: Model| {
        let mode = model.mode();
        model.resolve_new(&request, None, mode).err().map(|refusal| refusal.class_in(mode))
    };
    (outcome(Model::standard()), outcome(strict()))
}

fn with(kind: &str, line: &str) -> String {
    format!("{kind}\n{line}")
}

#[test]
fn c_006_a_01_abstract_kinds_have_no_location() {
    let model = strict();
    let shown = render::model(MediaType::TextPlain, &model);
    let text = String::from_utf8(shown.body).unwrap();
    assert!(text.lines().take(3).all(|line| !line.contains("location=")), "{text}");
}

#[test]
fn a_09_lines_end_as_the_grammar_says() {
    let body = |mode| {
        let rendered = render::locations(MediaType::UriList, ["/compute/1", "/compute/2"], "http://localhost");
        String::from_utf8(rendered.in_mode(mode).body).unwrap()
    };
    assert_eq!(body(Mode::Interop), "http://localhost/compute/1\nhttp://localhost/compute/2");
    assert_eq!(body(Mode::Strict), "http://localhost/compute/1\r\nhttp://localhost/compute/2\r\n");
    assert_eq!(render::ok(MediaType::TextOcci).in_mode(Mode::Strict).body, b"OK");
    let json = render::locations(MediaType::Json, ["/compute/1"], "http://localhost");
    assert_eq!(json.clone().in_mode(Mode::Strict), json);
    let mut piecewise = Vec::new();
    let mut writer = render::ListingWriter::new(MediaType::UriList).in_mode(Mode::Strict);
    writer.location("/compute/1", "http://localhost", &mut piecewise);
    writer.location("/compute/2", "http://localhost", &mut piecewise);
    writer.finish(&mut piecewise);
    assert_eq!(String::from_utf8(piecewise).unwrap(), body(Mode::Strict));
}

#[test]
fn c_099_a_13_what_the_server_manages_is_forbidden_at_creation() {
    let state = with(KIND, "X-OCCI-Attribute: occi.compute.state=\"active\"");
    assert_eq!(both(&state), (None, Some(RefusalClass::Forbidden)));
    assert_eq!(both(&with(KIND, "X-OCCI-Attribute: occi.core.id=\"urn:uuid:1\"")), (None, None), "C-100");
}

#[test]
fn c_104_a_14_a_mixin_that_does_not_apply_is_a_bad_request() {
    let storage = r#"Category: storage; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind""#;
    let family = r#"Category: os_tpl; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="mixin""#;
    let body = format!("{storage}\n{family}\nX-OCCI-Attribute: occi.storage.size=1.0");
    assert_eq!(both(&body), (Some(RefusalClass::Forbidden), Some(RefusalClass::BadRequest)));
}

#[test]
fn c_095_c_098_c_108_a_15_a_32_unknown_names_are_not_found() {
    let expected = (Some(RefusalClass::BadRequest), Some(RefusalClass::NotFound));
    assert_eq!(both(&with(KIND, r#"Category: nope; scheme="http://example.com/x#"; class="mixin""#)), expected);
    assert_eq!(both(&with(KIND, "X-OCCI-Attribute: com.example.nope=1")), expected);
    assert_eq!(both(&with(KIND, "X-OCCI-Attribute: occi.compute.userdata=\"x\"")), expected, "C-108");
    let up = r#"Category: up; scheme="http://schemas.ogf.org/occi/infrastructure/network/action#"; class="action""#;
    let request = parse::action(MediaType::TextPlain, &[], up.as_bytes(), &Limits::default()).unwrap();
    let refusal = strict().resolve_action(&request, "up", &COMPUTE, &[]).unwrap_err();
    assert_eq!((refusal.class(), refusal.class_in(Mode::Strict)), (RefusalClass::BadRequest, RefusalClass::NotFound));
    let headers = [("Category", r#"nope; scheme="http://example.com/x#""#)];
    let filter = parse::filter(&headers, b"", &Limits::default()).unwrap();
    assert_eq!(strict().resolve_filter(&filter).unwrap_err().class_in(Mode::Strict), RefusalClass::NotFound);
}

#[test]
fn c_022_a_16_filters_of_1_2_clients_select_what_is_related() {
    let wanted = [COMPUTE.clone()];
    assert_eq!(Model::standard().queried(&wanted, Some(OcciVersion::V1_2)).count(), 1);
    assert_eq!(strict().queried(&wanted, Some(OcciVersion::V1_1)).count(), 1);
    let model = strict();
    let related: Vec<_> = model.queried(&wanted, Some(OcciVersion::V1_2)).map(|category| category.id()).collect();
    assert!(related.contains(&&SMALL) && !related.contains(&&STORAGE));
}

#[test]
fn a_24_what_an_instance_always_has_is_required() {
    let link = r#"Category: networkinterface; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind""#;
    let ends = "X-OCCI-Attribute: occi.core.source=\"/compute/1\", occi.core.target=\"/network/1\"";
    assert_eq!(both(&with(link, ends)), (None, Some(RefusalClass::BadRequest)));
    let mac = "X-OCCI-Attribute: occi.networkinterface.mac=\"00:11:22:33:44:55\"";
    assert_eq!(both(&format!("{link}\n{ends}\n{mac}")), (None, None));
    let line = |model: &Model| {
        let kind = model.kind(&NETWORK_INTERFACE).map(Category::Kind);
        String::from_utf8(render::categories(MediaType::TextPlain, model, kind).body).unwrap()
    };
    assert!(line(&strict()).contains("occi.networkinterface.mac{required}"));
    assert!(line(&Model::standard()).contains("occi.networkinterface.mac "));
    let model = strict();
    let mixin = model.mixin(&IP_NETWORK_INTERFACE).map(Category::Mixin);
    let json: serde_json::Value =
        serde_json::from_slice(&render::categories(MediaType::Json, &model, mixin).body).unwrap();
    assert_eq!(json["mixins"][0]["attributes"]["occi.networkinterface.address"]["required"], true);
}

#[test]
fn a_36_only_the_documents_spelling_is_read() {
    let save = "Category: save; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"; \
                class=\"action\"\nX-OCCI-Attribute: method=\"deffered\"";
    let request = parse::action(MediaType::TextPlain, &[], save.as_bytes(), &Limits::default()).unwrap();
    assert!(Model::standard().resolve_action(&request, "save", &COMPUTE, &[]).is_ok());
    assert!(matches!(strict().resolve_action(&request, "save", &COMPUTE, &[]), Err(Refusal::BadValue(_))));
}

#[test]
fn a_42_a_category_says_its_class() {
    let bare = KIND.replace("; class=\"kind\"", "");
    assert_eq!(both(&bare), (None, Some(RefusalClass::BadRequest)));
    let start = "Category: start; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"";
    let request = parse::action(MediaType::TextPlain, &[], start.as_bytes(), &Limits::default()).unwrap();
    assert!(matches!(strict().resolve_action(&request, "start", &COMPUTE, &[]), Err(Refusal::NoClass(_))));
    // The grammar of links and of JSON has no place for it.
    let link = "Link: </network/1>; rel=\"http://schemas.ogf.org/occi/infrastructure#network\"; \
                category=\"http://schemas.ogf.org/occi/infrastructure#networkinterface\"; \
                occi.networkinterface.mac=\"00:11:22:33:44:55\"";
    assert_eq!(both(&with(KIND, link)), (None, None));
    let request = json(&format!(r#"{{"kind":"{COMPUTE}"}}"#)).unwrap();
    assert!(strict().resolve_new(&request, None, Mode::Strict).is_ok());
}

#[test]
fn c_219_a_50_user_mixins_are_tags() {
    let line = r#"Category: t; scheme="http://example.com/t#"; class="mixin"; location="/t/"; attributes="a""#;
    let request = parse::mixins(MediaType::TextPlain, &[], line.as_bytes(), &Limits::default()).unwrap();
    assert!(Model::standard().resolve_user_mixin(&request[0], "http://localhost").is_ok());
    let refusal = strict().resolve_user_mixin(&request[0], "http://localhost").unwrap_err();
    assert_eq!(refusal.class_in(Mode::Strict), RefusalClass::BadRequest);
}

#[test]
fn c_263_c_264_c_277_values_are_written_as_their_types_are() {
    assert_eq!(both(&with(KIND, "X-OCCI-Attribute: occi.compute.cores=\"2\"")), (None, Some(RefusalClass::BadRequest)));
    assert_eq!(both(&with(KIND, "X-OCCI-Attribute: occi.compute.cores=2, occi.core.title=\"2\"")), (None, None));
    let request = json(&format!(r#"{{"kind":"{COMPUTE}","attributes":{{"occi.compute.cores":"2"}}}}"#)).unwrap();
    assert!(strict().resolve_new(&request, None, Mode::Interop).is_ok());
    assert!(matches!(strict().resolve_new(&request, None, Mode::Strict), Err(Refusal::BadValue(_))));
}

#[test]
fn c_262_c_271_titles_are_quoted_strings() {
    let model = strict();
    let debian = id("http://example.com/os_tpl#debian12");
    let shown = render::categories(MediaType::TextPlain, &model, model.mixin(&debian).map(Category::Mixin));
    let text = String::from_utf8(shown.body).unwrap();
    assert!(text.contains(r#"title="Debian 12, \"bookworm\"""#), "{text}");
    let read = parse::model(MediaType::TextPlain, &[], text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(read[0].title.as_deref(), Some("Debian 12, \"bookworm\""));
}

#[test]
fn association_is_the_same_in_both_modes() {
    let attributes = std::collections::BTreeMap::from([(attribute::TITLE.clone(), occi_schema::Value::from("x"))]);
    let current = occi_schema::CurrentEntity { kind: &COMPUTE, mixins: &[], attributes: &attributes };
    for model in [Model::standard(), strict()] {
        let update = model.resolve_association(&SMALL, current, model.mode()).unwrap();
        assert_eq!(update.mixins_added, std::slice::from_ref(&SMALL));
    }
}

#[test]
fn c_142_links_show_their_actions_and_no_other_link() {
    let attributes = std::collections::BTreeMap::from([
        (attribute::SOURCE.clone(), occi_schema::Value::from("/compute/1")),
        (attribute::TARGET.clone(), occi_schema::Value::from("/network/3")),
    ]);
    let actions = [id("http://example.com/networkinterface/action#up")];
    let view = EntityView {
        id: "urn:uuid:2",
        kind: &NETWORK_INTERFACE,
        mixins: &[],
        attributes: &attributes,
        links: Vec::new(),
        actions: &actions,
        location: "/networkinterface/2",
    };
    let text = |view: &EntityView<'_>| {
        String::from_utf8(render::entity(MediaType::TextPlain, view, "http://localhost").body).unwrap()
    };
    let shown = text(&view);
    let links: Vec<&str> = shown.lines().filter(|line| line.starts_with("Link:")).collect();
    assert_eq!(links, ["Link: </networkinterface/2?action=up>; rel=\"http://example.com/networkinterface/action#up\""]);
    assert!(!text(&EntityView { actions: &[], ..view }).contains("Link:"), "C-141");
}
