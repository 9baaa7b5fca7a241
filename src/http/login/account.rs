//! `/account`: what somebody is here, has and may do.

use actix_web::{Error, HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Doors, Visitor,
    figures::{self, QuotaRow},
    page::{Shell, Trouble, page, see_other},
};
use crate::{
    config::Registration,
    login::{
        Right, Rights,
        account::{self, Account, AccountError, MOST_DAYS, TokenRequest},
    },
    store::{
        member::{ProjectId, Standing},
        session,
    },
};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    shell: Shell,
    notice: Option<String>,
    account: &'a Account,
    quota: Vec<QuotaRow>,
    acts_in: Option<Uuid>,
    this_session: &'a str,
    waits: bool,
    may_ask: bool,
    most_days: u32,
}

impl AccountPage<'_> {
    fn is_here(&self, project: &Uuid) -> bool {
        self.acts_in.as_ref() == Some(project)
    }
}

#[derive(Template)]
#[template(path = "token.html")]
struct NewToken<'a> {
    shell: Shell,
    token: &'a str,
    base: &'a str,
}

/// The page.
pub async fn show(request: HttpRequest, visitor: Visitor, doors: web::Data<Doors>) -> Result<HttpResponse, Error> {
    with_notice(&request, &visitor, &doors, StatusCode::OK, None).await
}

async fn with_notice(
    request: &HttpRequest,
    visitor: &Visitor,
    doors: &Doors,
    status: StatusCode,
    notice: Option<String>,
) -> Result<HttpResponse, Error> {
    let session = visitor.signed_in(request)?;
    let found = account::account(&doors.db, session.live.user).await.map_err(Trouble::from)?;
    let account = found.ok_or_else(Trouble::nowhere)?;
    let page_of_account = AccountPage {
        shell: visitor.shell(doors),
        notice,
        quota: figures::rows(&account.projects),
        acts_in: session.live.acts_in().map(|project| project.0),
        this_session: &session.hash,
        waits: session.live.standing == Standing::Pending,
        may_ask: doors.config.registration == Registration::Approval,
        most_days: MOST_DAYS,
        account: &account,
    };
    Ok(page(status, &page_of_account))
}

/// What the buttons without a choice send.
#[derive(Deserialize)]
pub struct Plain {
    form_token: String,
}

/// Which project is chosen.
#[derive(Deserialize)]
pub struct Chosen {
    form_token: String,
    project: Uuid,
}

/// The session acts in this project from now on.
pub async fn choose_project(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<Chosen>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    let project = ProjectId(form.project);
    if session.live.rights_in(project).is_empty() {
        return Err(Trouble::nowhere().into());
    }
    let hash = session.hash.clone();
    let set = doors.db.write(move |connection| session::set_project(connection, &hash, project));
    set.await.map_err(Trouble::from)?;
    Ok(see_other("/account"))
}

/// The token that is wanted.
#[derive(Deserialize)]
pub struct WantedToken {
    form_token: String,
    project: Uuid,
    #[serde(default)]
    name: String,
    read: Option<String>,
    operate: Option<String>,
    manage: Option<String>,
    days: u32,
}

impl WantedToken {
    fn rights(&self) -> Rights {
        let wanted = [(&self.read, Right::Read), (&self.operate, Right::Operate), (&self.manage, Right::Manage)];
        wanted.into_iter().filter(|(ticked, _)| ticked.is_some()).map(|(_, right)| right).collect()
    }
}

/// Makes a token, and shows it in this very answer.
pub async fn make_token(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<WantedToken>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    let rights = form.rights();
    let form = form.into_inner();
    let (user, project) = (session.live.user, ProjectId(form.project));
    let wanted = TokenRequest { user, project, name: form.name, rights, days: form.days };
    match account::make_token(&doors.db, wanted).await {
        Ok(token) => {
            let (shell, token) = (visitor.shell(&doors), token.to_string());
            Ok(page(StatusCode::OK, &NewToken { shell, token: &token, base: &visitor.base }))
        }
        Err(AccountError::Store(error)) => Err(Trouble::from(error).into()),
        Err(AccountError::Randomness(error)) => Err(Trouble::no_randomness(&error).into()),
        Err(refused @ (AccountError::NotAllowed(_) | AccountError::Invalid(_))) => {
            let status = match refused {
                AccountError::NotAllowed(_) => StatusCode::FORBIDDEN,
                _ => StatusCode::BAD_REQUEST,
            };
            let notice = format!("No token was made: {refused}.");
            with_notice(&request, &visitor, &doors, status, Some(notice)).await
        }
    }
}

/// Makes a token void.
pub async fn revoke_token(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    id: web::Path<String>,
    form: web::Form<Plain>,
) -> Result<HttpResponse, Error> {
    let session = visitor.signed_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    let id = id.parse::<Uuid>().map_err(|_| Trouble::nowhere())?;
    let revoked = account::revoke_token(&doors.db, session.live.user, id).await.map_err(Trouble::from)?;
    if revoked { Ok(see_other("/account")) } else { Err(Trouble::nowhere().into()) }
}

/// Ends the user's sessions in other browsers.
pub async fn end_other_sessions(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<Plain>,
) -> Result<HttpResponse, Error> {
    let session = visitor.signed_in(&request)?;
    visitor.check_form(&request, &doors, &form.form_token)?;
    let (user, hash) = (session.live.user, session.hash.clone());
    let ended = doors.db.write(move |connection| session::end_of_user(connection, user, Some(&hash)));
    ended.await.map_err(Trouble::from)?;
    Ok(see_other("/account"))
}
