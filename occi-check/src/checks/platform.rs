//! 8.P, second part: platforms.

use crate::{
    answer::Category,
    check::{Check, Outcome, Stop},
    draft::Draft,
    fixture::link_draft,
    model::Model,
    names::{LINK, RESOURCE, TITLE},
    request::Request,
    session::Session,
};

const APPLICATION: &str = "http://schemas.ogf.org/occi/platform#application";
const COMPONENT: &str = "http://schemas.ogf.org/occi/platform#component";
const COMPONENT_LINK: &str = "http://schemas.ogf.org/occi/platform#componentlink";
const DATABASE: &str = "http://schemas.ogf.org/occi/platform#database";
const APPLICATION_ACTION: &str = "http://schemas.ogf.org/occi/platform/application/action#";
const COMPONENT_ACTION: &str = "http://schemas.ogf.org/occi/platform/component/action#";
const APPLICATION_STATE: &str = "occi.app.state";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        308,
        Must,
        "P12 §3.1, §3.2",
        "platform offered: application, component and componentlink with their attributes, and start and stop in \
         schemes of their own",
        is_complete
    ),
    check!(309, Must, "P12 §3.1", "an application is stopped, and started: inactive, and active", applications_act),
    check!(310, Should, "P12 §3.3", "a componentlink that closes a circle: 409 or 400", has_no_circles),
    check!(311, Should, "P12 §4.1", "a component with database shows occi.database.version", databases_have_versions),
];

fn require_platform(session: &Session) -> Outcome {
    if session.model.find(APPLICATION).is_none() && session.model.find(COMPONENT).is_none() {
        skip!("the server offers no platform");
    }
    Ok(())
}

fn kind<'model>(listed: &'model Model, identifier: &str) -> Result<&'model Category, Stop> {
    match listed.find(identifier) {
        Some(kind) => Ok(kind),
        None => fail!("{identifier} is not listed"),
    }
}

async fn is_complete(session: &Session) -> Outcome {
    require_platform(session)?;
    let listed = session.listed_now().await?;
    let application = kind(&listed, APPLICATION)?;
    for name in ["name", "context", "url", "state", "state.message"] {
        let name = format!("occi.app.{name}");
        hold!(application.attribute(&name).is_some(), "application has no {name}");
    }
    let component = kind(&listed, COMPONENT)?;
    for name in ["occi.component.state", "occi.component.state.message"] {
        hold!(component.attribute(name).is_some(), "component has no {name}");
    }
    let link = kind(&listed, COMPONENT_LINK)?;
    for (kind, parent) in [(application, RESOURCE), (component, RESOURCE), (link, LINK)] {
        hold!(kind.rel.as_deref() == Some(parent), "rel of {} is {:?}", kind.identifier(), kind.rel);
    }
    for (kind, scheme) in [(application, APPLICATION_ACTION), (component, COMPONENT_ACTION)] {
        for term in ["start", "stop"] {
            let action = format!("{scheme}{term}");
            hold!(kind.actions.contains(&action), "{} has no action {action}", kind.identifier());
        }
    }
    Ok(())
}

async fn application(session: &Session) -> Result<String, Stop> {
    let name = session.unique("application");
    let draft = Draft::of(APPLICATION).attribute(TITLE, name.clone()).attribute("occi.app.name", name);
    session.create(APPLICATION, &draft).await
}

async fn component(session: &Session) -> Result<String, Stop> {
    session.create(COMPONENT, &Draft::of(COMPONENT).attribute(TITLE, session.unique("component"))).await
}

async fn applications_act(session: &Session) -> Outcome {
    session.model.require(APPLICATION)?;
    let path = application(session).await?;
    let start = format!("{APPLICATION_ACTION}start");
    session.bring(&path, APPLICATION_STATE, "active", &start).await?;
    for (term, state) in [("stop", "inactive"), ("start", "active")] {
        session.act(&path, &format!("{APPLICATION_ACTION}{term}")).await?.expect(&[200])?;
        session.wait_for_state(&path, APPLICATION_STATE, state).await?;
        session.settled(&path).await?;
    }
    Ok(())
}

async fn has_no_circles(session: &Session) -> Outcome {
    session.model.require(COMPONENT)?;
    let location = session.model.location(COMPONENT_LINK)?;
    let (one, two) = (component(session).await?, component(session).await?);
    session.create(COMPONENT_LINK, &link_draft(COMPONENT_LINK, &one, &two)).await?;
    for (source, target) in [(&two, &one), (&one, &one)] {
        let draft = link_draft(COMPONENT_LINK, source, target);
        session.send(Request::post(location).text(&draft)).await?.expect(&[400, 409])?;
    }
    Ok(())
}

async fn databases_have_versions(session: &Session) -> Outcome {
    session.model.require(DATABASE)?;
    let draft = Draft::of(COMPONENT).mixin(DATABASE).attribute(TITLE, session.unique("component"));
    let path = session.create(COMPONENT, &draft).await?;
    let name = "occi.database.version";
    session.wait_for(&path, "shown with its version", |entity| entity.text(name).is_some()).await?;
    Ok(())
}
