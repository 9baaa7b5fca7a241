//! 8.B, third part: what goes for all resources, and who may ask.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    check::{Check, Outcome},
    names::COMPUTE,
    options::Credentials,
    request::{CredentialUse, Request},
    session::Session,
};

pub(crate) const CHECKS: &[Check] = &[
    check!(71, May, "H11 §3.6.2", "GET of a compute: ETag is there, and the same as long as nothing changes", has_etag),
    check!(72, Must, "H12 §5.4; H11 §3.6.8", "GET of an entity that never existed: 404", unknown_entity_is_not_found),
    check!(73, Must, "H11 §3.6.8", "PATCH of a collection: 405, with Allow as HTTP wants it", patch_is_not_allowed),
    check!(74, Must, "H11 §3.2; H12 §8, §11.2", "PUT of a kind's collection: 405", put_of_collection_is_not_allowed),
    check!(
        75,
        Should,
        "H11 §5; H12 §12",
        "A request without credentials, where they are needed: 401 with WWW-Authenticate: Basic or Digest",
        asks_for_credentials
    ),
    check!(76, Should, "H11 §5", "A request with valid Basic credentials: served", takes_basic_credentials),
    check!(77, Must, "H11 §3.6.8", "A request with wrong credentials: 401", refuses_wrong_credentials),
    check!(
        83,
        May,
        "H11 §3.6.3",
        "A create that answers 202: Location names a task, which ends in 301 with the result's Location",
        long_operations_have_a_task
    ),
];

async fn has_etag(session: &Session) -> Outcome {
    let compute = session.shared_compute().await?;
    let first = session.send(Request::get(&compute)).await?;
    let Some(etag) = first.expect(&[200])?.header("ETag") else { skip!("the server sends no ETag, which is allowed") };
    let second = session.send(Request::get(&compute)).await?;
    hold!(first.body != second.body || second.header("ETag") == Some(etag), "ETag changed and the compute did not");
    Ok(())
}

async fn unknown_entity_is_not_found(session: &Session) -> Outcome {
    let nowhere = format!("{}{}", session.model.location(COMPUTE)?, uuid::Uuid::new_v4());
    session.send(Request::get(&nowhere)).await?.expect(&[404])?;
    Ok(())
}

async fn patch_is_not_allowed(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let answer = session.send(Request::new("PATCH", computes).accept("text/plain").plain("")).await?;
    answer.expect(&[405])?;
    let allow = answer.header("Allow").unwrap_or_default();
    hold!(allow.contains("GET"), "Allow is {allow:?}");
    Ok(())
}

async fn put_of_collection_is_not_allowed(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    session.send(Request::put(computes).text(&session.compute_draft())).await?.expect(&[405])?;
    Ok(())
}

async fn asks_for_credentials(session: &Session) -> Outcome {
    if session.options().credentials == Credentials::None {
        skip!("no credentials were given: the server is open");
    }
    let computes = session.model.location(COMPUTE)?;
    let answer = session.send(Request::get(computes).credentials(CredentialUse::Absent)).await?;
    if answer.is_success() {
        skip!("the server asks for no credentials");
    }
    answer.expect(&[401])?;
    let challenges = answer.header_fields("WWW-Authenticate").join(", ");
    let is_known = ["basic", "digest"].iter().any(|scheme| challenges.to_ascii_lowercase().contains(scheme));
    hold!(is_known, "WWW-Authenticate is {challenges:?}");
    Ok(())
}

async fn takes_basic_credentials(session: &Session) -> Outcome {
    if !matches!(session.options().credentials, Credentials::Basic { .. }) {
        skip!("no Basic credentials were given; see --auth basic:USER:PASSWORD");
    }
    let computes = session.model.location(COMPUTE)?;
    let closed = session.send(Request::get(computes).credentials(CredentialUse::Absent)).await?;
    if closed.is_success() {
        skip!("the server asks for no credentials");
    }
    session.send(Request::get(computes)).await?.expect(&[200, 204])?;
    Ok(())
}

async fn refuses_wrong_credentials(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let closed = session.send(Request::get(computes).credentials(CredentialUse::Absent)).await?;
    if closed.is_success() {
        skip!("the server asks for no credentials");
    }
    let pair = BASE64_STANDARD.encode(format!("{}:wrong", session.unique("nobody")));
    let wrong = CredentialUse::Wrong(format!("Basic {pair}"));
    session.send(Request::get(computes).credentials(wrong)).await?.expect(&[401])?;
    Ok(())
}

async fn long_operations_have_a_task(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let answer = session.send(Request::post(computes).text(&session.compute_draft())).await?;
    if [200, 201].contains(&answer.status) {
        skip!("the server makes a compute at once: it answers {}", answer.status);
    }
    answer.expect(&[202])?;
    let Some(task) = answer.header("Location") else { fail!("202 comes without Location") };
    let began = std::time::Instant::now();
    loop {
        let answer = session.send(Request::get(task)).await?;
        if answer.status == 301 {
            let Some(result) = answer.header("Location") else { fail!("301 comes without Location") };
            let path = session.path(result)?;
            session.note_entity(&path);
            let entity = session.read(&path).await?;
            hold!(entity.kind == COMPUTE, "the result is of kind {}", entity.kind);
            return Ok(());
        }
        answer.expect(&[200, 202])?;
        hold!(began.elapsed() < session.options().patience, "the task {task} did not end");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
