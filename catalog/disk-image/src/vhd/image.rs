use super::{
    blocks::Blocks,
    footer::{Footer, Found, Kind, find},
    header::Header,
    refused, text,
};
use crate::{
    DiskView, Extent, ExtentKind, Fact, ImageError, ImageFormat, ImageReader,
    source::{Allocation, ImageFile},
    uuid::uuid_text,
    view::{check_range, joined_extent},
};

/// The longest extent that is put together, in bytes: bounds the work of one question about a huge sparse disk.
const LONGEST_EXTENT: u64 = 1 << 30;
/// Creators whose disks QEMU shows as large as their geometry.
const CREATORS_BY_GEOMETRY: [[u8; 4]; 2] = [*b"vpc ", *b"qemu"];

/// A VHD that stands alone.
#[derive(Debug)]
pub(super) struct VhdImage {
    source: ImageFile,
    footer: Footer,
    /// `None` when it is fixed.
    dynamic: Option<Dynamic>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Dynamic {
    blocks: Blocks,
    /// Bytes of the guest in a block.
    block: u64,
}

/// Bytes of the guest that lie together in the file.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// From this byte of the file on; `None` when they were never written.
    place: Option<u64>,
    /// Bytes, never zero.
    length: u64,
}

impl VhdImage {
    pub(super) fn over(source: ImageFile) -> Result<Self, ImageError> {
        let found = find(&source)?;
        let dynamic = match found.footer.kind {
            Kind::Fixed => {
                check_fixed(&found)?;
                None
            }
            Kind::Dynamic { header } => {
                let header = Header::read(&source, &found, header)?;
                Some(Dynamic { blocks: Blocks::read(&header, &found, &source)?, block: header.block })
            }
        };
        let Found { footer, end, mut warnings, .. } = found;
        warnings.extend(oddities(&footer, end));
        Ok(Self { source, footer, dynamic, warnings })
    }

    /// Where byte `at` of the guest lies, and how many follow it there, up to as many as are asked for.
    fn locate(&self, at: u64, most: u64) -> Result<Run, ImageError> {
        let left = most.min(self.footer.size - at);
        let Some(dynamic) = &self.dynamic else { return Ok(Run { place: Some(at), length: left }) };
        let (number, within) = (at / dynamic.block, at % dynamic.block);
        let place = dynamic.blocks.data_of(number)?.map(|data| data + within);
        let blocks =
            if place.is_some() { 1 } else { dynamic.blocks.absent_from(number, left.div_ceil(dynamic.block) + 1)? };
        Ok(Run { place, length: (blocks * dynamic.block - within).min(left) })
    }

    /// What is known of the bytes from `at` on: the file may have holes within its blocks.
    fn extent_of(&self, at: u64, most: u64) -> Result<(ExtentKind, u64), ImageError> {
        let run = self.locate(at, most)?;
        let Some(place) = run.place else { return Ok((ExtentKind::Absent, run.length)) };
        // The file may have been changed since it was checked.
        if place >= self.source.length() {
            return Ok((ExtentKind::Data, run.length));
        }
        let (kind, end) = match self.source.allocation(place)? {
            Allocation::DataUntil(end) => (ExtentKind::Data, end),
            // A fixed disk knows no other way to say that nothing was written.
            Allocation::HoleUntil(end) if self.dynamic.is_none() => (ExtentKind::Absent, end),
            Allocation::HoleUntil(end) => (ExtentKind::Zero, end),
        };
        Ok((kind, run.length.min(end.saturating_sub(place)).max(1)))
    }
}

fn check_fixed(found: &Found) -> Result<(), ImageError> {
    let Found { footer, end, .. } = found;
    if footer.size > *end {
        let problem =
            format!("is {} bytes, but {end} stand before the footer; the file may have been cut off", footer.size);
        return Err(refused("current_size", end + 48, problem));
    }
    Ok(())
}

fn oddities(footer: &Footer, end: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    let volume = footer.geometry.volume();
    if CREATORS_BY_GEOMETRY.contains(&footer.creator) && volume != footer.size && !footer.geometry.is_exhausted() {
        warnings.push(format!(
            "the disk has {} bytes, but its geometry {volume}: QEMU shows the latter, because of the creator",
            footer.size
        ));
    }
    if footer.kind == Kind::Fixed && footer.size < end {
        warnings.push(format!("{} bytes between the disk and the footer belong to nobody", end - footer.size));
    }
    if footer.is_saved_state {
        warnings.push("it is of a machine that was suspended, whose memory is not part of it".to_owned());
    }
    warnings
}

impl DiskView for VhdImage {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vhd
    }

    fn size(&self) -> u64 {
        self.footer.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.footer.size, offset, buffer.len())?;
        let mut at = offset;
        let mut rest = buffer;
        // Between the data of two blocks always stands a bitmap: there are no neighbours to read together.
        while !rest.is_empty() {
            let run = self.locate(at, rest.len() as u64)?;
            let (part, behind) = rest.split_at_mut(usize::try_from(run.length).unwrap_or(0));
            match run.place {
                Some(place) => self.source.read_padded(place, part)?,
                None => part.fill(0),
            }
            at += run.length;
            rest = behind;
        }
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        joined_extent(self.footer.size, from, LONGEST_EXTENT, |at, most| self.extent_of(at, most))
    }
}

impl ImageReader for VhdImage {
    fn facts(&self) -> Vec<Fact> {
        let footer = &self.footer;
        let geometry = footer.geometry;
        let mut facts = vec![Fact::new("disk-type", if self.dynamic.is_some() { "dynamic" } else { "fixed" })];
        facts.extend(self.dynamic.as_ref().map(|dynamic| Fact::new("block-size", dynamic.block)));
        facts.extend([
            Fact::new("creator-application", text::letters(footer.creator)),
            Fact::new("creator-version", text::version(footer.creator_version)),
            Fact::new("creator-host-os", text::letters(footer.creator_host)),
            Fact::new("time-stamp", text::time(footer.time_stamp)),
            Fact::new(
                "disk-geometry",
                format!("{}/{}/{}", geometry.cylinders, geometry.heads, geometry.sectors_per_track),
            ),
            Fact::new("unique-id", uuid_text(footer.unique_id)),
        ]);
        facts
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}
