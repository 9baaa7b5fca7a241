//! 8.P, third part: service level agreements.

use crate::{
    answer::Entity,
    check::{Check, Outcome, Stop},
    draft::Draft,
    fixture::link_draft,
    names::{LINK, RESOURCE, TITLE},
    request::Request,
    session::Session,
};

const SCHEME: &str = "http://schemas.ogf.org/occi/sla#";
const AGREEMENT: &str = "http://schemas.ogf.org/occi/sla#agreement";
const AGREEMENT_LINK: &str = "http://schemas.ogf.org/occi/sla#agreement_link";
const STATE: &str = "occi.agreement.state";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        312,
        Must,
        "S12 §3.1",
        "SLA offered: agreement and agreement_link, and accept, reject, suspend, resume and terminate of …/occi/sla#",
        is_complete
    ),
    check!(313, Must, "S12 §3.1", "a new agreement is pending", begins_pending),
    check!(
        314,
        Must,
        "S12 §3.1",
        "accept, suspend, resume and terminate: accepted, suspended, accepted, terminated",
        goes_its_way
    ),
    check!(315, Must, "S12 §3.1", "accept of a rejected agreement: 400 or 409", stays_rejected),
    check!(
        316,
        Must,
        "S12 §3.1",
        "creation of an agreement with occi.agreement.effectiveFrom=\"P1D\", a duration: 400; with a date: accepted",
        takes_dates_only
    ),
    check!(
        317,
        Must,
        "S12 §3.2",
        "creation of an agreement_link to a compute: it is created, and the agreement shows it",
        leads_to_a_compute
    ),
];

fn require_agreements(session: &Session) -> Outcome {
    if session.model.find(AGREEMENT).is_none() && session.model.find(AGREEMENT_LINK).is_none() {
        skip!("the server offers no SLA");
    }
    Ok(())
}

async fn is_complete(session: &Session) -> Outcome {
    require_agreements(session)?;
    let listed = session.listed_now().await?;
    for (identifier, parent) in [(AGREEMENT, RESOURCE), (AGREEMENT_LINK, LINK)] {
        let Some(kind) = listed.find(identifier) else { fail!("{identifier} is not listed") };
        hold!(kind.rel.as_deref() == Some(parent), "rel of {identifier} is {:?}", kind.rel);
    }
    let Some(agreement) = listed.find(AGREEMENT) else { fail!("{AGREEMENT} is not listed") };
    for term in ["accept", "reject", "suspend", "resume", "terminate"] {
        let action = format!("{SCHEME}{term}");
        hold!(agreement.actions.contains(&action), "agreement has no action {action}");
        let is_listed = listed.find(&action).is_some_and(|action| action.class == "action");
        hold!(is_listed, "{action} is not listed as an action");
    }
    for name in ["state", "agreedAt", "effectiveFrom", "effectiveUntil"] {
        let name = format!("occi.agreement.{name}");
        hold!(agreement.attribute(&name).is_some(), "agreement has no {name}");
    }
    Ok(())
}

fn draft(session: &Session) -> Draft {
    Draft::of(AGREEMENT).attribute(TITLE, session.unique("agreement"))
}

async fn agreement(session: &Session) -> Result<String, Stop> {
    require_agreements(session)?;
    session.create(AGREEMENT, &draft(session)).await
}

/// The documents write the states both with and without capitals.
fn state(entity: &Entity) -> String {
    entity.text(STATE).unwrap_or_default().to_ascii_lowercase()
}

async fn begins_pending(session: &Session) -> Outcome {
    let path = agreement(session).await?;
    let entity = session.read(&path).await?;
    hold!(state(&entity) == "pending", "{STATE} is {:?}", entity.text(STATE));
    Ok(())
}

async fn act(session: &Session, path: &str, term: &str, wanted: &str) -> Outcome {
    session.act(path, &format!("{SCHEME}{term}")).await?.expect(&[200])?;
    session.wait_for(path, wanted, |entity| state(entity) == wanted).await?;
    Ok(())
}

async fn goes_its_way(session: &Session) -> Outcome {
    let path = agreement(session).await?;
    let way = [("accept", "accepted"), ("suspend", "suspended"), ("resume", "accepted"), ("terminate", "terminated")];
    for (term, wanted) in way {
        act(session, &path, term, wanted).await?;
    }
    Ok(())
}

async fn stays_rejected(session: &Session) -> Outcome {
    let path = agreement(session).await?;
    act(session, &path, "reject", "rejected").await?;
    session.act(&path, &format!("{SCHEME}accept")).await?.expect(&[400, 409])?;
    let entity = session.read(&path).await?;
    hold!(state(&entity) == "rejected", "{STATE} is {:?}", entity.text(STATE));
    Ok(())
}

async fn takes_dates_only(session: &Session) -> Outcome {
    require_agreements(session)?;
    let location = session.model.location(AGREEMENT)?;
    let name = "occi.agreement.effectiveFrom";
    let duration = draft(session).attribute(name, "P1D");
    session.send(Request::post(location).text(&duration)).await?.expect(&[400])?;
    let date = draft(session).attribute(name, "2031-05-07T12:00:00Z");
    let path = session.created(&session.send(Request::post(location).text(&date)).await?)?;
    let entity = session.read(&path).await?;
    hold!(entity.text(name).is_some(), "{name} is not shown");
    Ok(())
}

async fn leads_to_a_compute(session: &Session) -> Outcome {
    let (path, compute) = (agreement(session).await?, session.shared_compute().await?);
    let draft = link_draft(AGREEMENT_LINK, &path, &compute);
    let answer = session.send(Request::post(session.model.location(AGREEMENT_LINK)?).text(&draft)).await?;
    session.created(&answer)?;
    let shown = session.read(&path).await?.links;
    let is_shown = shown.iter().any(|link| session.path(&link.target).ok().as_ref() == Some(&compute));
    hold!(is_shown, "the agreement shows the links {shown:?}");
    Ok(())
}
