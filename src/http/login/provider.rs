//! To a provider, and back.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Doors, Visitor, choose, cookie, counted,
    entering::{Arrival, enter},
    page::{Trouble, see_other, with_cookie},
};
use crate::{
    http::{address::Addresses, limit::neighbourhood},
    login::{
        failure,
        identity::Identity,
        local_path::LocalPath,
        people::{self, AdmissionError, Occasion},
        provider::{CallbackAnswer, LoggedOut, ProviderError, SignedIn, Spent},
        sealed,
    },
    store::{Timestamp, member::Standing, session, spent, user},
};

/// A sign-in that takes longer is begun anew.
const SIGNING_IN_SECONDS: u64 = 600;
const MICROSECONDS: i64 = 1_000_000;

/// Where to sign in, and what for.
#[derive(Deserialize)]
pub struct Start {
    provider: String,
    next: Option<String>,
}

/// Sends the browser to the provider. What has to be remembered goes with it.
pub async fn start(
    visitor: Visitor,
    doors: web::Data<Doors>,
    start: web::Query<Start>,
) -> Result<HttpResponse, Trouble> {
    counted(&doors.limits.starts, &visitor)?;
    let next = LocalPath::or_account(start.next.as_deref());
    match doors.providers.begin(&start.provider, &visitor.base, &next).await {
        Ok(begun) => {
            let remembered = cookie::set(cookie::SIGNING_IN, &begun.cookie, SIGNING_IN_SECONDS);
            Ok(with_cookie(see_other(&begun.location), &remembered))
        }
        Err(error) if error.is_passing() => {
            tracing::warn!(%error, "nobody can sign in there");
            let title = title_of(&doors, &start.provider);
            let notice = format!(
                "{title} does not answer at present, so nobody can sign in there. Try again in a few minutes. Who is \
                 signed in already stays so."
            );
            choose::again(&visitor, &doors, &next, StatusCode::SERVICE_UNAVAILABLE, Some(notice)).await
        }
        Err(error) => Err(refused(&error)),
    }
}

/// The browser comes back from the provider.
pub async fn callback(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    provider: web::Path<String>,
    answer: web::Query<CallbackAnswer>,
) -> Result<HttpResponse, Trouble> {
    counted(&doors.limits.callbacks, &visitor)?;
    let held = cookie::get(&request, cookie::SIGNING_IN).ok_or_else(unrequested)?;
    let finished = doors.providers.finish(&provider, &visitor.base, held, &answer).await;
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => {
            let door = format!("provider {provider}");
            failure::tell(&doors.db, &door, None, &error.to_string()).await;
            return Err(refused(&error));
        }
    };
    if !spend(&doors, finished.spent).await? {
        return Err(unrequested());
    }
    let SignedIn { provider, claims, sid, id_token, refresh_token, .. } = finished.signed_in;
    let seal = |label, token: &str| {
        sealed::seal(&doors.secret, label, token).map_err(|error| {
            tracing::error!(%error, "nothing can be sealed");
            Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "The server cannot sign you in at present.", "Try again.")
        })
    };
    let refresh_token = refresh_token.map(|token| seal(sealed::REFRESH_TOKEN, &token)).transpose()?;
    let id_token = Some(seal(sealed::ID_TOKEN, &id_token)?);
    let admitted = people::admit(&doors.db, &doors.rules, &provider, &claims, Occasion::SignIn(refresh_token)).await;
    let admitted = admitted.map_err(|error| match error {
        AdmissionError::Store(error) => Trouble::from(error),
        other => {
            tracing::warn!(%other, "somebody was not admitted");
            let what = format!("You were not let in: {other}.");
            Trouble::new(StatusCode::FORBIDDEN, what, "Show this page to the operator of this server.")
        }
    })?;
    if admitted.standing == Standing::Disabled {
        let what = "This account was shut out.";
        let next = "If you think that this is a mistake, ask the operator of this server, with the number below.";
        return Err(Trouble::new(StatusCode::FORBIDDEN, what, next));
    }
    let arrival = Arrival { user: admitted.user, provider: Some(provider), provider_session: sid, id_token };
    enter(&visitor, &doors, arrival, &finished.next).await
}

/// What a provider sends us when somebody has signed out there.
#[derive(Deserialize)]
pub struct Logout {
    logout_token: String,
}

