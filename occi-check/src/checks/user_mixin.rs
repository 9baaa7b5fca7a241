//! 8.A, third part: mixins that users define and remove.

use serde_json::json;

use super::query_interface::{WELL_KNOWN, is_well_known_offered};
use crate::{
    answer::{Answer, Category, OCCI},
    check::{Check, Outcome, Stop},
    draft::{Draft, category_value, split_identifier},
    fixture::Tag,
    names::{COMPUTE, OS_TPL},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        29,
        Must,
        "H11 §3.4.1; H12 §9.3",
        "POST /-/ of a mixin with its location as text/plain: 200, and GET /-/ lists it with that location",
        defines_in_text
    ),
    check!(
        30,
        Must,
        "H11 §3.4.1",
        "POST /-/ of a mixin in text/occi header fields: 200, same effect",
        defines_in_headers
    ),
    check!(
        31,
        Must,
        "J12 §3.2.2, §3.4.2; H12 §9.3",
        "POST /-/ of {\"mixins\":[{term, scheme, location}]} as JSON: 200, same effect",
        defines_in_json
    ),
    check!(32, May, "H12 §9.3", "POST /-/ of two mixins in one request: 200, both are listed", defines_two),
    check!(
        33,
        Must,
        "H11 §3.4.1, §3.6.8",
        "POST /-/ of a mixin without location, or without scheme: 400",
        refuses_incomplete
    ),
    check!(
        34,
        Should,
        "H11 §3.4.1, our reading",
        "POST /-/ of a category of class kind or action: 400, and nothing is registered",
        refuses_other_classes
    ),
    check!(
        35,
        May,
        "H11 §3.4.1",
        "POST /-/ of an identifier that is used, with another location, or of a location that is used: refused \
         with 409 \
         (400 or 403 in servers in use), and the old definition is unchanged",
        refuses_collisions
    ),
    check!(
        36,
        Interop,
        "working group's tool",
        "POST /-/ of a mixin whose rel nobody registered: 200",
        takes_unregistered_rel
    ),
    check!(37, May, "H11 §3.4.1", "POST /-/ where users may define no mixins: 501 or 403", says_that_users_may_not),
    check!(38, Must, "H11 §3.4.1; H12 §9.4", "DELETE /-/ of a user mixin: 200, and GET /-/ lists it no more", removes),
    check!(
        39,
        Must,
        "H11 §3.4.1",
        "DELETE /-/ of a mixin that an instance carries: the instance goes on without it",
        removal_dissociates
    ),
    check!(
        40,
        Should,
        "H12 §9.4, our reading",
        "GET of the location of a removed mixin: 404",
        removed_location_is_unknown
    ),
    check!(41, Interop, "working group's tool", "DELETE /-/ of a user mixin without class: 200", removes_without_class),
    check!(
        42,
        Must,
        "H11 §3.4.1",
        "DELETE /-/ of a mixin that the provider defined: 403, and it is still listed",
        keeps_provider_mixins
    ),
    check!(
        43,
        Must,
        "H11 §3.6.8",
        "DELETE /-/ of an unknown mixin: 404 by the table, 400 in servers in use",
        removal_of_unknown
    ),
    check!(44, Should, "H11 §3.4.1, our reading", "DELETE /-/ of a kind: 403, and it is still listed", keeps_kinds),
    check!(45, Must, "H11 §3.2; H12 §8, §9.2", "PUT /-/: 405", put_is_not_defined),
    check!(
        46,
        Must,
        "H11 §3.6.7",
        "POST and DELETE on /.well-known/org/ogf/occi/-/, if offered: same effect as on /-/",
        well_known_path_defines_too
    ),
];

/// Asks for new mixins; users may not be allowed to.
async fn define(session: &Session, request: Request) -> Result<Answer, Stop> {
    let answer = session.send(request).await?;
    if [403, 501].contains(&answer.status) {
        skip!("the server lets users define no mixins: it answers {}", answer.status);
    }
    answer.expect(&[200])?;
    Ok(answer)
}

async fn listed(session: &Session, identifier: &str) -> Result<Option<Category>, Stop> {
    Ok(session.categories().await?.into_iter().find(|category| category.identifier() == identifier))
}

