//! What requests mean to the standard model (sections 8.C, 8.F, 8.K and 9).

use std::collections::BTreeMap;

use occi_schema::well_known::{
    COMPUTE, LARGE, NETWORK, NETWORK_INTERFACE, OS_TPL, SMALL, START, STORAGE, STORAGE_LINK, attribute,
};
use occi_schema::{
    AttributeName, CategoryId, CurrentEntity, EntityUpdate, Extension, Limits, MediaType, Mixin, Mode, Model,
    ModelError, NewEntity, Refusal, RefusalClass, UserMixinDefinition, Value, contextualization, parse,
};

use crate::{id, json, plain};

const KIND: &str = r#"Category: compute; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind""#;
const OF_STORAGE: &str = r#"Category: storage; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind""#;
const SMALL_LINE: &str =
    r#"Category: small; scheme="http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#"; class="mixin""#;
const SSH_LINE: &str = r#"Category: ssh_key; scheme="http://schemas.ogf.org/occi/infrastructure/credentials#""#;
const DEBIAN_LINE: &str = r#"Category: debian12; scheme="http://example.com/os_tpl#"; class="mixin""#;

fn model() -> Model {
    let mut model = Model::standard();
    for (term, location) in [("debian12", "/os/debian12/"), ("alpine", "/os/alpine/")] {
        let template = CategoryId::new("http://example.com/os_tpl#", term).unwrap();
        model.add_mixin(Mixin::template(template, term, OS_TPL.clone(), COMPUTE.clone(), location)).unwrap();
    }
    model
}

fn create_in(mode: Mode, lines: &[&str]) -> Result<NewEntity, Refusal> {
    model().resolve_new(&plain(&lines.join("\n")).unwrap(), None, mode)
}

fn create(lines: &[&str]) -> Result<NewEntity, Refusal> {
    create_in(Mode::Interop, lines)
}

fn refused(lines: &[&str]) -> RefusalClass {
    create(lines).unwrap_err().class()
}

#[test]
fn c_084_a_compute_with_templates_key_and_name() {
    let new = create(&[
        KIND,
        DEBIAN_LINE,
        SMALL_LINE,
        SMALL_LINE,
        SSH_LINE,
        "X-OCCI-Attribute: occi.credentials.ssh.publickey=\"ssh-ed25519 AAAA me\", occi.core.title=\"vm one\"",
        "X-OCCI-Attribute: occi.compute.hostname=\"vm-1\"",
    ])
    .unwrap();
    assert_eq!(new.kind, COMPUTE);
    let mixins: Vec<&str> = new.mixins.iter().map(CategoryId::term).collect();
    assert_eq!(mixins, ["debian12", "small", "ssh_key"]);
    assert_eq!(new.attributes.get(&attribute::CORES), Some(&Value::Integer(1)));
    assert_eq!(new.attributes.get(&attribute::MEMORY), Some(&Value::Float(1.0)));
    assert_eq!(new.attributes.get(&attribute::EPHEMERAL_STORAGE_SIZE), Some(&Value::Float(10.0)));
    assert_eq!(contextualization::ssh_public_key(&new.attributes), Some("ssh-ed25519 AAAA me"));
    assert!(!new.attributes.contains_key(&attribute::COMPUTE_STATE), "the server sets the state");
}

#[test]
fn c_091_to_c_096_kinds() {
    assert_eq!(create(&[SMALL_LINE]), Err(Refusal::NoKind));
    assert!(matches!(create(&[KIND, OF_STORAGE]), Err(Refusal::TwoKinds(..))));
    assert!(create(&[KIND, KIND]).is_ok());
    let request = plain(KIND).unwrap();
    assert!(model().resolve_new(&request, Some(&COMPUTE), Mode::Interop).is_ok());
    let wrong = model().resolve_new(&request, Some(&STORAGE), Mode::Interop).unwrap_err();
    assert_eq!(wrong.class(), RefusalClass::BadRequest);
    for term in ["entity", "resource", "link"] {
        let line = format!("Category: {term}; scheme=\"http://schemas.ogf.org/occi/core#\"");
        assert!(matches!(create(&[&line]), Err(Refusal::AbstractKind(_))), "{term}");
    }
    let unknown = create(&[KIND, "Category: nope; scheme=\"http://example.com/x#\""]).unwrap_err();
    assert_eq!(unknown.class(), RefusalClass::BadRequest);
    assert_eq!(unknown.class_in(Mode::Strict), RefusalClass::NotFound);
    let liar = KIND.replace("\"kind\"", "\"mixin\"");
    assert!(matches!(create(&[&liar]), Err(Refusal::WrongClass { .. })));
    let action = "Category: start; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"";
    assert!(matches!(create(&[KIND, action]), Err(Refusal::ActionAsCategory(_))));
}

