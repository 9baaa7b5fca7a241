//! 8.H, first part: listing the collection of a kind, filters and pages.

use std::collections::BTreeSet;

use crate::{
    answer::{Answer, JSON, OCCI, URI_LIST},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{COMPUTE, HOSTNAME, NETWORK_INTERFACE},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        179,
        Must,
        "H11 §3.4.3; H12 §11.1",
        "GET /compute/: 200, with one line X-OCCI-Location: {url} for each instance",
        lists_locations
    ),
    check!(180, Must, "H11 §3.6.6", "GET /compute/ as text/uri-list: one URI on each line, the same ones", lists_uris),
    check!(
        181,
        Must,
        "H11 §3.5.5",
        "GET /compute/ as text/occi: the locations in the field X-OCCI-Location, and the body OK",
        lists_in_a_field
    ),
    check!(
        182,
        Interop,
        "working group's tool",
        "GET /compute/ as text/occi: absolute URLs with comma and space between them",
        lists_absolute_urls
    ),
    check!(
        183,
        Must,
        "J12 §3.3.1, §3.3.2",
        "GET /compute/ as JSON: full objects in resources; GET of links as JSON: in links",
        lists_in_json
    ),
    check!(
        184,
        Must,
        "H11 §3.4.3; H12 §11.1",
        "GET of an empty collection: 200 with nothing in it, or 204",
        may_be_empty
    ),
    check!(
        185,
        Must,
        "H11 §3.4.3",
        "GET /compute/ with a user mixin as a filter: the members that have it, and no other",
        filters_by_mixin
    ),
    check!(
        186,
        Must,
        "H11 §3.4.3; H12 §7.2",
        "GET /compute/ with occi.compute.hostname as a filter: the members with exactly that value",
        filters_by_attribute
    ),
    check!(187, Must, "H11 §3.4", "GET /compute/ with both filters: the members that satisfy both", filters_by_both),
    check!(
        188,
        Must,
        "H11 §3.4.3",
        "GET /compute/ with a filter that nothing satisfies: 200 with nothing in it, or 204, and not 404",
        filter_may_find_nothing
    ),
    check!(189, Must, "H11 §3.6.8", "GET /compute/ with a filter that cannot be read: 400", refuses_broken_filters),
    check!(
        190,
        Should,
        "H12 §6",
        "GET /compute/?page=…&number=2: two members on each page but the last, and all of them on all pages",
        has_pages
    ),
    check!(191, Must, "H12 §6", "GET of a page of more members than the server allows: 413", limits_pages),
    check!(192, Must, "H12 §6", "GET of a page beyond the last: 200, and nothing in it", ends),
    check!(
        193,
        Should,
        "our reading",
        "GET of a page with page=x, number=0 or number=-1: 400",
        refuses_what_is_no_page
    ),
];

fn paths(session: &Session, locations: &[String]) -> Result<BTreeSet<String>, Stop> {
    let paths = locations.iter().map(|location| session.path(location)).collect::<Result<BTreeSet<_>, _>>()?;
    hold!(paths.len() == locations.len(), "a location is listed twice");
    Ok(paths)
}

async fn listed(session: &Session, media_type: &str) -> Result<(Answer, BTreeSet<String>), Stop> {
    session.shared_compute().await?;
    session.compute().await?;
    let answer = session.send(Request::get(session.model.location(COMPUTE)?).accept(media_type)).await?;
    answer.expect(&[200])?.expect_media(media_type)?;
    let found = paths(session, &answer.locations()?)?;
    Ok((answer, found))
}

async fn lists_locations(session: &Session) -> Outcome {
    let (one, two) = (session.shared_compute().await?, session.compute().await?);
    let answer = session.send(Request::get(session.model.location(COMPUTE)?)).await?;
    answer.expect(&[200])?;
    for line in answer.text()?.lines().filter(|line| !line.trim().is_empty()) {
        hold!(line.starts_with("X-OCCI-Location: "), "a line is {line:?}");
    }
    let found = paths(session, &answer.locations()?)?;
    hold!(found.contains(&one) && found.contains(&two), "{one} and {two} are not both among {found:?}");
    Ok(())
}

async fn lists_uris(session: &Session) -> Outcome {
    let (_, found) = listed(session, URI_LIST).await?;
    let plain: BTreeSet<_> = session.members(session.model.location(COMPUTE)?).await?.into_iter().collect();
    hold!(found.len() >= 2 && found == plain, "text/uri-list shows {found:?}, and text/plain {plain:?}");
    Ok(())
}

