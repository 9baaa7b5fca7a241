//! A small authorization server of our own, by which programs get app tokens of the person who lets them in: a terminal
//! that shows a code (RFC 8628), or a program on the person's own computer that opens a browser (RFC 8252). What is told
//! about it is in its metadata (RFC 8414).

mod choice;
mod consent;
mod fields;
mod metadata;
mod refusal;
mod terminal;
mod terminal_page;
mod token;
mod wish;

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use actix_web::{guard, web};

use super::limit::Limit;
use crate::store::member::UserId;

/// The paths, below the server's base address.
const METADATA: &str = "/.well-known/oauth-authorization-server";
const TERMINAL: &str = "/login/device";
const TERMINAL_PAGE: &str = "/device";
const CONSENT: &str = "/login/authorize";
const TOKEN: &str = "/login/token";
const REVOCATION: &str = "/login/revoke";

/// What may be asked how often.
pub struct Limits {
    /// Terminals that begin to wait, of one neighbourhood.
    terminals: Limit<IpAddr>,
    /// Questions of one terminal.
    questions: Limit<String>,
    /// Questions and codes of one neighbourhood.
    exchanges: Limit<IpAddr>,
    /// User codes that one person enters.
    entered_by: Limit<UserId>,
    /// User codes that are entered in one neighbourhood.
    entered_from: Limit<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        let so_many = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let seconds = Duration::from_secs;
        Self {
            // A class begins its lesson behind one router.
            terminals: Limit::new(so_many(60), seconds(10)),
            questions: Limit::new(so_many(5), seconds(1)),
            exchanges: Limit::new(so_many(300), Duration::from_millis(50)),
            // 20⁸ codes, of which a thousand wait at most: who may try two a minute finds none.
            entered_by: Limit::new(so_many(10), seconds(30)),
            entered_from: Limit::new(so_many(100), seconds(5)),
        }
    }
}

/// The doors, for the server. The limits are shared by all of its threads.
pub fn routes(server: &mut web::ServiceConfig) {
    let reading = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    server
        .service(web::resource(METADATA).route(reading().to(metadata::show)))
        .service(web::resource(TERMINAL).route(web::post().to(terminal::open)))
        .service(web::resource(TOKEN).route(web::post().to(token::hand_out)))
        .service(web::resource(REVOCATION).route(web::post().to(token::give_back)))
        .service(
            web::resource(TERMINAL_PAGE)
                .route(reading().to(terminal_page::show))
                .route(web::post().to(terminal_page::decide)),
        )
        .service(web::resource(CONSENT).route(reading().to(consent::show)).route(web::post().to(consent::decide)));
}