#[test]
fn c_097_c_213_required_attributes() {
    assert!(matches!(create(&[OF_STORAGE]), Err(Refusal::MissingAttribute { .. })));
    let new = create(&[OF_STORAGE, "X-OCCI-Attribute: occi.storage.size=\"10\""]).unwrap();
    assert_eq!(new.attributes.get(&attribute::STORAGE_SIZE), Some(&Value::Float(10.0)));
    assert!(matches!(create(&[KIND, SSH_LINE]), Err(Refusal::MissingAttribute { .. })));
}

#[test]
fn c_098_c_108_attributes_of_nothing_named() {
    let refusal = create(&[KIND, "X-OCCI-Attribute: com.example.nope=1"]).unwrap_err();
    assert_eq!(refusal.class(), RefusalClass::BadRequest);
    assert_eq!(
        refusal.to_string(),
        "com.example.nope is not an attribute of http://schemas.ogf.org/occi/infrastructure#compute or of the named \
         mixins: leave it out or name its mixin"
    );
    assert_eq!(refused(&[KIND, "X-OCCI-Attribute: occi.compute.userdata=\"x\""]), RefusalClass::BadRequest);
}

#[test]
fn c_099_c_100_immutable_attributes() {
    let id_line = "X-OCCI-Attribute: occi.core.id=\"urn:uuid:1\"";
    let state = "X-OCCI-Attribute: occi.compute.state=\"active\"";
    assert!(!create(&[KIND, id_line, state]).unwrap().attributes.contains_key(&attribute::COMPUTE_STATE));
    assert!(create_in(Mode::Strict, &[KIND, id_line]).is_ok());
    assert_eq!(create_in(Mode::Strict, &[KIND, state]).unwrap_err().class(), RefusalClass::Forbidden);
}

#[test]
fn c_101_to_c_103_values_are_checked() {
    for bad in [
        "occi.compute.cores=\"abc\"",
        "occi.compute.cores=0",
        "occi.compute.architecture=\"sparc\"",
        "occi.compute.memory=-1",
    ] {
        assert_eq!(refused(&[KIND, &format!("X-OCCI-Attribute: {bad}")]), RefusalClass::BadRequest, "{bad}");
    }
    let label = "X-OCCI-Attribute: occi.compute.hostname=\"dyso::e3769372\"";
    assert!(create(&[KIND, label]).is_ok() && create_in(Mode::Strict, &[KIND, label]).is_err());
    let network = r#"Category: network; scheme="http://schemas.ogf.org/occi/infrastructure#""#;
    assert!(create(&[network, "X-OCCI-Attribute: occi.network.vlan=4095"]).is_ok());
    assert!(create(&[network, "X-OCCI-Attribute: occi.network.vlan=4096"]).is_err());
}

#[test]
fn c_104_c_296_mixins_that_do_not_apply() {
    assert_eq!(refused(&[OF_STORAGE, DEBIAN_LINE, "X-OCCI-Attribute: occi.storage.size=1"]), RefusalClass::Forbidden);
    assert_eq!(refused(&[OF_STORAGE, SSH_LINE, "X-OCCI-Attribute: occi.storage.size=1"]), RefusalClass::Forbidden);
}

#[test]
fn c_106_c_107_defaults_of_mixins_yield_to_the_client() {
    let mut model = model();
    let mut web = Mixin::tag(id("http://example.com/x#web"), "/web/");
    let definition = occi_schema::AttributeDefinition::new(attribute::HOSTNAME.clone(), occi_schema::ValueType::TEXT);
    web.attributes.push(definition.with_default(Value::from("www")));
    model.add_mixin(web).unwrap();
    let hostname = |extra: &str| {
        let lines = [KIND, "Category: web; scheme=\"http://example.com/x#\"", extra].join("\n");
        let new = model.resolve_new(&plain(&lines).unwrap(), None, Mode::Interop).unwrap();
        new.attributes.get(&attribute::HOSTNAME).cloned()
    };
    assert_eq!(hostname(""), Some(Value::from("www")));
    assert_eq!(hostname("X-OCCI-Attribute: occi.compute.hostname=\"mine\""), Some(Value::from("mine")));
}

