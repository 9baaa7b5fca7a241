//! 8.I: Collections of mixins, and tags.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::replacement::{expect_size, sized_compute};
use crate::{
    answer::{Answer, Category, Entity, JSON, Value},
    check::{Check, Outcome, Stop},
    draft::Draft,
    fixture::Tag,
    names::{COMPUTE, IP_NETWORK, NETWORK_INTERFACE, RESOURCE_TPL, SSH_KEY, STORAGE, USER_DATA},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        201,
        Must,
        "H11 §3.4.3; H12 §11.3.2",
        "POST of a compute's location to a tag's collection: 200, and the compute shows the tag",
        associates
    ),
    check!(
        202,
        Must,
        "H12 §11.3.2",
        "the answer to a POST of a location to a tag's collection holds the locations of the tag's members",
        answers_the_collection
    ),
    check!(
        203,
        Must,
        "H11 §3.4.3",
        "POST of two locations in one request, one as an absolute URL and one as a path: both are associated",
        associates_two
    ),
    check!(204, Must, "H11 §3.4.3", "GET of a tag's collection: all its members, of any kind", lists_all_kinds),
    check!(
        205,
        Must,
        "C12 §5.3.8; J12 §3.3",
        "GET of a tag's collection as JSON: its resources in resources, its links in links",
        lists_in_json
    ),
    check!(
        206,
        Must,
        "H11 §3.4.3; H12 §11.2",
        "PUT of one location to a tag's collection: 200, and that is its only member",
        becomes
    ),
    check!(
        207,
        Must,
        "H11 §3.4.3; H12 §11.4.2",
        "DELETE of a compute's location from a tag's collection: 200; the compute is there, without the tag",
        dissociates
    ),
    check!(
        208,
        Must,
        "H11 §3.4.3; our reading",
        "DELETE of a tag's collection without locations: all members leave it, and are still there",
        dissociates_all
    ),
    check!(
        209,
        Must,
        "H11 §3.6.8",
        "POST of a location that is not there to a tag's collection: 404 (400 in servers in use), and it is not listed",
        refuses_unknown
    ),
    check!(
        210,
        Must,
        "H11 §3.6.4",
        "POST of two locations, the second of which is not there: refused, and neither is associated",
        associates_all_or_none
    ),
    check!(
        211,
        Must,
        "C12 §5.3.4; H11 §3.6.8",
        "POST of a compute's location to the collection of ipnetwork: 403 or 400, and it is not associated",
        refuses_what_does_not_apply
    ),
    check!(
        212,
        Should,
        "C12 §5.3.4",
        "POST of a member's location to a tag's collection: 200, and it is a member once",
        associates_once
    ),
    check!(
        213,
        Should,
        "C12 §5.3.4; our reading",
        "association of a mixin that needs an attribute without a default: 400, unless it can be filled",
        needs_what_is_required
    ),
    check!(
        214,
        Must,
        "C12 §5.3.4",
        "dissociation of a mixin: its attributes and actions go with it",
        takes_its_attributes_along
    ),
    check!(
        215,
        Must,
        "H11 §3.4.3",
        "POST to a tag's collection of an action that the tag does not have: 400 or 404",
        refuses_unknown_actions
    ),
    check!(
        216,
        Must,
        "C12 §5.3.4",
        "an instance with a mixin that depends on another one: it has the attributes and actions of both",
        brings_what_it_depends_on
    ),
    check!(
        217,
        Must,
        "I12 §3.5.2",
        "POST of a compute with a size template to the collection of another one: it has only the latter",
        replaces_sizes
    ),
    check!(218, Must, "H11 §3.4.3", "a tag put on a compute, a storage and a link: all are listed", holds_any_kind),
    check!(
        219,
        Must,
        "H11 §3.4.1",
        "POST /-/ of a tag with attributes: refused, or the attributes are ignored",
        tags_have_no_attributes
    ),
];

fn locations(paths: &[&str]) -> Draft {
    paths.iter().fold(Draft::new(), |draft, path| draft.location(path))
}

async fn post(session: &Session, tag: &Tag, paths: &[&str]) -> Result<Answer, Stop> {
    session.send(Request::post(&tag.location).text(&locations(paths))).await
}

