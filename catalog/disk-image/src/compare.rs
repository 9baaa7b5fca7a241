use crate::{DiskView, ImageError};

const PIECE: u64 = 1 << 20;

/// How two disks differ in what a guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// A byte, the first that is not the same.
    Byte {
        /// Where on the disk.
        offset: u64,
        /// The first disk's byte there.
        left: u8,
        /// The other's.
        right: u8,
    },
    /// One disk goes on where the other ends, and up to there they are the same.
    Length {
        /// The first disk's size, in bytes.
        left: u64,
        /// The other's.
        right: u64,
        /// Where the longer one holds anything but zeros beyond the end of the other.
        first_data: Option<u64>,
    },
}

/// Finds the first difference of two disks; `None` when a guest could not tell them apart by their bytes.
/// `progress` is told how many bytes have been compared.
///
/// # Errors
/// What the views fail with.
pub fn first_difference(
    left: &dyn DiskView,
    right: &dyn DiskView,
    progress: &dyn Fn(u64),
) -> Result<Option<Difference>, ImageError> {
    let common = left.size().min(right.size());
    let mut buffers = [vec![0; buffer_length(common)], vec![0; buffer_length(common)]];
    let mut at = 0;
    while at < common {
        let (left_run, right_run) = (run(left, at)?, run(right, at)?);
        let end = at.saturating_add(left_run.1.min(right_run.1)).min(common);
        if (left_run.0 || right_run.0)
            && let Some(difference) = compare_range([left, right], at..end, &mut buffers, progress)?
        {
            return Ok(Some(difference));
        }
        at = end;
        progress(at);
    }
    if left.size() == right.size() {
        return Ok(None);
    }
    let longer = if left.size() > right.size() { left } else { right };
    let first_data = first_data(longer, common, progress)?;
    Ok(Some(Difference::Length { left: left.size(), right: right.size(), first_data }))
}

/// Whether what stands at a place may be something, and for how many bytes that holds.
fn run(view: &dyn DiskView, at: u64) -> Result<(bool, u64), ImageError> {
    let extent = view.extent_at(at)?;
    Ok(extent.map_or((false, 1), |extent| (extent.kind.is_data(), extent.length.max(1))))
}

fn compare_range(
    views: [&dyn DiskView; 2],
    range: std::ops::Range<u64>,
    buffers: &mut [Vec<u8>; 2],
    progress: &dyn Fn(u64),
) -> Result<Option<Difference>, ImageError> {
    let mut at = range.start;
    while at < range.end {
        let length = usize::try_from(PIECE.min(range.end - at)).unwrap_or(0);
        for (view, buffer) in views.iter().zip(buffers.iter_mut()) {
            view.read_at(at, &mut buffer[..length])?;
        }
        let (left, right) = (&buffers[0][..length], &buffers[1][..length]);
        // The comparison of whole slices is the quick one.
        if left != right
            && let Some(place) = left.iter().zip(right).position(|(left, right)| left != right)
        {
            let (left, right) = (left[place], right[place]);
            return Ok(Some(Difference::Byte { offset: at + place as u64, left, right }));
        }
        at += length as u64;
        progress(at);
    }
    Ok(None)
}

/// The first byte from `from` on that is not zero.
fn first_data(view: &dyn DiskView, from: u64, progress: &dyn Fn(u64)) -> Result<Option<u64>, ImageError> {
    let mut buffer = vec![0; buffer_length(view.size() - from)];
    let mut at = from;
    while at < view.size() {
        let (is_data, length) = run(view, at)?;
        let end = at.saturating_add(length).min(view.size());
        while is_data && at < end {
            let part = &mut buffer[..usize::try_from(PIECE.min(end - at)).unwrap_or(0)];
            view.read_at(at, part)?;
            if let Some(place) = part.iter().position(|byte| *byte != 0) {
                return Ok(Some(at + place as u64));
            }
            at += part.len() as u64;
        }
        at = end;
        progress(at);
    }
    Ok(None)
}

fn buffer_length(bytes: u64) -> usize {
    usize::try_from(PIECE.min(bytes)).unwrap_or(0)
}
