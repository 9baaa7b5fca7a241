//! 8.F, second part: replacing an entity with PUT, and templates of one that exists.

use crate::{
    answer::{Category, Entity},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{COMPUTE, COMPUTE_STATE, CORES, MEMORY, NETWORK, NETWORK_INTERFACE, OS_TPL, SUMMARY, TITLE, USER_DATA},
    request::Request,
    session::Session,
    settling::default_of,
};

use super::update::{others, resting_compute};

pub(crate) const CHECKS: &[Check] = &[
    check!(
        159,
        Must,
        "H11 §3.4.4; H12 §10.2.2",
        "PUT of a whole compute with another title: 200 with the rendering, or 201 with Location",
        replaces
    ),
    check!(
        160,
        Interop,
        "working group's tool",
        "PUT of a whole compute with another title as text/occi: exactly 200",
        answers_200
    ),
    check!(
        161,
        Must,
        "H11 §3.4.4",
        "PUT of a compute without a mutable, optional attribute that it has: the attribute is gone",
        removes_what_is_missing
    ),
    check!(162, Must, "H11 §3.4.4; H12 §10.2.2", "PUT of a compute that has links: they are still there", keeps_links),
    check!(163, Must, "H11 §3.4.4", "PUT of a compute with a Link line: 400, and nothing is changed", takes_no_links),
    check!(164, Must, "H11 §3.4.4", "the same PUT twice: the same state after both", twice_is_once),
    check!(165, Must, "C12 §5.4.1", "PUT of another kind to a compute: 400, and the kind is as before", keeps_the_kind),
    check!(
        166,
        Interop,
        "all clients",
        "PUT of a compute that repeats immutable attributes with their present values: accepted",
        takes_what_it_showed
    ),
    check!(
        167,
        Should,
        "our reading",
        "PUT of a compute without a user mixin that it has: it is dissociated",
        removes_user_mixins
    ),
    check!(
        168,
        Must,
        "I12 §3.5.2",
        "POST of a second size template to a compute: the old one is gone, the new one shows, and so do its sizes",
        replaces_sizes
    ),
    check!(
        169,
        May,
        "I12 §3.5.1",
        "POST of a second OS template to a compute: the old one is gone; or the request is refused",
        replaces_or_refuses_systems
    ),
    check!(
        170,
        Must,
        "I12 §3.5.2",
        "setting occi.compute.cores of a compute with a size template: the template's number stays",
        size_templates_win
    ),
    check!(
        171,
        Must,
        "I12 §3.5.2",
        "POST of other occi.compute.userdata to a compute: 403, and nothing is changed",
        keeps_user_data
    ),
];

async fn replaces(session: &Session) -> Outcome {
    let base = session.untitled_compute_draft();
    let compute = resting_compute(session, &base.clone().attribute(TITLE, session.unique("compute"))).await?;
    let title = session.unique("changed");
    let answer = session.send(Request::put(&compute).text(&base.attribute(TITLE, title.clone()))).await?;
    let entity = session.updated(&answer, &compute).await?;
    for shown in [entity, session.read(&compute).await?] {
        let is_it = shown.kind == COMPUTE && shown.text(TITLE) == Some(title.as_str());
        hold!(is_it, "it is a {} with the title {:?}", shown.kind, shown.text(TITLE));
    }
    Ok(())
}

async fn answers_200(session: &Session) -> Outcome {
    let draft = session.compute_draft();
    let compute = resting_compute(session, &draft).await?;
    let changed = session.untitled_compute_draft().attribute(TITLE, "changed");
    session.send(Request::put(&compute).occi(&changed)).await?.expect(&[200])?;
    let shown = session.read(&compute).await?;
    hold!(shown.text(TITLE) == Some("changed"), "the title is {:?} afterwards", shown.text(TITLE));
    Ok(())
}

async fn removes_what_is_missing(session: &Session) -> Outcome {
    let draft = session.compute_draft();
    let compute = resting_compute(session, &draft.clone().attribute(SUMMARY, "goes away")).await?;
    let before = session.preparing(session.read(&compute)).await?;
    hold!(before.text(SUMMARY) == Some("goes away"), "{SUMMARY} was not taken at the creation");
    session.send(Request::put(&compute).text(&draft)).await?.expect(&[200, 201])?;
    let after = session.read(&compute).await?;
    hold!(after.text(SUMMARY) != Some("goes away"), "{SUMMARY} is still there");
    Ok(())
}

