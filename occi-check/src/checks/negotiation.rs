//! 8.B, second part: which rendering is read, and which is written.

use crate::{
    answer::{Entity, JSON, OCCI, PLAIN, URI_LIST},
    check::{Check, Outcome},
    draft::Draft,
    names::COMPUTE,
    request::Request,
    session::Session,
};

const OCCI_PLAIN: &str = "text/occi+plain";

pub(crate) const CHECKS: &[Check] = &[
    check!(53, Must, "H11 §3.6.6", "GET of a collection without Accept: text/plain", no_accept_means_plain),
    check!(54, Must, "H11 §3.6.6", "GET of a collection with Accept: */*: text/plain", any_accept_means_plain),
    check!(
        55,
        Must,
        "H11 §3.6.6; T12 §3",
        "GET of a compute as text/plain and as text/occi: 200 in the type asked for, with the same information",
        both_texts_say_the_same
    ),
    check!(
        56,
        Must,
        "T12 §6",
        "Accept: text/occi+plain: 200 in the syntax of text/plain; it is taken as Content-Type, too",
        other_name_of_plain
    ),
    check!(
        57,
        Must,
        "J12 §3; H12 §5.1",
        "Accept: application/occi+json: 200 and JSON, with this Content-Type",
        json_is_served
    ),
    check!(58, Must, "H11 §3.6.6; H12 §5.4", "GET of a compute with Accept: image/png: 406", foreign_type_is_refused),
    check!(59, Must, "H11 §3.6.6", "GET of a compute with Accept: text/uri-list: 400", entity_is_no_list),
    check!(
        60,
        Should,
        "HTTP (RFC 7231 §5.3.2)",
        "Accept: text/plain;q=0.1, application/occi+json: JSON",
        weights_are_honoured
    ),
    check!(61, Interop, "rOCCI-cli", "Accept: text/plain,text/occi: text/plain", first_of_equals_wins),
    check!(
        62,
        Should,
        "H12 §5.2; H11 §3.6.6",
        "Any answer: Accept lists the media types that the server takes, text/plain and text/occi among them",
        answers_list_what_is_taken
    ),
    check!(
        63,
        Must,
        "H11 §3.6.6; H12 §5.1",
        "POST of a compute with Content-Type text/plain and the data in the body: the body is read",
        body_is_read
    ),
    check!(
        64,
        Must,
        "H11 §3.6.6; T12 §7",
        "POST of a compute with Content-Type text/occi, the data in header fields and no body: the fields are read",
        fields_are_read
    ),
    check!(
        65,
        Must,
        "H11 §3.6.8 (406); HTTP (415)",
        "POST of a compute with Content-Type application/x-foo: 406 or 415, and nothing is created",
        foreign_content_is_refused
    ),
    check!(
        66,
        Interop,
        "rOCCI-cli",
        "Content-Type: text/plain,text/occi: taken as text/plain",
        content_type_may_be_a_list
    ),
    check!(
        67,
        Should,
        "HTTP",
        "Content-Type: text/plain; charset=utf-8: the parameter is ignored",
        parameter_is_ignored
    ),
    check!(
        68,
        Must,
        "H11 §3.5; T12 §7",
        "Two header fields X-OCCI-Attribute, or one with a comma list: same result",
        fields_may_repeat_or_be_joined
    ),
    check!(
        69,
        Should,
        "T12 §7",
        "An answer in text/occi with several values: one field with a comma list for each name",
        answers_join_values
    ),
    check!(
        70,
        Must,
        "T12 §7",
        "A listing in text/occi that is long: complete, or an error, never cut",
        lists_are_never_cut
    ),
];

async fn collection_without_preference(session: &Session, accept: Option<&str>) -> Outcome {
    session.shared_compute().await?;
    let computes = session.model.location(COMPUTE)?;
    let request = Request::get(computes).without("Accept");
    let request = accept.map_or(request.clone(), |accept| request.accept(accept));
    let answer = session.send(request).await?;
    let locations = answer.expect(&[200])?.expect_media(PLAIN)?.locations()?;
    hold!(!locations.is_empty(), "nothing is listed");
    Ok(())
}

