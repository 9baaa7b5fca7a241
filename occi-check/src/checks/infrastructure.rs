//! 8.O: The infrastructure.

use crate::{
    answer::{Category, Entity},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{
        COMPUTE, COMPUTE_ACTION, COMPUTE_STATE, CORES, IP_NETWORK, IP_NETWORK_INTERFACE, LINK, NETWORK, NETWORK_ACTION,
        NETWORK_INTERFACE, OFFLINE, OS_TPL, RESOURCE_TPL, SSH_KEY, STORAGE, STORAGE_ACTION, STORAGE_LINK, USER_DATA,
    },
    options::Mode,
    request::Request,
    session::Session,
    settling::default_of,
};

const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJu6XFOgVF4MgBhLlGFTyfWDh+O9HU7jV0DymsLnGLAZ tester@example.com";
const SCRIPT: &str = "IyEvYmluL3NoCnRydWUK";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        283,
        Must,
        "I12 §3.1; I11 §3.1",
        "GET /-/: compute has exactly the attributes and actions of the versions that the server names",
        compute_is_complete
    ),
    check!(
        284,
        Must,
        "I12 §3.2",
        "GET /-/: network has vlan, label, state and state.message, and the actions up and down",
        network_is_complete
    ),
    check!(
        285,
        Must,
        "I12 §3.3",
        "GET /-/: storage has size, state and state.message, and the actions online and offline",
        storage_is_complete
    ),
    check!(
        286,
        Must,
        "I12 §3.4.1",
        "GET /-/: networkinterface has interface{immutable}, mac, state{immutable} and state.message; rel is core#link",
        interface_is_complete
    ),
    check!(
        287,
        Must,
        "I12 §3.4.2",
        "GET /-/: storagelink has deviceid, mountpoint, state and state.message; rel is core#link",
        storage_link_is_complete
    ),
    check!(
        288,
        Must,
        "I12 §3.2.1",
        "GET /-/: the mixin ipnetwork has address, gateway and allocation, and applies to network",
        ip_network_is_complete
    ),
    check!(
        289,
        Must,
        "I12 §3.4.1",
        "GET /-/: the mixin ipnetworkinterface has address, gateway and allocation, and applies to networkinterface",
        ip_interface_is_complete
    ),
    check!(290, Interop, "working group's tool", "GET /-/: the line of ipnetwork has no rel", ip_network_has_no_rel),
    check!(
        291,
        Interop,
        "working group's tool (1.1)",
        "GET /-/: compute has occi.compute.speed; storage has backup, snapshot and resize; stop, restart and suspend \
         have the attribute method, resize has size",
        has_what_1_1_had
    ),
    check!(
        292,
        Must,
        "I12 §3.5.1, §3.5.2",
        "GET /-/: os_tpl and resource_tpl are listed where templates are, and each template depends on one of them",
        templates_have_bases
    ),
    check!(
        293,
        Should,
        "I12 §3.5.2",
        "GET /-/ as JSON: size templates have attributes with defaults",
        sizes_have_defaults
    ),
    check!(
        294,
        Must,
        "I12 §3.5.2",
        "creation with a size template and another number of cores: the template's cores win",
        sizes_win
    ),
    check!(
        295,
        Should,
        "I12 §3.5.2",
        "creation of a compute with ssh_key and a public key: taken, and the key is shown",
        takes_a_key
    ),
    check!(296, Must, "I12 §3.5.2", "creation of a storage with ssh_key: 400 or 403", keys_are_for_computes),
    check!(
        297,
        Should,
        "I12 §3.5.2",
        "creation of a compute with user_data and a script: taken, and the machine becomes ready",
        takes_user_data
    ),
    check!(
        298,
        Must,
        "I12 §3.1",
        "occi.compute.state of a new compute is active, inactive, suspended or error",
        has_a_known_state
    ),
    check!(
        300,
        Should,
        "I12 §3.3",
        "POST of occi.storage.size=20.0 to a storage of 1 GiB: 200, and it has the new size",
        storage_grows
    ),
];

