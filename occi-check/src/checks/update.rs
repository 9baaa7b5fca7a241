//! 8.F, first part: changing some of an entity with POST.

use std::collections::BTreeMap;

use crate::{
    answer::{Entity, OCCI, Value},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{COMPUTE, COMPUTE_STATE, HOSTNAME, NETWORK, NETWORK_INTERFACE, TITLE},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        148,
        Must,
        "H11 §3.4.4; H12 §10.3.1",
        "POST of occi.compute.hostname to a compute: 200 with the rendering, or 201 with Location; the new value shows",
        changes_an_attribute
    ),
    check!(
        149,
        Must,
        "H11 §3.4.4",
        "POST of occi.compute.hostname to a compute: all other attributes, its mixins and links are as before",
        changes_no_other
    ),
    check!(
        150,
        Interop,
        "working group's tool",
        "POST of occi.compute.hostname to a compute as text/occi: exactly 200",
        answers_200
    ),
    check!(
        151,
        Must,
        "J12 §3.1.1; H12 §10.3.1",
        "POST of occi.compute.hostname to a compute as JSON: 200, and the new value shows",
        changes_in_json
    ),
    check!(
        152,
        Must,
        "H11 §3.6.8",
        "POST of a state to a compute, which only the server writes: 403, and nothing is changed",
        refuses_a_state
    ),
    check!(
        153,
        Must,
        "H11 §3.6.8",
        "POST of an attribute that no category of the compute has: 404 by the table, 400 in servers in use",
        refuses_unknown_attributes
    ),
    check!(
        154,
        Must,
        "H11 §3.4.4 fn; C12 §5.4.1",
        "POST of another kind to a compute: 400, and the kind is as before",
        refuses_another_kind
    ),
    check!(
        155,
        Must,
        "H11 §3.4.4",
        "POST of a mixin to a compute: it is added, and its collection lists it",
        adds_a_mixin
    ),
    check!(156, Must, "H11 §3.4.4", "POST of a Link line to a compute: the link is made and shown", adds_a_link),
    check!(157, Must, "H11 §3.4.4", "POST of a Link line to a link: 400", links_have_no_links),
    check!(158, Must, "H11 §3.6.8", "POST of attributes to an id that is not there: 404", refuses_unknown_ids),
];

/// A compute of the check's own that rests.
pub(super) async fn resting_compute(session: &Session, draft: &Draft) -> Result<String, Stop> {
    session
        .preparing(async {
            let path = session.create(COMPUTE, draft).await?;
            session.settled(&path).await?;
            Ok(path)
        })
        .await
}

/// A resting compute with a host name.
async fn hosted(session: &Session) -> Result<String, Stop> {
    resting_compute(session, &session.compute_draft().attribute(HOSTNAME, "before.example.com")).await
}

fn new_name() -> Draft {
    Draft::new().attribute(HOSTNAME, "foo")
}

async fn expect_new_name(session: &Session, path: &str) -> Outcome {
    let shown = session.read(path).await?;
    hold!(shown.text(HOSTNAME) == Some("foo"), "{HOSTNAME} is {:?} afterwards", shown.text(HOSTNAME));
    Ok(())
}

async fn changes_an_attribute(session: &Session) -> Outcome {
    let compute = hosted(session).await?;
    let answer = session.send(Request::post(&compute).text(&new_name())).await?;
    let entity = session.updated(&answer, &compute).await?;
    hold!(entity.kind == COMPUTE, "the answer shows a {}", entity.kind);
    hold!(entity.text(HOSTNAME) == Some("foo"), "the answer shows {HOSTNAME} {:?}", entity.text(HOSTNAME));
    expect_new_name(session, &compute).await
}

/// All attributes but one, and what says how far the server is.
pub(super) fn others<'entity>(entity: &'entity Entity, changed: &[&str]) -> BTreeMap<&'entity str, &'entity Value> {
    let is_other = |name: &&String| !changed.contains(&name.as_str()) && !name.ends_with(".state.message");
    let others = entity.attributes.iter().filter(|(name, _)| is_other(name));
    others.map(|(name, value)| (name.as_str(), value)).collect()
}