async fn no_accept_means_plain(session: &Session) -> Outcome {
    collection_without_preference(session, None).await
}

async fn any_accept_means_plain(session: &Session) -> Outcome {
    collection_without_preference(session, Some("*/*")).await
}

fn expect_same(one: &Entity, other: &Entity) -> Outcome {
    hold!(one.kind == other.kind, "the kind is {} in one, and {} in the other", one.kind, other.kind);
    hold!(one.mixins == other.mixins, "the mixins are {:?} in one, and {:?} in the other", one.mixins, other.mixins);
    for (name, value) in one.attributes.iter().chain(&other.attributes) {
        let twins = (one.attributes.get(name), other.attributes.get(name));
        let is_same = matches!(twins, (Some(one), Some(other)) if one.means(other));
        hold!(is_same, "{name} is {value} in one only: {twins:?}");
    }
    hold!(one.links == other.links, "the links differ: {:?} and {:?}", one.links, other.links);
    hold!(one.actions == other.actions, "the actions differ: {:?} and {:?}", one.actions, other.actions);
    Ok(())
}

async fn both_texts_say_the_same(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let plain = session.send(Request::get(&compute).accept(PLAIN)).await?;
    plain.expect(&[200])?.expect_media(PLAIN)?;
    let fields = session.send(Request::get(&compute).accept(OCCI)).await?;
    fields.expect(&[200])?.expect_media(OCCI)?;
    expect_same(&plain.entity()?, &fields.entity()?)
}

async fn other_name_of_plain(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    let answer = session.send(Request::get(&compute).accept(OCCI_PLAIN)).await?;
    answer.expect(&[200])?.expect_media(PLAIN)?.entity()?;
    let title = session.unique("title");
    let body = Draft::new().attribute("occi.core.title", title.clone()).lines();
    session.send(Request::post(&compute).body(OCCI_PLAIN, &body)).await?.expect(&[200])?;
    let shown = session.read(&compute).await?;
    hold!(shown.text("occi.core.title") == Some(&title), "the title is {:?} afterwards", shown.text("occi.core.title"));
    Ok(())
}

async fn json_is_served(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let answer = session.send(Request::get(&compute).accept(JSON)).await?;
    let entity = answer.expect(&[200])?.expect_media(JSON)?.entity()?;
    hold!(entity.kind == COMPUTE, "the kind is {}", entity.kind);
    Ok(())
}

async fn foreign_type_is_refused(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    session.send(Request::get(&compute).accept("image/png")).await?.expect(&[406])?;
    Ok(())
}

async fn entity_is_no_list(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    session.send(Request::get(&compute).accept(URI_LIST)).await?.expect(&[400])?;
    Ok(())
}

async fn weights_are_honoured(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let request = Request::get(&compute).accept("text/plain;q=0.1, application/occi+json");
    session.send(request).await?.expect(&[200])?.expect_media(JSON)?.entity()?;
    Ok(())
}

async fn first_of_equals_wins(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let answer = session.send(Request::get(&compute).accept("text/plain,text/occi")).await?;
    answer.expect(&[200])?.expect_media(PLAIN)?.entity()?;
    Ok(())
}

async fn answers_list_what_is_taken(session: &Session) -> Outcome {
    let answer = session.send(Request::get("/-/")).await?;
    let accept = answer.header_fields("Accept").join(", ").to_ascii_lowercase();
    hold!(!accept.is_empty(), "there is no field Accept");
    for media_type in [PLAIN, OCCI] {
        hold!(accept.contains(media_type), "Accept is {accept:?}, without {media_type}");
    }
    Ok(())
}

/// Sends this create, and wants a compute with the title.
async fn makes_titled(session: &Session, request: Request, title: &str) -> Outcome {
    let path = session.created(&session.send(request).await?)?;
    let shown = session.read(&path).await?;
    hold!(shown.kind == COMPUTE, "{path} is of kind {}", shown.kind);
    hold!(shown.text("occi.core.title") == Some(title), "its title is {:?}", shown.text("occi.core.title"));
    Ok(())
}

