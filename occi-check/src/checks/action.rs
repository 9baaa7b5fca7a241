//! 8.K: Actions.

use serde_json::json;

use crate::{
    answer::{Answer, Category, Entity},
    check::{Check, Outcome, Stop},
    draft::{Draft, split_identifier},
    names::{
        COMPUTE, COMPUTE_ACTION, COMPUTE_STATE, DOWN, NETWORK_STATE, OFFLINE, ONLINE, OS_TPL, RESTART, SAVE, START,
        STOP, STORAGE, STORAGE_ACTION, STORAGE_STATE, SUSPEND, TITLE, UP,
    },
    request::Request,
    session::Session,
};

use super::update::others;

pub(crate) const CHECKS: &[Check] = &[
    check!(
        227,
        Must,
        "H11 §3.4.4; H12 §10.3.2",
        "POST of start to an inactive compute: 200, and it becomes active",
        starts
    ),
    check!(
        228,
        Must,
        "H11 §3.4.4",
        "POST of start to an inactive compute as text/occi: 200, and it becomes active",
        starts_in_headers
    ),
    check!(
        229,
        Must,
        "J12 §3.1.1",
        "POST of start to an inactive compute as JSON: 200, and it becomes active",
        starts_in_json
    ),
    check!(230, Must, "H11 §3.4.4", "POST of stop with method=\"poweroff\": 200, and it becomes inactive", stops),
    check!(
        231,
        Must,
        "I12 §3.1",
        "POST of stop with method=\"banana\": 400, and it stays active",
        refuses_unknown_methods
    ),
    check!(232, Must, "H12 §10.3.2", "POST ?action=start with the category stop: 400", needs_the_same_term),
    check!(233, Must, "H12 §10.3.2", "POST ?action=start without a category: 400", needs_a_category),
    check!(
        234,
        Should,
        "H11 §3.4.4",
        "POST of start to an active compute: 400 by the documents, or 409",
        refuses_what_does_not_fit
    ),
    check!(235, Must, "H11 §3.6.8", "POST of an action that nobody knows: 404 or 400", refuses_unknown_actions),
    check!(236, Must, "H11 §3.4.4", "POST of up, an action of networks, to a compute: 400 or 404", refuses_others),
    check!(237, Must, "H11 §3.6.8", "POST of an action to an id that is not there: 404", refuses_unknown_ids),
    check!(
        238,
        Must,
        "I12 §3.1",
        "POST of suspend: the compute becomes suspended; then start: it becomes active",
        suspends
    ),
    check!(
        239,
        Must,
        "I12 §3.1",
        "POST of restart, with each method: 200, and the compute is active in the end",
        restarts
    ),
    check!(
        240,
        Must,
        "I12 §3.1",
        "POST of save with method=\"hot\" and a name: 200 with a mixin that depends on os_tpl; it is listed, \
         and can be \
         used for a new compute",
        saves
    ),
    check!(241, Must, "I12 §3.2", "POST of up and down to a network: it becomes active and inactive", networks),
    check!(242, Must, "I12 §3.3", "POST of online and offline to a storage: it becomes online and offline", storages),
    check!(
        243,
        Must,
        "I11 §3.3",
        "POST of resize (1.1) with size=20.0 to a storage: 200; it has that size, and is online again",
        resizes
    ),
    check!(244, Must, "I11 §3.3", "POST of backup and snapshot (1.1) to a storage: it is online again", copies),
    check!(
        245,
        Interop,
        "working group's tool",
        "POST /compute/?action=start without class as text/occi: 200",
        starts_all_without_class
    ),
    check!(
        246,
        Should,
        "C12 §5.3.5; our reading",
        "parameters of actions do not become attributes: all others are as before",
        parameters_are_no_attributes
    ),
];

fn start_request(path: &str) -> Request {
    Request::action(path, "start")
}

async fn starts(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    session.act(&compute, START).await?.expect(&[200])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "active").await?;
    Ok(())
}

async fn starts_in_headers(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    session.send(start_request(&compute).occi(&Draft::new().action(START))).await?.expect(&[200])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "active").await?;
    Ok(())
}

async fn starts_in_json(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    session.send(start_request(&compute).json(&json!({"action": START}))).await?.expect(&[200])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "active").await?;
    Ok(())
}

/// Asks for an action with parameters.
async fn act_with(session: &Session, path: &str, action: &str, parameters: &[(&str, &str)]) -> Result<Answer, Stop> {
    let (_, term) = split_identifier(action);
    let draft = Draft::new().action(action);
    let draft = parameters.iter().fold(draft, |draft, (name, value)| draft.attribute(name, *value));
    session.send(Request::action(path, term).text(&draft)).await
}

