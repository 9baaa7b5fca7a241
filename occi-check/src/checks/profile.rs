//! 8.P, first part: the profile of compute sizes.

use super::replacement::{expect_size, sized_compute};
use crate::{
    answer::{Category, Entity},
    check::{Check, Outcome, Stop},
    draft::Draft,
    names::{COMPUTE, CORES, MEMORY, PROFILE, RESOURCE_TPL},
    request::Request,
    session::Session,
    settling::default_of,
};

const DISK: &str = "occi.compute.ephemeral_storage.size";
const SIZES: [(&str, [f64; 3]); 3] =
    [("small", [1.0, 1.0, 10.0]), ("medium", [2.0, 2.0, 20.0]), ("large", [4.0, 4.0, 40.0])];
const MEMORY_SIZES: [(&str, [f64; 3]); 3] =
    [("mem_small", [1.0, 4.0, 10.0]), ("mem_medium", [2.0, 8.0, 20.0]), ("mem_large", [4.0, 16.0, 40.0])];

pub(crate) const CHECKS: &[Check] = &[
    check!(
        301,
        Must,
        "R12 R0401–R0405",
        "a server that claims the profile: Server holds OCCI-CRTP/1.1 or OCCI-CRTP-EP/1.1 in every answer",
        claims_it_always
    ),
    check!(
        302,
        Must,
        "R12 R0306–R0308",
        "GET /-/: small, medium and large of …/compute/template/1.1#, with rel resource_tpl",
        has_three_sizes
    ),
    check!(303, May, "R12 R0309–R0311", "GET /-/: mem_small, mem_medium and mem_large", has_three_memory_sizes),
    check!(
        304,
        Must,
        "R12 R0304, §7.3–7.5",
        "GET /-/ as JSON: cores, memory and ephemeral storage are 1/1.0/10.0, 2/2.0/20.0 and 4/4.0/40.0",
        sizes_are_as_agreed
    ),
    check!(
        305,
        Must,
        "R12 §7.6–7.8",
        "GET /-/ as JSON: those of the mem_ sizes are 1/4.0/10.0, 2/8.0/20.0 and 4/16.0/40.0",
        memory_sizes_are_as_agreed
    ),
    check!(
        306,
        Must,
        "R12 R0305",
        "creation with medium: 2 cores, 2.0 GiB, at least 20.0 GiB of ephemeral storage and its device are shown",
        medium_is_medium
    ),
    check!(
        307,
        Must,
        "R12 R0302",
        "POST of small to a compute of the size medium: only one size of the profile is left",
        has_one_size
    ),
];

fn is_claimed(server: &str) -> bool {
    server.split_ascii_whitespace().any(|token| ["OCCI-CRTP/1.1", "OCCI-CRTP-EP/1.1"].contains(&token))
}

/// Skips where the profile is neither claimed nor to be seen.
fn require_profile(session: &Session) -> Outcome {
    let is_seen = SIZES.iter().any(|(term, _)| session.model.find(&format!("{PROFILE}{term}")).is_some());
    if !is_claimed(&session.software) && !is_seen {
        skip!("the server does not offer the profile");
    }
    Ok(())
}

async fn claims_it_always(session: &Session) -> Outcome {
    if !is_claimed(&session.software) {
        skip!("the server does not claim the profile: its Server field is {:?}", session.software);
    }
    let computes = session.model.location(COMPUTE)?;
    let requests = [
        Request::get("/-/"),
        Request::get(computes),
        Request::get(&format!("{computes}no-such-id")),
        Request::post(computes).plain("this is no line of OCCI\n"),
        Request::put("/-/"),
        Request::post(computes).text(&session.compute_draft()),
    ];
    for request in requests {
        let (method, target) = (request.method, request.target.clone());
        let answer = session.send(request).await?;
        let server = answer.header("Server").unwrap_or_default();
        hold!(is_claimed(server), "Server of {method} {target} ({}) is {server:?}", answer.status);
    }
    Ok(())
}

