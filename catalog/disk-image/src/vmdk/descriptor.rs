use super::refused;
use crate::ImageError;

/// The most that a descriptor may take, in bytes.
pub(super) const LARGEST_TEXT: u64 = 1 << 20;

/// What the text of a disk says.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    pub(super) create_type: Option<Line>,
    pub(super) content_id: Option<String>,
    pub(super) adapter: Option<String>,
    pub(super) hardware: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) thin: bool,
    /// Changed blocks are recorded in another file, which does not matter to who reads all of them.
    pub(super) change_tracking: bool,
    /// Lines that name extents, as they are.
    pub(super) extents: Vec<Line>,
    /// The first line that is nothing known.
    pub(super) strange: Option<Line>,
}

/// A line, or what it says, and where it stands in the file.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) at: u64,
}

impl Descriptor {
    /// Reads the text, which stands at `base` of the file. What makes a disk need others is refused.
    pub(super) fn read(bytes: &[u8], base: u64) -> Result<Self, ImageError> {
        // Room that is reserved for the text is filled up with zeros.
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = Encoding::of(bytes);
        let mut descriptor = Self::default();
        let mut at = base;
        for line in bytes.split(|byte| *byte == b'\n') {
            let here = at;
            at += line.len() as u64 + 1;
            let line = text.decode(line);
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                descriptor.take(line, here)?;
            }
        }
        Ok(descriptor)
    }

    fn take(&mut self, text: &str, at: u64) -> Result<(), ImageError> {
        let line = || Line { text: text.to_owned(), at };
        let first = text.split_whitespace().next().unwrap_or_default();
        if ["RW", "RDONLY", "NOACCESS"].iter().any(|access| access.eq_ignore_ascii_case(first)) {
            self.extents.push(line());
            return Ok(());
        }
        let Some((key, value)) = text.split_once('=') else {
            self.strange.get_or_insert_with(line);
            return Ok(());
        };
        let value = value.trim().trim_matches('"');
        let said = Some(value.to_owned()).filter(|value| !value.is_empty());
        match key.trim().to_ascii_lowercase().as_str() {
            "parentcid" if u32::from_str_radix(value, 16) != Ok(u32::MAX) => {
                let problem = "names a parent, and an image must stand alone; consolidate its snapshots first";
                return Err(refused("parentCID", at, problem));
            }
            "parentfilenamehint" if said.is_some() => {
                let problem = format!("names the parent {}; consolidate the disk's snapshots first", shown(value));
                return Err(refused("parentFileNameHint", at, problem));
            }
            key if key.starts_with("encryption.") => {
                return Err(refused("encryption", at, "is in use: decrypt the disk first"));
            }
            "createtype" => self.create_type = Some(Line { text: value.to_owned(), at }),
            "cid" => self.content_id = said,
            "ddb.adaptertype" => self.adapter = said,
            "ddb.virtualhwversion" => self.hardware = said,
            "ddb.uuid" | "ddb.uuid.image" => self.uuid = said,
            "ddb.thinprovisioned" => self.thin = value == "1",
            "changetrackpath" => self.change_tracking = said.is_some(),
            _ => {}
        }
        Ok(())
    }
}

/// Text from a file, for a person: quoted, escaped, and not long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}

/// How the letters beyond ASCII are to be read. The text may declare what it likes: most is UTF-8 in truth.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Windows1252,
    Unknown,
}

impl Encoding {
    fn of(text: &[u8]) -> Self {
        if std::str::from_utf8(text).is_ok() {
            return Self::Utf8;
        }
        let declared = text
            .split(|byte| *byte == b'\n')
            .filter_map(|line| std::str::from_utf8(line).ok()?.split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case("encoding"))
            .map(|(_, value)| value.trim().trim_matches('"').to_ascii_lowercase());
        match declared.as_deref() {
            None | Some("windows-1252" | "iso-8859-1") => Self::Windows1252,
            Some(_) => Self::Unknown,
        }
    }

    /// Letters that cannot be told become U+FFFD, which no file's name is looked for with.
    fn decode(self, line: &[u8]) -> String {
        /// The letters of 0x80 to 0x9f, where Windows-1252 differs from Unicode.
        const WINDOWS: [char; 32] = [
            '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
            '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
        ];
        let letter = |byte: &u8| match byte {
            0x80..=0x9f => WINDOWS[usize::from(byte - 0x80)],
            other => char::from(*other),
        };
        match self {
            Self::Windows1252 => line.iter().map(letter).collect(),
            Self::Utf8 | Self::Unknown => String::from_utf8_lossy(line).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spaces_and_ends_of_lines_may_vary() {
        let text = "# Disk DescriptorFile\r\nVERSION = 1\r\ncid=0123abcd\r\nPARENTCID = FFFFFFFF\r\n\
            CreateType = \"monolithicFlat\"\r\n\r\nrw 8 flat \"a=b.vmdk\" 0\r\nddb.adaptertype = \"ide\"\r\n\0\0junk";
        let descriptor = Descriptor::read(text.as_bytes(), 512).unwrap();
        assert_eq!(descriptor.create_type.unwrap().text, "monolithicFlat");
        assert_eq!(descriptor.adapter.as_deref(), Some("ide"));
        assert_eq!(descriptor.content_id.as_deref(), Some("0123abcd"));
        let [extent] = &descriptor.extents[..] else { panic!("{:?}", descriptor.extents) };
        assert_eq!(extent.at, 512 + text.find("rw 8").unwrap() as u64);
        assert!(descriptor.strange.is_none());
    }

    #[test]
    fn letters_of_windows() {
        let text = b"encoding=\"windows-1252\"\nRW 8 FLAT \"gr\xfc\xdfe \x80.vmdk\" 0";
        assert_eq!(Descriptor::read(text, 0).unwrap().extents[0].text, "RW 8 FLAT \"grüße €.vmdk\" 0");
        let text = b"encoding=\"GBK\"\nRW 8 FLAT \"\xc4\xe3.vmdk\" 0";
        assert!(Descriptor::read(text, 0).unwrap().extents[0].text.contains('\u{fffd}'));
    }
}
