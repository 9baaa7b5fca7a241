//! 8.A, first part: what the query interface lists, and how.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::{
    answer::{Answer, Category, JSON, OCCI, PLAIN, URI_LIST},
    check::{Check, Outcome, Stop},
    names::{COMPUTE, CORE_SCHEME, ENTITY, LINK, RESOURCE, STORAGE},
    options::Mode,
    request::Request,
    session::Session,
};

pub(crate) const WELL_KNOWN: &str = "/.well-known/org/ogf/occi/-/";
/// Parameters in the order that all clients can read.
const ORDER: [&str; 7] = ["scheme", "class", "title", "rel", "location", "attributes", "actions"];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        1,
        Must,
        "H11 §3.4.1; H12 §9, §9.1",
        "GET /-/ as text/plain: 200, Content-Type text/plain, and every line that is not empty starts `Category: `",
        lists_categories
    ),
    check!(
        2,
        Must,
        "C12 §5.3.9; H11 §3.4.1",
        "GET /-/ lists kinds, actions and mixins; no category that another one names by rel or actions is missing, and \
         text and JSON list the same",
        lists_all_classes
    ),
    check!(
        3,
        Must,
        "C12 §5.3.3; C11 §4.4.2",
        "GET /-/ lists the kinds entity, resource and link of http://schemas.ogf.org/occi/core#; rel of the latter two \
         is entity, and entity has none",
        lists_the_core
    ),
    check!(
        4,
        Must,
        "T12 §4.1; H11 §3.5.1",
        "GET /-/: each line keeps the grammar, with its parameters in the order scheme, class, title, rel, location, \
         attributes, actions",
        keeps_the_grammar
    ),
    check!(
        5,
        Must,
        "H11 §3.3.1",
        "GET /-/: every kind that has instances and every mixin has a location that ends in /, and all \
         locations differ",
        has_locations
    ),
    check!(
        6,
        Must,
        "H12 §4",
        "GET /-/, strict mode: the kind entity, which has no instances, has no location (the interop mode shows one)",
        abstract_kind_is_unbound
    ),
    check!(
        7,
        Must,
        "H11 §3.4.1",
        "GET /-/: a kind's line names all its attributes and all its actions",
        names_attributes_and_actions
    ),
    check!(
        8,
        Must,
        "C12 §5.3.2; H11 §3.5.1",
        "GET /-/: occi.core.id and all states are immutable; what a client must give is required",
        flags_attributes
    ),
    check!(
        9,
        Must,
        "H11 §3.4.1; C12 §5.3.5",
        "GET /-/: every identifier within actions is listed as a category of class action",
        lists_every_action
    ),
    check!(10, Must, "T12 §5.2.3", "GET /-/: no action has rel, actions or location", actions_are_plain),
    check!(
        11,
        Must,
        "T12 §5.5.2",
        "GET /-/: a mixin's rel is the first one it depends on; a mixin that depends on none has no rel, whatever it \
         applies to",
        mixins_relate_to_what_they_depend_on
    ),
    check!(
        12,
        Must,
        "H11 §3.6.7; H12 §9",
        "GET /.well-known/org/ogf/occi/-/, if offered: 200 and the same as /-/, byte by byte in text/occi",
        well_known_path_is_the_same
    ),
    check!(13, May, "H11 §3.4.1; H12 §9", "GET /.well-known/org/ogf/occi/-/ is offered", well_known_path_is_offered),
    check!(
        14,
        Must,
        "T12 §7; H11 §3.6.6",
        "GET /-/ as text/occi: 200, the categories in header fields Category, and a body of the two bytes OK",
        lists_in_headers
    ),
    check!(
        15,
        Must,
        "J12 §3.4; H12 §9.1",
        "GET /-/ as JSON: 200 and one object with the arrays kinds, mixins and actions, and nothing else",
        lists_in_json
    ),
    check!(
        16,
        Must,
        "J12 §3.2.1",
        "GET /-/ as JSON: kinds have term and scheme; all but entity have a parent, a string, and a location",
        json_kinds
    ),
    check!(
        17,
        Must,
        "J12 §3.2.2",
        "GET /-/ as JSON: mixins have term, scheme and location; depends and applies are arrays of identifiers, if set",
        json_mixins
    ),
    check!(
        18,
        Must,
        "J12 §3.5.1",
        "GET /-/ as JSON: attributes map dotted names to descriptions; occi.compute.state is not mutable, and \
         occi.storage.size is required",
        json_attributes
    ),
    check!(19, Must, "H11 §3.6.6", "GET /-/ as text/uri-list: 400, since it lists no instances", is_no_uri_list),
];

