use crate::{ImageError, ImageFormat};

/// The unit of every disk size, in bytes.
pub const SECTOR: u64 = 512;

/// The largest disk that is read or written, in bytes: 64 TiB, the most that all formats' specifications share.
pub const LARGEST_DISK: u64 = 64 << 40;

/// Most bytes that [`for_each_piece`] reads at a time.
const PIECE: u64 = 1 << 20;
/// Most zeros that [`for_each_piece`] reports at a time, so that progress moves and a cancellation is noticed.
const ZERO_PIECE: u64 = 64 << 20;

/// What a guest sees of an image, whatever the format.
///
/// Reads may come from many threads at once and at any offset.
pub trait DiskView: Send + Sync {
    /// The format of the file behind the view.
    fn format(&self) -> ImageFormat;

    /// The size that the guest sees, in bytes: a multiple of [`SECTOR`], at most [`LARGEST_DISK`].
    fn size(&self) -> u64;

    /// The guest's unit of access in bytes, 512 or 4096: no part of a disk's content, but of how a guest addresses it.
    fn logical_sector_size(&self) -> u32 {
        512
    }

    /// Fills the whole buffer with the guest's bytes from `offset` on.
    ///
    /// # Errors
    /// [`ImageError::OutOfDisk`] when the range leaves the disk; whatever the reader meets in the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError>;

    /// The extent that holds byte `from`, cut so that it begins there; `None` at the end of the disk or beyond.
    ///
    /// Neighbours may be of one kind, and data may turn out to be zeros; a zero extent is nothing but zeros.
    ///
    /// # Errors
    /// Whatever the reader meets in the file.
    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError>;
}

/// A run of a disk's bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Bytes, never zero.
    pub length: u64,
    /// What the bytes are.
    pub kind: ExtentKind,
}

/// What is known of a run without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentKind {
    /// Stored bytes.
    Data,
    /// Zeros that the file says are there, without room for them.
    Zero,
    /// Never written, which reads as zeros.
    Absent,
}

impl ExtentKind {
    /// Whether a guest can see anything but zeros.
    #[must_use]
    pub fn is_data(self) -> bool {
        matches!(self, Self::Data)
    }
}

/// What [`for_each_piece`] hands over.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Stored bytes, at most 1 MiB.
    Data(&'a [u8]),
    /// So many zeros, at most 64 MiB.
    Zero(u64),
}

impl Piece<'_> {
    /// The guest's bytes in this piece.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Zero(length) => *length,
        }
    }
}

/// Reads a disk from its first byte to its last, and hands over each piece with its offset.
///
/// # Errors
/// The first error of the view or of `take`.
pub fn for_each_piece<E: From<ImageError>>(
    view: &dyn DiskView,
    mut take: impl FnMut(u64, Piece<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let size = view.size();
    let mut buffer = vec![0; usize::try_from(PIECE.min(size)).unwrap_or(0)];
    let mut at = 0;
    while at < size {
        let Some(extent) = view.extent_at(at)? else { break };
        // A view that answers nonsense may cost time, but must not cost bytes nor the end of the loop.
        let end = at + extent.length.clamp(1, size - at);
        while at < end {
            let piece = match extent.kind {
                ExtentKind::Zero | ExtentKind::Absent => Piece::Zero(ZERO_PIECE.min(end - at)),
                ExtentKind::Data => {
                    // Up to the next multiple, so that clusters of any size are met whole.
                    let length = (PIECE - at % PIECE).min(end - at);
                    let part = &mut buffer[..usize::try_from(length).unwrap_or(0)];
                    view.read_at(at, part)?;
                    Piece::Data(part)
                }
            };
            take(at, piece)?;
            at += piece.length();
        }
    }
    Ok(())
}

/// The extent at a place, put together from runs of one kind that `run` answers for a place and the most bytes wanted,
/// up to `longest` bytes.
pub(crate) fn joined_extent(
    size: u64,
    from: u64,
    longest: u64,
    run: impl Fn(u64, u64) -> Result<(ExtentKind, u64), ImageError>,
) -> Result<Option<Extent>, ImageError> {
    if from >= size {
        return Ok(None);
    }
    let most = longest.min(size - from);
    let (kind, mut length) = run(from, most)?;
    while length < most {
        let (next, more) = run(from + length, most - length)?;
        if next != kind {
            break;
        }
        length += more;
    }
    Ok(Some(Extent { offset: from, length, kind }))
}

/// Refuses a read that leaves the disk; every reader's first line.
pub(crate) fn check_range(size: u64, offset: u64, length: usize) -> Result<(), ImageError> {
    let length = length as u64;
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        _ => Err(ImageError::OutOfDisk { offset, length, size }),
    }
}

/// Reads with zeros behind the disk's end: a target may be rounded up, or end within a unit.
pub(crate) fn read_padded(view: &dyn DiskView, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
    let there = view.size().saturating_sub(offset);
    let there = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
    let (stored, beyond) = buffer.split_at_mut(there);
    beyond.fill(0);
    if stored.is_empty() { Ok(()) } else { view.read_at(offset, stored) }
}