async fn stops(session: &Session) -> Outcome {
    let compute = session.active_compute().await?;
    act_with(session, &compute, STOP, &[("method", "poweroff")]).await?.expect(&[200])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "inactive").await?;
    Ok(())
}

async fn expect_active(session: &Session, path: &str) -> Outcome {
    let entity = session.settled(path).await?;
    hold!(entity.text(COMPUTE_STATE) == Some("active"), "it is {:?}", entity.text(COMPUTE_STATE));
    Ok(())
}

async fn refuses_unknown_methods(session: &Session) -> Outcome {
    let compute = session.active_compute().await?;
    act_with(session, &compute, STOP, &[("method", "banana")]).await?.expect(&[400])?;
    expect_active(session, &compute).await
}

async fn expect_inactive(session: &Session, path: &str) -> Outcome {
    let entity = session.settled(path).await?;
    hold!(entity.text(COMPUTE_STATE) == Some("inactive"), "it is {:?}", entity.text(COMPUTE_STATE));
    Ok(())
}

async fn needs_the_same_term(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    session.send(start_request(&compute).text(&Draft::new().action(STOP))).await?.expect(&[400])?;
    expect_inactive(session, &compute).await
}

async fn needs_a_category(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    session.send(start_request(&compute)).await?.expect(&[400])?;
    session.send(start_request(&compute).plain("X-OCCI-Attribute: method=\"graceful\"\n")).await?.expect(&[400])?;
    expect_inactive(session, &compute).await
}

async fn refuses_what_does_not_fit(session: &Session) -> Outcome {
    let compute = session.active_compute().await?;
    session.act(&compute, START).await?.expect(session.by_mode(&[400, 409], &[400]))?;
    expect_active(session, &compute).await
}

async fn refuses_unknown_actions(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    session.act(&compute, &format!("{COMPUTE_ACTION}nope")).await?.expect(&[400, 404])?;
    expect_inactive(session, &compute).await
}

async fn refuses_others(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    session.act(&compute, UP).await?.expect(&[400, 404])?;
    expect_inactive(session, &compute).await
}

async fn refuses_unknown_ids(session: &Session) -> Outcome {
    let path = format!("{}{}", session.model.location(COMPUTE)?, uuid::Uuid::new_v4());
    session.act(&path, START).await?.expect(&[404])?;
    Ok(())
}

async fn suspends(session: &Session) -> Outcome {
    let compute = session.active_compute().await?;
    session.act(&compute, SUSPEND).await?.expect(&[200])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "suspended").await?;
    let entity = session.settled(&compute).await?;
    hold!(entity.offers(START), "a suspended compute does not offer start");
    session.act(&compute, START).await?.expect(&[200])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "active").await?;
    Ok(())
}

async fn restarts(session: &Session) -> Outcome {
    let compute = session.active_compute().await?;
    for method in ["graceful", "warm", "cold"] {
        act_with(session, &compute, RESTART, &[("method", method)]).await?.expect(&[200])?;
        session.wait_for_state(&compute, COMPUTE_STATE, "active").await?;
        expect_active(session, &compute).await?;
    }
    Ok(())
}

/// The mixin that the answer to `save` shows.
fn template_in(answer: &Answer) -> Result<Category, Stop> {
    let shown = answer.categories()?;
    let mixin = shown.into_iter().find(|category| category.class == "mixin");
    match mixin {
        Some(mixin) => Ok(mixin),
        None => fail!("the answer shows no mixin: {}", answer.first_words()),
    }
}

async fn saves(session: &Session) -> Outcome {
    session.model.require(SAVE)?;
    if !session.options().destructive {
        skip!("OCCI cannot remove the template that save makes; --destructive allows to leave one behind");
    }
    let compute = session.active_compute().await?;
    let name = session.unique("snap").replace('_', "-");
    let answer = act_with(session, &compute, SAVE, &[("method", "hot"), ("name", &name)]).await?;
    answer.expect(&[200])?;
    let template = template_in(&answer)?;
    let identifier = template.identifier();
    session.note_mixin(&identifier);
    let listed = session.categories().await?;
    let Some(mixin) = listed.iter().find(|category| category.identifier() == identifier) else {
        fail!("{identifier} is not listed by GET /-/");
    };
    hold!(mixin.class == "mixin" && mixin.rel.as_deref() == Some(OS_TPL), "rel of {identifier} is {:?}", mixin.rel);
    session.settled(&compute).await?;
    let draft = Draft::of(COMPUTE).mixin(&identifier).attribute(TITLE, session.unique("compute"));
    let draft = session.options().resource_tpl.iter().fold(draft, |draft, size| draft.mixin(size));
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    let path = session.created(&answer)?;
    let made = session.settled(&path).await?;
    hold!(made.has_mixin(&identifier), "the new compute does not show {identifier}");
    hold!(made.text(COMPUTE_STATE) != Some("error"), "the new compute is in the state error");
    Ok(())
}

