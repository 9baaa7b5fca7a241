//! The doors for people with a browser: signing in and out, and the pages of one's account. Plain pages and forms;
//! nothing runs in the browser.

mod account;
mod choose;
mod cookie;
mod entering;
mod figures;
mod forgery;
mod invitation;
mod link;
mod local;
mod logout;
mod page;
mod provider;
mod requests;
mod style;
#[cfg(test)]
mod tests;
mod visitor;

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use actix_web::{
    HttpResponse, ResponseError, guard,
    http::{Method, StatusCode, header},
    web,
};

#[allow(unused_imports, reason = "for pages of other rooms")]
pub use self::{
    page::{Shell, Trouble, dress, notice, page, see_other},
    visitor::{Session, Visitor, by_session, cookie_hash},
};
use super::limit::{Limit, TooOften, neighbourhood};
use crate::{
    config::LoginConfig,
    login::{Rules, confirmation::Confirmations, provider::Providers, secret::Secret},
    store::Db,
};

/// No form of ours is longer, in bytes.
const FORM_LIMIT: usize = 64 << 10;

/// What all doors of the login share. Nothing in it grows with the number of strangers.
pub struct Doors {
    /// What is remembered.
    pub db: Db,
    /// Who can say who somebody is.
    pub providers: Providers,
    /// What sessions' tokens and forms are sealed with.
    pub secret: Secret,
    /// How long sessions last, and who may ask to be let in.
    pub config: LoginConfig,
    /// What decides on people's roles.
    pub rules: Rules,
    /// Asks providers again, now and then, about who is signed in.
    pub confirmations: Confirmations,
    limits: Limits,
}

/// What may be tried how often.
struct Limits {
    passwords: Limit<IpAddr>,
    /// Counted by what was typed, whether there is such a user or not.
    passwords_of_user: Limit<[u8; 16]>,
    starts: Limit<IpAddr>,
    callbacks: Limit<IpAddr>,
    links: Limit<IpAddr>,
}

impl Limits {
    fn new() -> Self {
        let so_many = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let seconds = Duration::from_secs;
        Self {
            passwords: Limit::new(so_many(10), seconds(10)),
            passwords_of_user: Limit::new(so_many(10), seconds(30)),
            // A class that comes in at eight o'clock has one address.
            starts: Limit::new(so_many(120), Duration::from_millis(500)),
            callbacks: Limit::new(so_many(120), Duration::from_millis(500)),
            links: Limit::new(so_many(20), seconds(5)),
        }
    }
}

fn counted(limit: &Limit<IpAddr>, visitor: &Visitor) -> Result<(), TooOften> {
    limit.take(neighbourhood(visitor.address))
}

impl Doors {
    /// The doors over this store.
    pub fn new(db: Db, providers: Providers, secret: Secret, config: LoginConfig) -> Self {
        let rules = config.rules();
        let confirmations = Confirmations::new(&db, &providers, &secret, rules.clone(), config.pace());
        Self { db, providers, secret, config, rules, confirmations, limits: Limits::new() }
    }
}

/// The pages, for the server.
pub fn routes(server: &mut web::ServiceConfig) {
    let reading = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let forms = web::FormConfig::default().limit(FORM_LIMIT).error_handler(|error, _| {
        let next = "Go back, load the page again, and repeat it.";
        Trouble::new(StatusCode::BAD_REQUEST, format!("The form could not be read: {error}."), next).into()
    });
    let at = |path: &str| web::resource(path).default_service(web::route().to(not_so));
    server
        .app_data(forms)
        .service(web::resource("/").guard(guard::fn_guard(is_person)).to(async || see_other("/account")))
        .service(at("/login").route(reading().to(choose::show)))
        .service(at("/login/style.css").route(reading().to(style::show)))
        .service(at("/login/start").route(reading().to(provider::start)))
        .service(at("/login/callback/{provider}").route(reading().to(provider::callback)))
        .service(at("/login/backchannel/{provider}").route(web::post().to(provider::backchannel)))
        .service(at("/login/local").route(web::post().to(local::enter)))
        .service(at("/login/link/{secret}").route(reading().to(link::show)).route(web::post().to(link::enter)))
        .service(at("/logout").route(reading().to(logout::show)).route(web::post().to(logout::leave)))
        .service(at("/account").route(reading().to(account::show)))
        .service(at("/account/project").route(web::post().to(account::choose_project)))
        .service(at("/account/tokens").route(web::post().to(account::make_token)))
        .service(at("/account/tokens/{id}/revoke").route(web::post().to(account::revoke_token)))
        .service(at("/account/sessions/end").route(web::post().to(account::end_other_sessions)))
        .service(
            at("/invitation/{secret}").route(reading().to(invitation::show)).route(web::post().to(invitation::accept)),
        )
        .service(at("/invitations").route(web::post().to(invitation::make)))
        .service(at("/invitations/{id}/revoke").route(web::post().to(invitation::revoke)))
        .service(at("/register").route(reading().to(requests::show_form)).route(web::post().to(requests::ask)))
        .service(at("/registrations").route(reading().to(requests::show)))
        .service(at("/registrations/{id}/approve").route(web::post().to(requests::approve)))
        .service(at("/registrations/{id}/refuse").route(web::post().to(requests::refuse)))
        .service(
            web::resource(["/login/{tail:.*}", "/account/{tail:.*}"]).to(async || Trouble::nowhere().error_response()),
        );
}

/// Whether somebody has typed the server's name into a browser: they do not want to read OCCI.
fn is_person(context: &guard::GuardContext<'_>) -> bool {
    let head = context.head();
    head.method == Method::GET
        && head.headers().get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
        && !head.headers().contains_key(header::AUTHORIZATION)
}

async fn not_so() -> HttpResponse {
    let what = "This address is not used in this way.";
    let next = "Go to the page that you were on, and use its buttons.";
    let mut response = Trouble::new(StatusCode::METHOD_NOT_ALLOWED, what, next).error_response();
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD, POST"));
    response
}
