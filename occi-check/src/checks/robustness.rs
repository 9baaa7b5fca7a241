//! 8.Q: Robustness.

use crate::{
    answer::{Entity, JSON, OCCI, PLAIN, Value},
    check::{Check, Outcome, Stop},
    draft::Draft,
    fixture::Tag,
    names::{COMPUTE, COMPUTE_STATE, NETWORK, NETWORK_STATE, START, STOP, STORAGE, STORAGE_STATE, SUMMARY, TITLE},
    request::Request,
    session::Session,
};

use super::update::resting_compute;

pub(crate) const CHECKS: &[Check] = &[
    check!(
        318,
        Must,
        "H11 §3.6.4",
        "PUT and DELETE of two locations on a tag's collection, one of which is not there: refused, and no \
         member changes",
        changes_all_or_none
    ),
    check!(
        319,
        Should,
        "C12 §5.4.1",
        "occi.core.id is the same over the life of an instance, and in all renderings",
        keeps_its_id
    ),
    check!(
        320,
        Must,
        "C12 §5.2",
        "POST and PUT of other values to immutable attributes, with and without a change that is allowed: none changes",
        keeps_what_is_immutable
    ),
    check!(
        321,
        Should,
        "our reading",
        "two clients update the same instance at once: one of the updates is seen in the end, and not a mixture",
        does_not_mix_updates
    ),
    check!(
        322,
        Must,
        "H11 §3.4.1",
        "DELETE /-/ of a user mixin that several instances have: none of them shows it any more",
        removes_a_mixin_everywhere
    ),
    check!(
        323,
        Must,
        "C12 §5.3.4",
        "a kind or mixin of an unknown scheme, at a creation, an update and a replacement: 404 or 400, and not stored",
        stores_nothing_unknown
    ),
];

/// A tag with these members, and the location of nothing.
async fn tag_on(session: &Session, members: &[&str]) -> Result<(Tag, String), Stop> {
    let tag = session.tag().await?;
    session.associate(&tag.location, members).await?;
    Ok((tag, format!("{}{}", session.path(session.model.location(COMPUTE)?)?, uuid::Uuid::new_v4())))
}

async fn changes_all_or_none(session: &Session) -> Outcome {
    let (member, other) = (session.compute().await?, session.compute().await?);
    let (tag, nothing) = tag_on(session, &[&member]).await?;
    let requests = [
        Request::put(&tag.location).text(&Draft::new().location(&other).location(&nothing)),
        Request::delete(&tag.location).text(&Draft::new().location(&member).location(&nothing)),
        Request::post(&tag.location).text(&Draft::new().location(&nothing).location(&other)),
    ];
    for request in requests {
        let method = request.method;
        session.send(request).await?.expect(&[400, 404])?;
        let members = session.members(&tag.location).await?;
        hold!(members == [member.clone()], "after {method}, the members are {members:?}");
    }
    let other = session.read(&other).await?;
    hold!(!other.has_mixin(&tag.identifier), "another compute shows {}", tag.identifier);
    Ok(())
}

async fn keeps_its_id(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    let first = session.read(&compute).await?;
    let Some(id) = first.text("occi.core.id").map(str::to_owned) else { fail!("{compute} has no occi.core.id") };
    for media_type in [PLAIN, OCCI, JSON] {
        let seen = session.send(Request::get(&compute).accept(media_type)).await?.expect(&[200])?.entity()?;
        hold!(seen.text("occi.core.id") == Some(id.as_str()), "as {media_type} it is {:?}", seen.text("occi.core.id"));
    }
    session.bring(&compute, COMPUTE_STATE, "active", START).await?;
    session.bring(&compute, COMPUTE_STATE, "inactive", STOP).await?;
    let draft = Draft::new().attribute(TITLE, "another title");
    session.send(Request::post(&compute).text(&draft)).await?.expect(&[200, 201])?;
    let last = session.read(&compute).await?;
    hold!(last.text("occi.core.id") == Some(id.as_str()), "in the end it is {:?}", last.text("occi.core.id"));
    Ok(())
}

