//! 8.E: Reading entities.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::{
    answer::{Answer, Category, Entity, JSON, OCCI, Value, split_commas},
    check::{Check, Outcome, Stop},
    fixture::LinkFixture,
    names::{
        COMPUTE, COMPUTE_ACTION, COMPUTE_STATE, CORES, HOSTNAME, MEMORY, NETWORK, NETWORK_INTERFACE, START, SUMMARY,
        TITLE,
    },
    request::Request,
    session::Session,
};

/// How often something is read that may be changing.
const TRIES: u32 = 20;
const VERSION_1_1: &str = "occi-check OCCI/1.1";
const VERSION_1_2: &str = "occi-check OCCI/1.2";

pub(crate) const CHECKS: &[Check] = &[
    check!(129, Must, "H11 §3.4.4; H12 §10.1", "GET of a compute: 200, and the first line is its kind", kind_is_first),
    check!(130, Must, "C12 §5.4.1", "GET of a compute: every mixin of it is shown as a Category", shows_mixins),
    check!(
        131,
        Must,
        "H11 §3.4.4",
        "GET of a compute: all attributes with a value, and always occi.core.id and occi.compute.state",
        shows_attributes
    ),
    check!(
        132,
        Must,
        "H11 §3.4.5",
        "GET of a compute: each link from it, with the target's path, rel (the target's kind), self, category (the \
         link's kind and mixins), and attributes",
        shows_links
    ),
    check!(
        133,
        Should,
        "H11 §3.4.5",
        "GET of a network: links that come from elsewhere are not shown",
        shows_no_incoming_links
    ),
    check!(
        134,
        Must,
        "H11 §3.5.3; T12 §5.1.1",
        "GET of an inactive compute: Link: <{path}?action=start>; rel=\"…compute/action#start\"",
        offers_start
    ),
    check!(
        135,
        Should,
        "H11 §3.4.4",
        "GET of an inactive compute: no link of an action that does not fit now (stop, suspend)",
        offers_nothing_else
    ),
    check!(
        136,
        Interop,
        "working group's tool",
        "GET of an inactive compute as text/occi: the start action is the first value of Link, and its URI a path",
        start_is_the_first_link
    ),
    check!(
        137,
        Must,
        "H11 §3.6.6",
        "GET of a compute as text/occi: Category, X-OCCI-Attribute and Link in header fields; the body is OK",
        is_read_from_headers
    ),
    check!(
        138,
        Must,
        "J12 §3.1.1",
        "GET of a compute as JSON: kind and id; flat attributes of native types; applicable actions; full links",
        is_read_as_json
    ),
    check!(
        139,
        Must,
        "J12 §3.1.1",
        "GET of a compute as JSON: no members but kind, mixins, attributes, actions, id, links, summary, title",
        has_no_other_members
    ),
    check!(140, Must, "H11 §3.4.5", "GET of a link: occi.core.source and occi.core.target", links_show_their_ends),
    check!(141, Must, "H11 §3.4.5", "GET of a link, from a client of 1.1: no Link lines", links_show_no_links),
    check!(
        142,
        Should,
        "T12 §5.1.2",
        "GET of a link, from a client of 1.2: Link lines for actions only",
        links_show_only_actions
    ),
    check!(
        143,
        Must,
        "J12 §3.1.2",
        "GET of a link as JSON: source.location and target.location are strings, target.kind is set",
        links_as_json
    ),
    check!(144, Must, "H11 §3.6.8; H12 §5.4", "GET of a deleted id: 404 or 410", deleted_is_gone),
    check!(
        145,
        Must,
        "T12 §4.3; H11 §3.5.4",
        "GET of a compute: texts are quoted, numbers and booleans bare",
        quotes_texts_only
    ),
    check!(
        146,
        Interop,
        "rOCCI, jOCCI",
        "GET of a compute: integers are digits, floats digits, a point and digits, without sign and exponent",
        writes_plain_numbers
    ),
    check!(
        147,
        Must,
        "H11 §3.4.4 fn",
        "GET of a compute's path with a / at its end: not the entity, but 404 or an empty listing",
        slash_is_another_path
    ),
];

async fn kind_is_first(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let answer = session.send(Request::get(&compute)).await?;
    let first = answer.expect(&[200])?.text()?.lines().next().unwrap_or_default().to_owned();
    let Some(value) = first.strip_prefix("Category:") else { fail!("the first line is {first:?}") };
    let category = Category::parse(value.trim())?;
    let is_it = category.class == "kind" && category.identifier() == COMPUTE;
    hold!(is_it, "the first line is the {} {}", category.class, category.identifier());
    Ok(())
}

