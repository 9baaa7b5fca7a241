//! What pages look like, and what browsers may do with them.

use std::fmt;

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use askama::Template;

use super::forgery::Forged;
use crate::{
    http::{
        address::{Addresses, Misdirected},
        limit::TooOften,
    },
    request,
    store::StoreError,
};

/// Two years, as browsers want it who keep lists of such hosts.
const HSTS: &str = "max-age=63072000";

/// What every page has around it.
#[derive(Debug, Default)]
pub struct Shell {
    /// Who is signed in.
    pub user: Option<String>,
    /// Whether there are requests of people that they decide on.
    pub decides: bool,
    /// For forms.
    pub form_token: String,
    /// Where the browser goes on by itself.
    pub onward: Option<String>,
    /// Under which the operator finds what has happened.
    pub request_id: Option<String>,
}

/// Something that went wrong, or is only to be told.
#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    shell: Shell,
    heading: &'a str,
    what: &'a str,
    next: &'a str,
    link: Option<(&'a str, &'a str)>,
}

/// A page as an answer.
pub fn page(status: StatusCode, template: &impl Template) -> HttpResponse {
    match template.render() {
        Ok(html) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            super::super::plain(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n")
        }
    }
}

/// A page that only says something.
pub fn notice(
    shell: Shell,
    status: StatusCode,
    heading: &str,
    what: &str,
    next: &str,
    link: Option<(&str, &str)>,
) -> HttpResponse {
    page(status, &Notice { shell, heading, what, next, link })
}

/// Sends the browser on by GET, and lets nobody keep the answer.
pub fn see_other(place: &str) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, place)).insert_header((header::CACHE_CONTROL, "no-store"));
    response.finish()
}

/// Adds a cookie, or takes one back.
pub fn with_cookie(mut response: HttpResponse, cookie: &str) -> HttpResponse {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Nothing is loaded but our style, and forms lead to us alone.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Puts onto every page what browsers are to keep to, and onto every answer over TLS that they should use it always.
///
/// # Errors
/// What is behind it failed.
pub async fn dress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let addresses = request.app_data::<web::Data<Addresses>>();
    let secure = addresses.is_some_and(|addresses| addresses.are_secure());
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if secure {
        put(headers, header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    let is_page = |media: &HeaderValue| media.as_bytes().starts_with(b"text/html");
    if headers.get(header::CONTENT_TYPE).is_some_and(is_page) {
        put(headers, header::CONTENT_SECURITY_POLICY, POLICY);
        // Our own forms must say where they come from, and with `no-referrer` browsers say `null` there.
        put(headers, header::REFERRER_POLICY, "same-origin");
        put(headers, header::CACHE_CONTROL, "no-store");
        put(headers, header::CROSS_ORIGIN_OPENER_POLICY, "same-origin");
        put(headers, header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    }
    Ok(response)
}

/// Sets the field, unless it is there.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !headers.contains_key(&name)
    {
        headers.insert(name, value);
    }
}

/// Why there is no page, as a page: what has happened, and what to do next.
#[derive(Debug)]
pub struct Trouble {
    status: StatusCode,
    what: String,
    next: String,
    link: Option<(String, &'static str)>,
    retry_after: Option<u64>,
}

impl Trouble {
    /// Something that the person can do something about.
    pub fn new(status: StatusCode, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { status, what: what.into(), next: next.into(), link: None, retry_after: None }
    }

    /// With a link to go on by.
    pub fn with_link(mut self, address: impl Into<String>, text: &'static str) -> Self {
        self.link = Some((address.into(), text));
        self
    }

    /// The system has no random bytes, without which nothing here can be kept secret.
    pub fn no_randomness(error: &getrandom::Error) -> Self {
        tracing::error!(%error, "the system gives no random bytes");
        let next = "Try again in a minute, or tell the operator, with the number of the request below.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server has no random numbers at present.", next)
    }

    /// There is nothing at this address.
    pub fn nowhere() -> Self {
        let what = "There is nothing at this address, or nothing that is for you.";
        Self::new(StatusCode::NOT_FOUND, what, "Look whether the address is complete.")
            .with_link("/account", "Your account")
    }

    fn heading(&self) -> &'static str {
        match self.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "Not allowed",
            StatusCode::TOO_MANY_REQUESTS => "Too often",
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => "Not at present",
            status if status.is_server_error() => "Something went wrong",
            _ => "This did not work",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.next)
    }
}

impl ResponseError for Trouble {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let shell = Shell { request_id: request::current(), ..Shell::default() };
        let link = self.link.as_ref().map(|(address, text)| (address.as_str(), *text));
        let mut response = notice(shell, self.status, self.heading(), &self.what, &self.next, link);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a page could not be made");
        let next = "Try again in a minute. If it stays so, tell the operator, with the number of the request below.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server cannot reach its database.", next)
    }
}

impl From<Misdirected> for Trouble {
    fn from(misdirected: Misdirected) -> Self {
        let what = format!("You have reached a server under a name that it does not have: {misdirected}.");
        Self::new(StatusCode::MISDIRECTED_REQUEST, what, "Use the address that you were given by its operator.")
    }
}

impl From<Forged> for Trouble {
    fn from(forged: Forged) -> Self {
        let next = "Nothing was changed. If you have done this yourself, go back, load the page again, and repeat it.";
        Self::new(StatusCode::FORBIDDEN, format!("This was not done: {forged}."), next)
            .with_link("/account", "Your account")
    }
}

impl From<TooOften> for Trouble {
    fn from(TooOften(seconds): TooOften) -> Self {
        let next = format!("Wait {seconds} seconds, then try again.");
        let trouble = Self::new(StatusCode::TOO_MANY_REQUESTS, "That was tried too often in a short time.", next);
        Self { retry_after: Some(seconds), ..trouble }
    }
}
