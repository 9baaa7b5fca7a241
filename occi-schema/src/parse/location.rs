//! Which path of this server a location means.

use thiserror::Error;

use crate::identifier::excerpt;

/// A location is not one of this server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a location of this server: give a path, or a URL that starts with this server's own")]
pub struct ForeignLocation(String);

/// The path that a location means: itself, or what follows `base_url`.
///
/// # Errors
/// The location is on another server, or is not a plain absolute path: no query, no fragment, no empty, `.` or `..`
/// segment, no percent escapes.
pub fn local_path<'a>(location: &'a str, base_url: &str) -> Result<&'a str, ForeignLocation> {
    let path = location.strip_prefix(base_url.trim_end_matches('/')).unwrap_or(location);
    let segment = |(place, segment): (usize, &str)| match segment {
        "." | ".." => false,
        // Only the end may be empty: that of a collection's path.
        "" => place == 0,
        _ => segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')),
    };
    match path.strip_prefix('/') {
        Some(rest) if rest.split('/').rev().enumerate().all(segment) => Ok(path),
        _ => Err(ForeignLocation(excerpt(location))),
    }
}

/// Longest URI reference, in bytes.
const REFERENCE_BYTES: usize = 2048;

/// Whether a text can stand as a URI reference in every rendering.
pub(crate) fn is_reference(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= REFERENCE_BYTES
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_250_urls_of_this_server_and_paths_are_the_same() {
        for base in ["http://here.example:8080", "http://here.example:8080/"] {
            assert_eq!(local_path("http://here.example:8080/compute/1", base), Ok("/compute/1"));
            assert_eq!(local_path("/compute/1", base), Ok("/compute/1"));
            assert_eq!(local_path("/compute/", base), Ok("/compute/"));
            assert_eq!(local_path("/", base), Ok("/"));
        }
    }

    #[test]
    fn a_32_other_servers_and_tricks_are_refused() {
        for bad in [
            "http://evil.example/compute/1",
            "http://here.example:80801/compute/1",
            "http://here.example:8080@evil.example/compute/1",
            "//evil.example/compute/1",
            "/../etc",
            "/compute/..",
            "/a//b",
            "/compute/1?x",
            "/compute/%2e%2e",
            "compute/1",
            "",
            "/a\r\nb",
        ] {
            assert!(local_path(bad, "http://here.example:8080").is_err(), "{bad}");
        }
    }
}
