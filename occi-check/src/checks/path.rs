//! 8.J: paths, bound and unbound.

use std::collections::BTreeSet;

use crate::{
    answer::{JSON, URI_LIST},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::COMPUTE,
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(220, Must, "H11 §3.4.2", "GET / as text/plain: X-OCCI-Location of every instance", root_lists_all),
    check!(
        221,
        Must,
        "H11 §3.4.2",
        "GET / as text/uri-list: 200 and the URIs of all instances, with sub-paths if the server likes",
        root_is_a_uri_list
    ),
    check!(
        222,
        Must,
        "H11 §3.4.2",
        "GET / with a filter of a category, or of an attribute: only the instances that match",
        root_is_filtered
    ),
    check!(
        223,
        Must,
        "H11 §3.4.2",
        "DELETE of a path that is bound to no kind: 200, and all instances below it are deleted",
        unbound_path_is_emptied
    ),
    check!(
        224,
        May,
        "H12 §4.1",
        "GET of a path above the locations of mixins: the union of the collections below",
        unbound_path_is_a_union
    ),
    check!(
        225,
        Must,
        "H12 §4",
        "No two kinds or mixins have the same location, and text and JSON say the same locations",
        locations_are_unique
    ),
    check!(
        226,
        Interop,
        "rOCCI, jOCCI",
        "An entity's path is its kind's location and one segment more",
        entities_are_below_their_kind
    ),
];

async fn root_lists_all(session: &Session) -> Outcome {
    let (one, two) = (session.compute().await?, session.shared_compute().await?);
    let answer = session.send(Request::get("/")).await?;
    let found = paths(session, &answer.expect(&[200])?.locations()?);
    for path in [one, two] {
        hold!(found.contains(&path), "{path} is not among the {} instances listed", found.len());
    }
    Ok(())
}

fn paths(session: &Session, locations: &[String]) -> BTreeSet<String> {
    locations.iter().filter_map(|location| session.path(location).ok()).collect()
}

async fn root_is_a_uri_list(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let answer = session.send(Request::get("/").accept(URI_LIST)).await?;
    let found = paths(session, &answer.expect(&[200])?.expect_media(URI_LIST)?.locations()?);
    hold!(found.contains(&compute), "{compute} is not among the {} URIs listed", found.len());
    Ok(())
}

async fn root_is_filtered(session: &Session) -> Outcome {
    let (tagged, other) = (session.compute().await?, session.shared_compute().await?);
    let title = session.preparing(session.read(&tagged)).await?.text("occi.core.title").map(str::to_owned);
    let Some(title) = title else { fail!("{tagged} does not show the title that was given") };
    let filter = Draft::new().attribute("occi.core.title", title);
    let answer = session.send(Request::get("/").filter(&filter)).await?;
    let found = paths(session, &answer.expect(&[200])?.locations()?);
    hold!(found == BTreeSet::from([tagged.clone()]), "by its title, these come: {found:?}");

    let answer = session.send(Request::get("/").filter(&Draft::of(COMPUTE))).await?;
    let found = paths(session, &answer.expect(&[200])?.locations()?);
    hold!(found.contains(&tagged) && found.contains(&other), "by their kind, these come: {found:?}");
    let location = session.path(session.model.location(COMPUTE)?)?;
    let odd = found.iter().find(|path| !path.starts_with(&location));
    hold!(odd.is_none(), "by the kind compute, {odd:?} comes, too");

    let tag = session.tag().await?;
    session.associate(&tag.location, &[&tagged]).await?;
    let answer = session.send(Request::get("/").filter(&Draft::new().mixin(&tag.identifier))).await?;
    let found = paths(session, &answer.expect(&[200])?.locations()?);
    hold!(found == BTreeSet::from([tagged]), "by its mixin, these come: {found:?}");
    Ok(())
}