async fn lists_in_a_field(session: &Session) -> Outcome {
    let (answer, found) = listed(session, OCCI).await?;
    hold!(answer.header("X-OCCI-Location").is_some(), "there is no field X-OCCI-Location");
    hold!(answer.text()?.trim() == "OK", "the body is {:?}", answer.first_words());
    let plain: BTreeSet<_> = session.members(session.model.location(COMPUTE)?).await?.into_iter().collect();
    hold!(found.len() >= 2 && found == plain, "text/occi shows {found:?}, and text/plain {plain:?}");
    Ok(())
}

async fn lists_absolute_urls(session: &Session) -> Outcome {
    let (answer, found) = listed(session, OCCI).await?;
    let fields = answer.header_fields("X-OCCI-Location");
    hold!(fields.len() == 1, "there are {} fields X-OCCI-Location", fields.len());
    let parts: Vec<_> = fields[0].split(", ").collect();
    hold!(parts.len() == found.len(), "{} URLs are not separated by comma and space", found.len());
    let odd = parts.iter().find(|part| !part.contains("://"));
    hold!(odd.is_none(), "{odd:?} is not absolute");
    Ok(())
}

async fn lists_in_json(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let has_links = session.model.find(NETWORK_INTERFACE).is_some();
    let id = session.preparing(session.read(&compute)).await?.text("occi.core.id").map(str::to_owned);
    let interface = if has_links { Some(session.shared_interface().await?) } else { None };
    let mut wanted = vec![("resources", COMPUTE, id)];
    if let Some(interface) = interface {
        let entity = session.preparing(session.read(&interface.path)).await?;
        wanted.push(("links", NETWORK_INTERFACE, entity.text("occi.core.id").map(str::to_owned)));
    }
    for (member, kind, id) in wanted {
        let answer = session.send(Request::get(session.model.location(kind)?).accept(JSON)).await?;
        let document = answer.expect(&[200])?.json()?;
        let Some(items) = document[member].as_array() else { fail!("there is no array {member}: {document}") };
        hold!(items.iter().all(|item| item["kind"] == kind), "not all {member} are of the kind {kind}");
        let Some(item) = items.iter().find(|item| item["id"].as_str() == id.as_deref()) else {
            fail!("{id:?} is not among the {} {member}", items.len());
        };
        let entity = crate::answer::Entity::from_json(item)?;
        hold!(entity.attributes.len() > 1, "{member} does not hold full objects");
        let other = if member == "links" { "resources" } else { "links" };
        let is_alone = document[other].as_array().is_none_or(Vec::is_empty);
        hold!(is_alone, "{other} is not empty");
    }
    Ok(())
}

async fn may_be_empty(session: &Session) -> Outcome {
    let kinds = session.model.categories.iter().filter(|kind| kind.class == "kind" && !kind.scheme.ends_with("core#"));
    for location in kinds.filter_map(|kind| kind.location.as_deref()) {
        let answer = session.send(Request::get(location)).await?;
        if answer.is_success() && !answer.locations()?.is_empty() {
            continue;
        }
        answer.expect(&[200, 204])?;
        let answer = session.send(Request::get(location).accept(URI_LIST)).await?;
        hold!(answer.expect(&[200, 204])?.locations()?.is_empty(), "as text/uri-list it is not empty");
        let answer = session.send(Request::get(location).accept(JSON)).await?;
        answer.expect(&[200, 204])?;
        if answer.status == 200 {
            let document = answer.json()?;
            let is_empty =
                ["resources", "links"].iter().all(|member| document[*member].as_array().is_none_or(Vec::is_empty));
            hold!(document.is_object() && is_empty, "as JSON it is {document}");
        }
        return Ok(());
    }
    skip!("no collection of a kind is empty");
}

/// Three computes: with the tag and the host name, with the tag only, with the host name only.
struct Filtered {
    filter_mixin: Draft,
    filter_name: Draft,
    both: String,
    tagged: String,
    named: String,
}

async fn filtered(session: &Session) -> Result<Filtered, Stop> {
    let (tag, name) = (session.tag().await?, session.unique("host").replace('_', "-"));
    let named = || session.compute_draft().attribute(HOSTNAME, name.clone());
    let both = session.create(COMPUTE, &named()).await?;
    let named = session.create(COMPUTE, &named()).await?;
    let tagged = session.create(COMPUTE, &session.compute_draft().attribute(HOSTNAME, format!("{name}-2"))).await?;
    session.associate(&tag.location, &[&both, &tagged]).await?;
    let filter_name = Draft::new().attribute(HOSTNAME, name);
    Ok(Filtered { filter_mixin: Draft::new().mixin(&tag.identifier), filter_name, both, tagged, named })
}

