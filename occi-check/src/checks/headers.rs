//! 8.B, first part: headers of every answer, and versions.

use crate::{
    answer::{Answer, OCCI, PLAIN, URI_LIST},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::COMPUTE,
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        47,
        Must,
        "H11 §3.6.5; H12 §5.2, §5.3",
        "Any request, whether it succeeds or not: Server holds OCCI/1.2, or OCCI/1.1 of a server of 1.1",
        server_names_its_version
    ),
    check!(48, Must, "H11 §3.6.5; H12 §5.3", "A request with User-Agent: x OCCI/9.9: 501", higher_version_is_refused),
    check!(49, Must, "H11 §3.6.5", "A request with User-Agent: x OCCI/1.1: served as usual", lower_version_is_served),
    check!(
        50,
        Should,
        "H12 §5.1",
        "A request without an OCCI version in User-Agent: served as usual",
        no_version_is_served
    ),
    check!(
        51,
        Must,
        "H11 §3.6.6; H12 §5.2",
        "Any answer with data: Content-Type is there and says what the data is",
        content_type_is_true
    ),
    check!(
        52,
        Interop,
        "jOCCI",
        "Any answer without data, and any error: Content-Type is there too",
        content_type_is_always_there
    ),
];

/// One answer of each sort: listings, an entity's life, and errors.
pub(super) async fn all_sorts(session: &Session) -> Result<Vec<(&'static str, Answer)>, Stop> {
    let computes = session.model.location(COMPUTE)?.to_owned();
    let nowhere = format!("{computes}{}", session.unique("no-such"));
    let created = session.send(Request::post(&computes).text(&session.compute_draft())).await?;
    let path = session.created(&created)?;
    let update = Draft::new().attribute("occi.core.title", session.unique("title"));
    Ok(vec![
        ("GET of the query interface", session.send(Request::get("/-/")).await?),
        ("a create", created),
        ("GET of an entity", session.send(Request::get(&path)).await?),
        ("an update", session.send(Request::post(&path).text(&update)).await?),
        ("GET of a collection", session.send(Request::get(&computes)).await?),
        ("a malformed request", session.send(Request::post(&computes).plain("this is nothing\n")).await?),
        ("GET of what is unknown", session.send(Request::get(&nowhere)).await?),
        ("PUT /-/", session.send(Request::put("/-/").plain("")).await?),
        ("GET as image/png", session.send(Request::get(&path).accept("image/png")).await?),
        ("GET from a version too high", session.send(Request::get("/-/").user_agent("x OCCI/9.9")).await?),
        ("DELETE of an entity", session.send(Request::delete(&path)).await?),
    ])
}

async fn server_names_its_version(session: &Session) -> Outcome {
    for (request, answer) in all_sorts(session).await? {
        let server = answer.header_fields("Server").join(" ");
        let is_named = server.split_ascii_whitespace().any(|token| ["OCCI/1.2", "OCCI/1.1"].contains(&token));
        hold!(is_named, "after {request} ({}), Server is {server:?}", answer.status);
    }
    Ok(())
}

async fn higher_version_is_refused(session: &Session) -> Outcome {
    session.send(Request::get("/-/").user_agent("x OCCI/9.9")).await?.expect(&[501])?;
    Ok(())
}

async fn is_served(session: &Session, user_agent: &str) -> Outcome {
    let answer = session.send(Request::get("/-/").user_agent(user_agent)).await?;
    let categories = answer.expect(&[200])?.categories()?;
    hold!(categories.iter().any(|category| category.class == "kind"), "no kind is listed");
    let compute = session.shared_compute().await?;
    let answer = session.send(Request::get(&compute).user_agent(user_agent)).await?;
    let entity = answer.expect(&[200])?.entity()?;
    hold!(entity.kind == COMPUTE, "{compute} is of kind {}", entity.kind);
    Ok(())
}

async fn lower_version_is_served(session: &Session) -> Outcome {
    is_served(session, "x OCCI/1.1").await
}

async fn no_version_is_served(session: &Session) -> Outcome {
    is_served(session, "curl/8.5.0").await
}

async fn content_type_is_true(session: &Session) -> Outcome {
    for (request, answer) in all_sorts(session).await? {
        if !answer.body.is_empty() {
            hold!(!answer.media_type().is_empty(), "after {request} there is data and no Content-Type");
        }
    }
    let compute = session.shared_compute().await?;
    let computes = session.model.location(COMPUTE)?;
    for (path, media_type) in [(&*compute, PLAIN), (&*compute, OCCI), (computes, PLAIN), (computes, URI_LIST)] {
        let answer = session.send(Request::get(path).accept(media_type)).await?;
        answer.expect(&[200])?.expect_media(media_type)?;
        // What it says must be what it is: our reader of that media type takes it.
        if path == compute {
            answer.entity()?;
        } else {
            let locations = answer.locations()?;
            hold!(!locations.is_empty(), "{computes} as {media_type} lists nothing");
        }
    }
    Ok(())
}

async fn content_type_is_always_there(session: &Session) -> Outcome {
    for (request, answer) in all_sorts(session).await? {
        hold!(answer.header("Content-Type").is_some(), "after {request} ({}) there is no Content-Type", answer.status);
    }
    Ok(())
}