pub(super) async fn query(session: &Session, media_type: &str) -> Result<Answer, Stop> {
    let answer = session.send(Request::get("/-/").accept(media_type)).await?;
    answer.expect(&[200])?.expect_media(media_type)?;
    Ok(answer)
}

async fn in_json(session: &Session) -> Result<Json, Stop> {
    query(session, JSON).await?.json()
}

pub(super) fn identifiers(categories: &[Category]) -> BTreeSet<String> {
    categories.iter().map(Category::identifier).collect()
}

async fn lists_categories(session: &Session) -> Outcome {
    let answer = query(session, PLAIN).await?;
    let lines: Vec<_> = answer.text()?.lines().filter(|line| !line.trim().is_empty()).collect();
    hold!(!lines.is_empty(), "nothing is listed");
    for line in lines {
        hold!(line.starts_with("Category: "), "a line is {line:?}");
    }
    Ok(())
}

async fn lists_all_classes(session: &Session) -> Outcome {
    let listed = query(session, PLAIN).await?.categories()?;
    for class in ["kind", "action"] {
        hold!(listed.iter().any(|category| category.class == class), "no {class} is listed");
    }
    let known = identifiers(&listed);
    for category in &listed {
        for named in category.rel.iter().chain(&category.actions) {
            hold!(known.contains(named), "{} names {named}, which is not listed", category.identifier());
        }
    }
    let in_json = identifiers(&query(session, JSON).await?.categories()?);
    if let Some(odd) = known.symmetric_difference(&in_json).next() {
        fail!("{odd} is listed in only one of text and JSON");
    }
    Ok(())
}

async fn lists_the_core(session: &Session) -> Outcome {
    let listed = query(session, PLAIN).await?.categories()?;
    for (identifier, rel) in [(ENTITY, None), (RESOURCE, Some(ENTITY)), (LINK, Some(ENTITY))] {
        let Some(kind) = listed.iter().find(|category| category.identifier() == identifier) else {
            fail!("{identifier} is not listed");
        };
        hold!(kind.class == "kind", "{identifier} is of class {}", kind.class);
        hold!(kind.rel.as_deref() == rel, "rel of {identifier} is {:?}", kind.rel);
    }
    let odd = listed.iter().find(|category| category.scheme == CORE_SCHEME && category.class == "mixin");
    hold!(odd.is_none(), "the core has a mixin: {:?}", odd.map(Category::identifier));
    Ok(())
}

async fn keeps_the_grammar(session: &Session) -> Outcome {
    for category in query(session, PLAIN).await?.categories()? {
        let places: Vec<_> = category.order.iter().map(|name| ORDER.iter().position(|known| known == name)).collect();
        hold!(places.is_sorted(), "the parameters of {} come as {:?}", category.identifier(), category.order);
    }
    Ok(())
}

async fn has_locations(session: &Session) -> Outcome {
    let mut seen = BTreeSet::new();
    for category in query(session, PLAIN).await?.categories()? {
        let identifier = category.identifier();
        match &category.location {
            Some(location) => {
                hold!(location.ends_with('/'), "the location of {identifier} is {location}");
                hold!(
                    seen.insert(session.path(location)?),
                    "{location} is the location of {identifier} and another one"
                );
            }
            None => {
                let is_bound =
                    category.class == "mixin" || (category.class == "kind" && category.scheme != CORE_SCHEME);
                hold!(!is_bound, "{identifier} has no location");
            }
        }
    }
    Ok(())
}

async fn abstract_kind_is_unbound(session: &Session) -> Outcome {
    if session.mode() == Mode::Interop {
        skip!("clients in use need a location of every kind; --mode strict asks for none");
    }
    let listed = query(session, PLAIN).await?.categories()?;
    let entity = listed.iter().find(|category| category.identifier() == ENTITY);
    let Some(entity) = entity else { fail!("{ENTITY} is not listed") };
    hold!(entity.location.is_none(), "{ENTITY} has the location {:?}", entity.location);
    Ok(())
}

