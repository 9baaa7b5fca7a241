//! `/login/local`: users who have a password here.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    Doors, Visitor, choose, counted,
    entering::{Arrival, enter as begin},
    page::Trouble,
};
use crate::{
    login::{failure, local_path::LocalPath, password::Password},
    store::password,
};

/// What was typed.
#[derive(Deserialize)]
pub struct Form {
    form_token: String,
    user: String,
    password: String,
    next: Option<String>,
}

/// Lets in whose password fits. Whether the name or the password was wrong is not told, neither in words nor by the time
/// that it takes.
pub async fn enter(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<Form>,
) -> Result<HttpResponse, Trouble> {
    let form = form.into_inner();
    visitor.check_form(&request, &doors, &form.form_token)?;
    counted(&doors.limits.passwords, &visitor)?;
    doors.limits.passwords_of_user.take(counted_as(&form.user))?;
    let next = LocalPath::or_account(form.next.as_deref());
    let name = form.user.trim().to_owned();
    if !doors.config.local_users {
        return Err(Trouble::nowhere());
    }
    let called = name.clone();
    let (user, hash) = doors.db.read(move |connection| password::find(connection, &name)).await?.unzip();
    let fits = match Password::typed(form.password) {
        Ok(typed) => typed.fits(hash).await,
        Err(_) => false,
    };
    match user.filter(|_| fits) {
        Some(user) => {
            let arrival = Arrival { user, provider: None, provider_session: None, id_token: None };
            begin(&visitor, &doors, arrival, &next).await
        }
        None => {
            let reason = "name and password do not belong together";
            // Names of nobody are not written down: people type passwords into the wrong field.
            failure::tell(&doors.db, "password", user.map(|_| called.as_str()), reason).await;
            let notice = "This name and this password do not belong together. Try again.".to_owned();
            choose::again(&visitor, &doors, &next, StatusCode::UNAUTHORIZED, Some(notice)).await
        }
    }
}

/// A name of any length, in few bytes.
fn counted_as(name: &str) -> [u8; 16] {
    let digest = Sha256::digest(name.trim().to_lowercase().as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}
