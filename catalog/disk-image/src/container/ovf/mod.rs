//! The description of a machine: OVF 0.9, 1 and 2, as `VMware` and `VirtualBox` write it.
//!
//! Elements and attributes are known by their local names. Of what could be followed (links, entities, parents)
//! nothing is.

mod hardware;
mod quantity;
mod scan;

pub(super) use hardware::{Processing, processing};
use hardware::{Target, drives};
use quantity::bytes_of;
use roxmltree::{Document, Node, ParsingOptions};
use scan::check_bounds;

use super::refused;
use crate::ImageError;

const MOST_NODES: u32 = 1 << 16;
const MOST_FILES: usize = 1024;
const MOST_DISKS: usize = 256;
/// Of a text that is shown.
const LONGEST_SHOWN: usize = 4096;

/// What a description says of files and disks, and what a person wants to know of the machine.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) files: Vec<FileReference>,
    /// In the order in which the machine sees them; those that it does not see come last.
    pub(super) disks: Vec<DescribedDisk>,
    pub(super) machine: MachineText,
}

/// A file that belongs to the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileReference {
    pub(super) id: String,
    pub(super) href: String,
    /// Of the file, before it was compressed and cut; in bytes.
    pub(super) size: Option<u64>,
    /// `gzip`, or nothing.
    pub(super) compression: Option<String>,
    /// Of each part but the last, in bytes, when the file is in parts.
    pub(super) chunk: Option<u64>,
}

/// A disk of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DescribedDisk {
    pub(super) id: String,
    /// Which of the files it is in; `None` for one that is to be empty.
    pub(super) file: Option<usize>,
    /// In bytes.
    pub(super) capacity: Option<u64>,
    /// The URI of its format.
    pub(super) format: Option<String>,
    /// It only shows what has changed since another one.
    pub(super) has_parent: bool,
    /// Whether the machine has a drive with it.
    pub(super) attached: bool,
}

/// What is known of a machine beside its disks.
#[derive(Debug, Default)]
pub(super) struct MachineText {
    pub(super) name: Option<String>,
    pub(super) system: Option<String>,
    pub(super) product: Option<String>,
    pub(super) version: Option<String>,
    pub(super) annotation: Option<String>,
    pub(super) firmware: Option<String>,
    pub(super) processing: Processing,
}

impl Envelope {
    /// Reads a description.
    pub(super) fn parse(text: &str) -> Result<Self, ImageError> {
        check_bounds(text).map_err(|problem| refused("OVF", problem))?;
        let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options)
            .map_err(|error| refused("OVF", format!("is no well-formed XML: {error}")))?;
        let root = document.root_element();
        if root.tag_name().name() != "Envelope" {
            return Err(refused("OVF", format!("begins with <{}> instead of <Envelope>", root.tag_name().name())));
        }
        let files = files(root)?;
        let mut disks = disks(root, &files)?;
        order(&mut disks, root, &files)?;
        Ok(Self { files, disks, machine: machine(root) })
    }
}

/// An attribute of OVF's own, whichever prefix it has.
fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let ours = node.document().root_element().tag_name().namespace();
    let is_it =
        |a: &roxmltree::Attribute<'_, '_>| a.name() == name && (a.namespace().is_none() || a.namespace() == ours);
    node.attributes().find(is_it).map(|a| a.value())
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// Text for a person: trimmed and cut.
fn text(node: Node<'_, '_>) -> Option<String> {
    let all: String = node.descendants().filter(Node::is_text).filter_map(|part| part.text()).collect();
    let short: String = all.trim().chars().take(LONGEST_SHOWN).collect();
    (!short.is_empty()).then_some(short)
}

fn files(root: Node<'_, '_>) -> Result<Vec<FileReference>, ImageError> {
    let mut files: Vec<FileReference> = Vec::new();
    let elements = root.children().filter(|node| node.tag_name().name() == "References").flat_map(|n| n.children());
    for node in elements.filter(|node| node.tag_name().name() == "File") {
        let (Some(id), Some(href)) = (attribute(node, "id"), attribute(node, "href")) else {
            return Err(refused("OVF", "has a <File> without id or href"));
        };
        if files.iter().any(|file| file.id == id) {
            return Err(refused("OVF", format!("has two files of the id {id:?}")));
        }
        let number = |name| attribute(node, name).and_then(|value| value.trim().parse().ok());
        files.push(FileReference {
            id: id.to_owned(),
            href: href.to_owned(),
            size: number("size"),
            compression: attribute(node, "compression").filter(|how| !matches!(*how, "" | "identity")).map(Into::into),
            chunk: number("chunkSize").filter(|size| *size > 0),
        });
        if files.len() > MOST_FILES {
            return Err(refused("OVF", format!("names more than {MOST_FILES} files")));
        }
    }
    Ok(files)
}