async fn expect_listed(session: &Session, tag: &Tag) -> Outcome {
    let Some(mixin) = listed(session, &tag.identifier).await? else {
        fail!("{} is not listed afterwards", tag.identifier);
    };
    hold!(mixin.class == "mixin", "{} is listed as a {}", tag.identifier, mixin.class);
    let location = mixin.location.as_deref().unwrap_or_default();
    hold!(session.path(location)? == tag.location, "its location is {location:?} instead of {}", tag.location);
    Ok(())
}

async fn expect_not_listed(session: &Session, identifier: &str) -> Outcome {
    hold!(listed(session, identifier).await?.is_none(), "{identifier} is listed afterwards");
    Ok(())
}

/// A user mixin that is there.
async fn listed_tag(session: &Session) -> Result<Tag, Stop> {
    let tag = session.tag().await?;
    session.preparing(expect_listed(session, &tag)).await?;
    Ok(tag)
}

async fn remove(session: &Session, target: &str, identifier: &str) -> Result<Answer, Stop> {
    session.send(Request::delete(target).text(&Draft::new().mixin(identifier))).await
}

async fn defines_in_text(session: &Session) -> Outcome {
    let tag = session.new_tag();
    define(session, Request::post("/-/").plain(&tag.line())).await?;
    expect_listed(session, &tag).await
}

async fn defines_in_headers(session: &Session) -> Outcome {
    let tag = session.new_tag();
    let value = format!("{}; location=\"{}\"", category_value(&tag.identifier, "mixin"), tag.location);
    define(session, Request::post("/-/").content_type(OCCI).header("Category", &value)).await?;
    expect_listed(session, &tag).await
}

async fn defines_in_json(session: &Session) -> Outcome {
    let tag = session.new_tag();
    let (scheme, term) = split_identifier(&tag.identifier);
    let document = json!({"mixins": [{"term": term, "scheme": scheme, "location": tag.location}]});
    define(session, Request::post("/-/").json(&document)).await?;
    expect_listed(session, &tag).await
}

async fn defines_two(session: &Session) -> Outcome {
    let (one, two) = (session.new_tag(), session.new_tag());
    let answer = session.send(Request::post("/-/").plain(&format!("{}{}", one.line(), two.line()))).await?;
    if !answer.is_success() && answer.status < 500 {
        expect_not_listed(session, &one.identifier).await?;
        skip!("the server takes one at a time: it answers {}", answer.status);
    }
    answer.expect(&[200])?;
    expect_listed(session, &one).await?;
    expect_listed(session, &two).await
}

async fn refuses_incomplete(session: &Session) -> Outcome {
    let tag = session.tag().await?;
    let fresh = session.new_tag();
    let (scheme, term) = split_identifier(&fresh.identifier);
    let without_location = format!("Category: {term}; scheme=\"{scheme}\"; class=\"mixin\"\n");
    session.send(Request::post("/-/").plain(&without_location)).await?.expect(&[400])?;
    expect_not_listed(session, &fresh.identifier).await?;
    let without_scheme = format!("Category: {term}; class=\"mixin\"; location=\"{}\"\n", fresh.location);
    session.send(Request::post("/-/").plain(&without_scheme)).await?.expect(&[400])?;
    hold!(!session.categories().await?.iter().any(|category| category.term == term), "{term} is listed afterwards");
    expect_listed(session, &tag).await
}

async fn refuses_other_classes(session: &Session) -> Outcome {
    session.tag().await?;
    for class in ["kind", "action"] {
        let fresh = session.new_tag();
        let line = fresh.line().replace("class=\"mixin\"", &format!("class=\"{class}\""));
        session.send(Request::post("/-/").plain(&line)).await?.expect(&[400])?;
        expect_not_listed(session, &fresh.identifier).await?;
    }
    Ok(())
}

async fn refuses_collisions(session: &Session) -> Outcome {
    let tag = session.tag().await?;
    let (fresh, other) = (session.new_tag(), session.new_tag());
    let moved = Tag { identifier: tag.identifier.clone(), location: fresh.location };
    let intruder = Tag { identifier: other.identifier, location: tag.location.clone() };
    for collision in [moved, intruder] {
        let answer = session.send(Request::post("/-/").plain(&collision.line())).await?;
        if answer.is_success() {
            skip!("the server takes a mixin again, which is allowed: it answers {}", answer.status);
        }
        answer.expect(&[409, 400, 403])?;
        expect_listed(session, &tag).await?;
    }
    Ok(())
}

