//! A session begins.

use std::time::Duration;

use actix_web::HttpResponse;
use serde_json::json;

use super::{
    Doors, Visitor, cookie,
    page::{Trouble, see_other, with_cookie},
};
use crate::{
    login::{
        local_path::LocalPath,
        told::{self, Told},
        unguessable::Unguessable,
    },
    request::Actor,
    store::{
        Timestamp,
        member::UserId,
        session::{self, NewSession},
        user,
    },
};

/// Somebody who has just shown who they are.
pub struct Arrival {
    /// The user.
    pub user: UserId,
    /// By which provider; none for local users.
    pub provider: Option<String>,
    /// What the provider calls its session.
    pub provider_session: Option<String>,
    /// The provider's ID token, sealed.
    pub id_token: Option<String>,
}

/// Begins a session and leads on. The cookie is always a new one, and what the browser had before is void (A14).
///
/// # Errors
/// No random bytes; the database failed.
pub async fn enter(
    visitor: &Visitor,
    doors: &Doors,
    arrival: Arrival,
    next: &LocalPath,
) -> Result<HttpResponse, Trouble> {
    let secret = Unguessable::generate().map_err(|error| Trouble::no_randomness(&error))?;
    let lasts = Duration::from_secs(u64::from(doors.config.session_hours) * 3600);
    let new = NewSession {
        secret_hash: secret.hash(),
        user: arrival.user,
        provider: arrival.provider,
        provider_session: arrival.provider_session,
        id_token: arrival.id_token,
        project: None,
        address: visitor.address.to_string(),
        user_agent: visitor.user_agent.clone(),
        expires_at: Timestamp::now().plus(lasts),
    };
    let before = visitor.session.as_ref().map(|session| session.hash.clone());
    doors
        .db
        .write(move |connection| {
            if let Some(before) = &before {
                session::end(connection, before)?;
            }
            session::insert(connection, &new)?;
            // Who comes by a provider is told of where they are admitted.
            match (&new.provider, user::find(connection, new.user)?) {
                (None, Some(user)) => {
                    let (from, by) = (Some(new.address.clone()), "session".to_owned());
                    let actor = Actor { user: user.name, user_id: Some(user.id.0), from, by };
                    told::record(connection, Told::new("login.succeeded", json!({ "local": true })), Some(&actor))
                }
                _ => Ok(()),
            }
        })
        .await?;
    let mut response = see_other(next.as_str());
    response = with_cookie(response, &cookie::set(cookie::SESSION, secret.reveal(), lasts.as_secs()));
    response = with_cookie(response, &cookie::clear(cookie::VISIT));
    Ok(with_cookie(response, &cookie::clear(cookie::SIGNING_IN)))
}
