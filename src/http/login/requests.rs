//! `/register`: who is in no project asks to be let in. `/registrations`: who looks after one decides.

use actix_web::{Error, HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Doors, Visitor,
    page::{Shell, Trouble, notice, page, see_other},
};
use crate::{
    config::Registration,
    login::{
        Right, Role,
        account::{self, AccountProject},
        membership::{self, Decider, Decision, MembershipError},
    },
    store::{invitation::ListedInvitation, member::ProjectId, registration::ListedRequest},
};

#[derive(Template)]
#[template(path = "register.html")]
struct Asking {
    shell: Shell,
    notice: Option<String>,
    waits: bool,
}

#[derive(Template)]
#[template(path = "requests.html")]
struct Requests {
    shell: Shell,
    notice: Option<String>,
    requests: Vec<ListedRequest>,
    invitations: Vec<ListedInvitation>,
    projects: Vec<AccountProject>,
}

/// What somebody asks.
#[derive(Deserialize)]
pub struct Asked {
    form_token: String,
    #[serde(default)]
    project: String,
    words: String,
}

/// How somebody is let in.
#[derive(Deserialize)]
pub struct Approved {
    form_token: String,
    project: Option<Uuid>,
    role: String,
}

/// What the button without a choice sends.
#[derive(Deserialize)]
pub struct Plain {
    form_token: String,
}

/// The form.
pub async fn show_form(request: HttpRequest, visitor: Visitor, doors: web::Data<Doors>) -> Result<HttpResponse, Error> {
    form_with(&request, &visitor, &doors, StatusCode::OK, None).await
}

async fn form_with(
    request: &HttpRequest,
    visitor: &Visitor,
    doors: &Doors,
    status: StatusCode,
    notice: Option<String>,
) -> Result<HttpResponse, Error> {
    let session = visitor.signed_in(request)?;
    if doors.config.registration == Registration::Closed {
        let what = "Nobody is let in here by asking.";
        let next = "A manager of a project can send you an invitation.";
        return Err(Trouble::new(StatusCode::FORBIDDEN, what, next).with_link("/account", "Your account").into());
    }
    let waits = membership::waits(&doors.db, session.live.user).await.map_err(Trouble::from)?;
    Ok(page(status, &Asking { shell: visitor.shell(doors), notice, waits }))
}

/// Takes the request.
pub async fn ask(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<Asked>,
) -> Result<HttpResponse, Error> {
    let session = visitor.signed_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    let (policy, user) = (doors.config.registration, session.live.user);
    match membership::ask(&doors.db, policy, user, Some(&form.project), &form.words).await {
        Ok(()) => {
            let what = "Your request was taken. Somebody who looks after the project decides on it.";
            let next = "Come back later and look at your account: it shows when you are in.";
            let link = Some(("/account", "Your account"));
            Ok(notice(visitor.shell(&doors), StatusCode::OK, "You have asked", what, next, link))
        }
        Err(error @ MembershipError::Invalid(_)) => {
            let words = Some(format!("This was not sent: {error}."));
            form_with(&request, &visitor, &doors, StatusCode::BAD_REQUEST, words).await
        }
        Err(error) => Err(Trouble::from(error).into()),
    }
}

/// Whoever asks, and all invitations, as far as the visitor decides on them.
pub async fn show(request: HttpRequest, visitor: Visitor, doors: web::Data<Doors>) -> Result<HttpResponse, Error> {
    with_notice(&request, &visitor, &doors, StatusCode::OK, None).await
}

/// The page, with why something was not done.
///
/// # Errors
/// The visitor decides on nothing; the database failed.
pub async fn again(
    request: &HttpRequest,
    visitor: &Visitor,
    doors: &Doors,
    error: MembershipError,
) -> Result<HttpResponse, Error> {
    let status = match error {
        MembershipError::NotAllowed(_) => StatusCode::FORBIDDEN,
        MembershipError::Invalid(_) => StatusCode::BAD_REQUEST,
        other => return Err(Trouble::from(other).into()),
    };
    with_notice(request, visitor, doors, status, Some(format!("This was not done: {error}."))).await
}

async fn with_notice(
    request: &HttpRequest,
    visitor: &Visitor,
    doors: &Doors,
    status: StatusCode,
    notice: Option<String>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(request)?;
    let shell = visitor.shell(doors);
    if !shell.decides {
        return Err(Trouble::nowhere().into());
    }
    let by = Decider::User(session.live.user);
    let requests = membership::open_requests(&doors.db, by).await.map_err(Trouble::from)?;
    let own = account::account(&doors.db, session.live.user).await.map_err(Trouble::from)?;
    let mut projects = own.ok_or_else(Trouble::nowhere)?.projects;
    projects.retain(|project| project.rights.has(Right::Manage));
    let mut invitations = Vec::new();
    for project in &projects {
        let of_it = membership::invitations(&doors.db, by, ProjectId(project.id)).await.map_err(Trouble::from)?;
        invitations.extend(of_it);
    }
    Ok(page(status, &Requests { shell, notice, requests, invitations, projects }))
}

/// Lets somebody in.
pub async fn approve(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    id: web::Path<String>,
    form: web::Form<Approved>,
) -> Result<HttpResponse, Error> {
    visitor.check_form(&request, &doors, &form.form_token)?;
    let decision = match form.role.parse::<Role>() {
        Ok(role) => Ok(Decision::Approve(form.project.map(ProjectId), role)),
        Err(error) => Err(MembershipError::Invalid(error.to_string())),
    };
    decide(&request, &visitor, &doors, &id, decision).await
}

/// Does not.
pub async fn refuse(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    id: web::Path<String>,
    form: web::Form<Plain>,
) -> Result<HttpResponse, Error> {
    visitor.check_form(&request, &doors, &form.form_token)?;
    decide(&request, &visitor, &doors, &id, Ok(Decision::Refuse)).await
}

async fn decide(
    request: &HttpRequest,
    visitor: &Visitor,
    doors: &Doors,
    id: &str,
    decision: Result<Decision, MembershipError>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(request)?;
    let id = id.parse::<Uuid>().map_err(|_| Trouble::nowhere())?;
    let decided = match decision {
        Ok(decision) => membership::decide(&doors.db, Decider::User(session.live.user), id, decision).await,
        Err(error) => Err(error),
    };
    match decided {
        Ok(()) => Ok(see_other("/registrations")),
        Err(error) => again(request, visitor, doors, error).await,
    }
}
