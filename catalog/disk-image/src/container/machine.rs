use std::sync::Arc;

use super::{
    blank::Blank,
    contained::Contained,
    manifest::{Check, Manifest},
    ovf::{DescribedDisk, Envelope, FileReference},
    read_text, refused,
    spool::{Allowance, Spool},
};
use crate::{
    Fact, ImageError, ImageReader,
    neighbours::{Neighbours, is_plain},
    opening::Opening,
    source::ImageFile,
};

/// A disk's file up to this length, in bytes, is held against the manifest when it is opened: that takes no time worth
/// mention. A larger one is when somebody asks for damage, so that it is not read twice by everybody.
const CHECKED_AT_ONCE: u64 = 64 << 20;
/// Parts that a file may be in.
const MOST_CHUNKS: usize = 4096;

/// A description, and the files around it.
pub(super) struct Parcel {
    /// `OVA` or `OVF`, for errors.
    pub(super) container: &'static str,
    /// The description's own file, and its name if that is known.
    pub(super) description: ImageFile,
    pub(super) name: Option<String>,
    pub(super) manifest: Option<ImageFile>,
    pub(super) certificate: Option<String>,
    pub(super) files: Arc<dyn Neighbours>,
    /// What to do when a file is not there.
    pub(super) advice: &'static str,
    pub(super) warnings: Vec<String>,
}

/// Opens a disk of the machine that an OVF beside its files describes.
pub(crate) fn open_ovf(source: &ImageFile, opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    let stem = opening.name.as_deref().and_then(|name| name.rsplit_once('.')).map(|(stem, _)| stem);
    let beside = |end: &str| {
        let name = stem.map(|stem| format!("{stem}.{end}")).filter(|name| is_plain(name));
        name.map_or(Ok(None), |name| opening.neighbours.find(&name))
    };
    let certificate = beside("cert")?.and(stem).map(|stem| format!("{stem}.cert"));
    let parcel = Parcel {
        container: "OVF",
        description: source.clone(),
        name: opening.name.clone(),
        manifest: beside("mf")?,
        certificate,
        files: Arc::clone(&opening.neighbours),
        advice: if opening.beside {
            "put it beside the OVF"
        } else {
            "files beside the OVF were not allowed: allow them, open the disk itself, or pack all into an OVA"
        },
        warnings: Vec::new(),
    };
    parcel.open(opening)
}

/// The bytes of a disk, and what the manifest says of them.
struct Content {
    source: ImageFile,
    check: Check,
}

impl Parcel {
    /// Opens the disk that is meant.
    pub(super) fn open(mut self, opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
        let text = read_text(&self.description, self.container, self.name.as_deref().unwrap_or("the OVF"))?;
        let envelope = Envelope::parse(&text)?;
        let mut facts = vec![Fact::new("container", self.container)];
        if let Some(name) = &envelope.machine.name {
            facts.push(Fact::new("machine", name.as_str()));
        }
        let manifest = self.manifest(&mut facts)?;
        if let Some(certificate) = &self.certificate {
            facts.push(Fact::new("certificate", format!("{certificate} (not verified)")));
        }

        let disk = self.choose(&envelope, opening.disk)?;
        facts.push(Fact::new("disk", disk_name(&envelope, disk)));
        if disk.has_parent {
            return Err(self.refused(format!(
                "the disk {:?} shows only what changed since another one (parentRef); export it as a whole",
                disk.id
            )));
        }
        let within = Opening { disk: None, ..opening.within(Arc::clone(&self.files))? };
        let Some(file) = disk.file.and_then(|place| envelope.files.get(place)) else {
            let blank = disk.capacity.and_then(Blank::new);
            let inner = blank.ok_or_else(|| self.refused(format!("the disk {:?} has no file and no size", disk.id)))?;
            return Ok(Box::new(Contained { inner: Box::new(inner), facts, warnings: self.warnings, check: None }));
        };
        let content = self.content(file, &manifest, opening)?;
        let check = self.check_at_once(content.check, manifest.is_some())?;
        self.compare_size(file, &content.source);
        let inner = within.read(content.source)?;
        if let Some(capacity) = disk.capacity.filter(|capacity| *capacity != inner.size()) {
            let size = inner.size();
            self.warnings.push(format!("the OVF says that the disk has {capacity} bytes, it has {size}"));
        }
        Ok(Box::new(Contained { inner, facts, warnings: self.warnings, check }))
    }

