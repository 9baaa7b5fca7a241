//! The cookies of the login. Their names begin with `__Host-`, so that browsers take them from this very host alone,
//! for all of its paths, and only where nobody can listen: over TLS, or on the person's own computer, where Chromium and
//! Firefox take them over plain HTTP as well.

use actix_web::{HttpRequest, http::header};

/// Holds the secret of a session.
pub const SESSION: &str = "__Host-tombolo-session";
/// Holds, sealed, what has to be remembered while somebody is at the provider.
pub const SIGNING_IN: &str = "__Host-tombolo-login";
/// Holds a random text to which the forms are bound that are shown to strangers.
pub const VISIT: &str = "__Host-tombolo-visit";

/// A browser takes no longer one.
const LONGEST: usize = 4096;

/// Lasts for so many seconds. Lax, since who comes from the provider comes from another site.
pub fn set(name: &str, value: &str, seconds: u64) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}")
}

/// Takes it back.
pub fn clear(name: &str) -> String {
    set(name, "", 0)
}

/// The cookie of this name. One that is there twice is not there: somebody has slipped one in.
pub fn get<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let fields = request.headers().get_all(header::COOKIE).filter_map(|field| field.to_str().ok());
    let mut found = fields.flat_map(|field| field.split(';')).filter_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    });
    let value = found.next().filter(|value| !value.is_empty() && value.len() <= LONGEST)?;
    found.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a14_cookies_are_for_this_host_and_for_no_script() {
        for name in [SESSION, SIGNING_IN, VISIT] {
            let cookie = set(name, "x", 60);
            assert!(cookie.starts_with("__Host-"), "{cookie}");
            for flag in ["; Path=/;", "; Secure;", "; HttpOnly;", "; SameSite=Lax;", "; Max-Age=60"] {
                assert!(cookie.contains(flag), "{cookie}");
            }
            assert!(!cookie.to_ascii_lowercase().contains("domain"), "{cookie}");
        }
        assert!(clear(SESSION).contains("Max-Age=0"));
    }

    #[test]
    fn a14_a_cookie_that_is_there_twice_is_not_there() {
        let get_of = |fields: &[&str]| {
            let mut request = TestRequest::get();
            for field in fields {
                request = request.append_header((header::COOKIE, *field));
            }
            get(&request.to_http_request(), SESSION).map(str::to_owned)
        };
        assert_eq!(get_of(&["a=b; __Host-tombolo-session=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(get_of(&["a=b", "__Host-tombolo-session=x"]).as_deref(), Some("x"));
        for odd in [
            &["__Host-tombolo-session=x; __Host-tombolo-session=y"][..],
            &["__Host-tombolo-session=x", "__Host-tombolo-session=y"],
            &["__Host-tombolo-session="],
            &["__host-tombolo-session=x"],
            &["x__Host-tombolo-session=x"],
            &[],
        ] {
            assert_eq!(get_of(odd), None, "{odd:?}");
        }
    }
}