async fn expect_members(session: &Session, tag: &Tag, wanted: &[&str]) -> Outcome {
    let found = session.members(&tag.location).await?;
    let (once, wanted): (BTreeSet<_>, BTreeSet<_>) =
        (found.iter().map(String::as_str).collect(), wanted.iter().copied().collect());
    hold!(once == wanted && once.len() == found.len(), "the members are {found:?} instead of {wanted:?}");
    for path in wanted {
        hold!(session.read(path).await?.has_mixin(&tag.identifier), "{path} does not show {}", tag.identifier);
    }
    Ok(())
}

async fn associates(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, session.compute().await?);
    post(session, &tag, &[&compute]).await?.expect(&[200])?;
    expect_members(session, &tag, &[&compute]).await
}

async fn answers_the_collection(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, session.compute().await?);
    let answer = post(session, &tag, &[&compute]).await?;
    let named = answer.expect(&[200])?.locations()?;
    let named = named.iter().map(|location| session.path(location)).collect::<Result<Vec<_>, _>>()?;
    hold!(named == [compute.clone()], "the answer names {named:?} instead of {compute}");
    Ok(())
}

async fn associates_two(session: &Session) -> Outcome {
    let (tag, one, two) = (session.tag().await?, session.compute().await?, session.compute().await?);
    let absolute = format!("{}{one}", session.base());
    post(session, &tag, &[&absolute, &two]).await?.expect(&[200])?;
    expect_members(session, &tag, &[&one, &two]).await
}

/// A tag on one of each kind that is offered.
async fn mixed(session: &Session) -> Result<(Tag, Vec<String>), Stop> {
    let (tag, mut paths) = (session.tag().await?, vec![session.compute().await?]);
    if session.model.find(STORAGE).is_some() {
        paths.push(session.storage().await?);
    }
    if session.model.find(NETWORK_INTERFACE).is_some() {
        paths.push(session.interface().await?.path);
    }
    if paths.len() == 1 {
        skip!("the server offers neither storages nor network interfaces");
    }
    for path in &paths {
        session.preparing(session.settled(path)).await?;
    }
    let all: Vec<_> = paths.iter().map(String::as_str).collect();
    post(session, &tag, &all).await?.expect(&[200])?;
    Ok((tag, paths))
}

async fn lists_all_kinds(session: &Session) -> Outcome {
    let (tag, paths) = mixed(session).await?;
    let all: Vec<_> = paths.iter().map(String::as_str).collect();
    expect_members(session, &tag, &all).await
}

async fn lists_in_json(session: &Session) -> Outcome {
    session.model.require(NETWORK_INTERFACE)?;
    let (tag, paths) = mixed(session).await?;
    let document = session.send(Request::get(&tag.location).accept(JSON)).await?.expect(&[200])?.json()?;
    let kinds = |member: &str| -> Vec<Json> {
        let items = document[member].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(|item| item["kind"].clone()).collect()
    };
    let (resources, links) = (kinds("resources"), kinds("links"));
    hold!(links == [NETWORK_INTERFACE], "links holds the kinds {links:?}");
    hold!(resources.len() + 1 == paths.len(), "resources holds the kinds {resources:?}");
    hold!(resources.iter().any(|kind| kind == COMPUTE), "resources holds the kinds {resources:?}");
    Ok(())
}

async fn becomes(session: &Session) -> Outcome {
    let (tag, old, new) = (session.tag().await?, session.compute().await?, session.compute().await?);
    session.associate(&tag.location, &[&old]).await?;
    session.send(Request::put(&tag.location).text(&locations(&[&new]))).await?.expect(&[200])?;
    expect_members(session, &tag, &[&new]).await?;
    let left = session.read(&old).await?;
    hold!(!left.has_mixin(&tag.identifier), "{old} still shows {}", tag.identifier);
    Ok(())
}

async fn dissociates(session: &Session) -> Outcome {
    let (tag, gone, stays) = (session.tag().await?, session.compute().await?, session.compute().await?);
    session.associate(&tag.location, &[&gone, &stays]).await?;
    session.send(Request::delete(&tag.location).text(&locations(&[&gone]))).await?.expect(&[200])?;
    let entity = session.read(&gone).await?;
    hold!(!entity.has_mixin(&tag.identifier), "{gone} still shows {}", tag.identifier);
    expect_members(session, &tag, &[&stays]).await
}

