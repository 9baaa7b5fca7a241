//! 8.L: Links.

use crate::{
    answer::{Entity, JSON},
    check::{Check, Outcome, Stop},
    draft::Draft,
    fixture::link_draft,
    names::{IP_NETWORK, IP_NETWORK_INTERFACE, NETWORK, NETWORK_INTERFACE, STORAGE},
    request::Request,
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        247,
        Must,
        "H11 §3.4.5; H12 §11.3.1",
        "POST of a network interface with source and target: 201 with Location, or 200; the compute shows it",
        creates
    ),
    check!(248, Must, "H11 §3.4.5", "POST of a link without its source, or without its target: 400", needs_both_ends),
    check!(
        249,
        Must,
        "H11 §3.6.8",
        "POST of a link whose source or target is not there: 404 or 400",
        needs_ends_that_are_there
    ),
    check!(
        250,
        Must,
        "H11 §3.4.5",
        "POST of a link whose ends are absolute URLs of this server: the same as paths",
        takes_absolute_ends
    ),
    check!(
        251,
        Must,
        "C12 §5.4.3",
        "POST of a link to http://elsewhere.example/x: taken, without target.kind in JSON, where the kind allows it",
        may_lead_elsewhere
    ),
    check!(
        252,
        Must,
        "I12 §3.4.1",
        "a network interface shows occi.networkinterface.interface, mac and state",
        interface_shows_its_attributes
    ),
    check!(
        253,
        Must,
        "I12 §3.4.1",
        "a network interface with ipnetworkinterface shows occi.networkinterface.address and allocation",
        interface_shows_its_address
    ),
    check!(
        254,
        Must,
        "I12 §3.4.2",
        "a storage link shows occi.storagelink.deviceid and state",
        storage_link_shows_its_attributes
    ),
    check!(255, Should, "I12 §3.4; our reading", "POST of a network interface to a storage: 400", leads_to_a_network),
    check!(
        256,
        Interop,
        "jOCCI, rOCCI 5",
        "GET of a compute with links: each Link has self, category and at least one attribute",
        is_shown_in_full
    ),
    check!(
        257,
        May,
        "H11 §3.4.5",
        "an inline link with self: that path is adopted if free, else 400 (409 in servers in use)",
        may_have_a_path_of_the_clients_choice
    ),
];

/// A resting compute and a network for a link between them.
async fn ends(session: &Session) -> Result<(String, String), Stop> {
    session.model.require(NETWORK_INTERFACE)?;
    let (network, compute) = (session.shared_network().await?, session.compute().await?);
    session.preparing(session.settled(&compute)).await?;
    Ok((compute, network))
}

async fn expect_shown(session: &Session, compute: &str, link: &str) -> Outcome {
    let entity = session.read(compute).await?;
    let own = |own: &Option<String>| own.as_deref().and_then(|own| session.path(own).ok());
    let is_shown = entity.links.iter().any(|shown| own(&shown.own).as_deref() == Some(link));
    hold!(is_shown, "{compute} shows the links {:?}, and not {link}", entity.links);
    Ok(())
}

async fn creates(session: &Session) -> Outcome {
    let (compute, network) = ends(session).await?;
    let draft = link_draft(NETWORK_INTERFACE, &compute, &network);
    let answer = session.send(Request::post(session.model.location(NETWORK_INTERFACE)?).text(&draft)).await?;
    let link = session.created(&answer)?;
    let entity = session.read(&link).await?;
    hold!(entity.kind == NETWORK_INTERFACE, "{link} is of kind {}", entity.kind);
    expect_shown(session, &compute, &link).await
}

async fn needs_both_ends(session: &Session) -> Outcome {
    let (compute, network) = ends(session).await?;
    let location = session.model.location(NETWORK_INTERFACE)?;
    for (name, end) in [("occi.core.source", &compute), ("occi.core.target", &network)] {
        let draft = Draft::of(NETWORK_INTERFACE).attribute(name, end.as_str());
        session.send(Request::post(location).text(&draft)).await?.expect(&[400])?;
    }
    Ok(())
}