async fn names_attributes_and_actions(session: &Session) -> Outcome {
    let listed = query(session, PLAIN).await?.categories()?;
    let described = query(session, JSON).await?.categories()?;
    for kind in listed.iter().filter(|category| category.class == "kind") {
        let identifier = kind.identifier();
        let Some(twin) = described.iter().find(|twin| twin.identifier() == identifier) else {
            fail!("{identifier} is not in the JSON rendering");
        };
        let names =
            |kind: &Category| -> BTreeSet<String> { kind.attributes.iter().map(|each| each.name.clone()).collect() };
        hold!(names(kind) == names(twin), "the attributes of {identifier} differ in text and JSON");
        let actions = |kind: &Category| -> BTreeSet<String> { kind.actions.iter().cloned().collect() };
        hold!(actions(kind) == actions(twin), "the actions of {identifier} differ in text and JSON");
    }
    for (identifier, own) in [
        (ENTITY, "occi.core.id"),
        (ENTITY, "occi.core.title"),
        (RESOURCE, "occi.core.summary"),
        (LINK, "occi.core.target"),
    ] {
        let kind = listed.iter().find(|category| category.identifier() == identifier);
        let names_it = kind.is_some_and(|kind| kind.attribute(own).is_some());
        hold!(names_it, "{identifier} does not name {own}");
    }
    if let Some(compute) = listed.iter().find(|category| category.identifier() == COMPUTE) {
        hold!(compute.attribute("occi.compute.state").is_some(), "{COMPUTE} does not name occi.compute.state");
        hold!(!compute.actions.is_empty(), "{COMPUTE} names no actions");
    }
    Ok(())
}

async fn flags_attributes(session: &Session) -> Outcome {
    let listed = query(session, PLAIN).await?.categories()?;
    for category in &listed {
        for attribute in &category.attributes {
            let is_served = attribute.name == "occi.core.id"
                || (attribute.name.starts_with("occi.")
                    && (attribute.name.ends_with(".state") || attribute.name.ends_with(".state.message")));
            let identifier = category.identifier();
            hold!(attribute.is_immutable || !is_served, "{} of {identifier} is not immutable", attribute.name);
        }
    }
    let entity = listed.iter().find(|category| category.identifier() == ENTITY);
    hold!(entity.is_some_and(|entity| entity.attribute("occi.core.id").is_some()), "{ENTITY} has no occi.core.id");
    if let Some(storage) = listed.iter().find(|category| category.identifier() == STORAGE) {
        let is_required = storage.attribute("occi.storage.size").is_some_and(|size| size.is_required);
        hold!(is_required, "occi.storage.size is not required");
    }
    Ok(())
}

async fn lists_every_action(session: &Session) -> Outcome {
    let listed = query(session, PLAIN).await?.categories()?;
    let is_action = |identifier: &String| {
        listed.iter().any(|category| category.class == "action" && category.identifier() == *identifier)
    };
    for category in &listed {
        if let Some(missing) = category.actions.iter().find(|action| !is_action(action)) {
            fail!("{} has the action {missing}, which is not listed", category.identifier());
        }
    }
    hold!(listed.iter().any(|category| !category.actions.is_empty()), "no category has an action");
    Ok(())
}

async fn actions_are_plain(session: &Session) -> Outcome {
    let listed = query(session, PLAIN).await?.categories()?;
    let actions: Vec<_> = listed.iter().filter(|category| category.class == "action").collect();
    hold!(!actions.is_empty(), "no action is listed");
    for action in actions {
        let odd = action.order.iter().find(|name| ["rel", "actions", "location"].contains(&name.as_str()));
        hold!(odd.is_none(), "the action {} has {:?}", action.identifier(), odd);
    }
    Ok(())
}

async fn mixins_relate_to_what_they_depend_on(session: &Session) -> Outcome {
    let listed = query(session, PLAIN).await?.categories()?;
    let described = query(session, JSON).await?.categories()?;
    let mut count = 0;
    for mixin in described.iter().filter(|category| category.class == "mixin") {
        let Some(line) = listed.iter().find(|line| line.identifier() == mixin.identifier()) else { continue };
        count += 1;
        let first = mixin.depends.first();
        let identifier = mixin.identifier();
        hold!(line.rel.as_ref() == first, "{identifier} depends on {first:?}, and its rel is {:?}", line.rel);
    }
    if count == 0 {
        skip!("the server offers no mixins");
    }
    Ok(())
}

pub(super) async fn is_well_known_offered(session: &Session) -> Result<(), Stop> {
    let answer = session.preparing(session.send(Request::get(WELL_KNOWN))).await?;
    if [404, 405, 501].contains(&answer.status) {
        skip!("the server does not offer {WELL_KNOWN}: it answers {}", answer.status);
    }
    Ok(())
}

async fn well_known_path_is_the_same(session: &Session) -> Outcome {
    is_well_known_offered(session).await?;
    let (usual, other) = (query(session, OCCI).await?, session.send(Request::get(WELL_KNOWN).accept(OCCI)).await?);
    other.expect(&[200])?;
    hold!(!usual.header_fields("Category").is_empty(), "/-/ has no field Category in text/occi");
    let is_same = usual.header_fields("Category") == other.header_fields("Category");
    hold!(is_same, "the fields Category of the two paths differ");
    let (usual, other) = (query(session, PLAIN).await?, session.send(Request::get(WELL_KNOWN)).await?);
    hold!(usual.text()? == other.text()?, "the two paths differ in text/plain");
    Ok(())
}