#[test]
fn c_120_c_294_c_306_sizes_override_and_exclude_each_other() {
    let cores = "X-OCCI-Attribute: occi.compute.cores=8";
    for mode in [Mode::Interop, Mode::Strict] {
        let new = create_in(mode, &[KIND, SMALL_LINE, cores]).unwrap();
        assert_eq!(new.attributes.get(&attribute::CORES), Some(&Value::Integer(1)));
    }
    let large = SMALL_LINE.replace("small", "large");
    let two = create(&[KIND, SMALL_LINE, &large]).unwrap_err();
    assert_eq!(
        two,
        Refusal::TwoTemplates {
            family: occi_schema::well_known::RESOURCE_TPL.clone(),
            first: SMALL.clone(),
            second: LARGE.clone()
        }
    );
    assert_eq!(two.class(), RefusalClass::BadRequest);
    let alpine = DEBIAN_LINE.replace("debian12", "alpine");
    assert_eq!(refused(&[KIND, DEBIAN_LINE, &alpine]), RefusalClass::BadRequest);
}

#[test]
fn a_49_an_attribute_given_twice() {
    let two = "X-OCCI-Attribute: occi.compute.cores=2";
    assert!(create(&[KIND, two, "X-OCCI-Attribute: occi.compute.cores=\"2\""]).is_ok());
    assert_eq!(refused(&[KIND, two, "X-OCCI-Attribute: occi.compute.cores=3"]), RefusalClass::BadRequest);
}

#[test]
fn both_families_of_contextualization_must_agree() {
    let openstack = r#"Category: public_key;scheme="http://schemas.openstack.org/instance/credentials#";class="mixin""#;
    let standard = "X-OCCI-Attribute: occi.credentials.ssh.publickey=\"k1\"";
    let data = |key: &str| format!("X-OCCI-Attribute: org.openstack.credentials.publickey.data=\"{key}\"");
    let alone = create(&[KIND, openstack, &data("k1")]).unwrap();
    assert_eq!(contextualization::ssh_public_key(&alone.attributes), Some("k1"));
    assert!(create(&[KIND, openstack, SSH_LINE, standard, &data("k1")]).is_ok());
    assert_eq!(refused(&[KIND, openstack, SSH_LINE, standard, &data("k2")]), RefusalClass::Conflict);
}

#[test]
fn c_109_c_248_c_255_links() {
    let link =
        |rest: &str| format!("Link: </network/1>; rel=\"http://schemas.ogf.org/occi/infrastructure#network\"{rest}");
    let mac = "; category=\"http://schemas.ogf.org/occi/infrastructure#networkinterface\"; \
        occi.networkinterface.mac=\"00:11:22:33:44:55\"";
    let new = create(&[KIND, &link(mac)]).unwrap();
    assert_eq!((&new.links[0].kind, new.links[0].target.as_str()), (&NETWORK_INTERFACE.clone(), "/network/1"));
    assert_eq!(new.links[0].attributes.len(), 1);
    assert_eq!(create(&[KIND, &link("")]).unwrap().links[0].kind, NETWORK_INTERFACE);
    let wrong = "; category=\"http://schemas.ogf.org/occi/infrastructure#storagelink\"";
    assert!(matches!(create(&[KIND, &link(wrong)]), Err(Refusal::WrongTarget { .. })));
    let no_link = "; category=\"http://schemas.ogf.org/occi/infrastructure#compute\"";
    assert!(matches!(create(&[KIND, &link(no_link)]), Err(Refusal::NotALink(_))));
    assert!(matches!(create(&[KIND, "Link: </x/1>; rel=\"http://a#b\""]), Err(Refusal::UnclearLink(_))));
    let standalone = r#"Category: networkinterface; scheme="http://schemas.ogf.org/occi/infrastructure#""#;
    assert!(matches!(create(&[standalone]), Err(Refusal::MissingAttribute { .. })));
    let ends = "X-OCCI-Attribute: occi.core.source=\"/compute/1\", occi.core.target=\"/network/1\"";
    assert!(create(&[standalone, ends]).is_ok());
    assert!(matches!(create(&[standalone, ends, &link("")]), Err(Refusal::LinkNotAllowed)));
    assert!(model().check_link_target(&STORAGE_LINK, Some(&STORAGE)).is_ok());
    assert!(model().check_link_target(&STORAGE_LINK, None).is_ok());
}

