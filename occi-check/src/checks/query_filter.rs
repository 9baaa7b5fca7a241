//! 8.A, second part: filters of the query interface, and what clients in use need of it.

use std::collections::BTreeSet;

use super::query_interface::{identifiers, query};
use crate::{
    answer::{JSON, OCCI, PLAIN},
    check::{Check, Outcome},
    draft::Draft,
    names::{COMPUTE, ENTITY, NETWORK, RESOURCE},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        20,
        Must,
        "H11 §3.4.1",
        "GET /-/ with the kind compute as a filter in text/occi, from a client of 1.1: 200, the complete kind compute, \
         nothing else",
        filter_gives_one
    ),
    check!(21, Must, "H11 §3.4.1", "GET /-/ with two categories as a filter: exactly these two", filter_gives_two),
    check!(
        22,
        Should,
        "H12 §7.1",
        "GET /-/ with compute as a filter, from a client of 1.2: only compute and what is related to it, its actions \
         and mixins",
        filter_gives_related
    ),
    check!(
        23,
        Should,
        "H11 §3.4.1",
        "GET /-/ with a filter in text/occi and Accept: text/plain: the filter is honoured, the body is text/plain",
        filter_and_rendering_are_independent
    ),
    check!(
        24,
        Must,
        "H11 §3.6.8 (400)",
        "GET /-/ with the malformed filter `Category: compute scheme=x`: 400",
        malformed_filter
    ),
    check!(
        25,
        Must,
        "H11 §3.6.8 (404)",
        "GET /-/ with an unknown category as a filter: 404 by the table, 400 in servers in use",
        unknown_filter
    ),
    check!(
        26,
        Interop,
        "working group's test_query_interface",
        "GET /-/ as text/occi with a filter for compute without class: 200, and no comma in the field Category",
        filtered_compute_has_no_comma
    ),
    check!(
        27,
        Interop,
        "working group's test_syntax",
        "GET /-/: the second line of text/plain and the first value of text/occi have no digit, - or _ in their \
         scheme, \
         and scheme and class in the written form",
        first_lines_suit_the_test_tool
    ),
    check!(28, Interop, "jOCCI", "HEAD /-/: 200 or 401, with the headers of GET and no body", head_is_get_without_body),
];

fn filter_of(identifiers: &[&str]) -> Draft {
    identifiers.iter().fold(Draft::new(), |draft, identifier| draft.kind(identifier))
}

/// Asks as a client of 1.1 with kinds as a filter, and wants exactly these.
async fn filter_gives_exactly(session: &Session, wanted: &[&str]) -> Outcome {
    for identifier in wanted {
        session.model.require(identifier)?;
    }
    let complete = session.preparing(session.categories()).await?;
    let request = Request::get("/-/").filter(&filter_of(wanted)).accept(OCCI).user_agent("occi-check OCCI/1.1");
    let found = session.send(request).await?.expect(&[200])?.categories()?;
    let wanted: BTreeSet<String> = wanted.iter().map(|identifier| (*identifier).to_owned()).collect();
    hold!(identifiers(&found) == wanted, "these came: {:?}", identifiers(&found));
    for category in &found {
        let twin = complete.iter().find(|twin| twin.identifier() == category.identifier());
        hold!(
            twin.is_some_and(|twin| twin.attributes == category.attributes),
            "{} is not complete",
            category.identifier()
        );
    }
    Ok(())
}

async fn filter_gives_one(session: &Session) -> Outcome {
    filter_gives_exactly(session, &[COMPUTE]).await
}

async fn filter_gives_two(session: &Session) -> Outcome {
    filter_gives_exactly(session, &[COMPUTE, NETWORK]).await
}

async fn filter_gives_related(session: &Session) -> Outcome {
    session.model.require(COMPUTE)?;
    let request = Request::get("/-/").filter(&filter_of(&[COMPUTE])).accept(JSON).user_agent("occi-check OCCI/1.2");
    let found = session.send(request).await?.expect(&[200])?.categories()?;
    let Some(compute) = found.iter().find(|category| category.identifier() == COMPUTE) else {
        fail!("compute itself did not come");
    };
    for category in &found {
        let identifier = category.identifier();
        let is_related = match category.class.as_str() {
            "kind" => [COMPUTE, RESOURCE, ENTITY].contains(&identifier.as_str()),
            "action" => found.iter().any(|owner| owner.actions.contains(&identifier)),
            _ => {
                category.applies.is_empty()
                    || category.applies.iter().any(|kind| [COMPUTE, RESOURCE, ENTITY].contains(&kind.as_str()))
            }
        };
        hold!(is_related, "{identifier} came, which is not related to {}", compute.identifier());
    }
    Ok(())
}