/// A draft of a compute with a title that nothing else has.
fn titled(session: &Session) -> (Draft, String) {
    let title = session.unique("titled");
    (session.untitled_compute_draft().attribute("occi.core.title", title.clone()), title)
}

async fn body_is_read(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let (draft, title) = titled(session);
    makes_titled(session, Request::post(computes).text(&draft), &title).await
}

async fn fields_are_read(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let (draft, title) = titled(session);
    makes_titled(session, Request::post(computes).occi(&draft), &title).await
}

async fn foreign_content_is_refused(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let (draft, title) = titled(session);
    let request = Request::post(computes).body("application/x-foo", &draft.lines());
    session.send(request).await?.expect(&[406, 415])?;
    let filter = Draft::new().attribute("occi.core.title", title);
    let found = session.send(Request::get(computes).filter(&filter)).await?;
    let found = found.expect(&[200, 204])?.locations()?;
    hold!(found.is_empty(), "it was created nevertheless: {found:?}");
    Ok(())
}

async fn content_type_may_be_a_list(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let (draft, title) = titled(session);
    let request = Request::post(computes).text(&draft).content_type("text/plain,text/occi");
    makes_titled(session, request, &title).await
}

async fn parameter_is_ignored(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let (draft, title) = titled(session);
    let request = Request::post(computes).text(&draft).content_type("text/plain; charset=utf-8");
    makes_titled(session, request, &title).await
}

async fn fields_may_repeat_or_be_joined(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    for joined in [true, false] {
        let (title, summary) = (session.unique("title"), session.unique("summary"));
        let draft =
            Draft::new().attribute("occi.core.title", title.clone()).attribute("occi.core.summary", summary.clone());
        let request = Request::post(&compute);
        let request = if joined { request.occi(&draft) } else { request.occi_repeated(&draft) };
        session.send(request).await?.expect(&[200])?;
        let shown = session.read(&compute).await?;
        for (name, wanted) in [("occi.core.title", title), ("occi.core.summary", summary)] {
            let form = if joined { "one field" } else { "two fields" };
            hold!(shown.text(name) == Some(&wanted), "with {form}, {name} is {:?}", shown.text(name));
        }
    }
    Ok(())
}

async fn answers_join_values(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    for path in ["/-/", &compute] {
        let answer = session.send(Request::get(path).accept(OCCI)).await?;
        answer.expect(&[200])?;
        for name in ["Category", "X-OCCI-Attribute", "Link"] {
            let count = answer.header_fields(name).len();
            hold!(count <= 1, "{path} has {count} fields {name}");
        }
        hold!(answer.header("Category").is_some(), "{path} has no field Category");
    }
    Ok(())
}

async fn lists_are_never_cut(session: &Session) -> Outcome {
    session.shared_compute().await?;
    // The query interface is the longest of all listings in a server with few instances.
    let complete = session.categories().await?.len();
    let answer = session.send(Request::get("/-/").accept(OCCI)).await?;
    if ![413, 431, 500].contains(&answer.status) {
        let found = answer.expect(&[200])?.categories()?.len();
        hold!(found == complete, "{found} of {complete} categories came");
    }
    let complete = session.send(Request::get("/")).await?.expect(&[200])?.locations()?;
    let answer = session.send(Request::get("/").accept(OCCI)).await?;
    if ![413, 431, 500].contains(&answer.status) {
        let found = answer.expect(&[200])?.locations()?;
        hold!(!found.is_empty(), "/ lists nothing in text/occi");
        let is_missing = |location: &&String| !found.contains(location);
        // Others may be at work on the server: what is ours must be there.
        let ours: Vec<_> = complete.iter().filter(|location| session.is_ours(location)).collect();
        if let Some(missing) = ours.into_iter().find(is_missing) {
            fail!("{missing} is in text/plain and not in text/occi");
        }
    }
    Ok(())
}