async fn found_by(session: &Session, filter: &Draft) -> Result<BTreeSet<String>, Stop> {
    let answer = session.send(Request::get(session.model.location(COMPUTE)?).filter(filter)).await?;
    paths(session, &answer.expect(&[200, 204])?.locations()?)
}

async fn filters_by_mixin(session: &Session) -> Outcome {
    let Filtered { filter_mixin, both, tagged, .. } = filtered(session).await?;
    let found = found_by(session, &filter_mixin).await?;
    hold!(found == BTreeSet::from([both, tagged]), "these come: {found:?}");
    Ok(())
}

async fn filters_by_attribute(session: &Session) -> Outcome {
    let Filtered { filter_name, both, named, .. } = filtered(session).await?;
    let found = found_by(session, &filter_name).await?;
    hold!(found == BTreeSet::from([both, named]), "these come: {found:?}");
    Ok(())
}

async fn filters_by_both(session: &Session) -> Outcome {
    let Filtered { filter_mixin, filter_name, both, .. } = filtered(session).await?;
    let location = session.model.location(COMPUTE)?;
    let mut request = Request::get(location).filter(&filter_mixin);
    request.headers.extend(filter_name.fields());
    let answer = session.send(request).await?;
    let found = paths(session, &answer.expect(&[200])?.locations()?)?;
    hold!(found == BTreeSet::from([both]), "these come: {found:?}");
    Ok(())
}

async fn filter_may_find_nothing(session: &Session) -> Outcome {
    session.shared_compute().await?;
    let nowhere = session.unique("nowhere").replace('_', "-");
    let found = found_by(session, &Draft::new().attribute(HOSTNAME, nowhere)).await?;
    hold!(found.is_empty(), "these come: {found:?}");
    Ok(())
}

async fn refuses_broken_filters(session: &Session) -> Outcome {
    let location = session.model.location(COMPUTE)?;
    for broken in [HOSTNAME, "occi.compute.hostname=\"open", "=\"foo\""] {
        let request = Request::get(location).content_type(OCCI).header("X-OCCI-Attribute", broken);
        session.send(request).await?.expect(&[400])?;
    }
    Ok(())
}

async fn page(session: &Session, page: &str, number: &str) -> Result<Answer, Stop> {
    let location = session.model.location(COMPUTE)?;
    session.send(Request::get(&format!("{location}?page={page}&number={number}"))).await
}

/// Skips where pages are not offered: then all members come.
async fn require_pages(session: &Session) -> Result<usize, Stop> {
    session
        .preparing(async {
            session.shared_compute().await?;
            session.compute().await?;
            let all = session.members(session.model.location(COMPUTE)?).await?.len();
            let answer = page(session, "1", "1").await?;
            if !answer.is_success() || answer.locations()?.len() == all {
                skip!("the server does not offer pages");
            }
            Ok(all)
        })
        .await
}

async fn has_pages(session: &Session) -> Outcome {
    session.shared_compute().await?;
    session.compute().await?;
    session.compute().await?;
    let all: BTreeSet<_> = session.members(session.model.location(COMPUTE)?).await?.into_iter().collect();
    let (mut seen, mut number) = (BTreeSet::new(), 0);
    while seen.len() < all.len() {
        number += 1;
        let answer = page(session, &number.to_string(), "2").await?;
        let found = paths(session, &answer.expect(&[200])?.locations()?)?;
        let wanted = 2.min(all.len() - seen.len());
        hold!(found.len() == wanted, "page {number} has {} members instead of {wanted}", found.len());
        hold!(found.is_disjoint(&seen), "page {number} has members that another one had");
        seen.extend(found);
    }
    hold!(seen == all, "the pages hold {seen:?} instead of {all:?}");
    Ok(())
}

async fn limits_pages(session: &Session) -> Outcome {
    require_pages(session).await?;
    page(session, "1", "1000000000").await?.expect(&[413])?;
    Ok(())
}

async fn ends(session: &Session) -> Outcome {
    let all = require_pages(session).await?;
    let answer = page(session, &(all + 1000).to_string(), "2").await?;
    let found = answer.expect(&[200])?.locations()?;
    hold!(found.is_empty(), "these come: {found:?}");
    Ok(())
}

async fn refuses_what_is_no_page(session: &Session) -> Outcome {
    require_pages(session).await?;
    for (number, size) in [("x", "2"), ("1", "0"), ("1", "-1")] {
        page(session, number, size).await?.expect(&[400])?;
    }
    Ok(())
}
