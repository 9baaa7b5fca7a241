//! 8.N: the JSON rendering.

use serde_json::{Value as Json, json};

use crate::{
    answer::{JSON, PLAIN},
    check::{Check, Outcome},
    draft::Draft,
    fixture::link_draft,
    names::{COMPUTE, COMPUTE_STATE, NETWORK_INTERFACE, RESOURCE_TPL, STOP},
    options::Mode,
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        272,
        Must,
        "J12 §3.5",
        "Attribute names in JSON, of entities and of categories: flat and dotted, never nested",
        names_are_flat
    ),
    check!(
        273,
        Must,
        "J12 §3.1.1",
        "An update in text, then GET as JSON: the same values, with the right JSON types",
        text_and_json_agree
    ),
    check!(
        274,
        Must,
        "J12 §3.1.2",
        "POST of a networkinterface as JSON without source: 400",
        link_without_source_is_refused
    ),
    check!(275, Must, "J12 §3.1.1", "POST of a compute as JSON without kind: 400", entity_without_kind_is_refused),
    check!(276, Must, "J12 §3.1.1", "POST of JSON with \"kind\":\"nonsense\": 400 or 404", unknown_kind_is_refused),
    check!(
        277,
        Should,
        "J12 §3.1.1",
        "POST of JSON with \"occi.compute.cores\":\"2\", a string: taken as a number; in strict mode 400",
        quoted_number_follows_the_mode
    ),
    check!(
        278,
        Must,
        "J12 §3.5.1",
        "A mixin's attribute has a default, and a new instance with the mixin is given no value: the default is used",
        defaults_are_used
    ),
    check!(
        279,
        Must,
        "J12 §3.1.1 action invocation",
        "POST of an action as JSON with attributes: done, and the parameters count: a wrong one is refused",
        action_parameters_count
    ),
    check!(
        280,
        Should,
        "J12 §3.3; H12 §11.3.2",
        "POST to a mixin's collection of {\"resources\":[…]} as JSON: these are associated",
        collections_of_references_are_taken
    ),
    check!(
        281,
        Interop,
        "rOCCI 5's schema",
        "JSON answers: no empty arrays; every kind has a location; descriptions have type, mutable and required and no \
         pattern object; attributes of an entity repeat occi.core.id",
        suits_the_strictest_client
    ),
    check!(
        282,
        Should,
        "our reading, J12 is silent",
        "Errors with Accept: application/occi+json: a JSON object with a message",
        errors_are_json
    ),
];

async fn names_are_flat(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let entity = session.send(Request::get(&compute).accept(JSON)).await?.expect(&[200])?.json()?;
    let Some(attributes) = entity["attributes"].as_object() else { fail!("the compute has no attributes") };
    for (name, value) in attributes {
        hold!(name.contains('.'), "an attribute is named {name:?}");
        hold!(!value.is_object(), "{name} is an object: {value}");
    }
    hold!(attributes.contains_key(COMPUTE_STATE), "{COMPUTE_STATE} is not among the attributes");
    let model = session.send(Request::get("/-/").accept(JSON)).await?.expect(&[200])?.json()?;
    for category in model["kinds"].as_array().into_iter().chain(model["mixins"].as_array()).flatten() {
        for name in category["attributes"].as_object().into_iter().flat_map(|attributes| attributes.keys()) {
            hold!(name.contains('.'), "{} has the attribute {name:?}", category["term"]);
        }
    }
    Ok(())
}

