use std::fmt;

use sha2::{Digest, Sha256, Sha512};

use crate::{ImageError, source::ImageFile};

/// Lines that are looked at.
const MOST_LINES: usize = 4096;
const PIECE: u64 = 1 << 20;

/// The digests of an appliance's files, as its manifest (`.mf`) gives them.
///
/// A manifest tells a damaged file from a whole one. It is no protection: whoever changes a file can change it, too.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// In capitals.
    algorithm: String,
    name: String,
    /// Hexadecimal, in lower case.
    digest: String,
}

impl Line {
    fn can_be_checked(&self) -> bool {
        matches!(self.algorithm.as_str(), "SHA256" | "SHA512")
    }
}

impl Manifest {
    /// Reads lines like `SHA256(name)= digest`, with spaces or without. Other lines are left out.
    pub(super) fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (left, digest) = line.trim().rsplit_once('=')?;
            let (algorithm, name) = left.trim_end().strip_suffix(')')?.split_once('(')?;
            let algorithm = algorithm.trim().replace('-', "").to_ascii_uppercase();
            let digest = digest.trim().to_ascii_lowercase();
            let is_digest = !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_digest && !algorithm.is_empty()).then(|| Line { algorithm, name: name.to_owned(), digest })
        };
        Self { lines: text.lines().take(MOST_LINES).filter_map(line).collect() }
    }

    /// What it says of one file, which may be nothing.
    pub(super) fn check(&self, name: &str, file: &ImageFile) -> Check {
        let lines = self.lines.iter().filter(|line| line.name == name);
        Check { parts: lines.map(|line| (line.clone(), file.clone())).collect() }
    }

    /// Its algorithms, and which of them are not known here, for a person.
    pub(super) fn describe(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for line in &self.lines {
            let not = if line.can_be_checked() { "" } else { " (not verified)" };
            let word = format!("{}{not}", line.algorithm);
            if !words.contains(&word) && words.len() < 8 {
                words.push(word);
            }
        }
        if words.is_empty() { "empty".into() } else { words.join(", ") }
    }
}

/// Files, with the digests that they should have.
#[derive(Debug, Default)]
pub(super) struct Check {
    parts: Vec<(Line, ImageFile)>,
}

impl Check {
    /// These and others.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// Whether the manifest says nothing of the files.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that checking reads.
    pub(super) fn length(&self) -> u64 {
        let checked = self.parts.iter().filter(|(line, _)| line.can_be_checked());
        checked.map(|(_, file)| file.length()).fold(0, u64::saturating_add)
    }

    /// Reads the files, and says of each that is not as the manifest has it so in a sentence.
    pub(super) fn failures(&self) -> Result<Vec<String>, ImageError> {
        let mut failures = Vec::new();
        for (line, file) in &self.parts {
            let found = match line.algorithm.as_str() {
                "SHA256" => hex(&digest::<Sha256>(file)?),
                "SHA512" => hex(&digest::<Sha512>(file)?),
                _ => continue,
            };
            if found != line.digest {
                let Line { algorithm, name, digest } = line;
                let shown: String = digest.chars().take(found.len()).collect();
                failures.push(format!(
                    "the manifest has {algorithm} {shown} for {name:?}, which has {found}: it was damaged or changed"
                ));
            }
        }
        Ok(failures)
    }
}

fn digest<D: Digest>(file: &ImageFile) -> Result<Vec<u8>, ImageError> {
    let mut digest = D::new();
    let mut piece = vec![0; usize::try_from(PIECE.min(file.length())).unwrap_or(0)];
    let mut at = 0;
    while at < file.length() {
        let length = usize::try_from(PIECE.min(file.length() - at)).unwrap_or(0);
        file.read_padded(at, &mut piece[..length])?;
        digest.update(&piece[..length]);
        at += length as u64;
    }
    Ok(digest.finalize().to_vec())
}

/// Two digits for each byte, in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_tools() {
        let text = "SHA256(a.ovf)= 00Ff\r\nSHA1 (b (2).vmdk) = 01\nSHA-512(c)=02\nno line\nSHA256(d)= xyz\n(e)= 00\n\n";
        let manifest = Manifest::parse(text);
        let lines: Vec<_> = manifest.lines.iter().map(|l| (&*l.algorithm, &*l.name, &*l.digest)).collect();
        assert_eq!(lines, [("SHA256", "a.ovf", "00ff"), ("SHA1", "b (2).vmdk", "01"), ("SHA512", "c", "02")]);
        assert_eq!(manifest.describe(), "SHA256, SHA1 (not verified), SHA512");
        assert_eq!(Manifest::parse("").describe(), "empty");
    }
}
