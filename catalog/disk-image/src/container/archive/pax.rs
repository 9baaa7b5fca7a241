/// What a pax header says, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) path: Option<Vec<u8>>,
    /// In bytes.
    pub(super) size: Option<u64>,
}

impl Attributes {
    /// Reads records of the form `LENGTH KEY=VALUE\n`, where the length counts all of it.
    pub(super) fn read(mut bytes: &[u8]) -> Result<Self, String> {
        const BROKEN: &str = "has a record that is none";
        let mut said = Self::default();
        // Some writers fill up with zeros.
        while bytes.first().is_some_and(|byte| *byte != 0) {
            let space = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or(BROKEN)?;
            let length: usize = number(&bytes[..space]).and_then(|n| n.try_into().ok()).ok_or(BROKEN)?;
            let record = bytes.get(space + 1..length).ok_or(BROKEN)?;
            let record = record.strip_suffix(b"\n").ok_or(BROKEN)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => said.path = Some(value.to_vec()),
                b"size" => said.size = Some(number(value).ok_or("has a size that is no number")?),
                b"linkpath" => return Err("speaks of a link; pack plain files only".into()),
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err("speaks of a sparse file; pack plain files only (tar without --sparse)".into());
                }
                _ => {}
            }
            bytes = &bytes[length..];
        }
        Ok(said)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    // `parse` takes a sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_as_long_as_they_say() {
        let said = Attributes::read(b"14 path=a\nb=c\n20 size=12345678901\n13 mtime=1.5\n").unwrap_or_default();
        assert_eq!(said, Attributes { path: Some(b"a\nb=c".to_vec()), size: Some(12_345_678_901) });
        for broken in [
            &b"8 path=a\n"[..],
            b"11 path=a\n",
            b"10 path=a",
            b"0 \n",
            b"1 ",
            b"99999999999999999999999 a=b\n",
            b"-1 path=a\n",
            b"+9 path=a\n",
            b"11 size=+1\n",
            b"x",
            b"7 path\n",
            b"22 GNU.sparse.major=1\n",
        ] {
            assert!(Attributes::read(broken).is_err(), "{}", String::from_utf8_lossy(broken));
        }
    }
}