/// Two actions in turn, from the state that the second one leads to.
async fn there_and_back(session: &Session, path: &str, state: &str, turns: [(&str, &str); 2]) -> Outcome {
    for (action, wanted) in turns {
        session.act(path, action).await?.expect(&[200])?;
        session.wait_for_state(path, state, wanted).await?;
        session.settled(path).await?;
    }
    Ok(())
}

async fn networks(session: &Session) -> Outcome {
    let network = session.network_in("inactive", DOWN).await?;
    there_and_back(session, &network, NETWORK_STATE, [(UP, "active"), (DOWN, "inactive")]).await
}

async fn storages(session: &Session) -> Outcome {
    let storage = session.storage_in("offline", OFFLINE).await?;
    there_and_back(session, &storage, STORAGE_STATE, [(ONLINE, "online"), (OFFLINE, "offline")]).await
}

/// An online storage, where the action of 1.1 is offered.
async fn storage_of_1_1(session: &Session, term: &str) -> Result<(String, String), Stop> {
    let action = format!("{STORAGE_ACTION}{term}");
    if !session.model.require(STORAGE)?.actions.contains(&action) {
        skip!("the server does not offer {term} of 1.1");
    }
    Ok((session.storage_in("online", ONLINE).await?, action))
}

async fn resizes(session: &Session) -> Outcome {
    let (storage, action) = storage_of_1_1(session, "resize").await?;
    let draft = Draft::new().action(&action).attribute("size", 20.0);
    session.send(Request::action(&storage, "resize").text(&draft)).await?.expect(&[200])?;
    let is_so = |entity: &Entity| {
        entity.number("occi.storage.size") == Some(20.0) && entity.text(STORAGE_STATE) == Some("online")
    };
    session.wait_for(&storage, "online and of 20 GiB", is_so).await?;
    let rests = session.settled(&storage).await?;
    hold!(
        is_so(&rests),
        "at rest it is {:?} and of {:?} GiB",
        rests.text(STORAGE_STATE),
        rests.number("occi.storage.size")
    );
    Ok(())
}

async fn copies(session: &Session) -> Outcome {
    for term in ["backup", "snapshot"] {
        let (storage, action) = storage_of_1_1(session, term).await?;
        session.act(&storage, &action).await?.expect(&[200])?;
        session.wait_for_state(&storage, STORAGE_STATE, "online").await?;
        let rests = session.settled(&storage).await?;
        hold!(rests.text(STORAGE_STATE) == Some("online"), "after {term} it is {:?}", rests.text(STORAGE_STATE));
    }
    Ok(())
}

async fn starts_all_without_class(session: &Session) -> Outcome {
    let location = session.model.location(COMPUTE)?;
    session.may_destroy(location).await?;
    session.inactive_compute().await?;
    let members = session.preparing(session.members(location)).await?;
    for member in &members {
        session.bring(member, COMPUTE_STATE, "inactive", STOP).await?;
    }
    session.forget_shared();
    let (scheme, term) = split_identifier(START);
    let value = format!("{term}; scheme=\"{scheme}\"");
    let request = Request::action(location, term).content_type(crate::answer::OCCI).header("Category", &value);
    session.send(request).await?.expect(&[200])?;
    for member in &members {
        session.wait_for_state(member, COMPUTE_STATE, "active").await?;
    }
    Ok(())
}

async fn parameters_are_no_attributes(session: &Session) -> Outcome {
    let compute = session.active_compute().await?;
    let before = session.preparing(session.settled(&compute)).await?;
    act_with(session, &compute, STOP, &[("method", "graceful")]).await?.expect(&[200])?;
    session.wait_for_state(&compute, COMPUTE_STATE, "inactive").await?;
    let after = session.settled(&compute).await?;
    // What only the server writes may follow the state.
    let categories = after.mixins.iter().chain([&after.kind]).filter_map(|identifier| session.model.find(identifier));
    let rules = categories.flat_map(|category| &category.attributes).filter(|rule| rule.is_immutable);
    let of_the_server: Vec<_> = rules.map(|rule| rule.name.as_str()).collect();
    let (old, new) = (others(&before, &of_the_server), others(&after, &of_the_server));
    hold!(!new.contains_key("method"), "method has become an attribute");
    hold!(old.contains_key(TITLE) && old == new, "the attributes were {old:?}, and are {new:?}");
    Ok(())
}
