use std::sync::Arc;

use super::{
    archive::{Archive, Member, Siblings},
    machine::Parcel,
    read_text, refused,
};
use crate::{
    Fact, ImageError, ImageFormat, ImageReader,
    neighbours::Neighbours,
    opening::Opening,
    probe::{Found, probe},
    source::ImageFile,
};

const CONTAINER: &str = "archive";

/// Opens a disk of the machine in an archive, or the only disk in an archive that describes no machine.
pub(crate) fn open_archive(source: &ImageFile, opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    let archive = Archive::read(source)?;
    match description(&archive)? {
        Some(member) => parcel(&archive, member)?.open(opening),
        None => open_loose(&archive, opening),
    }
}

/// The only OVF in an archive.
pub(super) fn description(archive: &Archive) -> Result<Option<&Member>, ImageError> {
    let mut found = archive.members().iter().filter(|member| ends_with(member, ".ovf"));
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => {
            Err(refused("OVA", format!("has two descriptions of machines, {:?} and {:?}", one.name, other.name)))
        }
        (one, _) => Ok(one),
    }
}

fn file_name(member: &Member) -> &str {
    member.name.rsplit_once('/').map_or(&member.name, |(_, name)| name)
}

fn ends_with(member: &Member, end: &str) -> bool {
    let name = file_name(member);
    // macOS keeps a file's other attributes in a second one.
    !name.starts_with("._") && name.to_ascii_lowercase().ends_with(end)
}

fn parcel(archive: &Archive, member: &Member) -> Result<Parcel, ImageError> {
    let siblings = Siblings::of(archive, member);
    let name = file_name(member);
    let mut warnings = Vec::new();
    if archive.members().first() != Some(member) {
        warnings.push(format!("{name:?} is not the first file of the OVA, as some programs demand"));
    }
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let only = |end: &str| {
        let mut found = archive.members().iter().filter(|member| ends_with(member, end));
        found.next().filter(|_| found.next().is_none())
    };
    let manifest = match siblings.find(&format!("{stem}.mf"))? {
        Some(manifest) => Some(manifest),
        None => only(".mf").map(|member| archive.open(member)).transpose()?,
    };
    Ok(Parcel {
        container: "OVA",
        description: archive.open(member)?,
        name: Some(name.to_owned()),
        manifest,
        certificate: only(".cert").map(|member| file_name(member).to_owned()),
        files: Arc::new(siblings),
        advice: "the archive must have all files that its OVF names",
        warnings,
    })
}

/// A member that may be a disk.
struct Candidate<'a> {
    member: &'a Member,
    source: ImageFile,
    found: Found,
}

/// Opens the only disk among files that nothing describes.
fn open_loose(archive: &Archive, opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    let mut all = Vec::new();
    for member in archive.members().iter().filter(|member| !file_name(member).starts_with("._")) {
        let source = archive.open(member)?;
        let found = probe(&source)?;
        all.push(Candidate { member, source, found });
    }
    let chosen = match opening.disk {
        Some(wanted) => {
            let is_it =
                |candidate: &&Candidate<'_>| candidate.member.name == wanted || file_name(candidate.member) == wanted;
            let found = all.iter().find(is_it);
            found.ok_or_else(|| refused(CONTAINER, format!("has no file {wanted:?}, but {}", list(all.iter()))))?
        }
        None => only_disk(&all)?,
    };
    let siblings = Siblings::of(archive, chosen.member);
    let within = Opening { disk: None, ..opening.within(Arc::new(siblings))? };
    let inner = within.read(chosen.source.clone())?;
    let facts = vec![Fact::new("container", "tar"), Fact::new("disk", chosen.member.name.as_str())];
    Ok(Box::new(super::contained::Contained { inner, facts, warnings: Vec::new(), check: None }))
}

fn list<'c>(candidates: impl Iterator<Item = &'c Candidate<'c>>) -> String {
    format!("{:?}", candidates.take(16).map(|candidate| &candidate.member.name).collect::<Vec<_>>())
}

/// Images come first, then compressed files, then what has the name of a raw disk or is all that there is.
fn only_disk<'c, 'a>(all: &'c [Candidate<'a>]) -> Result<&'c Candidate<'a>, ImageError> {
    let extents = extents(all)?;
    let is_extent = |candidate: &Candidate<'_>| extents.contains(&file_name(candidate.member));
    let is_raw = |candidate: &Candidate<'_>| {
        let ends = [".raw", ".img", ".dd", ".bin", "disk.raw"];
        candidate.found == Found::Nothing && ends.iter().any(|end| ends_with(candidate.member, end))
    };
    let kinds: [&dyn Fn(&Candidate<'_>) -> bool; 4] = [
        &|candidate| matches!(candidate.found, Found::Image(_)) && !is_extent(candidate),
        &|candidate| matches!(candidate.found, Found::Compressed(_)),
        &is_raw,
        &|_| true,
    ];
    for kind in kinds {
        let found: Vec<_> = all.iter().filter(|candidate| kind(candidate)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let names = list(several.iter().copied());
                return Err(refused(
                    CONTAINER,
                    format!(
                        "describes no machine and has {} files that may be meant; say which: {names}",
                        several.len()
                    ),
                ));
            }
        }
    }
    Err(refused(CONTAINER, "is empty"))
}

/// The names among the candidates that a VMDK's descriptor has as its parts.
fn extents<'a>(all: &[Candidate<'a>]) -> Result<Vec<&'a str>, ImageError> {
    let mut extents = Vec::new();
    for candidate in all.iter().filter(|candidate| candidate.found == Found::Image(ImageFormat::Vmdk)) {
        let is_text = candidate.source.read_array::<1>(0)? == *b"#";
        if is_text && candidate.source.length() <= super::LONGEST_TEXT {
            let text = read_text(&candidate.source, CONTAINER, &candidate.member.name)?;
            let quoted: Vec<_> = text.split('"').skip(1).step_by(2).collect();
            let names = all.iter().map(|other| file_name(other.member));
            extents.extend(names.filter(|name| *name != file_name(candidate.member) && quoted.contains(name)));
        }
    }
    Ok(extents)
}