async fn listed(session: &Session, identifier: &str) -> Result<Category, Stop> {
    session.model.require(identifier)?;
    let found = session.categories().await?.into_iter().find(|category| category.identifier() == identifier);
    match found {
        Some(category) => Ok(category),
        None => fail!("{identifier} is not listed any more"),
    }
}

/// Which versions the server says it speaks: 1.1, 1.2.
fn versions(session: &Session) -> (bool, bool) {
    let (old, new) = (session.software.contains("OCCI/1.1"), session.software.contains("OCCI/1.2"));
    // Without a word it is the newer one.
    (old, new || !old)
}

/// Holds when a kind or mixin has these own attributes, and no others under the documents' prefix.
fn expect_attributes(category: &Category, prefix: &str, needed: &[&str], allowed: &[&str]) -> Outcome {
    for name in needed {
        let full = format!("{prefix}.{name}");
        hold!(category.attribute(&full).is_some(), "{} has no {full}", category.identifier());
    }
    let is_known = |name: &str| {
        name.starts_with("occi.core.")
            || name
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| needed.contains(&rest) || allowed.contains(&rest))
    };
    // A provider's own attributes have names of its own.
    let odd = category.attributes.iter().find(|rule| rule.name.starts_with("occi.") && !is_known(&rule.name));
    hold!(
        odd.is_none(),
        "{} has {:?}, which is not in the documents",
        category.identifier(),
        odd.map(|rule| &rule.name)
    );
    Ok(())
}

fn expect_actions(category: &Category, scheme: &str, needed: &[&str]) -> Outcome {
    for term in needed {
        let action = format!("{scheme}{term}");
        hold!(category.actions.contains(&action), "{} has no action {action}", category.identifier());
    }
    Ok(())
}

async fn compute_is_complete(session: &Session) -> Outcome {
    let compute = listed(session, COMPUTE).await?;
    let (old, new) = versions(session);
    let mut needed = vec!["architecture", "cores", "hostname", "memory", "state"];
    let mut actions = vec!["start", "stop", "restart", "suspend"];
    if new {
        needed.extend(["share", "state.message"]);
        actions.push("save");
    }
    if old && !new {
        needed.push("speed");
    }
    let allowed: &[&str] = if old || session.mode() == Mode::Interop { &["speed"] } else { &[] };
    expect_attributes(&compute, "occi.compute", &needed, allowed)?;
    expect_actions(&compute, COMPUTE_ACTION, &actions)?;
    for name in ["occi.compute.state", "occi.core.id"] {
        hold!(compute.attribute(name).is_none_or(|rule| rule.is_immutable), "{name} is not immutable");
    }
    Ok(())
}

