//! 8.G: Deleting entities.

use crate::{
    answer::Answer,
    check::{Check, Outcome, Stop},
    names::{COMPUTE, NETWORK},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(172, Must, "H11 §3.4.4; H12 §10.4", "DELETE of a compute: 200, or 204 in 1.2", deletes),
    check!(173, Interop, "working group's tool", "DELETE of a compute: exactly 200", answers_200),
    check!(
        174,
        Must,
        "H11 §3.4.4",
        "after DELETE of a compute: GET answers 404 or 410, and no collection of its kind or mixins lists it",
        is_gone
    ),
    check!(175, Must, "C12 §5.4.2", "DELETE of a compute that has links: its links are gone", takes_its_links),
    check!(176, Must, "H11 §3.4.4 fn", "DELETE of a link: its source no longer shows it", leaves_the_source),
    check!(
        177,
        Must,
        "H11 §3.6.8",
        "DELETE of an id that is not there, and a second DELETE: 404 or 410",
        is_not_there_twice
    ),
    check!(
        178,
        Should,
        "our reading",
        "DELETE of a network that a link leads to: 409, or the link is removed, too; never a link to nothing",
        leaves_no_link_to_nothing
    ),
];

async fn delete(session: &Session, path: &str) -> Result<Answer, Stop> {
    session.preparing(session.settled(path)).await?;
    session.send(Request::delete(path)).await
}

async fn deletes(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    delete(session, &compute).await?.expect(&[200, 204])?;
    session.wait_until_gone(&compute).await
}

async fn answers_200(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    delete(session, &compute).await?.expect(&[200])?;
    Ok(())
}

async fn is_gone(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, session.compute().await?);
    session.associate(&tag.location, &[&compute]).await?;
    delete(session, &compute).await?.expect(&[200, 204])?;
    session.wait_until_gone(&compute).await?;
    for collection in [session.model.location(COMPUTE)?, &tag.location] {
        hold!(!session.members(collection).await?.contains(&compute), "{collection} still lists {compute}");
    }
    Ok(())
}

async fn takes_its_links(session: &Session) -> Outcome {
    let interface = session.interface().await?;
    session.preparing(session.read(&interface.path)).await?;
    delete(session, &interface.source).await?.expect(&[200, 204])?;
    session.wait_until_gone(&interface.source).await?;
    session.wait_until_gone(&interface.path).await?;
    session.read(&interface.target).await?;
    Ok(())
}

async fn leaves_the_source(session: &Session) -> Outcome {
    let interface = session.interface().await?;
    let before = session.preparing(session.settled(&interface.source)).await?;
    hold!(!before.links.is_empty(), "{} does not show its link", interface.source);
    delete(session, &interface.path).await?.expect(&[200, 204])?;
    session.wait_until_gone(&interface.path).await?;
    let shows_it = session
        .read(&interface.source)
        .await?
        .links
        .iter()
        .any(|link| session.path(&link.target).ok().as_ref() == Some(&interface.target));
    hold!(!shows_it, "{} still shows the link", interface.source);
    Ok(())
}

async fn is_not_there_twice(session: &Session) -> Outcome {
    let nothing = format!("{}{}", session.path(session.model.location(COMPUTE)?)?, uuid::Uuid::new_v4());
    session.send(Request::delete(&nothing)).await?.expect(&[404, 410])?;
    let compute = session.compute().await?;
    delete(session, &compute).await?.expect(&[200, 204])?;
    session.wait_until_gone(&compute).await?;
    session.send(Request::delete(&compute)).await?.expect(&[404, 410])?;
    Ok(())
}

async fn leaves_no_link_to_nothing(session: &Session) -> Outcome {
    session.model.require(NETWORK)?;
    let interface = session.interface().await?;
    session.preparing(session.settled(&interface.source)).await?;
    let answer = delete(session, &interface.target).await?;
    if answer.status == 409 {
        session.read(&interface.target).await?;
        session.read(&interface.path).await?;
        return Ok(());
    }
    answer.expect(&[200, 204])?;
    session.wait_until_gone(&interface.target).await?;
    session.wait_until_gone(&interface.path).await?;
    let compute = session.read(&interface.source).await?;
    hold!(compute.links.is_empty(), "{} shows a link to what is gone", interface.source);
    Ok(())
}
