use std::{collections::HashMap, ops::Range};

use super::{
    MAGIC,
    descriptor::{Descriptor, Line, shown},
    refused,
    sparse::SparseExtent,
};
use crate::{ImageError, LARGEST_DISK, RawImage, SECTOR, neighbours::is_plain, opening::Opening, source::ImageFile};

/// The most extents of a disk: 8 TiB in files of 2 GiB, all of which are open at once.
const MOST_EXTENTS: usize = 4096;

/// Kinds of disks whose extents are files with the guest's bytes, alone or in order.
const READABLE: [&str; 7] = [
    "monolithicFlat",
    "twoGbMaxExtentFlat",
    "twoGbMaxExtentSparse",
    "vmfs",
    "vmfsThin",
    "vmfsPreallocated",
    "vmfsEagerZeroedThick",
];

/// A part of a disk.
#[derive(Debug)]
pub(super) struct Part {
    /// The guest's bytes that it shows, never none.
    pub(super) range: Range<u64>,
    pub(super) content: Content,
}

/// Where a part's bytes come from.
#[derive(Debug)]
pub(super) enum Content {
    Flat(RawImage),
    Sparse(Box<SparseExtent>),
    Zero,
}

/// One line of a descriptor: an extent.
struct ExtentLine<'a> {
    at: u64,
    number: usize,
    no_access: bool,
    /// Sectors of the disk.
    sectors: u64,
    kind: String,
    name: Option<&'a str>,
    /// Where in the file the disk's bytes begin, in sectors.
    offset: u64,
}

impl<'a> ExtentLine<'a> {
    fn read(line: &'a Line, number: usize) -> Result<Self, ImageError> {
        let strange = || {
            let problem = format!("{number} of the descriptor is no extent that is known: {}", shown(&line.text));
            refused("extent", line.at, problem)
        };
        let (head, name, tail) = match line.text.split_once('"') {
            Some((head, rest)) => {
                let (name, tail) = rest.split_once('"').ok_or_else(strange)?;
                (head, Some(name), tail)
            }
            None => (line.text.as_str(), None, ""),
        };
        let mut words = head.split_whitespace();
        let (Some(access), Some(sectors), Some(kind), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(strange());
        };
        let mut words = tail.split_whitespace();
        let offset = words.next().map_or(Ok(0), str::parse).map_err(|_| strange())?;
        if words.next().is_some() {
            return Err(strange());
        }
        Ok(Self {
            at: line.at,
            number,
            no_access: access.eq_ignore_ascii_case("NOACCESS"),
            sectors: sectors.parse().map_err(|_| strange())?,
            kind: kind.to_ascii_uppercase(),
            name,
            offset,
        })
    }

    fn refused(&self, problem: impl std::fmt::Display) -> ImageError {
        refused("extent", self.at, format!("{} of the descriptor {problem}", self.number))
    }
}

/// Guest-visible bytes that an embedded descriptor's extents have together; `None` when they are not what a disk in
/// one file says of itself.
pub(super) fn embedded_size(descriptor: &Descriptor) -> Option<u64> {
    let [line] = &descriptor.extents[..] else { return None };
    let extent = ExtentLine::read(line, 1).ok()?;
    (extent.kind == "SPARSE").then(|| extent.sectors.checked_mul(SECTOR)).flatten()
}

/// Finds the files of all extents, beside the descriptor and nowhere else.
pub(super) fn open_parts(
    descriptor: &Descriptor,
    source: &ImageFile,
    opening: &Opening<'_>,
) -> Result<Vec<Part>, ImageError> {
    if let Some(kind) = &descriptor.create_type
        && !READABLE.iter().any(|readable| readable.eq_ignore_ascii_case(&kind.text))
    {
        let problem = format!("is {}, whose files cannot be read alone; convert the disk first", shown(&kind.text));
        return Err(refused("createType", kind.at, problem));
    }
    if let Some(line) = &descriptor.strange {
        return Err(refused(
            "descriptor",
            line.at,
            format!("has a line that says nothing known: {}", shown(&line.text)),
        ));
    }
    let Some(first) = descriptor.extents.first() else {
        return Err(refused("descriptor", 0, "names no extent"));
    };
    if descriptor.extents.len() > MOST_EXTENTS {
        let problem = format!("is the first of {}; at most {MOST_EXTENTS} are read", descriptor.extents.len());
        return Err(refused("extent", first.at, problem));
    }
    let mut files = Files { opening, found: HashMap::new(), used: vec![(source.place()?, 0)] };
    let mut parts = Vec::new();
    let mut size = 0_u64;
    for (number, line) in (1..).zip(&descriptor.extents) {
        let extent = ExtentLine::read(line, number)?;
        let most = (LARGEST_DISK - size) / SECTOR;
        if extent.sectors > most {
            return Err(extent.refused(format!("makes the disk larger than {LARGEST_DISK} bytes")));
        }
        let length = extent.sectors * SECTOR;
        let content = files.open(&extent, length)?;
        if length > 0 {
            parts.push(Part { range: size..size + length, content });
        }
        size += length;
    }
    files.check_apart(&descriptor.extents)?;
    Ok(parts)
}

