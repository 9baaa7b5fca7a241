use serde_json::Value;
use url::Url;

use super::lenient::{count, line};

const LONGEST_URL: usize = 2048;

/// A file of somebody else's application. Nothing of it is true until it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignFile {
    /// Where it is said to be: `http` or `https`, without a user name or password.
    pub url: Url,
    /// What a guest is said to see, in bytes; `None` if nothing is said.
    pub size: Option<u64>,
    /// What is said of its bytes.
    pub checksum: Option<FileChecksum>,
}

/// What the bytes of a file are said to add up to, in hexadecimal digits of lower case. Where several are said, the
/// strongest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChecksum {
    /// 64 digits.
    Sha256(String),
    /// 32 digits, good against accidents only.
    Md5(String),
}

impl ForeignFile {
    /// Reads one of `files`, or says what is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let kind = line(value.get("type"), 20).to_ascii_uppercase();
        if !matches!(kind.as_str(), "" | "OS" | "DATABLOCK") {
            return Err(format!("its first file is no disk, but of type {kind}"));
        }
        let url = address(&line(value.get("url"), LONGEST_URL + 1))?;
        let said = |name: &str| value.get("checksum").and_then(|sums| sums.get(name)).or_else(|| value.get(name));
        let sum = |name: &str, digits: usize| {
            let text = line(said(name), digits + 1).to_ascii_lowercase();
            match text.len() {
                0 => Ok(None),
                length if length == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(Some(text)),
                _ => Err(format!("its {name} is not {digits} hexadecimal digits")),
            }
        };
        let checksum = match (sum("sha256", 64)?, sum("md5", 32)?) {
            (Some(sha256), _) => Some(FileChecksum::Sha256(sha256)),
            (None, md5) => md5.map(FileChecksum::Md5),
        };
        Ok(Self { url, size: count(value.get("size")).filter(|size| *size > 0), checksum })
    }
}

fn address(text: &str) -> Result<Url, String> {
    if text.is_empty() || text.chars().count() > LONGEST_URL {
        return Err("its first file has no address of at most 2048 characters".into());
    }
    let url = Url::parse(text).map_err(|error| format!("its first file's address cannot be read: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "its first file's address begins with {}:, and only http and https are fetched",
            url.scheme()
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its first file's address has a user name or password in it".into());
    }
    if url.fragment().is_some() {
        return Err("its first file's address has a fragment (#)".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a20_addresses_are_of_the_web_and_carry_no_names() {
        let read = |url: &str| ForeignFile::read(&json!({ "url": url }));
        assert!(read("https://images.example/a.qcow2?x=1").is_ok() && read("http://images.example/").is_ok());
        for odd in [
            "",
            "/etc/passwd",
            "file:///etc/passwd",
            "gopher://images.example/",
            "ftp://images.example/",
            "javascript:alert(1)",
            "data:text/plain,x",
            "https://user@images.example/",
            "https://:pass@images.example/",
            "https://127.0.0.1#@images.example:x/",
            "https://",
            &format!("https://images.example/{}", "a".repeat(2048)),
        ] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn the_strongest_checksum_counts_and_none_is_guessed() {
        let (md5, sha256) = ("AB".repeat(16), "cd".repeat(32));
        let read = |value: Value| ForeignFile::read(&value);
        let url = "https://images.example/a";
        let both = read(json!({ "url": url, "md5": md5, "checksum": { "sha256": sha256 }, "size": "512" })).unwrap();
        assert_eq!((both.checksum, both.size), (Some(FileChecksum::Sha256(sha256)), Some(512)));
        let old = read(json!({ "url": url, "md5": md5, "size": 0 })).unwrap();
        assert_eq!((old.checksum, old.size), (Some(FileChecksum::Md5("ab".repeat(16))), None));
        assert_eq!(read(json!({ "url": url })).unwrap().checksum, None);
        for odd in ["x", "abc", &"g".repeat(32), &"a".repeat(33)] {
            assert!(read(json!({ "url": url, "md5": odd })).is_err(), "{odd}");
        }
        assert!(read(json!({ "url": url, "type": "CDROM" })).is_err());
    }
}
