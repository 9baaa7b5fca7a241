use super::{
    descriptor::{Descriptor, LARGEST_TEXT, Line},
    memory::Memory,
    parts::{Content, Part, embedded_size, open_parts},
    refused,
    sparse::SparseExtent,
};
use crate::{
    DiskView, Extent, ExtentKind, Fact, ImageError, ImageFormat, ImageReader, SECTOR, opening::Opening,
    source::ImageFile, view::check_range,
};

const TEXT_MARK: &[u8] = b"# Disk DescriptorFile";

/// A VMDK that needs nothing but its own files.
#[derive(Debug)]
pub(super) struct VmdkImage {
    /// In the disk's order, without gaps.
    parts: Vec<Part>,
    size: u64,
    facts: Vec<Fact>,
    warnings: Vec<String>,
    memory: Memory,
}

impl VmdkImage {
    /// A disk that is one sparse extent.
    pub(super) fn of_extent(source: ImageFile) -> Result<Self, ImageError> {
        let extent = SparseExtent::open(source, 0)?;
        let size = extent.size();
        let said = embedded_size(&extent.descriptor);
        if size == 0 && said != Some(0) && !extent.descriptor.extents.is_empty() {
            let problem = "is 0, and the embedded descriptor names extents, which are not looked for";
            return Err(refused("capacity", 12, problem));
        }
        let mut facts = facts_of(&extent.descriptor);
        facts.extend(facts_of_extent(&extent));
        let mut warnings = warnings_of(&extent.descriptor);
        if !extent.descriptor.extents.is_empty() && said != Some(size) {
            warnings.push(format!(
                "the embedded descriptor does not describe one sparse extent of {} sectors, which the header does",
                size / SECTOR
            ));
        }
        warnings.extend(warnings_of_extent(&extent));
        let content = Content::Sparse(Box::new(extent));
        let parts = if size > 0 { vec![Part { range: 0..size, content }] } else { Vec::new() };
        Ok(Self { parts, size, facts, warnings, memory: Memory::default() })
    }

    /// A disk that is described by a text, and stands in files beside it.
    pub(super) fn of_descriptor(source: &ImageFile, opening: &Opening<'_>) -> Result<Self, ImageError> {
        if source.length() > LARGEST_TEXT {
            return Err(refused("descriptor", 0, format!("is {} bytes, more than 1 MiB", source.length())));
        }
        let mut text = vec![0; usize::try_from(source.length()).unwrap_or(0)];
        source.read_padded(0, &mut text)?;
        if !text.starts_with(TEXT_MARK) {
            return Err(refused("magicNumber", 0, "is neither that of a sparse extent nor of a descriptor"));
        }
        let descriptor = Descriptor::read(&text, 0)?;
        let parts = open_parts(&descriptor, source, opening)?;
        let size = parts.last().map_or(0, |part| part.range.end);
        let mut facts = facts_of(&descriptor);
        facts.push(Fact::new("extents", descriptor.extents.len() as u64));
        let mut warnings = warnings_of(&descriptor);
        let sparse = |part: &Part| match &part.content {
            Content::Sparse(extent) => warnings_of_extent(extent),
            _ => Vec::new(),
        };
        for warning in parts.iter().flat_map(sparse) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        if let Some(extent) = parts.iter().find_map(|part| match &part.content {
            Content::Sparse(extent) => Some(extent),
            _ => None,
        }) {
            facts.extend(facts_of_extent(extent));
        }
        Ok(Self { parts, size, facts, warnings, memory: Memory::default() })
    }

    /// The part that holds byte `at`, which lies in the disk.
    fn part(&self, at: u64) -> Option<&Part> {
        self.parts.get(self.parts.partition_point(|part| part.range.end <= at))
    }
}

fn facts_of(descriptor: &Descriptor) -> Vec<Fact> {
    let kind: Option<&Line> = descriptor.create_type.as_ref();
    let words = [
        ("subformat", kind.map(|kind| kind.text.as_str())),
        ("content-id", descriptor.content_id.as_deref()),
        ("adapter-type", descriptor.adapter.as_deref()),
        ("hardware-version", descriptor.hardware.as_deref()),
        ("uuid", descriptor.uuid.as_deref()),
    ];
    let mut facts: Vec<Fact> =
        words.into_iter().filter_map(|(name, value)| value.map(|value| Fact::new(name, value))).collect();
    if descriptor.thin {
        facts.push(Fact::new("thin-provisioned", true));
    }
    facts
}

fn facts_of_extent(extent: &SparseExtent) -> [Fact; 3] {
    [
        Fact::new("version", extent.header.version),
        Fact::new("grain-size", extent.header.grain_bytes()),
        Fact::new("compressed", extent.header.compressed),
    ]
}

fn warnings_of(descriptor: &Descriptor) -> Vec<String> {
    let mut warnings = Vec::new();
    if descriptor.change_tracking {
        warnings.push("changed blocks are tracked in another file, which is not read".into());
    }
    warnings
}

fn warnings_of_extent(extent: &SparseExtent) -> Vec<String> {
    let header = &extent.header;
    let mut warnings = Vec::new();
    if header.unclean {
        warnings.push("the image was not closed properly; what was written last may be missing".into());
    }
    if header.version == 3 && !header.compressed {
        warnings.push("the version is 3: changed blocks were tracked, which is not read".into());
    }
    if header.contradicted {
        warnings.push("header and footer differ in the capacity; the footer counts".into());
    }
    warnings
}

impl DiskView for VmdkImage {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vmdk
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.size, offset, buffer.len())?;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let Some(part) = self.part(at) else { break };
            let length = usize::try_from(part.range.end - at).unwrap_or(usize::MAX).min(rest.len());
            let (here, behind) = rest.split_at_mut(length);
            let within = at - part.range.start;
            match &part.content {
                Content::Flat(file) => file.read_at(within, here)?,
                Content::Sparse(extent) => extent.read_at(&self.memory, within, here)?,
                Content::Zero => here.fill(0),
            }
            at += length as u64;
            rest = behind;
        }
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        let Some(part) = self.part(from) else { return Ok(None) };
        let (within, left) = (from - part.range.start, part.range.end - from);
        let found = match &part.content {
            Content::Flat(file) => file.extent_at(within)?,
            Content::Sparse(extent) => Some(extent.extent_at(&self.memory, within)?),
            Content::Zero => None,
        };
        let (length, kind) = found.map_or((left, ExtentKind::Zero), |found| (found.length.min(left), found.kind));
        Ok(Some(Extent { offset: from, length, kind }))
    }
}

impl ImageReader for VmdkImage {
    fn facts(&self) -> Vec<Fact> {
        self.facts.clone()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn damage(&self, most: usize) -> Result<Vec<String>, ImageError> {
        let mut found = Vec::new();
        for part in &self.parts {
            if let Content::Sparse(extent) = &part.content {
                found.extend(extent.damage(most - found.len())?);
            }
        }
        Ok(found)
    }
}