async fn takes_unregistered_rel(session: &Session) -> Outcome {
    let tag = session.new_tag();
    let rel = "class=\"mixin\"; rel=\"http://example.com/occi/something_else#mixin\"";
    define(session, Request::post("/-/").plain(&tag.line().replace("class=\"mixin\"", rel))).await?;
    expect_listed(session, &tag).await
}

async fn says_that_users_may_not(session: &Session) -> Outcome {
    let tag = session.new_tag();
    let answer = session.send(Request::post("/-/").plain(&tag.line())).await?;
    if answer.is_success() {
        skip!("the server lets users define mixins");
    }
    answer.expect(&[501, 403])?;
    expect_not_listed(session, &tag.identifier).await
}

async fn removes(session: &Session) -> Outcome {
    let tag = listed_tag(session).await?;
    remove(session, "/-/", &tag.identifier).await?.expect(&[200])?;
    expect_not_listed(session, &tag.identifier).await
}

async fn removal_dissociates(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, session.compute().await?);
    session.associate(&tag.location, &[&compute]).await?;
    let entity = session.preparing(session.read(&compute)).await?;
    hold!(entity.has_mixin(&tag.identifier), "{compute} does not show the mixin that was put on it");
    remove(session, "/-/", &tag.identifier).await?.expect(&[200])?;
    let entity = session.read(&compute).await?;
    hold!(!entity.has_mixin(&tag.identifier), "{compute} still shows the removed mixin");
    hold!(entity.kind == COMPUTE, "{compute} is of kind {} afterwards", entity.kind);
    Ok(())
}

async fn removed_location_is_unknown(session: &Session) -> Outcome {
    let tag = session.tag().await?;
    session.send(Request::get(&tag.location)).await?.expect(&[200, 204])?;
    remove(session, "/-/", &tag.identifier).await?.expect(&[200, 204])?;
    session.send(Request::get(&tag.location)).await?.expect(&[404])?;
    Ok(())
}

async fn removes_without_class(session: &Session) -> Outcome {
    let tag = listed_tag(session).await?;
    let (scheme, term) = split_identifier(&tag.identifier);
    let value = format!("{term}; scheme=\"{scheme}\"");
    let request = Request::delete("/-/").content_type(OCCI).header("Category", &value);
    session.send(request).await?.expect(&[200])?;
    expect_not_listed(session, &tag.identifier).await
}

async fn keeps_provider_mixins(session: &Session) -> Outcome {
    let offered = &session.model.categories;
    let usual = session.model.find(OS_TPL).or_else(|| offered.iter().find(|category| category.class == "mixin"));
    let Some(mixin) = usual else { skip!("the server offers no mixins") };
    let identifier = mixin.identifier();
    remove(session, "/-/", &identifier).await?.expect(&[403])?;
    hold!(listed(session, &identifier).await?.is_some(), "{identifier} is not listed afterwards");
    Ok(())
}

async fn removal_of_unknown(session: &Session) -> Outcome {
    let tag = session.new_tag();
    remove(session, "/-/", &tag.identifier).await?.expect(&[404, 400])?;
    Ok(())
}

async fn keeps_kinds(session: &Session) -> Outcome {
    let Some(kind) = session.model.categories.iter().find(|category| category.class == "kind") else {
        fail!("no kind is listed");
    };
    let identifier = kind.identifier();
    session.send(Request::delete("/-/").text(&Draft::of(&identifier))).await?.expect(&[403])?;
    hold!(listed(session, &identifier).await?.is_some(), "{identifier} is not listed afterwards");
    Ok(())
}

async fn put_is_not_defined(session: &Session) -> Outcome {
    let tag = session.new_tag();
    session.send(Request::put("/-/").plain(&tag.line())).await?.expect(&[405])?;
    expect_not_listed(session, &tag.identifier).await
}

async fn well_known_path_defines_too(session: &Session) -> Outcome {
    is_well_known_offered(session).await?;
    let tag = session.new_tag();
    define(session, Request::post(WELL_KNOWN).plain(&tag.line())).await?;
    expect_listed(session, &tag).await?;
    remove(session, WELL_KNOWN, &tag.identifier).await?.expect(&[200])?;
    expect_not_listed(session, &tag.identifier).await
}
