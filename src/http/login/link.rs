//! `/login/link/SECRET`: a link that lets in once. Looking at it does not use it up, since mail programs and browsers
//! look at links by themselves; the button does.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

use super::{
    Doors, Visitor, counted,
    entering::{Arrival, enter as begin},
    page::{Shell, Trouble, page},
};
use crate::{
    login::{local_path::LocalPath, unguessable::Unguessable},
    store::{login_link, member::Standing, user},
};

#[derive(Template)]
#[template(path = "link.html")]
struct Offer {
    shell: Shell,
    name: String,
}

/// What the button sends.
#[derive(Deserialize)]
pub struct Form {
    form_token: String,
}

fn void() -> Trouble {
    let what = "This link does not work: it was used already, or is too old, or not complete.";
    let next = "Get a new one with `tombolo user link` on the computer where the server runs, or sign in otherwise.";
    Trouble::new(StatusCode::NOT_FOUND, what, next).with_link("/login", "Sign in")
}

/// The page with the button.
pub async fn show(
    visitor: Visitor,
    doors: web::Data<Doors>,
    secret: web::Path<String>,
) -> Result<HttpResponse, Trouble> {
    counted(&doors.limits.links, &visitor)?;
    let hash = Unguessable::presented(&secret).ok_or_else(void)?.hash();
    let found = doors.db.read(move |connection| match login_link::look(connection, &hash)? {
        Some(id) => user::find(connection, id),
        None => Ok(None),
    });
    let user = found.await?.ok_or_else(void)?;
    Ok(visitor.remember(page(StatusCode::OK, &Offer { shell: visitor.shell(&doors), name: user.name })))
}

/// The button.
pub async fn enter(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    secret: web::Path<String>,
    form: web::Form<Form>,
) -> Result<HttpResponse, Trouble> {
    visitor.check_form(&request, &doors, &form.form_token)?;
    counted(&doors.limits.links, &visitor)?;
    let hash = Unguessable::presented(&secret).ok_or_else(void)?.hash();
    let found = doors.db.write(move |connection| match login_link::consume(connection, &hash)? {
        Some(id) => user::find(connection, id),
        None => Ok(None),
    });
    let user = found.await?.filter(|user| user.standing != Standing::Disabled).ok_or_else(void)?;
    let arrival = Arrival { user: user.id, provider: None, provider_session: None, id_token: None };
    begin(&visitor, &doors, arrival, &LocalPath::default()).await
}
