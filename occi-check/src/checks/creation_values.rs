//! 8.C, second part: attributes and mixins of what is created.

use serde_json::{Value as Json, json};

use crate::{
    answer::Category,
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{COMPUTE, COMPUTE_STATE, CORES, IP_NETWORK, NETWORK, OS_TPL, RESOURCE_TPL, STORAGE, TITLE},
    options::Mode,
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(97, Must, "H11 §3.6.8", "POST /storage/ without occi.storage.size: 400", needs_what_is_required),
    check!(
        98,
        Must,
        "H11 §3.6.8",
        "creation with an attribute that no category of the request has: 404 by the table, 400 in servers in use",
        refuses_unknown_attributes
    ),
    check!(
        99,
        Must,
        "C12 §5.2; H11 §3.6.8",
        "creation with occi.compute.state, which only the server writes: 403; or ignored in the interop mode",
        does_not_take_a_state
    ),
    check!(
        100,
        Interop,
        "rOCCI, jOCCI",
        "creation with occi.core.id: accepted; the id is ignored or adopted",
        accepts_an_id
    ),
    check!(101, Must, "H11 §3.6.8", "creation with occi.compute.cores=\"abc\": 400", refuses_text_for_a_number),
    check!(102, Must, "I12 §3.1", "creation with occi.compute.architecture=\"sparc\": 400", refuses_what_is_not_listed),
    check!(
        103,
        Must,
        "I12 §3.2",
        "creation of a network with occi.network.vlan=4096: 400; with 4095: accepted",
        keeps_a_range
    ),
    check!(
        104,
        Must,
        "C12 §5.3.4; H11 §3.6.8",
        "POST /storage/ with an OS template: 403 or 400, and nothing is created",
        refuses_mixins_that_do_not_apply
    ),
    check!(
        105,
        Must,
        "H11 §3.4.4; C12 §5.3.6",
        "creation with a kind and two mixins: the instance shows all three, and is in the collections of both",
        takes_two_mixins
    ),
    check!(
        106,
        Must,
        "C12 §5.3.7",
        "creation with a mixin whose attribute has a default: the instance shows the default",
        takes_defaults
    ),
    check!(
        107,
        Must,
        "C12 §5.3.7",
        "creation with such a mixin (no size template) and a value for the attribute: the instance shows the value",
        prefers_the_clients_value
    ),
    check!(
        108,
        Must,
        "H11 §3.6.8",
        "creation with an attribute of a mixin that the request does not name: 404 by the table, 400 in servers in use",
        refuses_attributes_of_absent_mixins
    ),
];

async fn needs_what_is_required(session: &Session) -> Outcome {
    let collection = session.model.location(STORAGE)?;
    let draft = Draft::of(STORAGE).attribute(TITLE, session.unique("storage"));
    session.send(Request::post(collection).text(&draft)).await?.expect(&[400])?;
    Ok(())
}

async fn refuses_unknown_attributes(session: &Session) -> Outcome {
    let draft = session.compute_draft().attribute("com.example.nope", 1);
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    answer.expect(session.by_mode(&[400, 404], &[404]))?;
    Ok(())
}

async fn does_not_take_a_state(session: &Session) -> Outcome {
    // No server begins with this one by itself.
    let draft = session.compute_draft().attribute(COMPUTE_STATE, "suspended");
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    if session.mode() == Mode::Strict || answer.status == 403 {
        answer.expect(&[403])?;
        return Ok(());
    }
    let path = session.created(&answer)?;
    let entity = session.settled(&path).await?;
    let state = entity.text(COMPUTE_STATE);
    hold!(state != Some("suspended") && state.is_some(), "the server took the state of the request: {state:?}");
    Ok(())
}

async fn accepts_an_id(session: &Session) -> Outcome {
    let id = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let draft = session.compute_draft().attribute("occi.core.id", id);
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    let entity = session.read(&session.created(&answer)?).await?;
    hold!(entity.text("occi.core.id").is_some(), "the instance has no occi.core.id");
    Ok(())
}

async fn refuses_text_for_a_number(session: &Session) -> Outcome {
    let draft = session.compute_draft().attribute(CORES, "abc");
    session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?.expect(&[400])?;
    Ok(())
}

async fn refuses_what_is_not_listed(session: &Session) -> Outcome {
    let draft = session.compute_draft().attribute("occi.compute.architecture", "sparc");
    session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?.expect(&[400])?;
    Ok(())
}

async fn keeps_a_range(session: &Session) -> Outcome {
    let collection = session.model.location(NETWORK)?;
    let vlan = |number: u32| session.network_draft().attribute("occi.network.vlan", number);
    session.send(Request::post(collection).text(&vlan(4096))).await?.expect(&[400])?;
    let path = session.created(&session.send(Request::post(collection).text(&vlan(4095))).await?)?;
    let shown = session.read(&path).await?.number("occi.network.vlan");
    hold!(shown == Some(4095.0), "occi.network.vlan is {shown:?} instead of 4095");
    Ok(())
}

async fn refuses_mixins_that_do_not_apply(session: &Session) -> Outcome {
    let collection = session.model.location(STORAGE)?;
    let Some(template) = session.model.templates(OS_TPL).first().map(|template| template.identifier()) else {
        skip!("the server offers no OS templates");
    };
    let before = session.members(collection).await?;
    let title = session.unique("storage");
    let draft = Draft::of(STORAGE).mixin(&template).attribute("occi.storage.size", 1.0).attribute(TITLE, title.clone());
    session.send(Request::post(collection).text(&draft)).await?.expect(&[400, 403])?;
    expect_nothing_made(session, collection, &before, &title).await
}

