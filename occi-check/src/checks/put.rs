//! 8.D: Creating at a path of the client's choice.

use crate::{
    answer::Answer,
    check::{Check, Outcome, Stop},
    draft::split_identifier,
    names::{COMPUTE, NETWORK, NETWORK_INTERFACE, TITLE},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        122,
        Must,
        "H11 §3.4.4; H12 §10.2.1",
        "PUT of a compute to a free path below its kind: 201 with Location, or 200 with the rendering",
        creates
    ),
    check!(123, May, "H11 §3.4.4 fn", "PUT to a free path where clients may not choose paths: 400", refuses),
    check!(124, Must, "H11 §3.4.4", "PUT to a free path without a kind: 400", needs_a_kind),
    check!(125, Must, "H11 §3.4.4", "PUT to a free path with a Link line: 400", takes_no_links),
    check!(
        126,
        Must,
        "H11 §3.4.4",
        "after PUT to a free path, the collection lists it, and GET of that path answers",
        is_listed
    ),
    check!(
        127,
        Interop,
        "working group's tool",
        "PUT /123 with the kind compute and an unknown attribute: 200, 201 or 400, and never 404",
        never_answers_404
    ),
    check!(
        128,
        Should,
        "RFC 9110 §9.3.4; our reading",
        "PUT of a compute to its collection: 405 or 400; to an id with / at its end: 405 or 400, or 404 as for every \
         path that is not there",
        refuses_collections
    ),
];

/// A path below the computes that nothing is at.
fn free_path(session: &Session) -> Result<String, Stop> {
    Ok(format!("{}{}", session.path(session.model.location(COMPUTE)?)?, uuid::Uuid::new_v4()))
}

/// Puts a compute there; skips where clients may not choose paths.
async fn put(session: &Session, path: &str, title: &str) -> Result<Answer, Stop> {
    let draft = session.untitled_compute_draft().attribute(TITLE, title);
    let answer = session.send(Request::put(path).text(&draft)).await?;
    if answer.status == 400 {
        skip!("the server does not let clients choose paths: {}", answer.first_words());
    }
    Ok(answer)
}

async fn creates(session: &Session) -> Outcome {
    let (path, title) = (free_path(session)?, session.unique("compute"));
    let answer = put(session, &path, &title).await?;
    answer.expect(&[200, 201])?;
    if answer.status == 201 {
        let location = answer.header("Location").map(|location| session.path(location)).transpose()?;
        hold!(location.as_ref() == Some(&path), "the Location is {location:?} instead of {path}");
        return Ok(());
    }
    let entity = answer.entity()?;
    hold!(entity.text(TITLE) == Some(title.as_str()), "the answer shows the title {:?}", entity.text(TITLE));
    Ok(())
}

async fn refuses(session: &Session) -> Outcome {
    let path = free_path(session)?;
    let answer = session.send(Request::put(&path).text(&session.compute_draft())).await?;
    if answer.is_success() {
        skip!("the server lets clients choose paths");
    }
    answer.expect(&[400])?;
    Ok(())
}

async fn needs_a_kind(session: &Session) -> Outcome {
    let path = free_path(session)?;
    let line = format!("X-OCCI-Attribute: {TITLE}=\"{}\"\n", session.unique("compute"));
    session.send(Request::put(&path).plain(&line)).await?.expect(&[400])?;
    session.send(Request::get(&path)).await?.expect(&[404, 410])?;
    Ok(())
}

async fn takes_no_links(session: &Session) -> Outcome {
    session.model.require(NETWORK_INTERFACE)?;
    let (path, network) = (free_path(session)?, session.shared_network().await?);
    let draft = session.compute_draft().link(&network, NETWORK, NETWORK_INTERFACE);
    session.send(Request::put(&path).text(&draft)).await?.expect(&[400])?;
    session.send(Request::get(&path)).await?.expect(&[404, 410])?;
    Ok(())
}

async fn is_listed(session: &Session) -> Outcome {
    let (path, title) = (free_path(session)?, session.unique("compute"));
    put(session, &path, &title).await?.expect(&[200, 201])?;
    let entity = session.read(&path).await?;
    let is_it = entity.kind == COMPUTE && entity.text(TITLE) == Some(title.as_str());
    hold!(is_it, "{path} is a {} with the title {:?}", entity.kind, entity.text(TITLE));
    let collection = session.model.location(COMPUTE)?;
    hold!(session.members(collection).await?.contains(&path), "{collection} does not list {path}");
    Ok(())
}

async fn never_answers_404(session: &Session) -> Outcome {
    let (scheme, term) = split_identifier(COMPUTE);
    // The tool's path is 123; what others have there must not be touched.
    let path = format!("/123{}", uuid::Uuid::new_v4().simple());
    let request = Request::put(&path)
        .content_type(crate::answer::OCCI)
        .header("Category", &format!("{term}; scheme=\"{scheme}\""))
        .header("X-OCCI-Attribute", "example.test=\"foo\"");
    session.send(request).await?.expect(&[200, 201, 400])?;
    Ok(())
}

async fn refuses_collections(session: &Session) -> Outcome {
    let draft = session.compute_draft();
    let collection = session.model.location(COMPUTE)?;
    session.send(Request::put(collection).text(&draft)).await?.expect(&[400, 405])?;
    let path = format!("{}/", free_path(session)?);
    // Clients in use take it for a path that nobody knows.
    session.send(Request::put(&path).text(&draft)).await?.expect(session.by_mode(&[400, 404, 405], &[400, 405]))?;
    Ok(())
}