async fn text_and_json_agree(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    let hostname = session.unique("host").replace('_', "-");
    let draft = Draft::new().attribute("occi.compute.hostname", hostname.clone()).attribute("occi.core.summary", "1.5");
    session.send(Request::post(&compute).text(&draft)).await?.expect(&[200])?;
    let json = session.send(Request::get(&compute).accept(JSON)).await?;
    let document = json.expect(&[200])?.json()?;
    let shown = &document["attributes"]["occi.compute.hostname"];
    hold!(shown == &json!(hostname), "the host name is {shown} in JSON");
    let (in_json, in_text) = (json.entity()?, session.read(&compute).await?);
    hold!(
        in_json.text("occi.core.summary") == Some("1.5"),
        "the summary is {:?}",
        in_json.attributes.get("occi.core.summary")
    );
    for (name, value) in &in_text.attributes {
        // States may change between the two looks.
        if name.contains(".state") {
            continue;
        }
        let twin = in_json.attributes.get(name);
        hold!(twin.is_some_and(|twin| twin.means(value)), "{name} is {value} in text, and {twin:?} in JSON");
    }
    Ok(())
}

async fn link_without_source_is_refused(session: &Session) -> Outcome {
    let interfaces = session.model.location(NETWORK_INTERFACE)?;
    let network = session.shared_network().await?;
    let document = json!({"kind": NETWORK_INTERFACE, "target": {"location": network}});
    session.send(Request::post(interfaces).json(&document)).await?.expect(&[400])?;
    Ok(())
}

async fn entity_without_kind_is_refused(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let document = json!({"attributes": {"occi.compute.cores": 1}});
    session.send(Request::post(computes).json(&document)).await?.expect(&[400])?;
    Ok(())
}

async fn unknown_kind_is_refused(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    session.send(Request::post(computes).json(&json!({"kind": "nonsense"}))).await?.expect(&[400, 404])?;
    Ok(())
}

async fn quoted_number_follows_the_mode(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let draft = session.compute_draft().attribute("occi.compute.cores", "2");
    let answer = session.send(Request::post(computes).json_draft(&draft)).await?;
    if session.mode() == Mode::Strict {
        answer.expect(&[400])?;
        return Ok(());
    }
    let path = session.created(&answer)?;
    let json = session.send(Request::get(&path).accept(JSON)).await?.expect(&[200])?.json()?;
    let cores = &json["attributes"]["occi.compute.cores"];
    hold!(cores.is_number(), "cores is {cores} afterwards");
    Ok(())
}

async fn defaults_are_used(session: &Session) -> Outcome {
    let described = session.preparing(session.send(Request::get("/-/").accept(JSON))).await?;
    let described = described.expect(&[200])?.categories()?;
    // Templates are the mixins whose defaults can be tried on a compute without knowing what they mean.
    let template = described.iter().find(|category| {
        category.rel.as_deref() == Some(RESOURCE_TPL) && category.attributes.iter().any(|each| each.default.is_some())
    });
    let Some(template) = template else { skip!("no template of sizes has a default") };
    let draft = session.compute_draft_with_size(&template.identifier());
    let compute = session.create(COMPUTE, &draft).await?;
    let shown = session.send(Request::get(&compute).accept(JSON)).await?.expect(&[200])?.json()?;
    for attribute in &template.attributes {
        let Some(default) = &attribute.default else { continue };
        let found = &shown["attributes"][&attribute.name];
        let is_same = found == default || (found.is_number() && found.as_f64() == default.as_f64());
        // Storage may be larger than asked for.
        let is_more = attribute.name.ends_with(".size") && found.as_f64() >= default.as_f64();
        hold!(is_same || is_more, "{} is {found} instead of the default {default}", attribute.name);
    }
    Ok(())
}

async fn action_parameters_count(session: &Session) -> Outcome {
    let compute = session.active_compute().await?;
    let wrong = json!({"action": STOP, "attributes": {"method": "banana"}});
    session.send(Request::action(&compute, "stop").json(&wrong)).await?.expect(&[400])?;
    let state = session.read(&compute).await?;
    hold!(state.text(COMPUTE_STATE) == Some("active"), "the refused action changed the state");
    let right = json!({"action": STOP, "attributes": {"method": "graceful"}});
    session.send(Request::action(&compute, "stop").json(&right)).await?.expect(&[200, 204])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "inactive").await?;
    Ok(())
}

