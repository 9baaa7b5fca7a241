use std::{fmt, str::FromStr};

/// Where a program on the person's own computer waits for its code (RFC 8252 section 7.3): `http://127.0.0.1:PORT/` or
/// `http://[::1]:PORT/`. No name, not even `localhost`: another computer could answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopbackUri(String);

/// Codes are not sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("redirect_uri must be http://127.0.0.1:PORT/ or http://[::1]:PORT/: codes stay on the person's own computer")]
pub struct NotLoopback;

impl LoopbackUri {
    /// With these fields as its query.
    pub fn with(&self, fields: &[(&str, &str)]) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        format!("{}?{query}", self.0)
    }
}

impl fmt::Display for LoopbackUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LoopbackUri {
    type Err = NotLoopback;

    fn from_str(text: &str) -> Result<Self, NotLoopback> {
        let rest = text.strip_prefix("http://127.0.0.1:").or_else(|| text.strip_prefix("http://[::1]:"));
        let port = rest.and_then(|rest| rest.strip_suffix('/')).ok_or(NotLoopback)?;
        let plain = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse::<u16>() {
            Ok(1..) if plain => Ok(Self(text.to_owned())),
            _ => Err(NotLoopback),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stays_on_the_computer() {
        for text in ["http://127.0.0.1:1/", "http://127.0.0.1:65535/", "http://[::1]:8080/"] {
            let uri: LoopbackUri = text.parse().unwrap();
            assert_eq!(uri.with(&[("code", "a b&c"), ("state", "")]), format!("{text}?code=a+b%26c&state="));
        }
        for text in [
            "",
            "https://127.0.0.1:80/",
            "http://127.0.0.1/",
            "http://127.0.0.1:80",
            "http://127.0.0.1:80/x",
            "http://127.0.0.1:80/?a=b",
            "http://127.0.0.1:80/#a",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:080/",
            "http://127.0.0.1:+80/",
            "http://127.0.0.1:65536/",
            "http://127.0.0.1:80@evil.example/",
            "http://127.0.0.1:@evil.example:80/",
            "http://127.0.0.1.evil.example:80/",
            "http://127.1:80/",
            "http://0.0.0.0:80/",
            "http://2130706433:80/",
            "http://localhost:80/",
            "http://[::ffff:127.0.0.1]:80/",
            "http://[::1%25lo]:80/",
            "HTTP://127.0.0.1:80/",
            "http://127.0.0.1:80/\r\n/",
            "http://evil.example:80/",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            assert_eq!(text.parse::<LoopbackUri>(), Err(NotLoopback), "{text:?}");
        }
    }
}