/// The attributes of 1.2 besides those of both versions.
fn with_message(session: &Session, both: &[&'static str]) -> Vec<&'static str> {
    let (_, new) = versions(session);
    let message = new.then_some("state.message");
    both.iter().copied().chain(message).collect()
}

async fn network_is_complete(session: &Session) -> Outcome {
    let network = listed(session, NETWORK).await?;
    expect_attributes(&network, "occi.network", &with_message(session, &["vlan", "label", "state"]), &[])?;
    expect_actions(&network, NETWORK_ACTION, &["up", "down"])
}

async fn storage_is_complete(session: &Session) -> Outcome {
    let storage = listed(session, STORAGE).await?;
    expect_attributes(&storage, "occi.storage", &with_message(session, &["size", "state"]), &[])?;
    expect_actions(&storage, STORAGE_ACTION, &["online", "offline"])
}

async fn interface_is_complete(session: &Session) -> Outcome {
    let interface = listed(session, NETWORK_INTERFACE).await?;
    let needed = with_message(session, &["interface", "mac", "state"]);
    expect_attributes(&interface, "occi.networkinterface", &needed, &[])?;
    hold!(interface.rel.as_deref() == Some(LINK), "rel is {:?}", interface.rel);
    for (name, is_immutable) in [("interface", true), ("mac", false), ("state", true)] {
        let name = format!("occi.networkinterface.{name}");
        let is_so = interface.attribute(&name).is_some_and(|rule| rule.is_immutable == is_immutable);
        hold!(is_so, "{name} is {}immutable", if is_immutable { "not " } else { "" });
    }
    Ok(())
}

async fn storage_link_is_complete(session: &Session) -> Outcome {
    let link = listed(session, STORAGE_LINK).await?;
    let needed = with_message(session, &["deviceid", "mountpoint", "state"]);
    expect_attributes(&link, "occi.storagelink", &needed, &[])?;
    hold!(link.rel.as_deref() == Some(LINK), "rel is {:?}", link.rel);
    Ok(())
}

async fn expect_ip_mixin(session: &Session, identifier: &str, prefix: &str, kind: &str) -> Outcome {
    let mixin = listed(session, identifier).await?;
    hold!(mixin.class == "mixin", "{identifier} is a {}", mixin.class);
    expect_attributes(&mixin, prefix, &["address", "gateway", "allocation"], &[])?;
    let described = session.described().await?;
    let Some(twin) = described.into_iter().find(|twin| twin.identifier() == identifier) else {
        fail!("{identifier} is not listed in JSON");
    };
    hold!(twin.applies.iter().any(|applied| applied == kind), "it applies to {:?}", twin.applies);
    Ok(())
}

async fn ip_network_is_complete(session: &Session) -> Outcome {
    session.model.require(NETWORK)?;
    hold!(session.model.find(IP_NETWORK).is_some(), "{IP_NETWORK} is not listed");
    expect_ip_mixin(session, IP_NETWORK, "occi.network", NETWORK).await
}

async fn ip_interface_is_complete(session: &Session) -> Outcome {
    session.model.require(NETWORK_INTERFACE)?;
    hold!(session.model.find(IP_NETWORK_INTERFACE).is_some(), "{IP_NETWORK_INTERFACE} is not listed");
    expect_ip_mixin(session, IP_NETWORK_INTERFACE, "occi.networkinterface", NETWORK_INTERFACE).await
}

async fn ip_network_has_no_rel(session: &Session) -> Outcome {
    let mixin = listed(session, IP_NETWORK).await?;
    hold!(mixin.rel.is_none(), "rel is {:?}", mixin.rel);
    Ok(())
}

async fn has_what_1_1_had(session: &Session) -> Outcome {
    if session.mode() == Mode::Strict {
        skip!("the tool tests for 1.1; --mode strict follows 1.2");
    }
    let compute = listed(session, COMPUTE).await?;
    hold!(compute.attribute("occi.compute.speed").is_some(), "compute has no occi.compute.speed");
    let mut parameters = vec![(COMPUTE_ACTION, "stop", "method"), (COMPUTE_ACTION, "restart", "method")];
    parameters.push((COMPUTE_ACTION, "suspend", "method"));
    if session.model.find(STORAGE).is_some() {
        let storage = listed(session, STORAGE).await?;
        expect_actions(&storage, STORAGE_ACTION, &["backup", "snapshot", "resize"])?;
        parameters.push((STORAGE_ACTION, "resize", "size"));
    }
    let listed = session.categories().await?;
    for (scheme, term, parameter) in parameters {
        let identifier = format!("{scheme}{term}");
        let action = listed.iter().find(|action| action.class == "action" && action.identifier() == identifier);
        let has_it = action.is_some_and(|action| action.attribute(parameter).is_some());
        hold!(has_it, "{identifier} is not listed with the attribute {parameter}");
    }
    Ok(())
}

async fn templates_have_bases(session: &Session) -> Outcome {
    let listed = session.categories().await?;
    let described = session.described().await?;
    let mut count = 0;
    for base in [OS_TPL, RESOURCE_TPL] {
        let of_base = |category: &&Category| category.rel.as_deref() == Some(base);
        let templates: Vec<_> = listed.iter().filter(of_base).collect();
        count += templates.len();
        let is_listed = listed.iter().any(|category| category.identifier() == base && category.class == "mixin");
        hold!(templates.is_empty() || is_listed, "{base} is not listed, and templates are");
        for template in templates {
            let identifier = template.identifier();
            let twin = described.iter().find(|twin| twin.identifier() == identifier);
            let depends = twin.map(|twin| twin.depends.clone()).unwrap_or_default();
            hold!(depends.iter().any(|named| named == base), "{identifier} depends on {depends:?}");
        }
    }
    // A template that forgets its base is found by its name.
    for category in listed.iter().filter(|category| category.class == "mixin") {
        let is_template =
            ["/os_tpl#", "/resource_tpl#", "/compute/template/1.1#"].iter().any(|end| category.scheme.ends_with(end));
        let has_base = category.rel.as_deref().is_some_and(|rel| rel == OS_TPL || rel == RESOURCE_TPL);
        hold!(!is_template || has_base, "rel of {} is {:?}", category.identifier(), category.rel);
    }
    if count == 0 {
        skip!("the server offers no templates");
    }
    Ok(())
}

async fn sizes_have_defaults(session: &Session) -> Outcome {
    let offered = session.model.templates(RESOURCE_TPL);
    if offered.is_empty() {
        skip!("the server offers no size templates");
    }
    let described = session.sizes().await?;
    for template in offered {
        let has_defaults = described.iter().any(|size| size.identifier() == template.identifier());
        hold!(has_defaults, "{} has no default for {CORES}", template.identifier());
    }
    Ok(())
}

async fn sizes_win(session: &Session) -> Outcome {
    let Some(size) = session.sizes().await?.into_iter().next() else { skip!("the server offers no size templates") };
    let Some(cores) = default_of(&size, CORES) else { skip!("the size template does not say its cores") };
    let draft = session.compute_draft_of_size(&size.identifier()).attribute(CORES, 8);
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    let entity = session.settled(&session.created(&answer)?).await?;
    let shown = entity.number(CORES);
    hold!(shown == Some(cores), "{CORES} is {shown:?}, and {} gives {cores}", size.identifier());
    Ok(())
}

/// Makes a compute with a mixin and its attribute, and waits until it rests.
async fn contextualised(session: &Session, mixin: &str, name: &str, value: &str) -> Result<Entity, Stop> {
    session.model.require(mixin)?;
    let draft = session.compute_draft().mixin(mixin).attribute(name, value);
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    let entity = session.settled(&session.created(&answer)?).await?;
    hold!(entity.has_mixin(mixin), "the compute does not show {mixin}");
    hold!(entity.text(COMPUTE_STATE) != Some("error"), "the compute is in the state error");
    Ok(entity)
}

async fn takes_a_key(session: &Session) -> Outcome {
    let name = "occi.credentials.ssh.publickey";
    let entity = contextualised(session, SSH_KEY, name, PUBLIC_KEY).await?;
    hold!(entity.text(name) == Some(PUBLIC_KEY), "{name} is {:?}", entity.text(name));
    Ok(())
}

async fn keys_are_for_computes(session: &Session) -> Outcome {
    session.model.require(SSH_KEY)?;
    let draft = session.storage_draft().mixin(SSH_KEY).attribute("occi.credentials.ssh.publickey", PUBLIC_KEY);
    session.send(Request::post(session.model.location(STORAGE)?).text(&draft)).await?.expect(&[400, 403])?;
    Ok(())
}

async fn takes_user_data(session: &Session) -> Outcome {
    contextualised(session, USER_DATA, "occi.compute.userdata", SCRIPT).await?;
    Ok(())
}

async fn has_a_known_state(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    let known = ["active", "inactive", "suspended", "error"];
    let is_known = |entity: &Entity| entity.text(COMPUTE_STATE).is_some_and(|state| known.contains(&state));
    for entity in [session.read(&compute).await?, session.settled(&compute).await?] {
        hold!(is_known(&entity), "the state is {:?}", entity.text(COMPUTE_STATE));
    }
    Ok(())
}

async fn storage_grows(session: &Session) -> Outcome {
    let storage = session.storage_in("offline", OFFLINE).await?;
    let name = "occi.storage.size";
    let answer = session.send(Request::post(&storage).text(&Draft::new().attribute(name, 20.0))).await?;
    answer.expect(&[200])?;
    session.wait_for(&storage, "of 20 GiB", |entity| entity.number(name) == Some(20.0)).await?;
    let rests = session.settled(&storage).await?;
    hold!(rests.number(name) == Some(20.0), "at rest it is of {:?} GiB", rests.number(name));
    Ok(())
}
