//! `/login/authorize`: a program on the person's own computer has opened the browser, and wants to be let in.

use actix_web::{Error, HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

use super::{
    choice::{Choice, Chosen},
    fields::Fields,
    refusal::Refusal,
    wish::Wish,
};
use crate::{
    http::{
        Doors,
        login::{Shell, Trouble, Visitor, notice, page, see_other},
    },
    login::device::{self as rules, Agreed},
    store::live_member,
};

/// What a program recognises its answer by is no longer, in characters.
const LONGEST_STATE: usize = 128;

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    shell: Shell,
    asked: &'a Agreed,
    redirect_uri: String,
    choice: Choice,
}

/// Why there is nothing to agree to.
enum Unfit {
    /// Nobody knows where the answer is to go.
    Page(Trouble),
    /// The program hears of it.
    Answer(String),
}

/// What the program asks for.
fn asked(fields: &Fields, issuer: &str) -> Result<Agreed, Unfit> {
    let odd = |what: String| {
        let next = "Nothing was done. Start the program again; if that does not help, use `tombolo login --device`.";
        Unfit::Page(Trouble::new(StatusCode::BAD_REQUEST, what, next))
    };
    // Before these two are known to be good, nothing goes anywhere.
    let redirect_uri =
        fields.need("redirect_uri").map_err(|refusal| odd(format!("The program is at fault: {refusal}.")));
    let redirect_uri = redirect_uri?.parse().map_err(|error| odd(format!("The program is at fault: {error}.")))?;
    let state = fields.get("state").unwrap_or_default();
    if state.len() > LONGEST_STATE || !state.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(odd(format!("The program is at fault: state has at most {LONGEST_STATE} printable characters.")));
    }
    let mut agreed = Agreed {
        client: String::new(),
        redirect_uri,
        state: state.to_owned(),
        challenge: String::new(),
        rights: crate::login::Rights::NONE,
    };
    match described(fields) {
        Ok((wish, challenge)) => {
            (agreed.client, agreed.rights, agreed.challenge) = (wish.client, wish.rights, challenge);
            Ok(agreed)
        }
        Err(refusal) => {
            let told = [("error", refusal.error()), ("error_description", refusal.description())];
            Err(Unfit::Answer(agreed.answer(&told, issuer)))
        }
    }
}

fn described(fields: &Fields) -> Result<(Wish, String), Refusal> {
    if fields.need("response_type")? != "code" {
        return Err(Refusal::new("unsupported_response_type", "response_type is code"));
    }
    // Without a proof of origin, whoever sees the code could exchange it (RFC 9700 section 2.1.1).
    let challenge = fields.need("code_challenge")?;
    if fields.get("code_challenge_method") != Some("S256") {
        return Err(Refusal::request("code_challenge_method is S256"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if challenge.len() != 43 || !challenge.bytes().all(plain) {
        return Err(Refusal::request("code_challenge has 43 characters of base64url"));
    }
    Ok((Wish::of(fields)?, challenge.to_owned()))
}

/// The page.
pub async fn show(request: HttpRequest, visitor: Visitor, doors: web::Data<Doors>) -> Result<HttpResponse, Error> {
    let fields = Fields::parse(request.query_string().as_bytes()).map_err(|refusal| {
        Trouble::new(StatusCode::BAD_REQUEST, format!("The program is at fault: {refusal}."), "Start it again.")
    })?;
    let asked = match asked(&fields, &visitor.base) {
        Ok(asked) => asked,
        Err(Unfit::Page(trouble)) => return Err(trouble.into()),
        Err(Unfit::Answer(place)) => return Ok(see_other(&place)),
    };
    let session = visitor.let_in(&request)?;
    let choice = Choice::of(&doors.db, session, asked.rights).await?.ok_or_else(|| {
        let what = "You are in no project, so there is nothing that a program could do for you.";
        Trouble::new(StatusCode::FORBIDDEN, what, "Somebody has to take you into a project first.")
    })?;
    let consent_page = ConsentPage {
        shell: visitor.shell(&doors),
        redirect_uri: asked.redirect_uri.to_string(),
        asked: &asked,
        choice,
    };
    Ok(page(StatusCode::OK, &consent_page))
}

/// What the form sends: the request again, and the person's word.
#[derive(Deserialize)]
pub struct Form {
    /// What the program asked for, as it was asked.
    asked: String,
    #[serde(flatten)]
    chosen: Chosen,
}

/// The person's word. The browser is led on by a page and not by a redirect: browsers hold a redirect after a form
/// against the form's targets, among which `[::1]` cannot be named.
pub async fn decide(
    request: HttpRequest,
    visitor: Visitor,
    doors: web::Data<Doors>,
    form: web::Form<Form>,
) -> Result<HttpResponse, Error> {
    let session = visitor.let_in(&request)?;
    visitor.check_form(&request, &doors, &form.chosen.form_token)?;
    let unfit = || Trouble::new(StatusCode::BAD_REQUEST, "The form is damaged.", "Start the program again.");
    let fields = Fields::parse(form.asked.as_bytes()).map_err(|_| unfit())?;
    let Ok(asked) = asked(&fields, &visitor.base) else { return Err(unfit().into()) };
    let (place, heading) = if form.chosen.agrees() {
        let user = session.live.user;
        let live = doors.db.read_brief(move |connection| live_member::find(connection, user)).await;
        let live = live.map_err(Trouble::from)?.ok_or_else(unfit)?;
        let (project, rights, days) = form.chosen.agreed(asked.rights, &live)?;
        let agreed = rules::agree(&doors.db, &asked, (user, project, rights, days), &visitor.base).await;
        let place = agreed.map_err(|error| {
            tracing::warn!(%error, "a program cannot be let in");
            let what = "The server cannot do this at present.";
            Trouble::new(StatusCode::SERVICE_UNAVAILABLE, what, "Try again in a minute.")
        })?;
        let too_many = || {
            let what = "You have let many programs in within a minute.";
            Trouble::new(StatusCode::TOO_MANY_REQUESTS, what, "Wait a minute, then start the program again.")
        };
        (place.ok_or_else(too_many)?, "The program is let in")
    } else {
        let told = [("error", "access_denied"), ("error_description", "the person said no")];
        (asked.answer(&told, &visitor.base), "The program is not let in")
    };
    let shell = Shell { onward: Some(place.clone()), ..visitor.shell(&doors) };
    let what = "Now you are led back to it, on this computer.";
    Ok(notice(shell, StatusCode::OK, heading, what, "Then you can close this page.", Some((&place, "Go on"))))
}
