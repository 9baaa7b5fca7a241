use super::{
    blocks::{Blocks, Place},
    header::Header,
};
use crate::{
    DiskView, Extent, ExtentKind, Fact, ImageError, ImageFormat, ImageReader, SECTOR,
    source::{Allocation, ImageFile},
    uuid::{swap_uuid, uuid_text},
    view::{check_range, joined_extent},
};

/// The longest extent that is put together, in bytes: bounds the work of one question about a huge sparse disk.
const LONGEST_EXTENT: u64 = 1 << 30;
/// How many blocks that lie together are looked for, before they are read or the file is asked for holes among them.
const LOOK_AHEAD: u64 = 256;

/// A VDI that stands alone.
#[derive(Debug)]
pub(super) struct VdiImage {
    source: ImageFile,
    header: Header,
    blocks: Blocks,
    /// Guest-visible, in bytes: rounded up to whole sectors.
    size: u64,
}

/// Bytes of the guest that lie together in the file.
#[derive(Debug, Clone, Copy)]
struct Run {
    place: Place,
    /// Bytes, never zero.
    length: u64,
}

impl VdiImage {
    pub(super) fn over(source: ImageFile) -> Result<Self, ImageError> {
        let header = Header::read(&source)?;
        let blocks = Blocks::read(&header, &source)?;
        let size = header.size.next_multiple_of(SECTOR);
        Ok(Self { source, header, blocks, size })
    }

    /// Where byte `at` of the guest lies, and how many follow it there, up to as many as are asked for.
    fn locate(&self, at: u64, most: u64) -> Result<Run, ImageError> {
        let block = self.header.block;
        let (number, within) = (at / block, at % block);
        let most = most.min(self.size - at);
        let start = match self.blocks.place(number)? {
            Place::Stored(start) => start,
            place => {
                let length = self.blocks.like(number, most.div_ceil(block) + 1)? * block - within;
                return Ok(Run { place, length: length.min(most) });
            }
        };
        let mut length = block - within;
        let mut next = 1;
        while length < most
            && next < LOOK_AHEAD
            && self.blocks.place(number + next)? == Place::Stored(start + next * block)
        {
            length += block;
            next += 1;
        }
        Ok(Run { place: Place::Stored(start + within), length: length.min(most) })
    }

    /// What is known of the bytes from `at` on: the file may have holes within its blocks.
    fn extent_of(&self, at: u64, most: u64) -> Result<(ExtentKind, u64), ImageError> {
        let run = self.locate(at, most)?;
        let place = match run.place {
            Place::Absent => return Ok((ExtentKind::Absent, run.length)),
            Place::Zero => return Ok((ExtentKind::Zero, run.length)),
            // The last sector may pass the end of the file, and the file may have been changed since it was checked.
            Place::Stored(place) if place >= self.source.length() => return Ok((ExtentKind::Data, run.length)),
            Place::Stored(place) => place,
        };
        let (kind, end) = match self.source.allocation(place)? {
            Allocation::DataUntil(end) => (ExtentKind::Data, end),
            // A fixed disk knows no other way to say that nothing was written.
            Allocation::HoleUntil(end) if self.header.is_fixed => (ExtentKind::Absent, end),
            Allocation::HoleUntil(end) => (ExtentKind::Zero, end),
        };
        Ok((kind, run.length.min(end.saturating_sub(place)).max(1)))
    }
}

impl DiskView for VdiImage {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vdi
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.size, offset, buffer.len())?;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let run = self.locate(at, rest.len() as u64)?;
            let (part, behind) = rest.split_at_mut(usize::try_from(run.length).unwrap_or(0));
            match run.place {
                Place::Stored(place) => self.source.read_padded(place, part)?,
                Place::Absent | Place::Zero => part.fill(0),
            }
            at += run.length;
            rest = behind;
        }
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        joined_extent(self.size, from, LONGEST_EXTENT, |at, most| self.extent_of(at, most))
    }
}

impl ImageReader for VdiImage {
    fn facts(&self) -> Vec<Fact> {
        let header = &self.header;
        let mut facts = vec![
            Fact::new("image-type", if header.is_fixed { "fixed" } else { "dynamic" }),
            Fact::new("block-size", header.block),
            Fact::new("blocks-allocated", self.blocks.stored),
            Fact::new("creator", header.creator.as_str()),
        ];
        if !header.description.is_empty() {
            facts.push(Fact::new("description", header.description.as_str()));
        }
        facts.push(Fact::new("uuid", uuid_text(swap_uuid(header.uuid))));
        facts
    }

    fn warnings(&self) -> Vec<String> {
        let header = &self.header;
        let mut warnings = Vec::new();
        if header.size != self.size {
            warnings.push(format!("the disk's size of {} bytes is rounded up to whole sectors", header.size));
        }
        // Entries behind the disk's end may count, and are not looked at.
        if header.blocks == header.needed() && header.allocated != self.blocks.stored {
            warnings.push(format!(
                "the header counts {} stored blocks, but there are {}; it may not have been closed",
                header.allocated, self.blocks.stored
            ));
        }
        warnings
    }
}