async fn shows_mixins(session: &Session) -> Outcome {
    let (one, two) = (session.tag().await?, session.tag().await?);
    let draft = session.compute_draft().mixin(&one.identifier);
    let compute = session.create(COMPUTE, &draft).await?;
    session.associate(&two.location, &[&compute]).await?;
    let entity = session.read(&compute).await?;
    for tag in [one, two] {
        hold!(entity.has_mixin(&tag.identifier), "{} is not shown", tag.identifier);
    }
    let given = draft.json();
    for mixin in given["mixins"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        hold!(entity.has_mixin(mixin), "{mixin} is not shown");
    }
    Ok(())
}

async fn shows_attributes(session: &Session) -> Outcome {
    let title = session.unique("compute");
    let draft = session.untitled_compute_draft().attribute(TITLE, title.clone()).attribute(SUMMARY, "seen");
    let draft = draft.attribute(HOSTNAME, "seen.example.com").attribute(CORES, 2).attribute(MEMORY, 1.5);
    let compute = session.create(COMPUTE, &draft).await?;
    let entity = session.read(&compute).await?;
    for name in ["occi.core.id", COMPUTE_STATE] {
        hold!(entity.text(name).is_some(), "{name} is not shown");
    }
    for (name, given) in [(TITLE, title.as_str()), (SUMMARY, "seen"), (HOSTNAME, "seen.example.com")] {
        hold!(entity.text(name) == Some(given), "{name} is {:?}, and {given:?} was given", entity.text(name));
    }
    let size_is_given = session.options().resource_tpl.is_some();
    for (name, given) in [(CORES, 2.0), (MEMORY, 1.5)] {
        let shown = entity.number(name);
        // A size template has its own numbers.
        let is_so = if size_is_given { shown.is_some() } else { shown == Some(given) };
        hold!(is_so, "{name} is {shown:?}, and {given} was given");
    }
    Ok(())
}

async fn shows_links(session: &Session) -> Outcome {
    let interface = session.shared_interface().await?;
    // A server may still be learning the link's attributes from its backend: it is read before and after.
    for _ in 0..TRIES {
        let before = session.read(&interface.path).await?;
        let entity = session.read(&interface.source).await?;
        if session.read(&interface.path).await? == before {
            return shows_link(session, &interface, &entity, &before);
        }
    }
    fail!("{} changed at each of {TRIES} readings", interface.path);
}

fn shows_link(session: &Session, interface: &LinkFixture, entity: &Entity, link_entity: &Entity) -> Outcome {
    let to_it = |target: &str| session.path(target).ok().as_ref() == Some(&interface.target);
    let Some(link) = entity.links.iter().find(|link| to_it(&link.target)) else {
        fail!("{} shows no link to {}", interface.source, interface.target);
    };
    hold!(link.rel.iter().any(|rel| rel == NETWORK), "rel is {:?}", link.rel);
    let own = link.own.as_deref().map(|own| session.path(own)).transpose()?;
    hold!(own.as_ref() == Some(&interface.path), "self is {own:?} instead of {}", interface.path);
    let wanted: BTreeSet<_> = link_entity.mixins.iter().chain([&link_entity.kind]).collect();
    let shown: BTreeSet<_> = link.categories.iter().collect();
    hold!(shown == wanted, "category is {shown:?} instead of {wanted:?}");
    hold!(link.categories.first().map(String::as_str) == Some(NETWORK_INTERFACE), "its kind is not the first category");
    let mac = "occi.networkinterface.mac";
    hold!(link.attributes.get(mac) == link_entity.attributes.get(mac), "its {mac} is {:?}", link.attributes.get(mac));
    Ok(())
}

async fn shows_no_incoming_links(session: &Session) -> Outcome {
    let interface = session.shared_interface().await?;
    let entity = session.read(&interface.target).await?;
    hold!(
        entity.links.is_empty(),
        "{} shows links to {:?}",
        interface.target,
        entity.links.first().map(|link| &link.target)
    );
    Ok(())
}

async fn offers_start(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let entity = session.read(&compute).await?;
    let Some(start) = entity.actions.iter().find(|action| action.identifier == START) else {
        fail!(
            "an inactive compute offers {:?}",
            entity.actions.iter().map(|action| &action.identifier).collect::<Vec<_>>()
        );
    };
    hold!(session.path(&start.uri)? == format!("{compute}?action=start"), "the URI is {}", start.uri);
    Ok(())
}

