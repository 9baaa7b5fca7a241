use super::{
    blocks::{Block, Blocks},
    header::Header,
    log::{LogState, replay},
    metadata::Metadata,
    refused,
    regions::Regions,
    replay::LoggedFile,
};
use crate::{
    DiskView, Extent, ExtentKind, Fact, ImageError, ImageFormat, ImageReader,
    source::{Allocation, ImageFile},
    view::check_range,
};

/// The most blocks that are put together to an extent: bounds the work of one question about a huge sparse disk.
const MOST_BLOCKS: u64 = 1 << 16;

/// A fixed or dynamic VHDX that stands alone.
#[derive(Debug)]
pub(super) struct VhdxImage {
    file: LoggedFile,
    header: Header,
    log: LogState,
    metadata: Metadata,
    blocks: Blocks,
    oddity: Option<&'static str>,
}

impl VhdxImage {
    /// Reads the headers, replays the log in memory, and checks all tables.
    pub(super) fn over(source: ImageFile) -> Result<Self, ImageError> {
        let header = Header::read(&source)?;
        let (file, log) = replay(&header, source)?;
        let regions = Regions::read(&file, &header)?;
        let metadata = Metadata::read(&file, &regions.metadata)?;
        let blocks = Blocks::read(&file, &regions, &metadata)?;
        Ok(Self { file, header, log, metadata, blocks, oddity: regions.oddity })
    }

    /// The block that holds byte `at`, the bytes of the disk from there to its end, and where they stand.
    fn split(&self, at: u64) -> (u64, u64, u64) {
        let (block, within) = (at / self.metadata.block_size, at % self.metadata.block_size);
        (block, within, (self.metadata.block_size - within).min(self.metadata.size - at))
    }

    /// Checked when the image was opened: the file has been changed under us.
    fn changed(&self, block: u64, state: u64) -> ImageError {
        refused("BAT entry", self.blocks.place_of_entry(block), format!("has changed to state {state}"))
    }
}

impl DiskView for VhdxImage {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vhdx
    }

    fn size(&self) -> u64 {
        self.metadata.size
    }

    fn logical_sector_size(&self) -> u32 {
        self.metadata.logical_sector_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.metadata.size, offset, buffer.len())?;
        let mut walk = self.blocks.walk(&self.file);
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let left = rest.len() as u64;
            let (block, within, mut length) = self.split(at);
            let found = walk.block(block)?;
            let mut next = block + 1;
            while length < left {
                let continues = match (found, walk.block(next)?) {
                    (Block::Stored(place), Block::Stored(there)) => place.checked_add(within + length) == Some(there),
                    (Block::Absent | Block::Zero, Block::Absent | Block::Zero) => true,
                    _ => false,
                };
                if !continues {
                    break;
                }
                length += self.metadata.block_size;
                next += 1;
            }
            let (part, behind) = rest.split_at_mut(usize::try_from(length.min(left)).unwrap_or(0));
            match found {
                Block::Absent | Block::Zero => part.fill(0),
                Block::Stored(place) => self.file.read_padded(place + within, part)?,
                Block::Invalid(state) => return Err(self.changed(block, state)),
            }
            at += part.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        if from >= self.metadata.size {
            return Ok(None);
        }
        let mut walk = self.blocks.walk(&self.file);
        let (first, within, mut length) = self.split(from);
        let found = walk.block(first)?;
        let last = (self.metadata.size - 1) / self.metadata.block_size;
        for next in first + 1..=last.min(first + MOST_BLOCKS) {
            let continues = match (found, walk.block(next)?) {
                (Block::Stored(place), Block::Stored(there)) => place.checked_add(within + length) == Some(there),
                (here, there) => here == there,
            };
            if !continues {
                break;
            }
            length += self.split(next * self.metadata.block_size).2;
        }
        let kind = match found {
            Block::Absent => ExtentKind::Absent,
            Block::Zero => ExtentKind::Zero,
            Block::Invalid(state) => return Err(self.changed(first, state)),
            // Blocks are large, and often most of one was never written: the file system knows.
            Block::Stored(place) => {
                let start = place + within;
                let (end, kind) = match self.file.allocation(start)? {
                    Allocation::DataUntil(end) => (end, ExtentKind::Data),
                    Allocation::HoleUntil(end) => (end, ExtentKind::Zero),
                };
                length = end.saturating_sub(start).clamp(1, length);
                kind
            }
        };
        Ok(Some(Extent { offset: from, length, kind }))
    }
}

impl ImageReader for VhdxImage {
    fn facts(&self) -> Vec<Fact> {
        let metadata = &self.metadata;
        vec![
            Fact::new("version", 1_u32),
            Fact::new("type", if metadata.fixed { "fixed" } else { "dynamic" }),
            Fact::new("creator", self.header.creator.as_str()),
            Fact::new("block-size", metadata.block_size),
            Fact::new("logical-sector-size", metadata.logical_sector_size),
            Fact::new("physical-sector-size", metadata.physical_sector_size),
            Fact::new("virtual-disk-id", metadata.disk_id.to_string()),
            Fact::new("sequence-number", self.header.sequence),
            Fact::new(
                "log",
                match self.log {
                    LogState::Empty => "empty",
                    LogState::Unused => "without entries",
                    LogState::Replayed(_) => "replayed",
                },
            ),
        ]
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(number) = self.header.damaged {
            warnings.push(format!("header {number} is damaged; the other one is used"));
        }
        warnings.extend(self.oddity.map(str::to_owned));
        match self.log {
            LogState::Empty => {}
            LogState::Unused => warnings.push("the image was not closed; its log has nothing to replay".into()),
            LogState::Replayed(1) => {
                warnings.push("the image was not closed; an entry of its log is replayed in memory".into());
            }
            LogState::Replayed(entries) => {
                warnings.push(format!("the image was not closed; {entries} entries of its log are replayed in memory"));
            }
        }
        warnings
    }
}
