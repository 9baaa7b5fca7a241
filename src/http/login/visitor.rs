//! Who looks at a page.

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{Method, StatusCode},
    web,
};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::{
    Doors, cookie, forgery,
    page::{Shell, Trouble, see_other, with_cookie},
};
use crate::{
    http::address::Addresses,
    login::{Principal, Proof, Role, Scope, gate::GateError, local_path::LocalPath, unguessable::Unguessable},
    request,
    store::{
        member::Standing,
        session::{self, LiveSession},
    },
};

/// A form that a stranger was shown can be sent for so many seconds.
const VISIT_SECONDS: u64 = 8 * 3600;

/// Somebody with a browser, signed in or not.
pub struct Visitor {
    /// What they call this server.
    pub base: String,
    /// Where they are.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub user_agent: String,
    /// Their session, if they are signed in.
    pub session: Option<Session>,
    /// Their session's cookie, or else the visit's: what forms are bound to.
    bound_to: String,
    /// A visit that has just begun.
    new_visit: Option<Unguessable>,
}

/// A session that lives, and what it is found by.
#[derive(Clone)]
pub struct Session {
    /// SHA-256 of the cookie.
    pub hash: String,
    /// Whose it is.
    pub live: Arc<LiveSession>,
}

impl Visitor {
    /// Who has sent the request.
    ///
    /// # Errors
    /// They call us by a name that is not ours; the database failed.
    pub async fn of(request: &HttpRequest, addresses: &Addresses, doors: &Doors) -> Result<Self, Trouble> {
        let base = addresses.base(request)?;
        let address = addresses.client(request);
        let session = Session::of(request, doors).await?;
        let visit = cookie::get(request, cookie::VISIT).and_then(Unguessable::presented);
        let (bound_to, new_visit) = match (&session, visit) {
            (Some(session), _) => (session.hash.clone(), None),
            (None, Some(visit)) => (visit.hash(), None),
            (None, None) => {
                let visit = Unguessable::generate().map_err(|error| Trouble::no_randomness(&error))?;
                (visit.hash(), Some(visit))
            }
        };
        let user_agent = request.headers().get("user-agent").and_then(|name| name.to_str().ok()).unwrap_or_default();
        let user_agent = user_agent.chars().take(200).collect();
        Ok(Self { base, address, user_agent, session, bound_to, new_visit })
    }

    /// What their pages have around them.
    pub fn shell(&self, doors: &Doors) -> Shell {
        let live = self.session.as_ref().map(|session| &session.live);
        Shell {
            user: live.map(|live| live.user_name.clone()),
            decides: live.is_some_and(|live| decides(live)),
            form_token: forgery::token(&doors.secret, &self.bound_to),
            onward: None,
            request_id: request::current(),
        }
    }

    /// Whether a form that came was sent by them from a page of ours.
    ///
    /// # Errors
    /// It may be forged.
    pub fn check_form(&self, request: &HttpRequest, doors: &Doors, sent: &str) -> Result<(), Trouble> {
        forgery::check_origin(request, &self.base)?;
        Ok(forgery::check_token(&doors.secret, &self.bound_to, sent)?)
    }

    /// Their session; or the way to the page where they sign in, from where they come back here.
    ///
    /// # Errors
    /// They are not signed in.
    pub fn signed_in(&self, request: &HttpRequest) -> Result<&Session, NotSignedIn> {
        self.session.as_ref().ok_or_else(|| {
            let here = request.uri().path_and_query().map(|path| path.as_str());
            NotSignedIn(LocalPath::or_account(here.filter(|_| request.method() == "GET")))
        })
    }

    /// As [`Visitor::signed_in`], for who is let in.
    ///
    /// # Errors
    /// They are not signed in, or wait to be let in.
    pub fn let_in(&self, request: &HttpRequest) -> Result<&Session, actix_web::Error> {
        let session = self.signed_in(request)?;
        if session.live.standing == Standing::Active {
            return Ok(session);
        }
        let what = "Nobody has let you in yet.";
        let next = "Somebody who looks after a project has to agree first.";
        Err(Trouble::new(StatusCode::FORBIDDEN, what, next).with_link("/account", "Your account").into())
    }