async fn filter_and_rendering_are_independent(session: &Session) -> Outcome {
    session.model.require(COMPUTE)?;
    let request = Request::get("/-/").filter(&filter_of(&[COMPUTE])).accept(PLAIN).user_agent("occi-check OCCI/1.1");
    let answer = session.send(request).await?;
    let found = answer.expect(&[200])?.expect_media(PLAIN)?.categories()?;
    hold!(identifiers(&found).into_iter().eq([COMPUTE.to_owned()]), "these came: {:?}", identifiers(&found));
    Ok(())
}

async fn malformed_filter(session: &Session) -> Outcome {
    let request = Request::get("/-/").content_type(OCCI).header("Category", "compute scheme=x");
    session.send(request).await?.expect(&[400])?;
    Ok(())
}

async fn unknown_filter(session: &Session) -> Outcome {
    let unknown = filter_of(&["http://example.com/occi/nowhere#nothing"]);
    session.send(Request::get("/-/").filter(&unknown)).await?.expect(&[404, 400])?;
    Ok(())
}

async fn filtered_compute_has_no_comma(session: &Session) -> Outcome {
    session.model.require(COMPUTE)?;
    let filter = "compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"";
    let request = Request::get("/-/").accept(OCCI).content_type(OCCI).header("Category", filter);
    let answer = session.send(request.user_agent("occi-check OCCI/1.1")).await?;
    answer.expect(&[200])?;
    let fields = answer.header_fields("Category");
    hold!(!fields.is_empty(), "there is no field Category");
    hold!(fields.len() == 1 && !fields[0].contains(','), "the client splits this at its commas: {fields:?}");
    Ok(())
}

/// `\w+; \bscheme=[a-z:./#"]*; \bclass="(?:action|kind|mixin)"` at the beginning of a text.
fn suits_the_test_tool(text: &str) -> bool {
    let Some((term, rest)) = text.split_once("; scheme=") else { return false };
    let Some((scheme, rest)) = rest.split_once("; class=\"") else { return false };
    !term.is_empty()
        && term.chars().all(|each| each.is_ascii_alphanumeric() || each == '_')
        && scheme.chars().all(|each| each.is_ascii_lowercase() || ":./#\"".contains(each))
        && ["action\"", "kind\"", "mixin\""].iter().any(|class| rest.starts_with(class))
}

async fn first_lines_suit_the_test_tool(session: &Session) -> Outcome {
    let answer = query(session, PLAIN).await?;
    let second = answer.text()?.lines().nth(1).and_then(|line| line.strip_prefix("Category: "));
    hold!(second.is_some_and(suits_the_test_tool), "the second line is {second:?}");
    let answer = query(session, OCCI).await?;
    let first = answer.header("Category");
    let shown: Option<String> = first.map(|first| first.chars().take(120).collect());
    hold!(first.is_some_and(suits_the_test_tool), "the field Category starts {shown:?}");
    Ok(())
}

async fn head_is_get_without_body(session: &Session) -> Outcome {
    let head = session.send(Request::new("HEAD", "/-/").accept(PLAIN).content_type(PLAIN)).await?;
    head.expect(&[200, 401])?;
    hold!(head.body.is_empty(), "HEAD has a body");
    let get = session.send(Request::get("/-/").content_type(PLAIN)).await?;
    hold!(get.status == head.status, "HEAD answers {}, and GET {}", head.status, get.status);
    for name in ["Content-Type", "Server"] {
        let (of_head, of_get) = (head.header(name), get.header(name));
        hold!(of_head == of_get, "{name} of HEAD is {of_head:?}, and of GET {of_get:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::suits_the_test_tool;

    #[test]
    fn the_test_tools_pattern() {
        assert!(suits_the_test_tool(
            "resource; scheme=\"http://schemas.ogf.org/occi/core#\"; class=\"kind\"; title=\"x\""
        ));
        for wrong in [
            "a-b; scheme=\"http://x/#\"; class=\"kind\"",
            "a; scheme=\"http://x/1#\"; class=\"kind\"",
            "a;scheme=\"s\"",
        ] {
            assert!(!suits_the_test_tool(wrong), "{wrong}");
        }
    }
}