async fn changes_no_other(session: &Session) -> Outcome {
    let tag = session.tag().await?;
    let compute = if session.model.find(NETWORK_INTERFACE).is_some() {
        session.interface().await?.source
    } else {
        hosted(session).await?
    };
    session.associate(&tag.location, &[&compute]).await?;
    let before = session.preparing(session.settled(&compute)).await?;
    session.send(Request::post(&compute).text(&new_name())).await?.expect(&[200, 201])?;
    let after = session.settled(&compute).await?;
    hold!(after.text(HOSTNAME) == Some("foo"), "{HOSTNAME} is {:?} afterwards", after.text(HOSTNAME));
    let (old, new) = (others(&before, &[HOSTNAME]), others(&after, &[HOSTNAME]));
    let odd = old.iter().find(|(name, value)| new.get(*name) != Some(value));
    hold!(odd.is_none() && old.len() == new.len(), "the attributes were {old:?}, and are {new:?}");
    hold!(before.mixins == after.mixins, "the mixins were {:?}, and are {:?}", before.mixins, after.mixins);
    let targets =
        |entity: &Entity| entity.links.iter().map(|link| (link.target.clone(), link.own.clone())).collect::<Vec<_>>();
    hold!(targets(&before) == targets(&after), "the links were {:?}, and are {:?}", targets(&before), targets(&after));
    Ok(())
}

async fn answers_200(session: &Session) -> Outcome {
    let compute = hosted(session).await?;
    session.send(Request::post(&compute).occi(&new_name()).accept(OCCI)).await?.expect(&[200])?;
    expect_new_name(session, &compute).await
}

async fn changes_in_json(session: &Session) -> Outcome {
    let compute = hosted(session).await?;
    session.send(Request::post(&compute).json_draft(&new_name())).await?.expect(&[200])?;
    expect_new_name(session, &compute).await
}

async fn refuses_a_state(session: &Session) -> Outcome {
    let compute = session.inactive_compute().await?;
    let draft = Draft::new().attribute(COMPUTE_STATE, "active");
    session.send(Request::post(&compute).text(&draft)).await?.expect(&[403])?;
    let both = Draft::new().attribute(COMPUTE_STATE, "active").attribute(TITLE, "changed too");
    session.send(Request::post(&compute).text(&both)).await?.expect(&[403])?;
    let entity = session.settled(&compute).await?;
    hold!(entity.text(COMPUTE_STATE) == Some("inactive"), "the state is {:?}", entity.text(COMPUTE_STATE));
    hold!(entity.text(TITLE) != Some("changed too"), "the rest of the refused request took effect");
    Ok(())
}

async fn refuses_unknown_attributes(session: &Session) -> Outcome {
    let compute = hosted(session).await?;
    let answer = session.send(Request::post(&compute).text(&Draft::new().attribute("com.example.nope", "x"))).await?;
    answer.expect(session.by_mode(&[400, 404], &[404]))?;
    let shown = session.read(&compute).await?;
    hold!(!shown.attributes.contains_key("com.example.nope"), "the refused attribute is shown");
    Ok(())
}

async fn refuses_another_kind(session: &Session) -> Outcome {
    session.model.require(NETWORK)?;
    let compute = hosted(session).await?;
    session.send(Request::post(&compute).text(&Draft::of(NETWORK))).await?.expect(&[400])?;
    let shown = session.read(&compute).await?;
    hold!(shown.kind == COMPUTE, "it is a {} afterwards", shown.kind);
    Ok(())
}

async fn adds_a_mixin(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, hosted(session).await?);
    let answer = session.send(Request::post(&compute).text(&Draft::new().mixin(&tag.identifier))).await?;
    session.updated(&answer, &compute).await?;
    let shown = session.read(&compute).await?;
    hold!(shown.has_mixin(&tag.identifier), "{compute} does not show {}", tag.identifier);
    let members = session.members(&tag.location).await?;
    hold!(members.contains(&compute), "{} lists {members:?}", tag.location);
    Ok(())
}

async fn adds_a_link(session: &Session) -> Outcome {
    session.model.require(NETWORK_INTERFACE)?;
    let (network, compute) = (session.shared_network().await?, hosted(session).await?);
    let draft = Draft::new().link(&network, NETWORK, NETWORK_INTERFACE);
    let answer = session.send(Request::post(&compute).text(&draft)).await?;
    session.updated(&answer, &compute).await?;
    let shown = session.read(&compute).await?;
    let link = shown.links.iter().find(|link| session.path(&link.target).ok().as_ref() == Some(&network));
    let Some(own) = link.and_then(|link| link.own.clone()) else {
        fail!("{compute} shows no link to {network} with self")
    };
    let made = session.read(&own).await?;
    hold!(made.kind == NETWORK_INTERFACE, "the link is a {}", made.kind);
    Ok(())
}

async fn links_have_no_links(session: &Session) -> Outcome {
    let interface = session.shared_interface().await?;
    let draft = Draft::new().link(&interface.target, NETWORK, NETWORK_INTERFACE);
    session.send(Request::post(&interface.path).text(&draft)).await?.expect(&[400])?;
    Ok(())
}

async fn refuses_unknown_ids(session: &Session) -> Outcome {
    let path = format!("{}no-such-id", session.model.location(COMPUTE)?);
    session.send(Request::post(&path).text(&Draft::new().attribute(TITLE, "nothing"))).await?.expect(&[404])?;
    Ok(())
}
