use base64::{Engine, engine::general_purpose::STANDARD};

/// What a request presents: a token, and over Basic the user who claims to own it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name of HTTP Basic.
    pub user: Option<String>,
    /// The token as presented.
    pub secret: String,
}

/// No token is longer; a longer text is not looked at.
const LONGEST: usize = 1024;

impl Credentials {
    /// From the request's headers: `Authorization: Bearer`, `Authorization: Basic` with the token as password (RFC
    /// 7617), or `X-Auth-Token` as OpenStack's clients send it. `None` when there is nothing readable.
    pub fn from_headers(authorization: Option<&str>, x_auth_token: Option<&str>) -> Option<Self> {
        match authorization {
            Some(authorization) => Self::from_authorization(authorization),
            None => x_auth_token.and_then(|token| Self::bare(token.trim())),
        }
    }

    fn bare(token: &str) -> Option<Self> {
        (!token.is_empty() && token.len() <= LONGEST).then(|| Self { user: None, secret: token.to_owned() })
    }

    fn from_authorization(header: &str) -> Option<Self> {
        let (scheme, value) = header.trim().split_once(' ')?;
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::bare(value);
        }
        if !scheme.eq_ignore_ascii_case("basic") || value.len() > 2 * LONGEST {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        let (user, secret) = decoded.split_once(':')?;
        Self::bare(secret).map(|credentials| Self { user: Some(user.to_owned()), ..credentials })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::Credentials;

    fn secret(authorization: Option<&str>, x_auth_token: Option<&str>) -> Option<(Option<String>, String)> {
        Credentials::from_headers(authorization, x_auth_token).map(|c| (c.user, c.secret))
    }

    #[test]
    fn all_three_ways_carry_the_token() {
        let basic = format!("Basic {}", STANDARD.encode("ann:tmb_x:y"));
        assert_eq!(secret(Some("Bearer  t0 "), None), Some((None, "t0".into())));
        assert_eq!(secret(Some("bearer t0"), None), Some((None, "t0".into())));
        assert_eq!(secret(Some(&basic), None), Some((Some("ann".into()), "tmb_x:y".into())));
        assert_eq!(secret(None, Some("t0")), Some((None, "t0".into())));
    }

    #[test]
    fn nonsense_presents_nothing() {
        for header in ["", "Bearer", "Bearer ", "Basic %%%", "Basic YQ==", "Digest x", "Negotiate abc"] {
            assert_eq!(secret(Some(header), None), None, "{header:?}");
        }
        assert_eq!(secret(None, None), None);
        assert_eq!(secret(None, Some(&"x".repeat(5000))), None);
    }

    #[test]
    fn authorization_goes_before_x_auth_token() {
        assert_eq!(secret(Some("Digest x"), Some("t0")), None);
    }
}