async fn dissociates_all(session: &Session) -> Outcome {
    let (tag, one, two) = (session.tag().await?, session.compute().await?, session.compute().await?);
    session.associate(&tag.location, &[&one, &two]).await?;
    session.send(Request::delete(&tag.location)).await?.expect(&[200, 204])?;
    expect_members(session, &tag, &[]).await?;
    for compute in [one, two] {
        let entity = session.read(&compute).await?;
        hold!(!entity.has_mixin(&tag.identifier), "{compute} still shows {}", tag.identifier);
    }
    Ok(())
}

fn nothing_there(session: &Session) -> Result<String, Stop> {
    Ok(format!("{}{}", session.path(session.model.location(COMPUTE)?)?, uuid::Uuid::new_v4()))
}

async fn refuses_unknown(session: &Session) -> Outcome {
    let (tag, nothing) = (session.tag().await?, nothing_there(session)?);
    post(session, &tag, &[&nothing]).await?.expect(&[404, 400])?;
    expect_members(session, &tag, &[]).await
}

async fn associates_all_or_none(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, session.compute().await?);
    post(session, &tag, &[&compute, &nothing_there(session)?]).await?.expect(&[404, 400])?;
    expect_members(session, &tag, &[]).await?;
    let entity = session.read(&compute).await?;
    hold!(!entity.has_mixin(&tag.identifier), "{compute} shows {}", tag.identifier);
    Ok(())
}

async fn refuses_what_does_not_apply(session: &Session) -> Outcome {
    let (location, compute) = (session.model.location(IP_NETWORK)?, session.compute().await?);
    session.preparing(session.settled(&compute)).await?;
    session.send(Request::post(location).text(&locations(&[&compute]))).await?.expect(&[400, 403])?;
    let entity = session.read(&compute).await?;
    hold!(!entity.has_mixin(IP_NETWORK), "{compute} shows {IP_NETWORK}");
    Ok(())
}

async fn associates_once(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, session.compute().await?);
    session.associate(&tag.location, &[&compute]).await?;
    post(session, &tag, &[&compute]).await?.expect(&[200])?;
    let entity = session.read(&compute).await?;
    let count = entity.mixins.iter().filter(|mixin| **mixin == tag.identifier).count();
    hold!(count == 1, "{compute} shows {} {count} times", tag.identifier);
    expect_members(session, &tag, &[&compute]).await
}

async fn needs_what_is_required(session: &Session) -> Outcome {
    let known = [(SSH_KEY, "occi.credentials.ssh.publickey"), (USER_DATA, "occi.compute.userdata")];
    let is_offered = |identifier: &str, name: &str| {
        session.model.find(identifier).and_then(|mixin| mixin.attribute(name)).is_some_and(|rule| rule.is_required)
    };
    let Some((mixin, name)) = known.into_iter().find(|(mixin, name)| is_offered(mixin, name)) else {
        skip!("the server offers neither {SSH_KEY} nor {USER_DATA} with a required attribute");
    };
    let compute = session.compute().await?;
    session.preparing(session.settled(&compute)).await?;
    let request = Request::post(session.model.location(mixin)?).text(&locations(&[&compute]));
    let answer = session.send(request).await?;
    let entity = session.read(&compute).await?;
    if answer.is_success() {
        hold!(entity.attributes.contains_key(name), "it was associated, and {name} is not filled");
        return Ok(());
    }
    answer.expect(&[400])?;
    hold!(!entity.has_mixin(mixin), "{compute} shows {mixin}");
    Ok(())
}

