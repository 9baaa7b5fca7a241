//! `/login`: where people choose how to sign in.

use actix_web::{HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

use super::{
    Doors, Visitor,
    page::{Shell, Trouble, page, see_other},
};
use crate::{
    login::{local_path::LocalPath, provider::Listed},
    store::{member::Standing, password},
};

#[derive(Template)]
#[template(path = "login.html")]
struct Choice {
    shell: Shell,
    notice: Option<String>,
    providers: Vec<Listed>,
    has_local_users: bool,
    next: String,
    next_encoded: String,
}

/// What the address may say.
#[derive(Deserialize)]
pub struct Asked {
    next: Option<String>,
}

/// The page's address, for who is to be led to a page of ours afterwards.
pub fn address(next: &LocalPath) -> String {
    if *next == LocalPath::default() {
        return "/login".to_owned();
    }
    format!("/login?next={}", encoded(next))
}

fn encoded(next: &LocalPath) -> String {
    url::form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect()
}

/// The page; who is signed in already is led on.
pub async fn show(
    visitor: Visitor,
    doors: web::Data<Doors>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Trouble> {
    let next = LocalPath::or_account(asked.next.as_deref());
    if visitor.session.as_ref().is_some_and(|session| session.live.standing == Standing::Active) {
        return Ok(see_other(next.as_str()));
    }
    again(&visitor, &doors, &next, StatusCode::OK, None).await
}

/// The page with a notice on it.
///
/// # Errors
/// The database failed.
pub async fn again(
    visitor: &Visitor,
    doors: &Doors,
    next: &LocalPath,
    status: StatusCode,
    notice: Option<String>,
) -> Result<HttpResponse, Trouble> {
    let has_local_users = doors.config.local_users && doors.db.read(password::any).await?;
    let shell = visitor.shell(doors);
    let (next, next_encoded) = (next.as_str().to_owned(), encoded(next));
    let choice = Choice { shell, notice, providers: doors.providers.listed(), has_local_users, next, next_encoded };
    Ok(visitor.remember(page(status, &choice)))
}