async fn well_known_path_is_offered(session: &Session) -> Outcome {
    is_well_known_offered(session).await?;
    let listed = session.send(Request::get(WELL_KNOWN)).await?.expect(&[200])?.categories()?;
    hold!(!listed.is_empty(), "nothing is listed there");
    Ok(())
}

async fn lists_in_headers(session: &Session) -> Outcome {
    let answer = query(session, OCCI).await?;
    hold!(answer.body == b"OK", "the body is {:?} instead of OK", answer.first_words());
    let length = answer.header("Content-Length");
    hold!(length == Some("2"), "Content-Length is {length:?} instead of 2");
    let known = identifiers(&query(session, PLAIN).await?.categories()?);
    hold!(identifiers(&answer.categories()?) == known, "the header fields and text/plain list different categories");
    Ok(())
}

async fn lists_in_json(session: &Session) -> Outcome {
    let model = in_json(session).await?;
    let Some(members) = model.as_object() else { fail!("it is not an object") };
    for name in ["kinds", "actions"] {
        hold!(members.get(name).is_some_and(Json::is_array), "there is no array {name}");
    }
    for (name, value) in members {
        hold!(["kinds", "mixins", "actions"].contains(&name.as_str()), "there is a member {name}");
        hold!(value.is_array(), "{name} is not an array");
    }
    Ok(())
}

fn members<'json>(model: &'json Json, name: &str) -> &'json [Json] {
    model.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is_text(object: &Json, member: &str) -> bool {
    object.get(member).is_some_and(Json::is_string)
}

async fn json_kinds(session: &Session) -> Outcome {
    let model = in_json(session).await?;
    hold!(!members(&model, "kinds").is_empty(), "there are no kinds");
    for kind in members(&model, "kinds") {
        hold!(is_text(kind, "term") && is_text(kind, "scheme"), "a kind lacks term or scheme: {kind}");
        let is_entity = kind["scheme"] == CORE_SCHEME && kind["term"] == "entity";
        if is_entity {
            hold!(kind.get("parent").is_none(), "entity has the parent {}", kind["parent"]);
        } else {
            hold!(is_text(kind, "parent"), "the kind {} has no parent", kind["term"]);
            hold!(is_text(kind, "location"), "the kind {} has no location", kind["term"]);
        }
    }
    Ok(())
}

async fn json_mixins(session: &Session) -> Outcome {
    let model = in_json(session).await?;
    if members(&model, "mixins").is_empty() {
        skip!("the server offers no mixins");
    }
    for mixin in members(&model, "mixins") {
        for member in ["term", "scheme", "location"] {
            hold!(is_text(mixin, member), "a mixin lacks {member}: {mixin}");
        }
        for member in ["depends", "applies"] {
            let Some(found) = mixin.get(member) else { continue };
            let is_identifier = |each: &Json| each.as_str().is_some_and(|text| text.contains('#'));
            let is_list = found.as_array().is_some_and(|items| items.iter().all(is_identifier));
            hold!(is_list, "{member} of {} is no array of identifiers: {found}", mixin["term"]);
        }
    }
    Ok(())
}

async fn json_attributes(session: &Session) -> Outcome {
    let model = in_json(session).await?;
    for category in ["kinds", "mixins", "actions"].iter().flat_map(|class| members(&model, class)) {
        let Some(attributes) = category.get("attributes") else { continue };
        let Some(attributes) = attributes.as_object() else { fail!("attributes of {} is no object", category["term"]) };
        for (name, description) in attributes {
            hold!(description.is_object(), "{name} of {} has no description object", category["term"]);
            let is_description = ["type", "mutable", "required", "default", "description", "pattern"]
                .iter()
                .any(|member| description.get(member).is_some())
                || description.as_object().is_some_and(serde_json::Map::is_empty);
            hold!(is_description, "{name} of {} holds {description}", category["term"]);
        }
    }
    let described = |term: &str, attribute: &str| {
        let kind = members(&model, "kinds").iter().find(|kind| kind["term"] == term);
        kind.map(|kind| kind["attributes"][attribute].clone())
    };
    if let Some(state) = described("compute", "occi.compute.state") {
        hold!(state["mutable"] == false, "occi.compute.state is described as {state}");
    }
    if let Some(size) = described("storage", "occi.storage.size") {
        hold!(size["required"] == true, "occi.storage.size is described as {size}");
    }
    Ok(())
}

async fn is_no_uri_list(session: &Session) -> Outcome {
    session.send(Request::get("/-/").accept(URI_LIST)).await?.expect(&[400])?;
    Ok(())
}