async fn takes_its_attributes_along(session: &Session) -> Outcome {
    let location = session.model.location(IP_NETWORK)?;
    let network = session.network().await?;
    session.preparing(session.settled(&network)).await?;
    session.associate(location, &[&network]).await?;
    session.preparing(session.settled(&network)).await?;
    let draft = Draft::new().attribute("occi.network.address", "10.20.30.0/24");
    session.preparing(session.send(Request::post(&network).text(&draft))).await?.expect(&[200, 201])?;
    let before = session.preparing(session.settled(&network)).await?;
    hold!(before.text("occi.network.address").is_some(), "{network} does not show the attribute of its mixin");
    session.send(Request::delete(location).text(&locations(&[&network]))).await?.expect(&[200, 204])?;
    let after = session.settled(&network).await?;
    hold!(!after.has_mixin(IP_NETWORK), "{network} still shows {IP_NETWORK}");
    for name in ["occi.network.address", "occi.network.gateway", "occi.network.allocation"] {
        hold!(!after.attributes.contains_key(name), "{network} still shows {name}");
    }
    Ok(())
}

async fn refuses_unknown_actions(session: &Session) -> Outcome {
    let (tag, compute) = (session.tag().await?, session.compute().await?);
    session.associate(&tag.location, &[&compute]).await?;
    let action = format!("http://example.com/occi/action#{}", session.unique("nothing"));
    session.act(&tag.location, &action).await?.expect(&[400, 404])?;
    Ok(())
}

async fn brings_what_it_depends_on(session: &Session) -> Outcome {
    let described = session.described().await?;
    let find = |identifier: &str| described.iter().find(|category| category.identifier() == identifier);
    // What a template gives is known; what another mixin needs is not.
    let Some(size) = session.sizes().await?.into_iter().next() else {
        skip!("the server offers no size template, and what other mixins need is not known");
    };
    let entity = session.read(&sized_compute(session, &size).await?).await?;
    hold!(entity.has_mixin(&size.identifier()), "the instance does not show {}", size.identifier());
    let bases: Vec<&Category> = size.depends.iter().filter_map(|base| find(base)).collect();
    hold!(
        bases.iter().any(|base| base.identifier() == RESOURCE_TPL),
        "{} depends on {:?}",
        size.identifier(),
        size.depends
    );
    for category in bases.into_iter().chain([&size]) {
        for rule in &category.attributes {
            let Some(default) = rule.default.as_ref().filter(|default| !default.is_null()) else { continue };
            let shown = entity.attributes.get(&rule.name);
            let is_so = shown.is_some_and(|shown| shown.means(&Value::from_json(default)));
            hold!(is_so, "{} of {} is {shown:?} instead of {default}", rule.name, category.identifier());
        }
        for action in &category.actions {
            hold!(find(action).is_some(), "the action {action} of {} is not listed", category.identifier());
        }
    }
    Ok(())
}

async fn replaces_sizes(session: &Session) -> Outcome {
    let (old, new) = session.two_sizes().await?;
    let compute = sized_compute(session, &old).await?;
    let location = session.model.location(&new.identifier())?.to_owned();
    session.send(Request::post(&location).text(&locations(&[&compute]))).await?.expect(&[200])?;
    expect_size(session, &compute, &new, &old).await
}

async fn holds_any_kind(session: &Session) -> Outcome {
    session.model.require(STORAGE)?;
    session.model.require(NETWORK_INTERFACE)?;
    let (tag, paths) = mixed(session).await?;
    let mut kinds = BTreeSet::new();
    for path in session.members(&tag.location).await? {
        let entity: Entity = session.read(&path).await?;
        kinds.insert(entity.kind);
    }
    hold!(kinds.len() == paths.len(), "the members are of the kinds {kinds:?}");
    Ok(())
}

async fn tags_have_no_attributes(session: &Session) -> Outcome {
    session.tag().await?;
    let fresh = session.new_tag();
    let line = fresh.line().trim_end().to_owned() + "; attributes=\"com.example.colour\"\n";
    let answer = session.send(Request::post("/-/").plain(&line)).await?;
    hold!(answer.status < 500, "it answers {}", answer.status);
    let listed = session.categories().await?;
    let Some(mixin) = listed.iter().find(|category| category.identifier() == fresh.identifier) else {
        hold!(!answer.is_success(), "it answers {}, and the tag is not listed", answer.status);
        return Ok(());
    };
    hold!(answer.is_success(), "it answers {}, and the tag is listed", answer.status);
    hold!(mixin.attributes.is_empty(), "the tag is listed with {}", mixin.attributes[0].name);
    Ok(())
}