fn disks(root: Node<'_, '_>, files: &[FileReference]) -> Result<Vec<DescribedDisk>, ImageError> {
    let mut disks: Vec<DescribedDisk> = Vec::new();
    // In 0.9 it is a <Section> of a type.
    let sections = root.children().filter(|node| matches!(node.tag_name().name(), "DiskSection" | "Section"));
    for node in sections.flat_map(|node| node.children()).filter(|node| node.tag_name().name() == "Disk") {
        let Some(id) = attribute(node, "diskId") else { return Err(refused("OVF", "has a <Disk> without diskId")) };
        if disks.iter().any(|disk| disk.id == id) {
            return Err(refused("OVF", format!("has two disks of the diskId {id:?}")));
        }
        let find = |wanted: &str| {
            let found = files.iter().position(|file| file.id == wanted);
            found.ok_or_else(|| refused("OVF", format!("has a disk {id:?} in a file {wanted:?} that it does not name")))
        };
        let units = attribute(node, "capacityAllocationUnits");
        disks.push(DescribedDisk {
            id: id.to_owned(),
            file: attribute(node, "fileRef").map(find).transpose()?,
            capacity: attribute(node, "capacity").and_then(|value| bytes_of(value, units)),
            format: attribute(node, "format").map(str::to_owned),
            has_parent: attribute(node, "parentRef").is_some_and(|parent| !parent.is_empty()),
            attached: false,
        });
        if disks.len() > MOST_DISKS {
            return Err(refused("OVF", format!("has more than {MOST_DISKS} disks")));
        }
    }
    // Optical discs are listed among disks by some.
    disks.retain(|disk| !disk.format.as_deref().is_some_and(is_optical));
    Ok(disks)
}

fn is_optical(format: &str) -> bool {
    let format = format.to_ascii_lowercase();
    format.contains("ecma-119") || format.ends_with("/iso") || format.contains("iso9660")
}

/// Brings the disks into the order of the machine's drives, and adds those that are drives on a file alone.
fn order(disks: &mut Vec<DescribedDisk>, root: Node<'_, '_>, files: &[FileReference]) -> Result<(), ImageError> {
    let mut ordered: Vec<DescribedDisk> = Vec::new();
    for target in drives(root) {
        match target {
            Target::Disk(id) => {
                if let Some(place) = disks.iter().position(|disk| disk.id == id) {
                    ordered.push(DescribedDisk { attached: true, ..disks.remove(place) });
                } else if !ordered.iter().any(|disk| disk.id == id) {
                    return Err(refused(
                        "OVF",
                        format!("has a drive with the disk {id:?}, which it does not describe"),
                    ));
                }
            }
            Target::File(id) => {
                let Some(file) = files.iter().position(|file| file.id == id) else {
                    return Err(refused("OVF", format!("has a drive with the file {id:?}, which it does not name")));
                };
                if !ordered.iter().chain(&*disks).any(|disk| disk.file == Some(file)) {
                    let (capacity, format) = (None, None);
                    let disk =
                        DescribedDisk { id, file: Some(file), capacity, format, has_parent: false, attached: true };
                    ordered.push(disk);
                }
            }
        }
    }
    ordered.append(disks);
    *disks = ordered;
    Ok(())
}

fn machine(root: Node<'_, '_>) -> MachineText {
    let Some(system) = root.descendants().find(|node| hardware::is_system(*node)) else {
        return MachineText::default();
    };
    let within = |section: &str, name: &str| {
        let part = system.children().find(|node| node.tag_name().name() == section)?;
        child(part, name).and_then(text)
    };
    let firmware = root.descendants().find_map(|node| match node.tag_name().name() {
        "Config" if node.attributes().any(|a| a.name() == "key" && a.value() == "firmware") => {
            node.attributes().find(|a| a.name() == "value")
        }
        "Firmware" => node.attributes().find(|a| a.name() == "type"),
        _ => None,
    });
    let id = attribute(system, "id").map(str::trim).filter(|id| !id.is_empty());
    MachineText {
        name: child(system, "Name").and_then(text).or_else(|| id.map(|id| id.chars().take(LONGEST_SHOWN).collect())),
        system: within("OperatingSystemSection", "Description"),
        product: within("ProductSection", "Product"),
        version: within("ProductSection", "FullVersion").or_else(|| within("ProductSection", "Version")),
        annotation: within("AnnotationSection", "Annotation"),
        firmware: firmware.map(|a| a.value().chars().take(LONGEST_SHOWN).collect::<String>().to_ascii_lowercase()),
        processing: processing(system),
    }
}
