//! The members of a tar: ustar, GNU and pax.
//!
//! One pass over the headers, which are all that is read. Nothing is ever written under a member's name.

mod header;
mod names;
mod pax;

use std::{collections::HashSet, ops::Range};

use header::{BLOCK, Kind, header_at};
use names::{member_name, text_of};
use pax::Attributes;

use super::refused;
use crate::{ImageError, neighbours::Neighbours, source::ImageFile};

const MOST_MEMBERS: usize = 1024;
/// With those that only say something of the next one.
const MOST_HEADERS: usize = 4 * MOST_MEMBERS;
/// The most that a header may say of the next member, in bytes.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// A regular file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Relative, without `..` and the like; parts of it are joined by `/`.
    pub(super) name: String,
    /// Its bytes in the archive.
    pub(super) range: Range<u64>,
}

/// An archive whose members have been listed.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    source: ImageFile,
    members: Vec<Member>,
}

/// What a header said of the next member.
#[derive(Debug, Default)]
struct Pending {
    long_name: Option<Vec<u8>>,
    attributes: Attributes,
    /// Whether there was one.
    any: bool,
}

impl Archive {
    /// Lists the members, and refuses an archive with anything in it that a disk or its description never is: links,
    /// devices, sparse files, two files of one name, names that lead elsewhere.
    pub(super) fn read(source: &ImageFile) -> Result<Self, ImageError> {
        let mut archive = Self { source: source.clone(), members: Vec::new() };
        let mut names = HashSet::new();
        let mut pending = Pending::default();
        let mut at = 0;
        for _ in 0..MOST_HEADERS {
            let Some(header) = header_at(source, at)? else {
                return if pending.any { Err(cut_off(at)) } else { Ok(archive) };
            };
            let size = pending.attributes.size.filter(|_| header.kind.is_member()).unwrap_or(header.size);
            let begin = at + BLOCK;
            let end = begin.checked_add(size).filter(|end| *end <= source.length()).ok_or_else(|| cut_off(at))?;
            match header.kind {
                Kind::File | Kind::Directory => {
                    let said = std::mem::take(&mut pending);
                    let raw = said.attributes.path.or(said.long_name).unwrap_or(header.name);
                    let name = member_name(&raw).map_err(|problem| at_member(at, &text_of(&raw), problem))?;
                    if header.kind == Kind::Directory || raw.ends_with(b"/") {
                        if size > 0 {
                            return Err(at_member(at, &name, "is a directory with content"));
                        }
                    } else {
                        if !names.insert(name.clone()) {
                            return Err(at_member(at, &name, "is there twice"));
                        }
                        archive.members.push(Member { name, range: begin..end });
                    }
                }
                Kind::LongName => {
                    let mut name = extension(source, begin..end, at)?;
                    // A zero ends it.
                    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                    pending.long_name = Some(name);
                    pending.any = true;
                }
                Kind::Extended => {
                    let bytes = extension(source, begin..end, at)?;
                    pending.attributes = Attributes::read(&bytes).map_err(|problem| at_header(at, problem))?;
                    pending.any = true;
                }
                Kind::Global => {
                    let bytes = extension(source, begin..end, at)?;
                    let said = Attributes::read(&bytes).map_err(|problem| at_header(at, problem))?;
                    if said.path.is_some() || said.size.is_some() {
                        return Err(at_header(at, "gives all members one name or size"));
                    }
                }
                Kind::Refused(what) => {
                    let problem = format!("is {what}; pack plain files only");
                    return Err(at_member(at, &text_of(&header.name), problem));
                }
            }
            if archive.members.len() > MOST_MEMBERS {
                break;
            }
            at = end.next_multiple_of(BLOCK);
        }
        Err(refused("archive", format!("has more than {MOST_MEMBERS} members, as no machine has")))
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The bytes of a member.
    pub(super) fn open(&self, member: &Member) -> Result<ImageFile, ImageError> {
        self.source.part(member.range.clone()).ok_or_else(|| cut_off(member.range.start))
    }
}

/// The members in one directory of an archive, as the files beside each other that they would be when unpacked.
pub(super) struct Siblings {
    archive: Archive,
    /// With its `/` at the end, or empty.
    directory: String,
}

impl Siblings {
    /// Those of a member.
    pub(super) fn of(archive: &Archive, member: &Member) -> Self {
        let directory = member.name.rfind('/').map_or("", |slash| &member.name[..=slash]);
        Self { archive: archive.clone(), directory: directory.to_owned() }
    }
}

impl Neighbours for Siblings {
    fn find(&self, name: &str) -> Result<Option<ImageFile>, ImageError> {
        let is_it = |member: &&Member| member.name.strip_prefix(&self.directory) == Some(name);
        self.archive.members.iter().find(is_it).map(|member| self.archive.open(member)).transpose()
    }
}

fn extension(source: &ImageFile, range: Range<u64>, header: u64) -> Result<Vec<u8>, ImageError> {
    let length = range.end - range.start;
    if length > LONGEST_EXTENSION {
        return Err(at_header(
            header,
            format!("says {length} bytes of the next member, more than {LONGEST_EXTENSION}"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    source.read_padded(range.start, &mut bytes)?;
    Ok(bytes)
}

fn cut_off(at: u64) -> ImageError {
    refused("archive", format!("ends within the member whose header is at byte {at}: it is cut off"))
}

fn at_header(at: u64, problem: impl AsRef<str>) -> ImageError {
    refused("archive", format!("the header at byte {at} {}", problem.as_ref()))
}

fn at_member(at: u64, name: &str, problem: impl AsRef<str>) -> ImageError {
    refused("archive", format!("the member {name:?} at byte {at} {}", problem.as_ref()))
}