async fn offers_nothing_else(session: &Session) -> Outcome {
    let entity = session.read(&session.shared_compute().await?).await?;
    for term in ["stop", "suspend"] {
        let action = format!("{COMPUTE_ACTION}{term}");
        hold!(!entity.offers(&action), "an inactive compute offers {term}");
    }
    hold!(entity.text(COMPUTE_STATE) == Some("inactive"), "the state is {:?}", entity.text(COMPUTE_STATE));
    Ok(())
}

async fn start_is_the_first_link(session: &Session) -> Outcome {
    let compute =
        session.shared_interface().await.map_or(session.shared_compute().await?, |interface| interface.source);
    let answer = session.send(Request::get(&compute).accept(OCCI)).await?;
    let links = answer.expect(&[200])?.rendered("Link")?;
    let first = links.first().map(String::as_str).unwrap_or_default();
    let wanted = format!("<{compute}?action=start>;");
    hold!(first.starts_with(&wanted) && first.contains(START), "the first value of Link is {first:?}");
    Ok(())
}

async fn is_read_from_headers(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let answer = session.send(Request::get(&compute).accept(OCCI)).await?;
    answer.expect(&[200])?.expect_media(OCCI)?;
    for name in ["Category", "X-OCCI-Attribute", "Link"] {
        hold!(answer.header(name).is_some(), "there is no field {name}");
    }
    hold!(answer.text()?.trim() == "OK", "the body is {:?}", answer.first_words());
    // What is seen twice without a change, and in between in header fields.
    for _ in 0..TRIES {
        let before = session.read(&compute).await?;
        let in_fields = session.send(Request::get(&compute).accept(OCCI)).await?.expect(&[200])?.entity()?;
        if session.read(&compute).await? == before {
            hold!(in_fields == before, "text/occi shows {in_fields:?}, and text/plain {before:?}");
            return Ok(());
        }
    }
    fail!("{compute} changed between any two of {TRIES} requests");
}

async fn in_json(session: &Session, path: &str) -> Result<Json, Stop> {
    session.send(Request::get(path).accept(JSON)).await?.expect(&[200])?.json()
}