/// Asks for another id and state in all ways; whatever is answered, both stay.
async fn expect_immutable(session: &Session, path: &str, full: &Draft, state: &str, wrong: &str) -> Outcome {
    let before = session.preparing(session.settled(path)).await?;
    hold!(before.text(state) != Some(wrong), "{path} is {wrong} already");
    for (name, value) in [("occi.core.id", format!("urn:uuid:{}", uuid::Uuid::new_v4())), (state, wrong.to_owned())] {
        let alone = Draft::new().attribute(name, value.clone());
        let both = alone.clone().attribute(SUMMARY, "changed too");
        let whole = full.clone().attribute(name, value);
        let requests =
            [Request::post(path).text(&alone), Request::post(path).json_draft(&both), Request::put(path).text(&whole)];
        for request in requests {
            let method = request.method;
            let answer = session.send(request).await?;
            hold!(answer.status < 500, "{method} answers {}: {}", answer.status, answer.first_words());
            let after = session.settled(path).await?;
            for name in ["occi.core.id", state] {
                let (old, new) = (before.attributes.get(name), after.attributes.get(name));
                hold!(old == new, "{method} changed {name} from {} to {}", shown(old), shown(new));
            }
        }
    }
    Ok(())
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

async fn keeps_what_is_immutable(session: &Session) -> Outcome {
    let draft = session.compute_draft();
    let compute = resting_compute(session, &draft).await?;
    expect_immutable(session, &compute, &draft, COMPUTE_STATE, "suspended").await?;
    if session.model.find(NETWORK).is_some() {
        let draft = session.network_draft();
        let network = session.create(NETWORK, &draft).await?;
        let now = session.preparing(session.settled(&network)).await?;
        let wrong = if now.text(NETWORK_STATE) == Some("active") { "inactive" } else { "active" };
        expect_immutable(session, &network, &draft, NETWORK_STATE, wrong).await?;
    }
    if session.model.find(STORAGE).is_some() {
        let draft = session.storage_draft();
        let storage = session.create(STORAGE, &draft).await?;
        let now = session.preparing(session.settled(&storage)).await?;
        let wrong = if now.text(STORAGE_STATE) == Some("online") { "offline" } else { "online" };
        expect_immutable(session, &storage, &draft, STORAGE_STATE, wrong).await?;
    }
    Ok(())
}

async fn does_not_mix_updates(session: &Session) -> Outcome {
    let compute = resting_compute(session, &session.compute_draft()).await?;
    let of = |words: &str| Draft::new().attribute(TITLE, words).attribute(SUMMARY, words);
    for round in 0..5 {
        let (one, two) = (format!("one {round}"), format!("two {round}"));
        let first = session.send(Request::post(&compute).text(&of(&one)));
        let second = session.send(Request::post(&compute).text(&of(&two)));
        let (first, second) = tokio::join!(first, second);
        let (first, second) = (first?, second?);
        for answer in [&first, &second] {
            answer.expect(&[200, 201, 409, 412])?;
        }
        hold!(first.is_success() || second.is_success(), "both are refused");
        let entity: Entity = session.settled(&compute).await?;
        let (title, summary) = (entity.text(TITLE), entity.text(SUMMARY));
        let allowed = [(first.is_success(), one.as_str()), (second.is_success(), two.as_str())];
        let is_one_of_them = allowed.iter().any(|(is_taken, words)| *is_taken && title == Some(*words));
        hold!(title == summary && is_one_of_them, "the title is {title:?}, and the summary {summary:?}");
    }
    Ok(())
}

async fn removes_a_mixin_everywhere(session: &Session) -> Outcome {
    let computes = [session.compute().await?, session.compute().await?, session.compute().await?];
    let (tag, _) = tag_on(session, &computes.each_ref().map(String::as_str)).await?;
    for compute in &computes {
        let entity = session.preparing(session.read(compute)).await?;
        hold!(entity.has_mixin(&tag.identifier), "{compute} does not show the mixin that was put on it");
    }
    let request = Request::delete("/-/").text(&Draft::new().mixin(&tag.identifier));
    session.send(request).await?.expect(&[200, 204])?;
    for compute in &computes {
        let entity = session.read(compute).await?;
        hold!(!entity.has_mixin(&tag.identifier), "{compute} still shows {}", tag.identifier);
    }
    Ok(())
}

async fn stores_nothing_unknown(session: &Session) -> Outcome {
    let unknown = format!("http://elsewhere.example/occi/unknown#{}", session.unique("nothing"));
    let draft = session.compute_draft();
    let compute = resting_compute(session, &draft).await?;
    let location = session.model.location(COMPUTE)?;
    let requests = [
        Request::post(location).text(&draft.clone().mixin(&unknown)),
        Request::post(location).json_draft(&draft.clone().mixin(&unknown)),
        Request::post(location).text(&Draft::of(&unknown)),
        Request::post(&compute).text(&Draft::new().mixin(&unknown)),
        Request::put(&compute).text(&draft.mixin(&unknown)),
    ];
    for request in requests {
        session.send(request).await?.expect(&[400, 404])?;
    }
    let entity = session.read(&compute).await?;
    hold!(!entity.has_mixin(&unknown), "{compute} shows {unknown}");
    let listed = session.categories().await?;
    hold!(!listed.iter().any(|category| category.identifier() == unknown), "{unknown} is listed");
    Ok(())
}
