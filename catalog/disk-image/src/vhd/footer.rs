use super::{
    DIFFERENCING, DYNAMIC, FIXED, FOOTER, FOOTER_COOKIE, LARGEST, checksum, fields::Fields, geometry::Geometry, refused,
};
use crate::{ImageError, SECTOR, source::ImageFile};

const VERSION: usize = 12;
const CURRENT_SIZE: usize = 48;
const DISK_TYPE: usize = 60;
const CHECKSUM: usize = 64;
/// Files of the oldest tools lack the footer's last byte, which is nothing but padding.
const LENGTHS: [u64; 2] = [512, 511];

/// A footer whose every number has been checked, alone.
#[derive(Debug, Clone)]
pub(super) struct Footer {
    pub(super) kind: Kind,
    /// The disk's size, in bytes.
    pub(super) size: u64,
    pub(super) geometry: Geometry,
    pub(super) creator: [u8; 4],
    pub(super) creator_version: u32,
    pub(super) creator_host: [u8; 4],
    /// Seconds since the year 2000, in UTC.
    pub(super) time_stamp: u32,
    pub(super) unique_id: [u8; 16],
    pub(super) is_saved_state: bool,
}

/// How a disk is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Byte for byte before the footer.
    Fixed,
    /// In blocks that a table leads to.
    Dynamic {
        /// Where the dynamic disk's header stands, in bytes.
        header: u64,
    },
}

/// The footer that is believed, and where the one at the end of the file stands.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) footer: Footer,
    /// Where it stands, in bytes.
    pub(super) place: u64,
    /// Where the final footer begins, in bytes: the end of all that the disk may lie in.
    pub(super) end: u64,
    pub(super) warnings: Vec<String>,
}

/// Finds the footer: the one at the end, or its copy at the beginning when that at the end is damaged.
///
/// A file without a footer at the end is refused whatever stands at the beginning: it was cut off. Two sound footers
/// that tell different disks are refused too, since programs differ in which they believe.
pub(super) fn find(source: &ImageFile) -> Result<Found, ImageError> {
    let Some(end) = end_of_disk(source)? else {
        let place = source.length().saturating_sub(LENGTHS[0]);
        return Err(refused(
            "cookie",
            place,
            "is missing in the footer: the file was cut off, or something was appended",
        ));
    };
    let last: [u8; FOOTER] = source.read_array(end)?;
    let copy: [u8; FOOTER] = source.read_array(0)?;
    // Before a fixed disk's footer stands the guest's own first sector, which may hold anything.
    let has_copy = is_sound(&copy) && end != 0 && Fields(&copy).u32(DISK_TYPE) != FIXED;
    let mut warnings = Vec::new();
    if !is_sound(&last) {
        if !has_copy {
            let place = end + CHECKSUM as u64;
            return Err(refused("checksum", place, "is wrong, and there is no sound copy of the footer"));
        }
        warnings.push("the footer at the end is damaged; its copy at the beginning is used".to_owned());
        return Ok(Found { footer: Footer::read(&copy, 0, source)?, place: 0, end, warnings });
    }
    if has_copy && essence(&last) != essence(&copy) {
        let problem = "tells another disk than the footer at the end; repair the image with the program that made it";
        return Err(refused("footer copy", 0, problem));
    }
    let footer = Footer::read(&last, end, source)?;
    if footer.kind != Kind::Fixed && last != copy {
        warnings.push(if has_copy {
            "the footer's copy at the beginning differs from it in what a guest does not see".to_owned()
        } else {
            "the footer's copy at the beginning is damaged".to_owned()
        });
    }
    Ok(Found { footer, place: end, end, warnings })
}

/// Where the footer at the end begins.
fn end_of_disk(source: &ImageFile) -> Result<Option<u64>, ImageError> {
    for length in LENGTHS {
        if let Some(place) = source.length().checked_sub(length)
            && source.read_array(place)? == FOOTER_COOKIE
        {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn is_sound(footer: &[u8; FOOTER]) -> bool {
    footer.starts_with(&FOOTER_COOKIE) && Fields(footer).u32(CHECKSUM) == checksum(footer, CHECKSUM)
}

/// All that decides which bytes a guest sees.
fn essence(footer: &[u8; FOOTER]) -> (u32, u64, u64) {
    let fields = Fields(footer);
    (fields.u32(DISK_TYPE), fields.u64(16), fields.u64(CURRENT_SIZE))
}

impl Footer {
    /// Checks a sound footer that stands at this place of the file.
    fn read(bytes: &[u8; FOOTER], place: u64, source: &ImageFile) -> Result<Self, ImageError> {
        let fields = Fields(bytes);
        let refuse = |field, at: usize, problem: String| Err(refused(field, place + at as u64, problem));
        let major = fields.u16(VERSION);
        if major != 1 {
            return refuse("file_format_version", VERSION, format!("is {major}; version 1 is read"));
        }
        let header = fields.u64(16);
        let kind = match fields.u32(DISK_TYPE) {
            FIXED => Kind::Fixed,
            DYNAMIC => Kind::Dynamic { header },
            DIFFERENCING => {
                let parent = super::header::parent_of(source, header)?;
                let problem = "and an image must stand alone; merge it with its parent first";
                return refuse("disk_type", DISK_TYPE, format!("is 4: it holds changes of {parent:?}, {problem}"));
            }
            other => return refuse("disk_type", DISK_TYPE, format!("is {other}; 2 (fixed) and 3 (dynamic) are read")),
        };
        let size = fields.u64(CURRENT_SIZE);
        if size > LARGEST {
            return refuse("current_size", CURRENT_SIZE, format!("is {size} bytes; a VHD holds at most {LARGEST}"));
        }
        if !size.is_multiple_of(SECTOR) {
            return refuse("current_size", CURRENT_SIZE, format!("is {size} bytes, not a multiple of 512"));
        }
        let [heads, sectors_per_track] = fields.bytes(58);
        Ok(Self {
            kind,
            size,
            geometry: Geometry { cylinders: fields.u16(56), heads, sectors_per_track },
            creator: fields.bytes(28),
            creator_version: fields.u32(32),
            creator_host: fields.bytes(36),
            time_stamp: fields.u32(24),
            unique_id: fields.bytes(68),
            is_saved_state: bytes[84] != 0,
        })
    }
}
