//! That a form was sent from a page of ours, and by who has seen it (A15). Browsers send cookies with whatever they are
//! made to ask for, so a cookie alone never changes anything: the request must come from our own origin, as far as the
//! browser tells, *and* carry a text that only our page can know.

use actix_web::{HttpRequest, http::header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use crate::login::secret::Secret;

/// Where a program in the browser puts the text that forms have in `form_token`.
pub const HEADER: &str = "x-csrf-token";

/// The request may have been made by another site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// Another site has made it, or it does not say who has.
    #[error("the request does not come from a page of this server")]
    Origin,
    /// It does not carry what our page would have.
    #[error("the form has expired, or it is not from this server")]
    Token,
}

/// The text for the forms of who has this cookie. Nothing is kept of it.
pub fn token(secret: &Secret, cookie_hash: &str) -> String {
    URL_SAFE_NO_PAD.encode(secret.derive(&format!("form token {cookie_hash}")))
}

/// Whether the request comes from our own origin.
///
/// # Errors
/// From another, or it does not say from where.
pub fn check_origin(request: &HttpRequest, base: &str) -> Result<(), Forged> {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text(header::ORIGIN.as_str());
    let site = text("sec-fetch-site");
    let is_ours = origin.is_none_or(|origin| origin.eq_ignore_ascii_case(origin_of(base)))
        && site.is_none_or(|site| site == "same-origin")
        && (origin.is_some() || site.is_some());
    if is_ours { Ok(()) } else { Err(Forged::Origin) }
}

/// Whether the text is the one that our page has.
///
/// # Errors
/// It is not.
pub fn check_token(secret: &Secret, cookie_hash: &str, sent: &str) -> Result<(), Forged> {
    let is_ours: bool = token(secret, cookie_hash).as_bytes().ct_eq(sent.as_bytes()).into();
    if is_ours { Ok(()) } else { Err(Forged::Token) }
}

/// Scheme, host and port; the configured URL may have a path.
pub fn origin_of(base: &str) -> &str {
    let host = base.find("://").map_or(0, |at| at + 3);
    base[host..].find('/').map_or(base, |slash| &base[..host + slash])
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(headers: &[(&str, &str)]) -> Result<(), Forged> {
        let mut request = TestRequest::post();
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        check_origin(&request.to_http_request(), "https://broker.example:8443")
    }

    #[test]
    fn a15_a16_only_our_own_origin_changes_anything() {
        let ours = ("origin", "https://broker.example:8443");
        assert_eq!(check(&[ours]), Ok(()));
        assert_eq!(check(&[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(check(&[ours, ("sec-fetch-site", "same-origin")]), Ok(()));
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://broker.example:8443",
            "https://broker.example",
            "https://broker.example:8443.evil.example",
            "https://evil-broker.example:8443",
            "https://broker.example:84430",
            "https://sub.broker.example:8443",
            "https://broker.example:8443/",
        ] {
            assert_eq!(check(&[("origin", origin)]), Err(Forged::Origin), "{origin}");
            assert_eq!(
                check(&[("origin", origin), ("sec-fetch-site", "same-origin")]),
                Err(Forged::Origin),
                "{origin}"
            );
        }
        for site in ["cross-site", "same-site", "none", ""] {
            assert_eq!(check(&[("sec-fetch-site", site)]), Err(Forged::Origin), "{site}");
            assert_eq!(check(&[ours, ("sec-fetch-site", site)]), Err(Forged::Origin), "{site}");
        }
        assert_eq!(check(&[]), Err(Forged::Origin), "who does not say is not believed");
    }

    #[test]
    fn a15_the_text_of_a_form_is_of_one_session_alone() {
        let secret = Secret::from_bytes([7; 32]);
        let mine = token(&secret, "hash of mine");
        assert_eq!(check_token(&secret, "hash of mine", &mine), Ok(()));
        for wrong in ["", &token(&secret, "hash of another"), &mine[1..], &format!("{mine}x")] {
            assert_eq!(check_token(&secret, "hash of mine", wrong), Err(Forged::Token));
        }
        assert_ne!(token(&Secret::from_bytes([8; 32]), "hash of mine"), mine);
    }

    #[test]
    fn the_origin_is_the_beginning_of_the_base() {
        assert_eq!(origin_of("https://a.example/tombolo"), "https://a.example");
        assert_eq!(origin_of("http://127.0.0.1:1"), "http://127.0.0.1:1");
    }
}