async fn collections_of_references_are_taken(session: &Session) -> Outcome {
    let (tag, one, two) = (session.tag().await?, session.compute().await?, session.compute().await?);
    let full = session.preparing(session.send(Request::get(&one).accept(JSON))).await?.expect(&[200])?.json()?;
    let request = Request::post(&tag.location).json(&json!({"resources": [full]}));
    session.send(request).await?.expect(&[200, 204])?;
    hold!(session.members(&tag.location).await? == [one], "{} lists something else afterwards", tag.location);
    if session.mode() == Mode::Interop {
        session.send(Request::post(&tag.location).json(&json!([two]))).await?.expect(&[200, 204])?;
        let found = session.members(&tag.location).await?;
        hold!(found.contains(&two), "an array of URIs did not associate {two}");
    }
    Ok(())
}

fn find_empty_array(value: &Json, path: &str) -> Option<String> {
    match value {
        Json::Array(items) if items.is_empty() => Some(path.to_owned()),
        Json::Array(items) => {
            let each = items.iter().enumerate();
            each.into_iter().find_map(|(place, item)| find_empty_array(item, &format!("{path}[{place}]")))
        }
        Json::Object(members) => {
            members.iter().find_map(|(name, item)| find_empty_array(item, &format!("{path}.{name}")))
        }
        _ => None,
    }
}

async fn suits_the_strictest_client(session: &Session) -> Outcome {
    let model = session.send(Request::get("/-/").accept(JSON)).await?.expect(&[200])?.json()?;
    for kind in model["kinds"].as_array().into_iter().flatten() {
        hold!(
            kind["location"].is_string() || session.mode() == Mode::Strict,
            "the kind {} has no location",
            kind["term"]
        );
    }
    for category in ["kinds", "mixins", "actions"].iter().filter_map(|class| model[class].as_array()).flatten() {
        for (name, described) in category["attributes"].as_object().into_iter().flatten() {
            for member in ["type", "mutable", "required"] {
                hold!(described.get(member).is_some(), "{name} of {} has no {member}", category["term"]);
            }
            hold!(!described["pattern"].is_object(), "{name} of {} has a pattern object", category["term"]);
        }
    }
    let compute = session.shared_compute().await?;
    let entity = session.send(Request::get(&compute).accept(JSON)).await?.expect(&[200])?.json()?;
    let repeated = &entity["attributes"]["occi.core.id"];
    hold!(repeated == &entity["id"], "occi.core.id among the attributes is {repeated}, and id is {}", entity["id"]);
    let computes = session.model.location(COMPUTE)?;
    let collection = session.send(Request::get(computes).accept(JSON)).await?.expect(&[200])?.json()?;
    for (what, document) in [("the query interface", &model), ("a compute", &entity), ("the collection", &collection)] {
        if let Some(place) = find_empty_array(document, "") {
            fail!("{what} has an empty array at {place}");
        }
    }
    Ok(())
}

async fn errors_are_json(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?.to_owned();
    let nowhere = format!("{computes}{}", session.unique("no-such"));
    for request in [Request::get(&nowhere), Request::post(&computes).body(PLAIN, "nothing\n")] {
        let answer = session.send(request.accept(JSON)).await?;
        answer.expect(&[404, 400])?;
        let error = answer.json()?;
        let has_message = ["message", "error", "description"].iter().any(|member| error[member].is_string());
        hold!(has_message, "the error is {error}");
    }
    // An error of a link's end, too: it takes another way through most servers.
    if let Ok(interfaces) = session.model.location(NETWORK_INTERFACE) {
        let draft = link_draft(NETWORK_INTERFACE, &nowhere, &nowhere);
        let answer = session.send(Request::post(interfaces).json_draft(&draft).accept(JSON)).await?;
        answer.expect(&[400, 404])?;
        hold!(answer.json()?.is_object(), "the error is {:?}", answer.first_words());
    }
    Ok(())
}
