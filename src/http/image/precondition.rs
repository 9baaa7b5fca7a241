use actix_web::http::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH, IF_RANGE};

use super::joined;

/// What a request says about the file that its client knows (RFC 9110 section 13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing that is in the way.
    Holds,
    /// It wants another file than this one.
    Fails,
    /// It has this file already.
    NotModified,
}

impl Precondition {
    /// What the fields say of the file of this strong tag, in the order of RFC 9110 section 13.2.2.
    pub fn of(headers: &HeaderMap, tag: &str) -> Self {
        if joined(headers, IF_MATCH).is_some_and(|tags| !has(&tags, |known| known == tag)) {
            return Self::Fails;
        }
        // Compared weakly: what is the same byte for byte is the same anyhow.
        let known = |known: &str| known.strip_prefix("W/").unwrap_or(known) == tag;
        if joined(headers, IF_NONE_MATCH).is_some_and(|tags| has(&tags, known)) {
            return Self::NotModified;
        }
        Self::Holds
    }
}

/// Whether a range may be answered with a part. A date is never the file's: files here have none.
pub fn if_range_holds(headers: &HeaderMap, tag: &str) -> bool {
    joined(headers, IF_RANGE).is_none_or(|known| known == tag)
}

/// Our tags have no comma, so that a list falls apart at each one.
fn has(tags: &str, is_it: impl Fn(&str) -> bool) -> bool {
    tags.trim() == "*" || tags.split(',').any(|known| is_it(known.trim()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const TAG: &str = "\"abc\"";

    fn fields(pairs: &[(actix_web::http::header::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_order_is_that_of_the_standard() {
        let of = |pairs: &[_]| Precondition::of(&fields(pairs), TAG);
        assert_eq!(of(&[]), Precondition::Holds);
        for same in [TAG, "*", "\"x\", \"abc\"", "W/\"abc\""] {
            assert_eq!(of(&[(IF_NONE_MATCH, same)]), Precondition::NotModified, "{same}");
        }
        assert_eq!(of(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, TAG)]), Precondition::NotModified);
        assert_eq!(of(&[(IF_NONE_MATCH, "\"x\"")]), Precondition::Holds);
        assert_eq!(of(&[(IF_MATCH, TAG)]), Precondition::Holds);
        assert_eq!(of(&[(IF_MATCH, "*")]), Precondition::Holds);
        assert_eq!(of(&[(IF_MATCH, "W/\"abc\"")]), Precondition::Fails, "compared strongly");
        assert_eq!(of(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, TAG)]), Precondition::Fails);
    }

    #[test]
    fn a_range_of_another_file_is_the_whole_of_this_one() {
        let holds = |value: &str| if_range_holds(&fields(&[(IF_RANGE, value)]), TAG);
        assert!(if_range_holds(&HeaderMap::new(), TAG) && holds(TAG));
        for other in ["\"x\"", "W/\"abc\"", "abc", "Sat, 21 Nov 2026 12:00:00 GMT", ""] {
            assert!(!holds(other), "{other}");
        }
    }
}