async fn expect_listed(session: &Session, sizes: &[(&str, [f64; 3])]) -> Outcome {
    let listed = session.listed_now().await?;
    for (term, _) in sizes {
        let identifier = format!("{PROFILE}{term}");
        let Some(mixin) = listed.find(&identifier) else { fail!("{identifier} is not listed") };
        hold!(mixin.rel.as_deref() == Some(RESOURCE_TPL), "rel of {identifier} is {:?}", mixin.rel);
    }
    Ok(())
}

async fn has_three_sizes(session: &Session) -> Outcome {
    require_profile(session)?;
    expect_listed(session, &SIZES).await
}

async fn has_three_memory_sizes(session: &Session) -> Outcome {
    require_profile(session)?;
    let is_seen = MEMORY_SIZES.iter().any(|(term, _)| session.model.find(&format!("{PROFILE}{term}")).is_some());
    if !is_seen && !session.software.contains("OCCI-CRTP-EP/") {
        skip!("the server does not offer the sizes for memory-intensive applications");
    }
    expect_listed(session, &MEMORY_SIZES).await
}

async fn size(session: &Session, term: &str) -> Result<Category, Stop> {
    let identifier = format!("{PROFILE}{term}");
    let described = session.described().await?.into_iter().find(|category| category.identifier() == identifier);
    match described {
        Some(size) => Ok(size),
        None => fail!("{identifier} is not listed in JSON"),
    }
}

async fn expect_defaults(session: &Session, sizes: &[(&str, [f64; 3])]) -> Outcome {
    for (term, numbers) in sizes {
        let size = size(session, term).await?;
        for (name, number) in [CORES, MEMORY, DISK].iter().zip(numbers) {
            let default = default_of(&size, name);
            hold!(default == Some(*number), "the default of {name} in {term} is {default:?} instead of {number}");
        }
    }
    Ok(())
}

async fn sizes_are_as_agreed(session: &Session) -> Outcome {
    require_profile(session)?;
    expect_defaults(session, &SIZES).await
}

async fn memory_sizes_are_as_agreed(session: &Session) -> Outcome {
    has_three_memory_sizes(session).await?;
    expect_defaults(session, &MEMORY_SIZES).await
}

async fn medium_is_medium(session: &Session) -> Outcome {
    require_profile(session)?;
    let draft = session.compute_draft_of_size(&format!("{PROFILE}medium"));
    let answer = session.send(Request::post(session.model.location(COMPUTE)?).text(&draft)).await?;
    let entity: Entity = session.settled(&session.created(&answer)?).await?;
    for (name, wanted) in [(CORES, 2.0), (MEMORY, 2.0)] {
        hold!(entity.number(name) == Some(wanted), "{name} is {:?} instead of {wanted}", entity.number(name));
    }
    let disk = entity.number(DISK);
    hold!(disk.is_some_and(|disk| disk >= 20.0), "{DISK} is {disk:?}");
    let device = entity.text("occi.compute.ephemeral_storage.deviceid");
    hold!(device.is_some_and(|device| !device.is_empty()), "the device of the ephemeral storage is {device:?}");
    Ok(())
}

async fn has_one_size(session: &Session) -> Outcome {
    require_profile(session)?;
    let (medium, small) = (size(session, "medium").await?, size(session, "small").await?);
    let compute = sized_compute(session, &medium).await?;
    let draft = Draft::new().mixin(&small.identifier());
    session.send(Request::post(&compute).text(&draft)).await?.expect(&[200, 201])?;
    expect_size(session, &compute, &small, &medium).await?;
    let entity = session.read(&compute).await?;
    let sizes: Vec<_> = entity.mixins.iter().filter(|mixin| mixin.starts_with(PROFILE)).collect();
    hold!(sizes.len() == 1, "{compute} has the sizes {sizes:?}");
    Ok(())
}
