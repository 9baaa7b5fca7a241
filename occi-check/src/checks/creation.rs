//! 8.C, first part: which kind is created, and where it is said to be.

use crate::{
    answer::{Entity, JSON, OCCI, PLAIN},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{COMPUTE, ENTITY, NETWORK, OS_TPL},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        84,
        Must,
        "H11 §3.4.4; H12 §11.3.1",
        "POST /compute/ with the kind compute: 201 and Location, or 200 and the full rendering",
        answers_with_location_or_rendering
    ),
    check!(
        85,
        Must,
        "H11 §3.4.4",
        "POST /compute/, then GET of the location: 200 and the same kind; the URL does not end in /",
        location_is_the_entity
    ),
    check!(86, Must, "H11 §3.4.4; C12 §5.3.8", "POST /compute/: GET /compute/ lists the new URL", collection_lists_it),
    check!(
        87,
        Must,
        "H11 §3.1; C12 §5.4.1",
        "Two creates: two values of occi.core.id that differ (urn:uuid:… is recommended)",
        ids_differ
    ),
    check!(
        88,
        Interop,
        "jOCCI, rOCCI, working group's tool",
        "201 to a create in text/plain: Location is an absolute URL, and the body says X-OCCI-Location: {url}",
        location_is_absolute_and_repeated
    ),
    check!(
        89,
        Interop,
        "rOCCI-server 2",
        "201 to a create in JSON: the body is a JSON array of URIs",
        json_answer_is_an_array
    ),
    check!(
        90,
        Interop,
        "H11 §3.7 example",
        "Answer to a create in text/occi: the header field Location and the body OK",
        occi_answer_is_ok
    ),
    check!(91, Must, "H11 §3.4.4", "POST /compute/ without any kind: 400", needs_a_kind),
    check!(92, Must, "H11 §3.4.4", "POST /compute/ with two kinds: 400", takes_one_kind),
    check!(93, Must, "H11 §3.4.4", "POST /compute/ with the kind network: 400", takes_its_own_kind),
    check!(
        94,
        Interop,
        "working group's tool",
        "POST / with the kind compute, class left out: 201 or 200 with Location",
        root_creates_too
    ),
    check!(
        95,
        Must,
        "H11 §3.6.8",
        "A create with an unknown kind or mixin: 404 by the table, 400 in servers in use",
        unknown_categories_are_refused
    ),
    check!(96, Must, "C12 §5.4.1", "A create with the abstract kind entity: 400", abstract_kind_is_refused),
];

/// Creates a compute with this request, and reads it.
pub(super) async fn makes_compute(session: &Session, request: Request) -> Result<(String, Entity), Stop> {
    let path = session.created(&session.send(request).await?)?;
    let entity = session.read(&path).await?;
    hold!(entity.kind == COMPUTE, "{path} is of kind {}", entity.kind);
    Ok((path, entity))
}

/// Sends what must be refused, and looks that nothing of that title was made.
pub(super) async fn is_refused(
    session: &Session,
    kind: &str,
    request: Request,
    title: &str,
    statuses: &[u16],
) -> Outcome {
    session.send(request).await?.expect(statuses)?;
    let collection = session.model.location(kind)?;
    let filter = Draft::new().attribute("occi.core.title", title);
    let found = session.send(Request::get(collection).filter(&filter)).await?;
    let found = found.expect(&[200, 204])?.locations()?;
    hold!(found.is_empty(), "it was created nevertheless: {found:?}");
    Ok(())
}

/// Sends this draft of a compute, with a title added, and wants it refused.
async fn draft_is_refused(session: &Session, draft: Draft, statuses: &[u16]) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let title = session.unique("refused");
    let request = Request::post(computes).text(&draft.attribute("occi.core.title", title.clone()));
    is_refused(session, COMPUTE, request, &title, statuses).await
}

async fn answers_with_location_or_rendering(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let answer = session.send(Request::post(computes).text(&session.compute_draft())).await?;
    answer.expect(&[200, 201])?;
    if answer.status == 201 {
        hold!(answer.header("Location").is_some(), "201 comes without Location");
        hold!(answer.header_fields("Location").len() == 1, "there are several fields Location");
    } else if answer.header("Location").is_none() {
        hold!(answer.entity()?.kind == COMPUTE, "200 comes without the rendering of a compute");
    }
    Ok(())
}