/// Fails when a collection has a new member of this title.
pub(super) async fn expect_nothing_made(
    session: &Session,
    collection: &str,
    before: &[String],
    title: &str,
) -> Outcome {
    for path in session.members(collection).await? {
        if !before.contains(&path) {
            let entity = session.read(&path).await?;
            hold!(entity.text(TITLE) != Some(title), "the refused request left {path} behind");
        }
    }
    Ok(())
}

async fn takes_two_mixins(session: &Session) -> Outcome {
    let (one, two) = (session.tag().await?, session.tag().await?);
    let draft = session.compute_draft().mixin(&one.identifier).mixin(&two.identifier);
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    let path = session.created(&answer)?;
    let entity = session.read(&path).await?;
    hold!(entity.kind == COMPUTE, "{path} is of kind {}", entity.kind);
    for tag in [one, two] {
        hold!(entity.has_mixin(&tag.identifier), "{path} does not show {}", tag.identifier);
        let members = session.members(&tag.location).await?;
        hold!(members.contains(&path), "{} lists {members:?}, and not {path}", tag.location);
    }
    Ok(())
}

/// A draft to which a mixin applies, of the kinds that can be made from little.
fn draft_for(session: &Session, mixin: &Category) -> Option<(&'static str, Draft)> {
    let applies = |kind: &str| mixin.applies.iter().any(|applied| applied == kind);
    let is_size = mixin.depends.iter().any(|base| base == RESOURCE_TPL);
    if applies(COMPUTE) || is_size {
        return Some((COMPUTE, session.compute_draft()));
    }
    let others = [(NETWORK, session.network_draft()), (STORAGE, session.storage_draft())];
    others.into_iter().find(|(kind, _)| applies(kind) && session.model.find(kind).is_some())
}

/// A mixin that can be put on something, with the name and default of one of its attributes.
async fn mixin_with_default(
    session: &Session,
    is_wanted: impl Fn(&Category, &str, &Json) -> bool,
) -> Result<Option<(Category, String, Json)>, Stop> {
    for mixin in session.described().await? {
        // What must be given has no use for a default.
        let can_be_left = mixin.attributes.iter().all(|rule| !rule.is_required || rule.default.is_some());
        if mixin.class != "mixin" || !can_be_left || draft_for(session, &mixin).is_none() {
            continue;
        }
        let has_default = mixin.attributes.iter().find_map(|rule| {
            let default = rule.default.clone().filter(|default| !default.is_null())?;
            is_wanted(&mixin, &rule.name, &default).then(|| (rule.name.clone(), default))
        });
        if let Some((name, default)) = has_default {
            return Ok(Some((mixin, name, default)));
        }
    }
    Ok(None)
}

async fn make_with(
    session: &Session,
    mixin: &Category,
    given: Option<(&str, &Json)>,
) -> Result<crate::answer::Entity, Stop> {
    let Some((kind, mut draft)) = draft_for(session, mixin) else { skip!("the mixin applies to nothing known") };
    draft = draft.mixin(&mixin.identifier());
    if let Some((name, value)) = given {
        draft = draft.attribute(name, value.clone());
    }
    let answer = session.send(Request::post(session.model.location(kind)?).text(&draft)).await?;
    let path = session.created(&answer)?;
    session.settled(&path).await
}

async fn takes_defaults(session: &Session) -> Outcome {
    let found = mixin_with_default(session, |_, _, _| true).await?;
    let Some((mixin, name, default)) = found else { skip!("no mixin has an attribute with a default") };
    let entity = make_with(session, &mixin, None).await?;
    let expected = crate::answer::Value::from_json(&default);
    let Some(shown) = entity.attributes.get(&name) else { fail!("the instance does not show {name}") };
    hold!(shown.means(&expected), "{name} is {shown}, and the default of {} is {default}", mixin.identifier());
    Ok(())
}

/// Another value that is as good, as far as can be told.
fn another_value(name: &str, default: &Json) -> Option<Json> {
    match default {
        Json::Bool(boolean) => Some(json!(!boolean)),
        Json::String(text) if name.ends_with(".allocation") => {
            Some(json!(if text == "static" { "dynamic" } else { "static" }))
        }
        Json::Number(number) => number.as_i64().map(|number| json!(number + 1)),
        _ => None,
    }
}

async fn prefers_the_clients_value(session: &Session) -> Outcome {
    let is_wanted = |mixin: &Category, name: &str, default: &Json| {
        let is_mutable = mixin.attribute(name).is_some_and(|rule| !rule.is_immutable);
        let is_size = mixin.depends.iter().any(|base| base == RESOURCE_TPL);
        !is_size && is_mutable && another_value(name, default).is_some()
    };
    let Some((mixin, name, default)) = mixin_with_default(session, is_wanted).await? else {
        skip!("no mixin but size templates has an attribute with a default that can be another one");
    };
    let Some(given) = another_value(&name, &default) else { skip!("there is no other value for {name}") };
    let entity = make_with(session, &mixin, Some((&name, &given))).await?;
    let expected = crate::answer::Value::from_json(&given);
    let Some(shown) = entity.attributes.get(&name) else { fail!("the instance does not show {name}") };
    hold!(shown.means(&expected), "{name} is {shown}, and {given} was given");
    Ok(())
}

async fn refuses_attributes_of_absent_mixins(session: &Session) -> Outcome {
    session.model.require(IP_NETWORK)?;
    let draft = session.network_draft().attribute("occi.network.address", "10.11.12.0/24");
    let answer = session.send(Request::post(session.model.location(NETWORK)?).text(&draft)).await?;
    answer.expect(session.by_mode(&[400, 404], &[404]))?;
    Ok(())
}
