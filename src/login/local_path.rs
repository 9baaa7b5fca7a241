use std::{fmt, str::FromStr};

use thiserror::Error;

/// Where people land who wanted nothing else.
const ACCOUNT: &str = "/account";
/// In bytes; it travels in a cookie.
const LONGEST: usize = 512;

/// A page of our own to go to after signing in. It can name no other host, in no browser's reading: it is compared as
/// it stands and as it reads when decoded once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPath(String);

/// It is not a path of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a path of this server: it must start with one / and lead nowhere else")]
pub struct NotLocal;

impl LocalPath {
    /// What was asked for; the account page if it leads elsewhere or nothing was asked for.
    pub fn or_account(asked: Option<&str>) -> Self {
        asked.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// The path, with its query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LocalPath {
    fn default() -> Self {
        Self(ACCOUNT.to_owned())
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LocalPath {
    type Err = NotLocal;

    fn from_str(text: &str) -> Result<Self, NotLocal> {
        // Whatever is not plain ASCII has to come encoded; browsers differ in what they make of the rest.
        if text.len() > LONGEST
            || !text.bytes().all(|byte| byte.is_ascii_graphic() && !br#"\#"<>^`{|}"#.contains(&byte))
        {
            return Err(NotLocal);
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let decoded = decode(path).ok_or(NotLocal)?;
        decode(query).filter(|query| !query.chars().any(char::is_control)).ok_or(NotLocal)?;
        // Who decodes twice would see another path than we do.
        if decoded.contains('%') || !is_own_path(path) || !is_own_path(&decoded) {
            return Err(NotLocal);
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains("//")
        && !path.contains('\\')
        && !path.chars().any(|c| c.is_control() || c.is_whitespace())
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Decodes %XX; `None` if it is none, or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_first_chunk::<2>()?;
            let value = |digit: u8| char::from(digit).to_digit(16);
            bytes.push(u8::try_from(value(digits[0])? * 16 + value(digits[1])?).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_our_own_are_taken() {
        for path in [
            "/",
            "/account",
            "/invitation/abc_-1",
            "/account?tab=tokens",
            "/login/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A8123%2Fdone&state=x",
            "/caf%C3%A9",
        ] {
            assert_eq!(LocalPath::or_account(Some(path)).as_str(), path);
        }
        assert_eq!(LocalPath::or_account(None).as_str(), "/account");
    }

    #[test]
    fn a12_whatever_leads_elsewhere_leads_to_the_account_page() {
        let long = format!("/{}", "a".repeat(512));
        for path in [
            "",
            "account",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%252fevil.example",
            "/.//evil.example",
            "/../evil",
            "/%2e%2e/evil",
            "/./%2fevil.example",
            "/a//evil.example",
            "https:evil.example",
            "https://evil.example/",
            "https:/evil.example",
            "javascript:alert(1)",
            "/\r\nLocation: https://evil.example",
            "/%0d%0aLocation:%20https://evil.example",
            "/account?x=%0d%0aSet-Cookie:%20a=b",
            "/\t/evil.example",
            "/%09/evil.example",
            " //evil.example",
            "/%",
            "/%2",
            "/%zz",
            "/%ff",
            "/\u{2215}evil.example",
            "/\u{ff0f}evil.example",
            "/account#//evil.example",
            "@evil.example",
            &long,
        ] {
            assert_eq!(LocalPath::or_account(Some(path)).as_str(), "/account", "{path:?}");
        }
    }
}