async fn location_is_the_entity(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let (path, _) = makes_compute(session, Request::post(computes).text(&session.compute_draft())).await?;
    hold!(!path.ends_with('/'), "{path} ends in /");
    Ok(())
}

async fn collection_lists_it(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let (path, _) = makes_compute(session, Request::post(computes).text(&session.compute_draft())).await?;
    let members = session.members(computes).await?;
    hold!(members.contains(&path), "{path} is not among the {} members of {computes}", members.len());
    Ok(())
}

async fn ids_differ(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (path, entity) = makes_compute(session, Request::post(computes).text(&session.compute_draft())).await?;
        let id = entity.text("occi.core.id").unwrap_or_default().to_owned();
        hold!(!id.is_empty(), "{path} has no occi.core.id");
        ids.push(id);
    }
    hold!(ids[0] != ids[1], "both computes have the id {}", ids[0]);
    Ok(())
}

async fn location_is_absolute_and_repeated(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let answer = session.send(Request::post(computes).text(&session.compute_draft())).await?;
    answer.expect(&[201, 200])?;
    let location = answer.header("Location").unwrap_or_default();
    hold!(location.contains("://"), "Location is {location:?}");
    answer.expect_media(PLAIN)?;
    let body = answer.text()?.trim_end();
    hold!(body == format!("X-OCCI-Location: {location}"), "the body is {body:?}");
    Ok(())
}

async fn json_answer_is_an_array(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let request = Request::post(computes).json_draft(&session.compute_draft()).accept(JSON);
    let answer = session.send(request).await?;
    if answer.status == 200 {
        answer.entity()?;
        skip!("the server answers 200 with the rendering, which is allowed");
    }
    answer.expect(&[201])?;
    let locations = answer.locations()?;
    hold!(locations.len() == 1, "{} locations came", locations.len());
    let is_same = answer.header("Location") == Some(&locations[0]);
    hold!(is_same, "Location is {:?}, and the body says {locations:?}", answer.header("Location"));
    Ok(())
}

async fn occi_answer_is_ok(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let answer = session.send(Request::post(computes).occi(&session.compute_draft()).accept(OCCI)).await?;
    answer.expect(&[200, 201])?.expect_media(OCCI)?;
    hold!(answer.header("Location").is_some(), "there is no field Location");
    hold!(answer.body == b"OK", "the body is {:?} instead of OK", answer.first_words());
    Ok(())
}

async fn needs_a_kind(session: &Session) -> Outcome {
    draft_is_refused(session, Draft::new(), &[400]).await?;
    // A mixin alone is no kind either.
    let Some(template) = session.model.templates(OS_TPL).first().map(|template| template.identifier()) else {
        return Ok(());
    };
    draft_is_refused(session, Draft::new().mixin(&template), &[400]).await
}

async fn takes_one_kind(session: &Session) -> Outcome {
    let kinds = session.model.categories.iter().filter(|category| category.class == "kind");
    let other = kinds.map(|kind| kind.identifier()).find(|kind| kind.contains("/infrastructure#") && kind != COMPUTE);
    let other = other.unwrap_or_else(|| ENTITY.to_owned());
    draft_is_refused(session, session.untitled_compute_draft().kind(&other), &[400]).await
}

async fn takes_its_own_kind(session: &Session) -> Outcome {
    session.model.require(NETWORK)?;
    draft_is_refused(session, Draft::of(NETWORK), &[400]).await
}

async fn root_creates_too(session: &Session) -> Outcome {
    let lines = session.compute_draft().lines().replace("; class=\"kind\"", "");
    makes_compute(session, Request::post("/").plain(&lines)).await?;
    Ok(())
}

async fn unknown_categories_are_refused(session: &Session) -> Outcome {
    let unknown = "http://example.com/occi/nowhere#nothing";
    draft_is_refused(session, Draft::of(unknown), &[404, 400]).await?;
    draft_is_refused(session, session.untitled_compute_draft().mixin(unknown), &[404, 400]).await
}

async fn abstract_kind_is_refused(session: &Session) -> Outcome {
    draft_is_refused(session, Draft::of(ENTITY), &[400]).await
}
