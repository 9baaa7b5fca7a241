//! 8.H, second part: what is done to a whole collection.

use std::collections::BTreeSet;

use crate::{
    answer::{Answer, Entity},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{COMPUTE, COMPUTE_STATE, NETWORK_INTERFACE, START, STOP, UP},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        194,
        Must,
        "H11 §3.2; H12 §11.4.1",
        "DELETE /compute/: 200, or 204 in 1.2; the collection is empty, and the links of its members are gone",
        deletes_all
    ),
    check!(
        195,
        Must,
        "H11 §3.2 table",
        "DELETE /compute/ with locations: only these are deleted",
        deletes_only_what_is_named
    ),
    check!(
        196,
        Must,
        "H11 §3.6.4",
        "DELETE /compute/ with a location that is not there: 404 or 400, and nothing is deleted",
        deletes_all_or_none
    ),
    check!(
        197,
        Must,
        "H11 §3.4.3; H12 §11.3.3",
        "POST /compute/?action=stop: 200, and every member is stopped",
        acts_on_all
    ),
    check!(
        198,
        Must,
        "H11 §3.6.4",
        "POST /compute/?action=stop with a member that cannot be stopped: refused, and no member is stopped",
        acts_on_all_or_none
    ),
    check!(
        199,
        Must,
        "H11 §3.4.3",
        "POST /compute/?action=up, an action of networks: 400 or 404",
        refuses_actions_of_others
    ),
    check!(200, Should, "our reading", "GET /compute, without a slash at its end: 404", slash_belongs_to_it),
];

async fn deletes_all(session: &Session) -> Outcome {
    let location = session.model.location(COMPUTE)?;
    session.may_destroy(location).await?;
    let link = if session.model.find(NETWORK_INTERFACE).is_some() { Some(session.interface().await?) } else { None };
    session.compute().await?;
    // What is under way may be refused.
    let members = session.members(location).await?;
    for member in &members {
        session.preparing(session.settled(member)).await?;
    }
    session.forget_shared();
    session.send(Request::delete(location)).await?.expect(&[200, 204])?;
    for member in &members {
        session.wait_until_gone(member).await?;
    }
    let left = session.members(location).await?;
    hold!(left.is_empty(), "these are left: {left:?}");
    if let Some(link) = link {
        session.wait_until_gone(&link.path).await?;
    }
    Ok(())
}

fn delete_of(location: &str, members: &[&str]) -> Request {
    Request::delete(location).text(&members.iter().fold(Draft::new(), |draft, member| draft.location(member)))
}

async fn deletes_only_what_is_named(session: &Session) -> Outcome {
    let location = session.model.location(COMPUTE)?;
    // A server that does not read the body deletes all of them.
    session.may_destroy(location).await?;
    session.forget_shared();
    let (gone, stays) = (session.compute().await?, session.compute().await?);
    for compute in [&gone, &stays] {
        session.preparing(session.settled(compute)).await?;
    }
    session.send(delete_of(location, &[&gone])).await?.expect(&[200, 204])?;
    session.wait_until_gone(&gone).await?;
    session.read(&stays).await?;
    Ok(())
}

async fn deletes_all_or_none(session: &Session) -> Outcome {
    let location = session.model.location(COMPUTE)?;
    session.may_destroy(location).await?;
    session.forget_shared();
    let stays = session.compute().await?;
    session.preparing(session.settled(&stays)).await?;
    let nothing = format!("{}{}", session.path(location)?, uuid::Uuid::new_v4());
    session.send(delete_of(location, &[&stays, &nothing])).await?.expect(&[400, 404])?;
    let entity = session.settled(&stays).await?;
    hold!(entity.kind == COMPUTE, "{stays} is a {} now", entity.kind);
    Ok(())
}

async fn stop_all(session: &Session) -> Result<Answer, Stop> {
    session.act(session.model.location(COMPUTE)?, STOP).await
}

async fn acts_on_all(session: &Session) -> Outcome {
    let location = session.model.location(COMPUTE)?;
    session.may_destroy(location).await?;
    session.forget_shared();
    session.compute().await?;
    session.compute().await?;
    let members = session.preparing(session.members(location)).await?;
    for member in &members {
        session.bring(member, COMPUTE_STATE, "active", START).await?;
    }
    stop_all(session).await?.expect(&[200])?;
    for member in &members {
        session.wait_for_state(member, COMPUTE_STATE, "inactive").await?;
    }
    Ok(())
}

async fn acts_on_all_or_none(session: &Session) -> Outcome {
    session.may_destroy(session.model.location(COMPUTE)?).await?;
    session.forget_shared();
    let (active, inactive) = (session.active_compute().await?, session.inactive_compute().await?);
    let answer = stop_all(session).await?;
    hold!((400..500).contains(&answer.status), "it answers {}", answer.status);
    for (compute, state) in [(active, "active"), (inactive, "inactive")] {
        let entity: Entity = session.settled(&compute).await?;
        hold!(entity.text(COMPUTE_STATE) == Some(state), "{compute} is {:?} now", entity.text(COMPUTE_STATE));
    }
    Ok(())
}

async fn refuses_actions_of_others(session: &Session) -> Outcome {
    session.shared_compute().await?;
    session.act(session.model.location(COMPUTE)?, UP).await?.expect(&[400, 404])?;
    Ok(())
}

async fn slash_belongs_to_it(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let location = session.model.location(COMPUTE)?;
    let listed: BTreeSet<_> = session.members(location).await?.into_iter().collect();
    hold!(listed.contains(&compute), "{location} does not list {compute}");
    session.send(Request::get(location.trim_end_matches('/'))).await?.expect(&[404])?;
    Ok(())
}