/// A provider ends sessions (OpenID Connect Back-Channel Logout 1.0). No browser is involved: the token itself proves
/// where it comes from.
pub async fn backchannel(
    request: HttpRequest,
    addresses: web::Data<Addresses>,
    doors: web::Data<Doors>,
    provider: web::Path<String>,
    form: web::Form<Logout>,
) -> Result<HttpResponse, Trouble> {
    doors.limits.callbacks.take(neighbourhood(addresses.client(&request)))?;
    let logged_out = match doors.providers.logout_token(&provider, &form.logout_token).await {
        Ok(logged_out) => logged_out,
        Err(error) => return Ok(not_ended(&error)),
    };
    let LoggedOut { issuer, subject, sid, spent } = logged_out;
    let provider = provider.into_inner();
    let ended = doors.db.write(move |connection| {
        let end = Timestamp(spent.expires_at.saturating_mul(MICROSECONDS));
        if !spent::spend(connection, &spent.key, end)? {
            return Ok(None);
        }
        let known = match subject.as_deref().map(|subject| Identity::new(&issuer, subject)) {
            Some(Ok(identity)) => user::of_identity(connection, &identity)?,
            _ => None,
        };
        // A subject whom nobody knows has no sessions; with a session named, it must be theirs.
        if subject.is_some() && known.is_none() {
            return Ok(Some(0));
        }
        let users = session::end_by_provider(connection, &provider, sid.as_deref(), known.map(|user| user.id))?;
        Ok(Some(users.len()))
    });
    match ended.await? {
        Some(sessions) => {
            tracing::info!(sessions, "a provider has ended sessions");
            Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).finish())
        }
        None => Ok(invalid("this logout token was used before")),
    }
}

fn not_ended(error: &ProviderError) -> HttpResponse {
    tracing::warn!(%error, "sessions were not ended");
    if error.is_passing() {
        return HttpResponse::ServiceUnavailable().insert_header((header::CACHE_CONTROL, "no-store")).finish();
    }
    invalid("the logout token is not believed; the log of Tombolo tells why")
}

fn invalid(description: &str) -> HttpResponse {
    let mut response = HttpResponse::BadRequest();
    response.content_type("application/json").insert_header((header::CACHE_CONTROL, "no-store"));
    response.body(json!({ "error": "invalid_request", "error_description": description }).to_string())
}

/// Writes down what counts once, and answers whether it has not counted before.
async fn spend(doors: &Doors, Spent { key, expires_at }: Spent) -> Result<bool, Trouble> {
    let end = Timestamp(expires_at.saturating_mul(MICROSECONDS));
    Ok(doors.db.write(move |connection| spent::spend(connection, &key, end)).await?)
}

fn title_of(doors: &Doors, name: &str) -> String {
    let listed = doors.providers.listed().into_iter().find(|listed| listed.name == name);
    listed.map_or_else(|| "This provider".to_owned(), |listed| listed.title)
}

fn unrequested() -> Trouble {
    let what = "This is not the answer to a sign-in that was begun in this browser, or it was used already.";
    let next = "Sign in again. It has to be finished within ten minutes, in one browser that keeps cookies.";
    Trouble::new(StatusCode::BAD_REQUEST, what, next).with_link("/login", "Sign in")
}

fn refused(error: &ProviderError) -> Trouble {
    tracing::warn!(%error, "somebody was not signed in");
    let (status, what, next) = match error {
        ProviderError::Unrequested { .. } => return unrequested(),
        ProviderError::Unknown { .. } => {
            return Trouble::new(StatusCode::NOT_FOUND, "Nobody signs in there.", "Choose from the list.")
                .with_link("/login", "Sign in");
        }
        ProviderError::Refused { .. } => (
            StatusCode::FORBIDDEN,
            "You were not signed in, because the place where you have an account said no.",
            "Try again; if it says no again, ask those who have given you the account.",
        ),
        error if error.is_passing() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The place where you have your account does not answer at present.",
            "Try again in a few minutes.",
        ),
        _ => (
            StatusCode::BAD_GATEWAY,
            "The place where you have your account has given an answer that cannot be believed.",
            "Try again. If it stays so, show this page to the operator of this server.",
        ),
    };
    // Its words are for those who can do something about it, and say nothing secret.
    Trouble::new(status, format!("{what} ({error})"), next).with_link("/login", "Sign in")
}