    fn refused(&self, problem: impl Into<String>) -> ImageError {
        refused(self.container, problem)
    }

    /// Reads the manifest and holds the description against it.
    fn manifest(&self, facts: &mut Vec<Fact>) -> Result<Option<Manifest>, ImageError> {
        let Some(file) = &self.manifest else { return Ok(None) };
        let manifest = Manifest::parse(&read_text(file, self.container, "the manifest")?);
        facts.push(Fact::new("manifest", manifest.describe()));
        let check = self.name.as_ref().map(|name| manifest.check(name, &self.description));
        match check.unwrap_or_default().failures()?.first() {
            Some(failure) => Err(self.refused(failure)),
            None => Ok(Some(manifest)),
        }
    }

    /// What is left to be checked later.
    fn check_at_once(&mut self, check: Check, has_manifest: bool) -> Result<Option<Check>, ImageError> {
        if has_manifest && check.is_empty() {
            self.warnings.push("the manifest does not have the disk's file".into());
        }
        if check.length() <= CHECKED_AT_ONCE
            && let Some(failure) = check.failures()?.first()
        {
            return Err(self.refused(failure));
        }
        Ok(Some(check))
    }

    fn compare_size(&mut self, file: &FileReference, source: &ImageFile) {
        // Of compressed files some give the length before, and some that after.
        if let Some(size) = file.size.filter(|size| *size != source.length() && file.compression.is_none()) {
            let length = source.length();
            self.warnings.push(format!("the OVF says that {:?} has {size} bytes, it has {length}", file.href));
        }
    }

    fn choose<'e>(&self, envelope: &'e Envelope, wanted: Option<&str>) -> Result<&'e DescribedDisk, ImageError> {
        let list = || {
            let names: Vec<_> = envelope.disks.iter().take(16).map(|disk| disk_name(envelope, disk)).collect();
            format!("{names:?}")
        };
        match (wanted, envelope.disks.as_slice()) {
            (_, []) => Err(self.refused("describes no disk")),
            (None, [disk]) => Ok(disk),
            (None, disks) => {
                Err(self.refused(format!("describes {} disks: say which one is meant: {}", disks.len(), list())))
            }
            (Some(wanted), disks) => {
                let by_name = |disk: &&DescribedDisk| disk.file.is_some() && disk_name(envelope, disk) == wanted;
                let found = disks.iter().find(by_name).or_else(|| disks.iter().find(|disk| disk.id == wanted));
                found.ok_or_else(|| self.refused(format!("describes no disk {wanted:?}, but {}", list())))
            }
        }
    }

    fn content(
        &self,
        file: &FileReference,
        manifest: &Option<Manifest>,
        opening: &Opening<'_>,
    ) -> Result<Content, ImageError> {
        let check = |name: &str, file: &ImageFile| manifest.as_ref().map(|m| m.check(name, file)).unwrap_or_default();
        let names = names(&file.href).map_err(|problem| self.refused(problem))?;
        for name in &names {
            if let Some(source) = self.files.find(name)? {
                return Ok(Content { check: check(name, &source), source });
            }
        }
        if file.chunk.is_some() {
            for name in &names {
                let chunks = self.chunks(name)?;
                if !chunks.is_empty() {
                    let checks = chunks.iter().map(|(name, chunk)| check(name, chunk));
                    let check = checks.fold(Check::default(), Check::and);
                    return Ok(Content { check, source: self.join(file, &chunks, opening)? });
                }
            }
        }
        Err(self.refused(format!("the disk's file {:?} is not there; {}", file.href, self.advice)))
    }

    /// The parts of a file, by their numbers, up to the first that is not there.
    fn chunks(&self, name: &str) -> Result<Vec<(String, ImageFile)>, ImageError> {
        let mut chunks = Vec::new();
        loop {
            let part = format!("{name}.{:09}", chunks.len());
            if !is_plain(&part) {
                return Ok(chunks);
            }
            let Some(file) = self.files.find(&part)? else { return Ok(chunks) };
            chunks.push((part, file));
            if chunks.len() > MOST_CHUNKS {
                return Err(self.refused(format!("{name:?} is in more than {MOST_CHUNKS} parts")));
            }
        }
    }

    /// Puts a file together that is in parts.
    fn join(
        &self,
        file: &FileReference,
        chunks: &[(String, ImageFile)],
        opening: &Opening<'_>,
    ) -> Result<ImageFile, ImageError> {
        const PIECE: u64 = 1 << 20;
        let total = chunks.iter().map(|(_, chunk)| chunk.length()).fold(0, u64::saturating_add);
        let (last, before) = chunks.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
        let odd = before.iter().find(|(_, chunk)| Some(chunk.length()) != file.chunk);
        let long = last.filter(|(_, chunk)| Some(chunk.length()) > file.chunk);
        if let Some((name, chunk)) = odd.or(long) {
            return Err(self.refused(format!("the part {name:?} has {} bytes, against its chunkSize", chunk.length())));
        }
        if let Some(size) = file.size.filter(|size| *size != total && file.compression.is_none()) {
            return Err(self.refused(format!(
                "the parts of {:?} have {total} bytes together instead of {size}: some are missing",
                file.href
            )));
        }
        let allowance = Allowance::new(total, opening.most_unpacked, false);
        let mut spool = Spool::new(&opening.spool, self.container.into(), allowance)?;
        let mut piece = vec![0; usize::try_from(PIECE.min(total)).unwrap_or(0)];
        for (_, chunk) in chunks {
            let mut at = 0;
            while at < chunk.length() {
                let length = usize::try_from(PIECE.min(chunk.length() - at)).unwrap_or(0);
                chunk.read_padded(at, &mut piece[..length])?;
                spool.take(&piece[..length])?;
                at += length as u64;
            }
        }
        spool.finish()
    }
}