#[test]
fn c_227_to_c_246_actions() {
    let invoke = |line: &str, term: &str, kind: &CategoryId| {
        let request = parse::action(MediaType::TextPlain, &[], line.as_bytes(), &Limits::default()).unwrap();
        model().resolve_action(&request, term, kind, &[])
    };
    let of =
        |term: &str| format!("Category: {term}; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"");
    assert_eq!(invoke(&of("start"), "start", &COMPUTE).unwrap().id, START);
    assert!(matches!(invoke(&of("stop"), "start", &COMPUTE), Err(Refusal::ActionMismatch { .. })));
    assert!(matches!(invoke(&of("start"), "start", &STORAGE), Err(Refusal::ActionNotOffered { .. })));
    assert!(matches!(invoke(&of("nope"), "nope", &COMPUTE), Err(Refusal::UnknownCategory(_))));
    assert!(matches!(invoke(KIND, "compute", &COMPUTE), Err(Refusal::NotAnAction(_))));
    let stop =
        |method: &str| invoke(&format!("{}\nX-OCCI-Attribute: method=\"{method}\"", of("stop")), "stop", &COMPUTE);
    let method = AttributeName::new("method").unwrap();
    assert_eq!(stop("poweroff").unwrap().parameters, BTreeMap::from([(method, Value::from("poweroff"))]));
    assert!(matches!(stop("banana"), Err(Refusal::BadValue(_))));
    let with_attribute = format!("{}\nX-OCCI-Attribute: occi.compute.cores=4", of("stop"));
    assert!(matches!(invoke(&with_attribute, "stop", &COMPUTE), Err(Refusal::UnknownAttribute { .. })));
    let save = format!("{}\nX-OCCI-Attribute: method=\"deffered\", name=\"snap\"", of("save"));
    assert_eq!(invoke(&save, "save", &COMPUTE).unwrap().parameters.len(), 2);
    let resize = "Category: resize; scheme=\"http://schemas.ogf.org/occi/infrastructure/storage/action#\"";
    assert!(matches!(invoke(resize, "resize", &STORAGE), Err(Refusal::MissingAttribute { .. })));
}

#[test]
fn c_186_filters_are_typed() {
    let resolve =
        |headers: &[(&str, &str)]| model().resolve_filter(&parse::filter(headers, b"", &Limits::default()).unwrap());
    let filter = resolve(&[("X-OCCI-Attribute", "occi.compute.cores=\"2\"")]).unwrap();
    assert_eq!(filter.attributes.get(&attribute::CORES), Some(&Value::Integer(2)));
    let unknown = resolve(&[("X-OCCI-Attribute", "com.example.x=1")]).unwrap_err();
    assert_eq!(unknown.class(), RefusalClass::BadRequest);
    assert!(resolve(&[("Category", "nope; scheme=\"http://example.com/#\"")]).is_err());
}

fn current_attributes() -> BTreeMap<AttributeName, Value> {
    BTreeMap::from([
        (attribute::ID.clone(), Value::from("urn:uuid:1")),
        (attribute::TITLE.clone(), Value::from("old")),
        (attribute::CORES.clone(), Value::Integer(1)),
        (attribute::MEMORY.clone(), Value::Float(1.0)),
        (attribute::EPHEMERAL_STORAGE_SIZE.clone(), Value::Float(10.0)),
        (attribute::COMPUTE_STATE.clone(), Value::from("inactive")),
        (attribute::USER_DATA.clone(), Value::from("#!/bin/sh")),
    ])
}

fn current_mixins() -> Vec<CategoryId> {
    vec![id("http://example.com/os_tpl#debian12"), SMALL.clone(), occi_schema::well_known::USER_DATA.clone()]
}

fn update(lines: &[&str]) -> Result<EntityUpdate, Refusal> {
    let (attributes, mixins) = (current_attributes(), current_mixins());
    let current = CurrentEntity { kind: &COMPUTE, mixins: &mixins, attributes: &attributes };
    model().resolve_update(&plain(&lines.join("\n")).unwrap(), current, Mode::Interop)
}

#[test]
fn c_148_to_c_155_partial_updates() {
    let changed = update(&["X-OCCI-Attribute: occi.compute.hostname=\"foo\", occi.core.title=\"old\""]).unwrap();
    assert_eq!(changed.attributes, BTreeMap::from([(attribute::HOSTNAME.clone(), Value::from("foo"))]));
    assert!(changed.mixins_added.is_empty() && changed.attributes_removed.is_empty());
    let state = |value: &str| update(&[&format!("X-OCCI-Attribute: occi.compute.state=\"{value}\"")]);
    assert_eq!(state("active").unwrap_err().class(), RefusalClass::Forbidden);
    assert_eq!(state("inactive").unwrap(), EntityUpdate::default());
    assert!(matches!(update(&[OF_STORAGE]), Err(Refusal::KindChange { .. })));
    assert!(matches!(update(&["X-OCCI-Attribute: com.example.x=1"]), Err(Refusal::UnknownAttribute { .. })));
}

#[test]
fn c_168_to_c_171_templates_and_user_data_after_creation() {
    let large = SMALL_LINE.replace("small", "large");
    let changed = update(&[&large]).unwrap();
    assert_eq!((&changed.mixins_added[..], &changed.mixins_removed[..]), (&[LARGE.clone()][..], &[SMALL.clone()][..]));
    assert_eq!(changed.attributes.get(&attribute::CORES), Some(&Value::Integer(4)));
    assert_eq!(changed.attributes.get(&attribute::EPHEMERAL_STORAGE_SIZE), Some(&Value::Float(40.0)));
    assert!(changed.attributes_removed.is_empty());
    let alpine = DEBIAN_LINE.replace("debian12", "alpine");
    assert_eq!(update(&[&alpine]).unwrap_err().class(), RefusalClass::Conflict);
    assert_eq!(update(&[DEBIAN_LINE]).unwrap(), EntityUpdate::default());
    let cores = "X-OCCI-Attribute: occi.compute.cores=8";
    assert_eq!(update(&[cores]).unwrap_err().class(), RefusalClass::Conflict);
    let with_title = update(&[cores, "X-OCCI-Attribute: occi.core.title=\"new\""]).unwrap();
    assert!(!with_title.attributes.contains_key(&attribute::CORES));
    let user_data = "X-OCCI-Attribute: occi.compute.userdata=\"other\"";
    assert_eq!(update(&[user_data]).unwrap_err().class(), RefusalClass::Forbidden);
}

#[test]
fn c_159_to_c_167_replacements() {
    let mut model = model();
    let tag = id("http://example.com/x#tag");
    model.add_mixin(Mixin::tag(tag.clone(), "/tag/")).unwrap();
    let mut mixins = current_mixins();
    mixins.push(tag.clone());
    let attributes = current_attributes();
    let current = CurrentEntity { kind: &COMPUTE, mixins: &mixins, attributes: &attributes };
    let put =
        |body: &str| model.resolve_replacement(&plain(body).unwrap(), current, |mixin| *mixin == tag, Mode::Interop);
    let changed = put(&format!("{KIND}\nX-OCCI-Attribute: occi.compute.state=\"inactive\"")).unwrap();
    assert_eq!(changed.mixins_removed, std::slice::from_ref(&tag));
    assert_eq!(changed.attributes_removed, std::slice::from_ref(&attribute::TITLE));
    let link = "Link: </network/1>; rel=\"http://schemas.ogf.org/occi/infrastructure#network\"";
    assert!(matches!(put(&format!("{KIND}\n{link}")), Err(Refusal::LinkNotAllowed)));
    assert!(matches!(put(OF_STORAGE), Err(Refusal::KindChange { .. })));
}

#[test]
fn c_216_c_217_association_through_a_collection() {
    let (attributes, mixins) = (current_attributes(), current_mixins());
    let current = CurrentEntity { kind: &COMPUTE, mixins: &mixins, attributes: &attributes };
    let associate = |mixin: &CategoryId| model().resolve_association(mixin, current, Mode::Interop);
    assert_eq!(associate(&LARGE).unwrap().mixins_removed, std::slice::from_ref(&SMALL));
    assert_eq!(associate(&SMALL).unwrap(), EntityUpdate::default());
    let of_network = associate(&occi_schema::well_known::IP_NETWORK).unwrap_err();
    assert_eq!(of_network.class(), RefusalClass::Forbidden);
}

#[test]
fn c_029_to_c_036_user_mixins() {
    let define = |model: &Model, line: &str| {
        let request = parse::mixins(MediaType::TextPlain, &[], line.as_bytes(), &Limits::default()).unwrap();
        model.resolve_user_mixin(&request[0], "http://localhost")
    };
    let mut model = model();
    let line = |rest: &str| format!("Category: my_stuff; scheme=\"http://example.com/occi/my_stuff#\"{rest}");
    let good = line("; class=\"mixin\"; rel=\"http://example.com/occi/something_else#mixin\"; location=\"/my_stuff/\"");
    let UserMixinDefinition::New(mixin) = define(&model, &good).unwrap() else { panic!("new") };
    assert!(mixin.depends.is_empty(), "a dangling rel would break clients (A-18)");
    model.add_mixin(mixin).unwrap();
    assert!(matches!(define(&model, &good), Ok(UserMixinDefinition::Unchanged(_))));
    let absolute = good.replace("/my_stuff/\"", "http://localhost/my_stuff/\"");
    assert!(matches!(define(&model, &absolute), Ok(UserMixinDefinition::Unchanged(_))));
    let elsewhere = good.replace("/my_stuff/\"", "/other/\"");
    assert_eq!(define(&model, &elsewhere).unwrap_err().class(), RefusalClass::Conflict);
    assert!(matches!(define(&model, &line("")), Err(Refusal::NoLocation(_))));
    assert!(matches!(define(&model, &line("; class=\"kind\"; location=\"/k/\"")), Err(Refusal::NotAMixin(..))));
    let hiding = "Category: t; scheme=\"http://example.com/t#\"; location=\"/compute/1/\"";
    assert!(matches!(define(&model, hiding), Err(Refusal::Model(ModelError::LocationTaken { .. }))));
    let template =
        good.replace("http://example.com/occi/something_else#mixin", OS_TPL.as_str()).replace("my_stuff", "tpl");
    assert_eq!(define(&model, &template).unwrap_err().class(), RefusalClass::Forbidden);
    let core = "Category: t; scheme=\"http://schemas.ogf.org/occi/core#\"; location=\"/t/\"";
    assert_eq!(define(&model, core).unwrap_err().class(), RefusalClass::Forbidden);
}

#[test]
fn c_313_c_316_other_extensions_resolve_too() {
    let model = Model::new(Extension::ALL, Mode::Interop).unwrap();
    let create = |date: &str| {
        let kind = r#""kind":"http://schemas.ogf.org/occi/sla#agreement""#;
        let body = format!(r#"{{{kind},"attributes":{{"occi.agreement.effectiveFrom":"{date}"}}}}"#);
        model.resolve_new(&json(&body).unwrap(), None, Mode::Interop)
    };
    assert!(create("2026-01-01").is_ok());
    assert!(create("P1D").is_err());
    let states = model.kind(&id("http://schemas.ogf.org/occi/sla#agreement")).unwrap().states.clone().unwrap();
    assert_eq!(states.initial, "pending");
    assert_eq!(states.transition("pending", "accept").map(|edge| edge.to.as_str()), Some("accepted"));
    assert!(states.transition("rejected", "accept").is_none());
}

#[test]
fn a_model_can_serve_a_part_of_itself() {
    let part = model().serving(std::slice::from_ref(&COMPUTE));
    assert!(part.kind(&COMPUTE).is_some() && part.kind(&STORAGE).is_none() && part.kind(&NETWORK).is_none());
    assert!(part.mixin(&SMALL).is_some() && part.mixin(&occi_schema::well_known::IP_NETWORK).is_none());
    assert_eq!(part.at_location("/compute/").map(|category| category.id()), Some(&COMPUTE));
    assert!(part.at_location("/storage/").is_none());
    assert!(part.action(&START).is_some() && part.actions().all(|action| action.id.scheme() == START.scheme()));
}