async fn keeps_links(session: &Session) -> Outcome {
    let interface = session.interface().await?;
    session.preparing(session.settled(&interface.source)).await?;
    let answer = session.send(Request::put(&interface.source).text(&session.compute_draft())).await?;
    answer.expect(&[200, 201])?;
    let shown = session.read(&interface.source).await?;
    let to_it = |target: &str| session.path(target).ok().as_ref() == Some(&interface.target);
    hold!(shown.links.iter().any(|link| to_it(&link.target)), "the link to {} is gone", interface.target);
    session.read(&interface.path).await?;
    Ok(())
}

async fn takes_no_links(session: &Session) -> Outcome {
    session.model.require(NETWORK_INTERFACE)?;
    let draft = session.compute_draft();
    let (network, compute) = (session.shared_network().await?, resting_compute(session, &draft).await?);
    let changed = session.untitled_compute_draft().attribute(TITLE, "changed");
    let changed = changed.link(&network, NETWORK, NETWORK_INTERFACE);
    session.send(Request::put(&compute).text(&changed)).await?.expect(&[400])?;
    let shown = session.read(&compute).await?;
    hold!(shown.links.is_empty(), "{compute} has a link afterwards");
    hold!(shown.text(TITLE) != Some("changed"), "{compute} has the title of the refused request");
    Ok(())
}

async fn twice_is_once(session: &Session) -> Outcome {
    let compute = resting_compute(session, &session.compute_draft().attribute(SUMMARY, "before")).await?;
    let draft = session.compute_draft();
    let mut seen: Vec<Entity> = Vec::new();
    for _ in 0..2 {
        session.send(Request::put(&compute).text(&draft)).await?.expect(&[200, 201])?;
        seen.push(session.settled(&compute).await?);
    }
    let (first, second) = (others(&seen[0], &[]), others(&seen[1], &[]));
    hold!(first == second, "after the first, the attributes are {first:?}, and after the second {second:?}");
    hold!(seen[0].mixins == seen[1].mixins, "the mixins are {:?}, and then {:?}", seen[0].mixins, seen[1].mixins);
    Ok(())
}

async fn keeps_the_kind(session: &Session) -> Outcome {
    session.model.require(NETWORK)?;
    let compute = resting_compute(session, &session.compute_draft()).await?;
    session.send(Request::put(&compute).text(&session.network_draft())).await?.expect(&[400])?;
    let shown = session.read(&compute).await?;
    hold!(shown.kind == COMPUTE, "it is a {} afterwards", shown.kind);
    Ok(())
}

async fn takes_what_it_showed(session: &Session) -> Outcome {
    let draft = session.compute_draft();
    let compute = resting_compute(session, &draft).await?;
    let before = session.preparing(session.read(&compute)).await?;
    let (Some(id), Some(state)) = (before.text("occi.core.id"), before.text(COMPUTE_STATE)) else {
        fail!("{compute} does not show its id and state");
    };
    let same = draft.attribute("occi.core.id", id).attribute(COMPUTE_STATE, state);
    session.send(Request::put(&compute).text(&same)).await?.expect(&[200, 201])?;
    Ok(())
}

async fn removes_user_mixins(session: &Session) -> Outcome {
    let tag = session.tag().await?;
    let draft = session.compute_draft();
    let compute = resting_compute(session, &draft.clone().mixin(&tag.identifier)).await?;
    let before = session.preparing(session.read(&compute)).await?;
    hold!(before.has_mixin(&tag.identifier), "the mixin was not taken at the creation");
    session.send(Request::put(&compute).text(&draft)).await?.expect(&[200, 201])?;
    let after = session.read(&compute).await?;
    hold!(!after.has_mixin(&tag.identifier), "{compute} still shows {}", tag.identifier);
    hold!(!session.members(&tag.location).await?.contains(&compute), "{} still lists {compute}", tag.location);
    Ok(())
}

