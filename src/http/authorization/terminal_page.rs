//! `/device`: a person enters the code that a terminal shows, sees what asks for what, and decides.

use actix_web::{Error, HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

use super::{
    Limits,
    choice::{Ago, Choice, Chosen},
};
use crate::{
    http::{
        Doors,
        limit::neighbourhood,
        login::{Session, Shell, Trouble, Visitor, notice, page},
    },
    login::{
        code::UserCode,
        device::{self as rules},
    },
    store::{
        Timestamp,
        device::{Decision, Waiting},
        live_member,
    },
};

#[derive(Template)]
#[template(path = "terminal_code.html")]
struct CodePage {
    shell: Shell,
    notice: Option<String>,
}

#[derive(Template)]
#[template(path = "terminal.html")]
struct TerminalPage<'a> {
    shell: Shell,
    code: String,
    waiting: &'a Waiting,
    ago: Ago,
    is_elsewhere: bool,
    own_address: String,
    choice: Choice,
}

/// What the address may say.
#[derive(Deserialize)]
pub struct Asked {
    user_code: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Form {
    user_code: String,
    #[serde(flatten)]
    chosen: Chosen,
}

/// The page.
pub async fn show(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    limits: web::Data<Limits>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(&request)?;
    let typed = asked.into_inner().user_code.unwrap_or_default();
    if typed.trim().is_empty() {
        return Ok(page(StatusCode::OK, &CodePage { shell: visitor.shell(&doors), notice: None }));
    }
    let Some((code, waiting)) = entered(&visitor, session, &doors, &limits, &typed).await? else {
        let words = "No terminal waits with this code. Look again at what your terminal shows; it may have waited too \
                     long and show a new one.";
        let code_page = CodePage { shell: visitor.shell(&doors), notice: Some(words.into()) };
        return Ok(page(StatusCode::NOT_FOUND, &code_page));
    };
    let choice = Choice::of(&doors.db, session, waiting.rights).await?.ok_or_else(nothing_to_give)?;
    let own_address = visitor.address.to_string();
    let terminal_page = TerminalPage {
        shell: visitor.shell(&doors),
        code: code.to_string(),
        ago: Ago(Timestamp::now().seconds_since(waiting.created_at)),
        is_elsewhere: waiting.address != own_address,
        own_address,
        waiting: &waiting,
        choice,
    };
    Ok(page(StatusCode::OK, &terminal_page))
}

/// The terminal that waits with the code that was typed. Whoever guesses is slowed down.
async fn entered(
    visitor: &Visitor,
    session: &Session,
    doors: &Doors,
    limits: &Limits,
    typed: &str,
) -> Result<Option<(UserCode, Waiting)>, Trouble> {
    limits.entered_from.take(neighbourhood(visitor.address))?;
    limits.entered_by.take(session.live.user)?;
    let Ok(code) = typed.parse::<UserCode>() else { return Ok(None) };
    let waiting = rules::look(&doors.db, &doors.secret, &code).await?;
    Ok(waiting.map(|waiting| (code, waiting)))
}

fn nothing_to_give() -> Trouble {
    let what = "You are in no project, so there is nothing that a terminal could do for you.";
    Trouble::new(StatusCode::FORBIDDEN, what, "Somebody has to take you into a project first.")
        .with_link("/account", "Your account")
}

/// The person's word.
pub async fn decide(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    limits: web::Data<Limits>,
    form: web::Form<Form>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(&request)?;
    visitor.check_form(&request, &doors, &form.chosen.form_token)?;
    let gone = || {
        let what = "This terminal does not wait any more: somebody has decided already, or it was too long ago.";
        Trouble::new(StatusCode::NOT_FOUND, what, "Begin anew at the terminal.").with_link("/device", "Enter a code")
    };
    let found = entered(&visitor, session, &doors, &limits, &form.user_code).await?;
    let (code, waiting) = found.ok_or_else(gone)?;
    let decision = if form.chosen.agrees() {
        let user = session.live.user;
        let live = doors.db.read_brief(move |connection| live_member::find(connection, user)).await;
        let live = live.map_err(Trouble::from)?.ok_or_else(nothing_to_give)?;
        let (project, rights, days) = form.chosen.agreed(waiting.rights, &live)?;
        Decision::Approve { user, project, rights, days }
    } else {
        Decision::Deny
    };
    let agrees = matches!(decision, Decision::Approve { .. });
    let decided = rules::decide(&doors.db, &doors.secret, &code, &waiting, decision).await.map_err(Trouble::from)?;
    if !decided {
        return Err(gone().into());
    }
    let (heading, what, next) = if agrees {
        let next = "You can close this page. The token is on your account page, where you can revoke it.";
        ("The terminal is let in", "It goes on by itself in a few seconds.", next)
    } else {
        ("The terminal is not let in", "It was told so.", "You can close this page.")
    };
    let link = Some(("/account", "Your account"));
    Ok(notice(visitor.shell(&doors), StatusCode::OK, heading, what, next, link))
}