/// What a disk is asked for by: its file's name, or its own when it has no file.
pub(super) fn disk_name<'e>(envelope: &'e Envelope, disk: &'e DescribedDisk) -> &'e str {
    let file = disk.file.and_then(|place| envelope.files.get(place));
    file.map_or(&disk.id, |file| file.href.strip_prefix("./").unwrap_or(&file.href))
}

/// The names that a file may have by its `href`, which is a URI, though not all writers know that.
fn names(href: &str) -> Result<Vec<String>, String> {
    let written = href.strip_prefix("./").unwrap_or(href);
    let mut names = vec![written.to_owned()];
    if let Some(decoded) = decoded(written).filter(|decoded| decoded != written) {
        names.push(decoded);
    }
    if names.iter().all(|name| is_plain(name)) {
        Ok(names)
    } else {
        Err(format!("the href {href:?} is no plain name of a file beside the OVF; nothing else is followed"))
    }
}

/// Without `%20` and the like; `None` when the result is no text.
fn decoded(href: &str) -> Option<String> {
    let bytes = href.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| href.get(at + 1..at + 3)).flatten();
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_href_is_a_plain_name_or_refused() {
        let both = |a: &str, b: &str| Ok(vec![a.to_owned(), b.to_owned()]);
        assert_eq!(names("disk.vmdk"), Ok(vec!["disk.vmdk".to_owned()]));
        assert_eq!(names("./disk.vmdk"), Ok(vec!["disk.vmdk".to_owned()]));
        assert_eq!(names("my%20disk.vmdk"), both("my%20disk.vmdk", "my disk.vmdk"));
        assert_eq!(names("50%.vmdk"), Ok(vec!["50%.vmdk".to_owned()]));
        assert_eq!(names("a%+1"), Ok(vec!["a%+1".to_owned()]));
        for href in [
            "",
            "..",
            "../disk",
            "/etc/passwd",
            "http://example.org/disk",
            "file:///etc/passwd",
            "a/b",
            "a\\b",
            "C:disk",
            "%2e%2e",
            "%2Fetc%2Fpasswd",
            "a%00b",
            ".%2fa",
        ] {
            assert!(names(href).is_err(), "{href}");
        }
    }
}