/// A compute of that size, switched off: where a machine is resized while it runs, it is so, too, when it does not.
pub(super) async fn sized_compute(session: &Session, size: &Category) -> Result<String, Stop> {
    let draft = session.compute_draft_of_size(&size.identifier());
    session
        .preparing(async {
            let path = session.create(COMPUTE, &draft).await?;
            session.bring(&path, COMPUTE_STATE, "inactive", crate::names::STOP).await?;
            Ok(path)
        })
        .await
}

/// Waits until a compute shows what a size template gives, and that template only of two.
pub(super) async fn expect_size(session: &Session, path: &str, size: &Category, old: &Category) -> Outcome {
    let numbers: Vec<_> = [CORES, MEMORY].iter().filter_map(|name| Some((*name, default_of(size, name)?))).collect();
    let wanted = format!("of the size {}", size.term);
    let is_so = |entity: &Entity| {
        let has_numbers = numbers.iter().all(|(name, number)| entity.number(name) == Some(*number));
        has_numbers && entity.has_mixin(&size.identifier()) && !entity.has_mixin(&old.identifier())
    };
    session.wait_for(path, &wanted, is_so).await?;
    Ok(())
}

async fn replaces_sizes(session: &Session) -> Outcome {
    let (old, new) = session.two_sizes().await?;
    let compute = sized_compute(session, &old).await?;
    let answer = session.send(Request::post(&compute).text(&Draft::new().mixin(&new.identifier()))).await?;
    answer.expect(&[200, 201])?;
    expect_size(session, &compute, &new, &old).await
}

async fn replaces_or_refuses_systems(session: &Session) -> Outcome {
    let templates = session.model.templates(OS_TPL);
    let [old, new, ..] = templates.as_slice() else { skip!("the server does not offer two OS templates") };
    let (old, new) = (old.identifier(), new.identifier());
    let draft = Draft::of(COMPUTE).mixin(&old).attribute(TITLE, session.unique("compute"));
    let draft = session.options().resource_tpl.iter().fold(draft, |draft, size| draft.mixin(size));
    let compute = resting_compute(session, &draft).await?;
    let answer = session.send(Request::post(&compute).text(&Draft::new().mixin(&new))).await?;
    let (present, absent) = if answer.is_success() {
        (&new, &old)
    } else {
        answer.expect(&[400, 403, 409, 501])?;
        (&old, &new)
    };
    let shown = session.settled(&compute).await?;
    let is_so = shown.has_mixin(present) && !shown.has_mixin(absent);
    hold!(is_so, "after the answer {}, {compute} shows {:?}", answer.status, shown.mixins);
    Ok(())
}

async fn size_templates_win(session: &Session) -> Outcome {
    let Some(size) = session.sizes().await?.into_iter().next() else {
        skip!("the server offers no size template that says how many cores it gives");
    };
    let compute = sized_compute(session, &size).await?;
    let Some(cores) = default_of(&size, CORES) else { skip!("the size template does not say its cores") };
    let draft = Draft::new().attribute(CORES, 7).attribute(SUMMARY, "of another size");
    let answer = session.send(Request::post(&compute).text(&draft)).await?;
    answer.expect(&[200, 201, 400, 403, 409])?;
    let shown = session.settled(&compute).await?.number(CORES);
    hold!(shown == Some(cores), "{CORES} is {shown:?}, and {} gives {cores}", size.term);
    Ok(())
}

async fn keeps_user_data(session: &Session) -> Outcome {
    session.model.require(USER_DATA)?;
    let name = "occi.compute.userdata";
    let draft = session.compute_draft().mixin(USER_DATA).attribute(name, "IyEvYmluL3NoCnRydWUK");
    let compute = resting_compute(session, &draft).await?;
    let before = session.preparing(session.read(&compute)).await?;
    let other = Draft::new().attribute(name, "IyEvYmluL3NoCmZhbHNlCg==");
    session.send(Request::post(&compute).text(&other)).await?.expect(&[403])?;
    let after = session.read(&compute).await?;
    hold!(after.attributes.get(name) == before.attributes.get(name), "{name} is {:?} now", after.text(name));
    Ok(())
}