async fn needs_ends_that_are_there(session: &Session) -> Outcome {
    let (compute, network) = ends(session).await?;
    let location = session.model.location(NETWORK_INTERFACE)?;
    let no_compute = format!("{compute}-nothing");
    let no_network = format!("{}{}", session.path(session.model.location(NETWORK)?)?, uuid::Uuid::new_v4());
    for (source, target) in [(&no_compute, &network), (&compute, &no_network)] {
        let draft = link_draft(NETWORK_INTERFACE, source, target);
        session.send(Request::post(location).text(&draft)).await?.expect(&[404, 400])?;
    }
    let entity = session.read(&compute).await?;
    hold!(entity.links.is_empty(), "{compute} shows links");
    Ok(())
}

async fn takes_absolute_ends(session: &Session) -> Outcome {
    let (compute, network) = ends(session).await?;
    let absolute = |path: &str| format!("{}{path}", session.base());
    let draft = link_draft(NETWORK_INTERFACE, &absolute(&compute), &absolute(&network));
    let answer = session.send(Request::post(session.model.location(NETWORK_INTERFACE)?).text(&draft)).await?;
    let link = session.created(&answer)?;
    let entity = session.read(&link).await?;
    for (name, end) in [("occi.core.source", &compute), ("occi.core.target", &network)] {
        let shown = entity.text(name).unwrap_or_default();
        hold!(session.path(shown)? == *end, "{name} is {shown} instead of {end}");
    }
    expect_shown(session, &compute, &link).await
}

async fn may_lead_elsewhere(session: &Session) -> Outcome {
    let (compute, _) = ends(session).await?;
    let elsewhere = "http://elsewhere.example/x";
    let draft = link_draft(NETWORK_INTERFACE, &compute, elsewhere);
    let answer = session.send(Request::post(session.model.location(NETWORK_INTERFACE)?).text(&draft)).await?;
    if [400, 403, 404, 409, 422].contains(&answer.status) {
        skip!("the server lets network interfaces lead to its own networks only: it answers {}", answer.status);
    }
    let link = session.created(&answer)?;
    let object = session.send(Request::get(&link).accept(JSON)).await?.expect(&[200])?.json()?;
    hold!(object["target"]["location"] == elsewhere, "target is {}", object["target"]);
    hold!(object["target"].get("kind").is_none(), "target.kind is {}", object["target"]["kind"]);
    Ok(())
}

/// Waits until a link shows these attributes: a server may need the machine to know them.
async fn wait_for_attributes(session: &Session, path: &str, names: &[&str]) -> Result<Entity, Stop> {
    let wanted = format!("shown with {}", names.join(", "));
    session.wait_for(path, &wanted, |entity| names.iter().all(|name| entity.text(name).is_some())).await
}

async fn interface_shows_its_attributes(session: &Session) -> Outcome {
    let interface = session.shared_interface().await?;
    let names = ["interface", "mac", "state"].map(|name| format!("occi.networkinterface.{name}"));
    let entity = wait_for_attributes(session, &interface.path, &names.each_ref().map(String::as_str)).await?;
    let mac = entity.text(&names[1]).unwrap_or_default();
    let groups: Vec<_> = mac.split(':').collect();
    let is_group = |group: &&str| group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    hold!(groups.len() == 6 && groups.iter().all(is_group), "{mac:?} is no MAC address");
    let state = entity.text(&names[2]).unwrap_or_default();
    hold!(["active", "inactive", "error"].contains(&state), "the state is {state:?}");
    Ok(())
}

