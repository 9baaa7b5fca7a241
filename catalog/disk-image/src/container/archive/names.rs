/// The longest name that a member may have, in bytes.
const LONGEST: usize = 4096;

/// A member's name, when it means a file below the directory that the archive would be unpacked in.
///
/// A `./` in front is left out, as is the `/` behind a directory.
pub(super) fn member_name(bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > LONGEST {
        return Err(format!("has a name of {} bytes", bytes.len()));
    }
    // Names that are no UTF-8 are of no interest to an OVF.
    let name = std::str::from_utf8(bytes).map_err(|_| "has a name that is no UTF-8")?;
    if name.starts_with('/') {
        return Err("has a name that begins at the root of a file system".into());
    }
    if name.chars().any(|c| c == '\\' || c.is_control()) {
        return Err("has a backslash or control character in its name".into());
    }
    let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("has a name that leads out of the archive".into());
    }
    if parts.is_empty() && !name.ends_with(['/', '.']) {
        return Err("has no name".into());
    }
    Ok(parts.join("/"))
}

/// For an error, whatever it is.
pub(super) fn text_of(bytes: &[u8]) -> String {
    const SHOWN: usize = 100;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_file_below() {
        for (given, meant) in
            [("a.ovf", "a.ovf"), ("./a.ovf", "a.ovf"), ("b/./a", "b/a"), ("b/", "b"), ("./", ""), ("...", "...")]
        {
            assert_eq!(member_name(given.as_bytes()).as_deref(), Ok(meant), "{given}");
        }
        for given in ["", "..", "../a", "a/../../b", "a/..", "/a", "//a", "a\\b", "a\nb", "a\0b"] {
            assert!(member_name(given.as_bytes()).is_err(), "{given:?}");
        }
        assert!(member_name(b"\xff").is_err());
        assert!(member_name(&[b'a'; 5000]).is_err());
    }
}