async fn is_read_as_json(session: &Session) -> Outcome {
    let compute =
        session.shared_interface().await.map_or(session.shared_compute().await?, |interface| interface.source);
    let object = in_json(session, &compute).await?;
    hold!(object["kind"] == COMPUTE, "kind is {}", object["kind"]);
    hold!(object["id"].as_str().is_some_and(|id| !id.is_empty()), "id is {}", object["id"]);
    let Some(attributes) = object["attributes"].as_object() else { fail!("attributes is no object") };
    for (name, value) in attributes {
        hold!(name.contains('.') && !value.is_object(), "{name} is not a flat attribute: {value}");
    }
    hold!(attributes.get(COMPUTE_STATE).is_some_and(Json::is_string), "{COMPUTE_STATE} is no string");
    if let Some(cores) = attributes.get(CORES) {
        hold!(cores.is_u64(), "{CORES} is {cores}, and no integer");
    }
    if let Some(memory) = attributes.get(MEMORY) {
        hold!(memory.is_number(), "{MEMORY} is {memory}, and no number");
    }
    let has_start = object["actions"].as_array().is_some_and(|actions| actions.iter().any(|action| action == START));
    hold!(has_start, "actions is {}", object["actions"]);
    let plain = session.read(&compute).await?;
    let links = object["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    hold!(links.len() == plain.links.len(), "{} links are in JSON, and {} in text", links.len(), plain.links.len());
    for link in links {
        let is_full = link["kind"].is_string() && link["id"].is_string() && link["target"]["location"].is_string();
        hold!(is_full, "a link is not a full object: {link}");
    }
    Ok(())
}

async fn has_no_other_members(session: &Session) -> Outcome {
    let object = in_json(session, &session.shared_compute().await?).await?;
    let Some(members) = object.as_object() else { fail!("the body is no object") };
    let known = ["kind", "mixins", "attributes", "actions", "id", "links", "summary", "title"];
    let odd: Vec<_> = members.keys().filter(|name| !known.contains(&name.as_str())).collect();
    hold!(odd.is_empty(), "these members are not known: {odd:?}");
    Ok(())
}

async fn links_show_their_ends(session: &Session) -> Outcome {
    let interface = session.shared_interface().await?;
    let entity = session.read(&interface.path).await?;
    for (name, end) in [("occi.core.source", &interface.source), ("occi.core.target", &interface.target)] {
        let Some(shown) = entity.text(name) else { fail!("{name} is not shown") };
        hold!(session.path(shown)? == *end, "{name} is {shown} instead of {end}");
    }
    Ok(())
}

async fn links_of_link(session: &Session, client: &str) -> Result<Vec<String>, Stop> {
    let interface = session.shared_interface().await?;
    let answer = session.send(Request::get(&interface.path).user_agent(client)).await?;
    answer.expect(&[200])?.rendered("Link")
}

async fn links_show_no_links(session: &Session) -> Outcome {
    let links = links_of_link(session, VERSION_1_1).await?;
    hold!(links.is_empty(), "there is {:?}", links.first());
    Ok(())
}

async fn links_show_only_actions(session: &Session) -> Outcome {
    let links = links_of_link(session, VERSION_1_2).await?;
    let odd = links.iter().find(|link| !link.contains("?action="));
    hold!(odd.is_none(), "there is {odd:?}");
    Ok(())
}

async fn links_as_json(session: &Session) -> Outcome {
    let interface = session.shared_interface().await?;
    let object = in_json(session, &interface.path).await?;
    for (name, end) in [("source", &interface.source), ("target", &interface.target)] {
        let Some(location) = object[name]["location"].as_str() else { fail!("{name} is {}", object[name]) };
        hold!(session.path(location)? == *end, "{name}.location is {location} instead of {end}");
    }
    hold!(object["target"]["kind"] == NETWORK, "target.kind is {}", object["target"]["kind"]);
    Ok(())
}

async fn deleted_is_gone(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    session.settled(&compute).await?;
    session.send(Request::delete(&compute)).await?.expect(&[200, 202, 204])?;
    session.wait_until_gone(&compute).await
}

/// The attributes of a compute that has some of every type, as they were written.
async fn written_attributes(session: &Session) -> Result<Vec<(String, String)>, Stop> {
    let draft = session.compute_draft().attribute(CORES, 2).attribute(MEMORY, 2.0).attribute(SUMMARY, "12");
    let compute = session.create(COMPUTE, &draft).await?;
    let answer: Answer = session.send(Request::get(&compute)).await?;
    let mut written = Vec::new();
    for line in answer.expect(&[200])?.text()?.lines() {
        let Some(values) = line.strip_prefix("X-OCCI-Attribute:") else { continue };
        for value in split_commas(values)? {
            let Some((name, value)) = value.split_once('=') else { fail!("{value:?} is no attribute") };
            written.push((name.to_owned(), value.to_owned()));
        }
    }
    hold!(!written.is_empty(), "no attribute is shown");
    Ok(written)
}

async fn quotes_texts_only(session: &Session) -> Outcome {
    for (name, text) in written_attributes(session).await? {
        let is_number = [CORES, MEMORY, "occi.compute.share", "occi.compute.speed"].contains(&name.as_str());
        match Value::parse(&text)? {
            Value::Text(_) => hold!(!is_number, "{name} is a number, and {text} is quoted"),
            _ => {
                let is_text = name.starts_with("occi.core.") || name.contains(".state") || name == HOSTNAME;
                hold!(!is_text, "{name} is a text, and {text} is not quoted");
            }
        }
    }
    Ok(())
}

async fn writes_plain_numbers(session: &Session) -> Outcome {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_float = |text: &str| text.split_once('.').is_some_and(|(whole, rest)| digits(whole) && digits(rest));
    let written = written_attributes(session).await?;
    for (name, text) in &written {
        let is_bare = !text.starts_with('"') && text != "true" && text != "false";
        hold!(!is_bare || digits(text) || is_float(text), "{name} is written as {text}");
    }
    for (name, is_right) in [(CORES, digits as fn(&str) -> bool), (MEMORY, |text| text.contains('.'))] {
        let Some((_, text)) = written.iter().find(|(found, _)| found == name) else { fail!("{name} is not shown") };
        hold!(is_right(text), "{name} is written as {text}");
    }
    Ok(())
}

async fn slash_is_another_path(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let answer = session.send(Request::get(&format!("{compute}/"))).await?;
    answer.expect(&[200, 204, 404])?;
    if answer.status == 200 {
        hold!(
            answer.locations()?.is_empty() && !answer.text()?.contains("class="),
            "it answers {}",
            answer.first_words()
        );
    }
    Ok(())
}