    /// Lets a page know them again when they send its form.
    pub fn remember(&self, response: HttpResponse) -> HttpResponse {
        match &self.new_visit {
            Some(visit) => with_cookie(response, &cookie::set(cookie::VISIT, visit.reveal(), VISIT_SECONDS)),
            None => response,
        }
    }
}

impl Session {
    /// The session of the request's cookie, if it lives.
    ///
    /// # Errors
    /// The database failed.
    pub async fn of(request: &HttpRequest, doors: &Doors) -> Result<Option<Self>, crate::store::StoreError> {
        let Some(hash) = cookie_hash(request) else { return Ok(None) };
        let Some(live) = session::find_live(&doors.db, &hash).await? else { return Ok(None) };
        request::sent_by(&live.user_name, Some(live.user.0), Proof::Session.to_string());
        if !doors.confirmations.keep(live.user).await {
            return Ok(Some(Self { hash, live }));
        }
        // The provider was asked about them; what it has said may have changed everything.
        let live = session::find_live(&doors.db, &hash).await?;
        Ok(live.map(|live| Self { hash, live }))
    }
}

/// Whether they decide on who is let in.
fn decides(live: &LiveSession) -> bool {
    live.standing == Standing::Active
        && live.grants.iter().any(|grant| matches!(grant.role, Role::Manager | Role::FederationAdmin))
}

/// Only who is signed in sees this page.
#[derive(Debug)]
pub struct NotSignedIn(LocalPath);

impl std::fmt::Display for NotSignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sign in first")
    }
}

impl actix_web::ResponseError for NotSignedIn {
    fn status_code(&self) -> StatusCode {
        StatusCode::SEE_OTHER
    }

    fn error_response(&self) -> HttpResponse {
        see_other(&super::choose::address(&self.0))
    }
}

impl FromRequest for Visitor {
    type Error = Trouble;
    type Future = LocalBoxFuture<'static, Result<Self, Trouble>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let shared = request.app_data::<web::Data<Doors>>().zip(request.app_data::<web::Data<Addresses>>());
            let Some((doors, addresses)) = shared else { return Err(Trouble::nowhere()) };
            Self::of(&request, addresses, doors).await
        }
        .boxed_local()
    }
}

/// What the request's session is found by, whether there is one or not.
pub fn cookie_hash(request: &HttpRequest) -> Option<String> {
    cookie::get(request, cookie::SESSION).and_then(Unguessable::presented).map(|secret| secret.hash())
}

/// Who asks OCCI by a browser's session, and for which project. To change anything, the request has to carry what a form
/// of ours would.
///
/// # Errors
/// The request may be forged, or no project is chosen; the database failed.
pub async fn by_session(request: &HttpRequest) -> Result<Option<Principal>, GateError> {
    let shared = request.app_data::<web::Data<Doors>>().zip(request.app_data::<web::Data<Addresses>>());
    let Some((doors, addresses)) = shared else { return Ok(None) };
    let Some(Session { hash, live }) = Session::of(request, doors).await? else { return Ok(None) };
    if live.standing != Standing::Active {
        return Ok(None);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let base = addresses.base(request).map_err(|misdirected| GateError::Refused(misdirected.to_string()))?;
        let sent = request.headers().get(forgery::HEADER).and_then(|sent| sent.to_str().ok()).unwrap_or_default();
        let checked =
            forgery::check_origin(request, &base).and_then(|()| forgery::check_token(&doors.secret, &hash, sent));
        checked.map_err(|forged| {
            GateError::Refused(format!(
                "{forged}; with a session's cookie, whatever changes something needs {}; programs use a token",
                forgery::HEADER
            ))
        })?;
    }
    let Some(project) = live.acts_in() else {
        let held = live.grants.iter().any(|grant| grant.role.scope() != Scope::Site);
        let words = "choose on your account page in which project you want to act";
        return if held { Err(GateError::Refused(words.to_owned())) } else { Ok(None) };
    };
    let (user, user_name, rights) = (live.user, live.user_name.clone(), live.rights_in(project));
    Ok(Some(Principal { user, user_name, project, rights, by: Proof::Session }))
}