async fn interface_shows_its_address(session: &Session) -> Outcome {
    session.model.require(IP_NETWORK_INTERFACE)?;
    session.model.require(NETWORK_INTERFACE)?;
    let mut draft = session.network_draft();
    if session.model.find(IP_NETWORK).is_some() {
        draft = draft.mixin(IP_NETWORK).attribute("occi.network.address", "10.99.98.0/24");
    }
    let network = session.create(NETWORK, &draft).await?;
    session.preparing(session.settled(&network)).await?;
    let compute = session.compute().await?;
    session.preparing(session.settled(&compute)).await?;
    let draft = link_draft(NETWORK_INTERFACE, &compute, &network).mixin(IP_NETWORK_INTERFACE);
    let draft = draft.attribute("occi.networkinterface.address", "10.99.98.77");
    let answer = session.send(Request::post(session.model.location(NETWORK_INTERFACE)?).text(&draft)).await?;
    let link = session.created(&answer)?;
    let names = ["occi.networkinterface.address", "occi.networkinterface.allocation"];
    let entity = wait_for_attributes(session, &link, &names).await?;
    hold!(entity.has_mixin(IP_NETWORK_INTERFACE), "{link} does not show {IP_NETWORK_INTERFACE}");
    let address = entity.text(names[0]).unwrap_or_default();
    hold!(address.split('/').next() == Some("10.99.98.77"), "the address is {address:?}");
    let allocation = entity.text(names[1]).unwrap_or_default();
    hold!(["static", "dynamic"].contains(&allocation), "the allocation is {allocation:?}");
    Ok(())
}

async fn storage_link_shows_its_attributes(session: &Session) -> Outcome {
    let link = session.storage_link().await?;
    let names = ["occi.storagelink.deviceid", "occi.storagelink.state"];
    let entity = wait_for_attributes(session, &link.path, &names).await?;
    hold!(entity.text(names[0]).is_some_and(|device| !device.is_empty()), "the device is empty");
    let state = entity.text(names[1]).unwrap_or_default();
    hold!(["active", "inactive", "error"].contains(&state), "the state is {state:?}");
    Ok(())
}

async fn leads_to_a_network(session: &Session) -> Outcome {
    session.model.require(STORAGE)?;
    let (compute, _) = ends(session).await?;
    let draft = link_draft(NETWORK_INTERFACE, &compute, &session.shared_storage().await?);
    let answer = session.send(Request::post(session.model.location(NETWORK_INTERFACE)?).text(&draft)).await?;
    answer.expect(&[400])?;
    Ok(())
}

async fn is_shown_in_full(session: &Session) -> Outcome {
    let interface = session.shared_interface().await?;
    let entity = session.read(&interface.source).await?;
    hold!(!entity.links.is_empty(), "{} shows no links", interface.source);
    for link in entity.links {
        let is_full = link.own.is_some() && !link.categories.is_empty() && !link.attributes.is_empty();
        hold!(is_full, "a link lacks self, category or attributes: {link:?}");
    }
    Ok(())
}

async fn may_have_a_path_of_the_clients_choice(session: &Session) -> Outcome {
    session.model.require(NETWORK_INTERFACE)?;
    let network = session.shared_network().await?;
    let wanted = format!("{}{}", session.path(session.model.location(NETWORK_INTERFACE)?)?, uuid::Uuid::new_v4());
    let inline = |own: &str| {
        let link = format!("<{network}>; rel=\"{NETWORK}\"; self=\"{own}\"; category=\"{NETWORK_INTERFACE}\"");
        format!("{}Link: {link}\n", session.compute_draft().lines())
    };
    let computes = session.model.location(crate::names::COMPUTE)?;
    let answer = session.send(Request::post(computes).plain(&inline(&wanted))).await?;
    if answer.status == 400 {
        skip!("the server does not let clients choose the paths of links: {}", answer.first_words());
    }
    let compute = session.created(&answer)?;
    session.read(&wanted).await?;
    expect_shown(session, &compute, &wanted).await?;
    let again = session.send(Request::post(computes).plain(&inline(&wanted))).await?;
    again.expect(session.by_mode(&[400, 409], &[400]))?;
    Ok(())
}