/// A file by its device and number, and bytes of it.
type Bytes = ((u64, u64), Range<u64>);

/// The files that extents name.
struct Files<'a> {
    opening: &'a Opening<'a>,
    found: HashMap<String, ImageFile>,
    /// What each extent shows, with its number; the descriptor itself has 0.
    used: Vec<(Bytes, usize)>,
}

impl Files<'_> {
    fn open(&mut self, extent: &ExtentLine<'_>, length: u64) -> Result<Content, ImageError> {
        if extent.kind == "ZERO" {
            return Ok(Content::Zero);
        }
        if extent.no_access {
            return Err(extent.refused("has bytes that nobody may access (NOACCESS)"));
        }
        let kind = extent.kind.as_str();
        if !matches!(kind, "FLAT" | "VMFS" | "SPARSE") {
            let why = match kind {
                "VMFSSPARSE" | "SESPARSE" => "is a snapshot of ESXi; consolidate the disk first",
                "VMFSRDM" | "VMFSRAW" => "is a device, not a file; convert the disk first",
                _ => "is of a kind that is not known",
            };
            return Err(extent.refused(format!("({}) {why}", shown(kind))));
        }
        let file = self.file(extent)?;
        let range = if kind == "SPARSE" { 0..file.length() } else { extent.range(length, &file)? };
        let (identity, whole) = file.place()?;
        self.used.push(((identity, whole.start + range.start..whole.start + range.end), extent.number));
        if kind == "SPARSE" {
            return extent.sparse(file).map(|sparse| Content::Sparse(Box::new(sparse)));
        }
        let part = file.part(range).ok_or_else(|| extent.refused("leads out of its file"))?;
        RawImage::over(part).map(Content::Flat)
    }

    /// The file that an extent names; nothing but a plain name is looked for.
    fn file(&mut self, extent: &ExtentLine<'_>) -> Result<ImageFile, ImageError> {
        let name = extent.name.ok_or_else(|| extent.refused("names no file"))?;
        if !is_plain(name) || name.contains('\u{fffd}') {
            let problem = "which is not the plain name of a file beside it; nothing else is looked for";
            return Err(extent.refused(format!("names {}, {problem}", shown(name))));
        }
        if let Some(file) = self.found.get(name) {
            return Ok(file.clone());
        }
        let Some(file) = self.opening.neighbours.find(name)? else {
            let problem = "which is not there: it must lie beside the descriptor, where only the command line looks, or \
                           in the same archive";
            return Err(extent.refused(format!("names the file {}, {problem}", shown(name))));
        };
        self.found.insert(name.to_owned(), file.clone());
        Ok(file)
    }

    /// Refuses extents that show the same bytes, or the descriptor.
    fn check_apart(&mut self, lines: &[Line]) -> Result<(), ImageError> {
        self.used.retain(|((_, range), _)| !range.is_empty());
        self.used.sort_by_key(|((file, range), number)| (*file, range.start, *number));
        for pair in self.used.windows(2) {
            let [((one, first), a), ((other, second), b)] = pair else { continue };
            if one == other && second.start < first.end {
                let number = *a.max(b);
                let at = number.checked_sub(1).and_then(|index| lines.get(index)).map_or(0, |line| line.at);
                let whose = if *a.min(b) == 0 { "the descriptor itself" } else { "another extent" };
                let problem = format!("{number} of the descriptor shows bytes of {whose}");
                return Err(refused("extent", at, problem));
            }
        }
        Ok(())
    }
}

impl ExtentLine<'_> {
    /// The bytes of the file that a flat extent shows.
    fn range(&self, length: u64, file: &ImageFile) -> Result<Range<u64>, ImageError> {
        let start = self.offset.checked_mul(SECTOR);
        match start.and_then(|start| Some(start..start.checked_add(length)?)) {
            Some(range) if range.end <= file.length() => Ok(range),
            _ => Err(self.refused(format!(
                "has {length} bytes from sector {} on, but its file has only {}; it may have been cut off",
                self.offset,
                file.length()
            ))),
        }
    }

    fn sparse(&self, file: ImageFile) -> Result<SparseExtent, ImageError> {
        if file.read_array(0)? != MAGIC {
            return Err(self.refused("is no sparse extent, though it is called one"));
        }
        let number = u32::try_from(self.number).unwrap_or(0);
        let sparse = SparseExtent::open(file, number).map_err(|error| match error {
            ImageError::Refused { field, offset, problem, .. } => {
                self.refused(format!("is refused: in its file, {field} at byte {offset} {problem}"))
            }
            other => other,
        })?;
        // Some writers round an extent up to a whole grain.
        let capacity = sparse.header.capacity;
        if capacity < self.sectors || capacity - self.sectors >= sparse.header.grain {
            let problem = format!("has {} sectors, but its file says {capacity}", self.sectors);
            return Err(self.refused(problem));
        }
        Ok(sparse)
    }
}