/// A path that nothing is bound to, with one compute below it, where clients choose paths; else the root.
async fn unbound_path(session: &Session) -> Result<(String, String), Stop> {
    let unbound = session.path(&format!("/{}/", session.unique("vms")))?;
    let wanted = format!("{unbound}{}", session.unique("vm"));
    let answer = session.preparing(session.send(Request::put(&wanted).text(&session.compute_draft()))).await?;
    if answer.status == 200 || answer.status == 201 {
        let path = session.created(&answer).unwrap_or_else(|_| wanted.clone());
        if path == wanted {
            return Ok((unbound, path));
        }
    }
    let compute = session.compute().await?;
    session.may_destroy("/").await?;
    Ok(("/".to_owned(), compute))
}

async fn unbound_path_is_emptied(session: &Session) -> Outcome {
    let (unbound, compute) = unbound_path(session).await?;
    if unbound == "/" {
        session.forget_shared();
    }
    session.send(Request::delete(&unbound)).await?.expect(&[200, 204])?;
    session.send(Request::get(&compute)).await?.expect(&[404, 410])?;
    let left = session.members(&unbound).await;
    let is_left = left.is_ok_and(|left| left.contains(&compute));
    hold!(!is_left, "{unbound} still lists {compute}");
    Ok(())
}

async fn unbound_path_is_a_union(session: &Session) -> Outcome {
    let locations: Vec<String> = session.model.categories.iter().filter_map(|each| each.location.clone()).collect();
    let parent_of = |location: &String| {
        let path = location.trim_end_matches('/');
        path.rfind('/').map(|at| path[..=at].to_owned()).filter(|parent| parent != "/" && !locations.contains(parent))
    };
    session.compute().await?;
    let Some(parent) = locations.iter().find_map(parent_of) else {
        skip!("no location has an unbound path above it but /");
    };
    let answer = session.send(Request::get(&parent)).await?;
    if [404, 405, 501].contains(&answer.status) {
        skip!("the server answers {} for {parent}, which is allowed", answer.status);
    }
    let found = paths(session, &answer.expect(&[200, 204])?.locations()?);
    let mut count = 0;
    for location in locations.iter().filter(|location| location.starts_with(&parent)) {
        for member in session.members(location).await? {
            count += 1;
            hold!(found.contains(&member), "{member} of {location} is not in {parent}");
        }
    }
    if count == 0 {
        skip!("nothing is in the collections below {parent}");
    }
    Ok(())
}

async fn locations_are_unique(session: &Session) -> Outcome {
    session.tag().await?;
    let listed = session.categories().await?;
    let answer = session.send(Request::get("/-/").accept(JSON)).await?;
    let described = answer.expect(&[200])?.expect_media(JSON)?.categories()?;
    let mut seen = BTreeSet::new();
    for category in &described {
        let Some(location) = &category.location else { continue };
        let identifier = category.identifier();
        hold!(seen.insert(session.path(location)?), "{location} is the location of {identifier} and another one");
        let in_text = listed.iter().find(|twin| twin.identifier() == identifier).and_then(|twin| twin.location.clone());
        let in_text = in_text.map(|location| session.path(&location)).transpose()?;
        let is_same = in_text == Some(session.path(location)?);
        hold!(is_same, "the location of {identifier} is {location} in JSON, and {in_text:?} in text");
    }
    hold!(!seen.is_empty(), "there are no locations");
    Ok(())
}

async fn entities_are_below_their_kind(session: &Session) -> Outcome {
    let mut made = vec![(COMPUTE, session.shared_compute().await?)];
    if let Ok(link) = session.shared_interface().await {
        made.push((crate::names::NETWORK_INTERFACE, link.path));
        made.push((crate::names::NETWORK, link.target));
    }
    for (kind, path) in made {
        let location = session.path(session.model.location(kind)?)?;
        let id = path.strip_prefix(&location);
        let is_below = id.is_some_and(|id| !id.is_empty() && !id.contains('/'));
        hold!(is_below, "{path} is not {location} and one segment more");
    }
    Ok(())
}
