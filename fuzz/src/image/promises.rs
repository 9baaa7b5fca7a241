//! What every view of a disk promises, whatever its file holds.

use disk_image::{Extent, FactValue, ImageError, ImageFormat, ImageReader, LARGEST_DISK, SECTOR};

use super::{beside::SECRET, line, refusal};

/// Extents that are walked through.
const MOST_EXTENTS: usize = 4096;
/// Extents that are read at their edges.
const MOST_READ: usize = 12;
/// Bytes read at an edge: odd, and more than the smallest units.
const READ: u64 = 4711;
/// What facts may cost in words, in characters.
const FACT: usize = 256;
/// Sentences of damage that are asked for.
const DAMAGE: usize = 16;

/// Looks at the disk from all sides.
pub fn check(image: &dyn ImageReader) {
    let size = image.size();
    assert!(size.is_multiple_of(SECTOR) && size <= LARGEST_DISK, "a disk of {size} bytes");
    assert!(matches!(image.logical_sector_size(), 512 | 4096));
    says(image);

    assert!(image.extent_at(size).expect("the end is no error").is_none());
    image.read_at(size, &mut []).expect("nothing can be read at the end");
    assert!(matches!(image.read_at(size, &mut [0]), Err(ImageError::OutOfDisk { .. })));
    assert!(matches!(image.read_at(u64::MAX, &mut [0; 2]), Err(ImageError::OutOfDisk { .. })));
    if size == 0 {
        return;
    }

    let extents = walk(image);
    // The first ones, and those before the end.
    let (first, rest) = extents.split_at(extents.len().min(MOST_READ));
    let last = &rest[rest.len().saturating_sub(MOST_READ)..];
    for extent in first.iter().chain(last) {
        cut(image, *extent);
        edges(image, *extent);
    }
    for at in [size / 2, size - SECTOR, size - 1] {
        let extent = extent_at(image, at);
        edges(image, extent);
        // Across whatever begins there.
        read(image, at.saturating_sub(READ / 2), READ.min(size - at.saturating_sub(READ / 2)), false);
    }
}

fn says(image: &dyn ImageReader) {
    for fact in image.facts() {
        line(fact.name);
        if let FactValue::Text(text) = &fact.value {
            assert!(text.chars().count() <= FACT && !text.chars().any(char::is_control), "{fact:?}");
        }
    }
    image.warnings().iter().for_each(|warning| line(warning));
    match image.damage(DAMAGE) {
        Ok(damage) => {
            assert!(damage.len() <= DAMAGE, "{} sentences", damage.len());
            damage.iter().for_each(|sentence| line(sentence));
        }
        Err(error) => refusal(&error),
    }
}

fn walk(image: &dyn ImageReader) -> Vec<Extent> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < image.size() && extents.len() < MOST_EXTENTS {
        let extent = extent_at(image, at);
        at += extent.length;
        extents.push(extent);
    }
    extents
}

/// The extent at a place within the disk. The tables were checked when the image was opened: there is no error left.
fn extent_at(image: &dyn ImageReader, at: u64) -> Extent {
    let extent = image.extent_at(at).expect("tables are checked by opening").expect("it is before the end");
    assert!(extent.offset == at && extent.length > 0 && extent.length <= image.size() - at, "{extent:?} at {at}");
    extent
}

/// A part of an extent, from a sector's beginning on, is of the extent's kind, and ends no earlier.
fn cut(image: &dyn ImageReader, extent: Extent) {
    for within in [extent.length / 2, extent.length - 1] {
        let within = within / SECTOR * SECTOR;
        let part = extent_at(image, extent.offset + within);
        assert_eq!(part.kind, extent.kind, "{part:?} of {extent:?}");
        assert!(part.offset + part.length >= extent.offset + extent.length, "{part:?} of {extent:?}");
    }
}

fn edges(image: &dyn ImageReader, extent: Extent) {
    let length = extent.length.min(READ);
    let zero = !extent.kind.is_data();
    read(image, extent.offset, length, zero);
    read(image, extent.offset + extent.length - length, length, zero);
}

/// Reads at once and in two pieces.
fn read(image: &dyn ImageReader, at: u64, length: u64, zero: bool) {
    let mut whole = vec![0xaa; length as usize];
    let mut pieces = vec![0x55; length as usize];
    let (left, right) = pieces.split_at_mut((length / 3) as usize);
    let results =
        [image.read_at(at, &mut whole), image.read_at(at, left).and_then(|()| image.read_at(at + length / 3, right))];
    if results.iter().all(Result::is_ok) {
        assert!(whole == pieces, "{length} bytes at {at} differ when they are read in two pieces");
        assert!(!zero || whole == vec![0; whole.len()], "{length} bytes at {at} are no zeros");
        // The files that hold it hold nothing else: it begins soon, wherever one was read from.
        let secret = &*SECRET;
        assert!(
            !whole.windows(secret.len()).take(secret.len()).any(|bytes| bytes == secret),
            "a file outside was read"
        );
        return;
    }
    assert!(results.iter().all(Result::is_err), "a read depends on how it is cut: {results:?}");
    // Only what is compressed may turn out to be damaged when it is read.
    assert!(!zero && matches!(image.format(), ImageFormat::Qcow2 | ImageFormat::Vmdk), "{results:?}");
    results.iter().filter_map(|result| result.as_ref().err()).for_each(refusal);
}
