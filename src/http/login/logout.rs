//! `/logout`: the session ends here, and then at the provider.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::{
    Doors, Visitor, cookie,
    page::{Shell, Trouble, notice, page, see_other, with_cookie},
};
use crate::{
    login::{
        sealed,
        told::{self, Told},
    },
    store::session,
};

#[derive(Template)]
#[template(path = "logout.html")]
struct Question {
    shell: Shell,
}

/// What the button sends.
#[derive(Deserialize)]
pub struct Form {
    form_token: String,
}

/// Asks, for who comes by a link.
pub async fn show(visitor: Visitor, doors: web::Data<Doors>) -> HttpResponse {
    if visitor.session.is_none() {
        return see_other("/login");
    }
    page(StatusCode::OK, &Question { shell: visitor.shell(&doors) })
}

/// Ends the session, and leads on to where it ends at the provider. That is a page and not a redirect, since browsers
/// hold a redirect after a form against the form's targets, and nobody knows where providers lead on to.
pub async fn leave(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<Form>,
) -> Result<HttpResponse, Trouble> {
    let Some(session) = &visitor.session else { return Ok(see_other("/login")) };
    visitor.check_form(&request, &doors, &form.form_token)?;
    let hash = session.hash.clone();
    let actor = crate::request::actor();
    let end = doors.db.write(move |connection| {
        let ended = session::end(connection, &hash)?;
        if ended.is_some() {
            told::record(connection, Told::new("login.left", json!({})), actor.as_ref())?;
        }
        Ok(ended)
    });
    let ended = end.await?;
    let mut onward = None;
    if let Some((ended, provider)) = ended.as_ref().and_then(|ended| Some((ended, ended.provider.as_deref()?))) {
        let id_token = ended.id_token.as_deref().and_then(|token| sealed::open(&doors.secret, sealed::ID_TOKEN, token));
        onward = doors.providers.end_session(provider, id_token.as_deref(), &visitor.base).await;
    }
    let shell = Shell { onward: onward.clone(), request_id: crate::request::current(), ..Shell::default() };
    let (next, link) = match &onward {
        Some(onward) => {
            ("Now you are led to where you have signed in, to sign out there too.", (onward.as_str(), "Go on"))
        }
        None => ("You can close this page.", ("/login", "Sign in again")),
    };
    let response =
        notice(shell, StatusCode::OK, "You are signed out", "Your session here has ended.", next, Some(link));
    Ok(with_cookie(response, &cookie::clear(cookie::SESSION)))
}
