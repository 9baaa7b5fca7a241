//! `/invitation/SECRET`: who has the link may join a project. `/invitations`: where such links are made.

use actix_web::{Error, HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Doors, Visitor, choose, counted,
    page::{Shell, Trouble, page, see_other},
    requests,
};
use crate::{
    login::{
        Role,
        local_path::LocalPath,
        membership::{self, Decider, Invite, MembershipError, Offer},
        unguessable::Unguessable,
    },
    store::member::ProjectId,
};

#[derive(Template)]
#[template(path = "invitation.html")]
struct Invited {
    shell: Shell,
    offer: Offer,
    sign_in: String,
}

#[derive(Template)]
#[template(path = "invited.html")]
struct Made<'a> {
    shell: Shell,
    base: &'a str,
    secret: &'a str,
}

/// What the buttons without a choice send.
#[derive(Deserialize)]
pub struct Plain {
    form_token: String,
}

/// The invitation that is to be made.
#[derive(Deserialize)]
pub struct Wanted {
    form_token: String,
    project: Uuid,
    role: String,
    #[serde(default)]
    note: String,
    days: u32,
    uses: u32,
}

/// What the link offers. Looking at it does not use it.
pub async fn show(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    secret: web::Path<String>,
) -> Result<HttpResponse, Trouble> {
    counted(&doors.limits.links, &visitor)?;
    let secret = Unguessable::presented(&secret).ok_or_else(Trouble::nowhere)?;
    let offer = membership::offer(&doors.db, &secret).await?;
    let sign_in = choose::address(&LocalPath::or_account(Some(request.path())));
    Ok(visitor.remember(page(StatusCode::OK, &Invited { shell: visitor.shell(&doors), offer, sign_in })))
}

/// Joins.
pub async fn accept(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    secret: web::Path<String>,
    form: web::Form<Plain>,
) -> Result<HttpResponse, Error> {
    let session = visitor.signed_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    counted(&doors.limits.links, &visitor).map_err(Trouble::from)?;
    let secret = Unguessable::presented(&secret).ok_or_else(Trouble::nowhere)?;
    let joined = membership::accept_invitation(&doors.db, session.live.user, &secret).await;
    joined.map_err(Trouble::from)?;
    Ok(see_other("/account"))
}

/// Makes an invitation, and shows its link in this very answer.
pub async fn make(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<Wanted>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    let form = form.into_inner();
    let invited = match form.role.parse::<Role>() {
        Err(error) => Err(MembershipError::Invalid(error.to_string())),
        Ok(role) => {
            let Wanted { project, note, days, uses, .. } = form;
            let wanted = Invite { project: ProjectId(project), role, note, days, uses };
            membership::invite(&doors.db, Decider::User(session.live.user), wanted).await
        }
    };
    match invited {
        Ok((_, secret)) => {
            let made = Made { shell: visitor.shell(&doors), base: &visitor.base, secret: secret.reveal() };
            Ok(page(StatusCode::OK, &made))
        }
        Err(error) => requests::again(&request, &visitor, &doors, error).await,
    }
}

/// Makes an invitation void.
pub async fn revoke(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    id: web::Path<String>,
    form: web::Form<Plain>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    let id = id.parse::<Uuid>().map_err(|_| Trouble::nowhere())?;
    let revoked = membership::revoke_invitation(&doors.db, Decider::User(session.live.user), id).await;
    revoked.map_err(Trouble::from)?;
    Ok(see_other("/registrations"))
}

impl From<MembershipError> for Trouble {
    fn from(error: MembershipError) -> Self {
        let words = format!("This was not done: {error}.");
        match error {
            MembershipError::Store(error) => Self::from(error),
            MembershipError::Randomness(error) => Self::no_randomness(&error),
            MembershipError::NotThere(_) => {
                let next = "Ask who has sent it to you for a new one.";
                Self::new(StatusCode::NOT_FOUND, words, next).with_link("/account", "Your account")
            }
            MembershipError::NotAllowed(_) => {
                Self::new(StatusCode::FORBIDDEN, words, "Ask somebody who looks after the project.")
                    .with_link("/account", "Your account")
            }
            MembershipError::Invalid(_) => {
                Self::new(StatusCode::BAD_REQUEST, words, "Go back, correct it, and send it again.")
                    .with_link("/account", "Your account")
            }
        }
    }
}
