use base64::{Engine, engine::general_purpose::STANDARD};

/// What a request presents: a token, and over Basic the user who claims to own it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name of HTTP Basic.
    pub user: Option<String>,
    /// The token as presented.
    pub secret: String,
    /// The project that the request is to act in, by name or id (`X-Project`).
    pub project: Option<String>,
}

/// No token is longer, in bytes; a longer text is not looked at. Providers put much into theirs.
const LONGEST: usize = 16 << 10;
/// Nor is the name of a project, in bytes.
const LONGEST_PROJECT: usize = 256;

impl Credentials {
    /// From the request's headers: `Authorization: Bearer`, `Authorization: Basic` with the token as password (RFC
    /// 7617), or `X-Auth-Token` as OpenStack's clients send it. `None` when there is nothing readable.
    pub fn from_headers(authorization: Option<&str>, x_auth_token: Option<&str>) -> Option<Self> {
        match authorization {
            Some(authorization) => Self::from_authorization(authorization),
            None => x_auth_token.and_then(|token| Self::bare(token.trim())),
        }
    }

    /// What somebody shows who says their name along with it.
    pub fn named(user: &str, secret: &str) -> Option<Self> {
        Self::bare(secret).map(|credentials| Self { user: Some(user.to_owned()), ..credentials })
    }

    /// Those that act in the named project, if it may be a name.
    #[must_use]
    pub fn acting_in(self, project: Option<&str>) -> Self {
        let project = project.map(str::trim).filter(|name| !name.is_empty() && name.len() <= LONGEST_PROJECT);
        Self { project: project.map(str::to_owned), ..self }
    }

    /// A token without a name.
    pub fn bare(token: &str) -> Option<Self> {
        (!token.is_empty() && token.len() <= LONGEST).then(|| Self {
            user: None,
            secret: token.to_owned(),
            project: None,
        })
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
        Self::named(user, secret)
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
        assert_eq!(secret(None, Some(&"x".repeat(17_000))), None);
    }

    #[test]
    fn authorization_goes_before_x_auth_token() {
        assert_eq!(secret(Some("Digest x"), Some("t0")), None);
    }
}
