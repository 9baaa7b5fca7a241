use std::ops::Range;

use super::{COPY_DISTANCE, HEADER_AT, HEADER_SECTION, MEBIBYTE, fields::*, refused};
use crate::{ImageError, source::ImageFile};

pub(super) const HEADER_LENGTH: usize = 4096;
const CREATOR_AT: u64 = 8;
const CREATOR_LENGTH: usize = 512;

const LOG_GUID: usize = 48;
const LOG_VERSION: usize = 64;
const VERSION: usize = 66;
pub(super) const LOG_LENGTH: usize = 68;
const LOG_OFFSET: usize = 72;

/// What the file identifier and the current header say (MS-VHDX 2.2.1 and 2.2.2).
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) creator: String,
    /// Where the current header stands.
    pub(super) at: u64,
    /// Of the two headers' the higher one.
    pub(super) sequence: u64,
    /// Whose log entries count; zero when there are none to replay.
    pub(super) log_guid: Guid,
    /// Where the log stands, in bytes.
    pub(super) log: Range<u64>,
    /// Which of the two headers is not sound.
    pub(super) damaged: Option<u8>,
}

impl Header {
    pub(super) fn read(source: &ImageFile) -> Result<Self, ImageError> {
        if source.length() < HEADER_SECTION {
            return Err(refused("file identifier", 0, "is of a file that has been cut off: it is shorter than 1 MiB"));
        }
        if &source.read_array::<8>(0)? != b"vhdxfile" {
            return Err(refused("Signature", 0, "is not that of VHDX"));
        }
        let first: [u8; HEADER_LENGTH] = source.read_array(HEADER_AT)?;
        let second: [u8; HEADER_LENGTH] = source.read_array(HEADER_AT + COPY_DISTANCE)?;
        let sequence = |header: &[u8]| Fields(header).u64(8);
        let sound = |header: &[u8]| is_sound(header, *b"head");
        let (current, at, damaged) = match (sound(&first), sound(&second)) {
            (false, false) => {
                return Err(refused("Checksum", HEADER_AT + 4, "is wrong in both headers; the image is damaged"));
            }
            (true, false) => (first, HEADER_AT, Some(2)),
            (false, true) => (second, HEADER_AT + COPY_DISTANCE, Some(1)),
            // Some tools write the same header twice.
            (true, true) if sequence(&first) == sequence(&second) && first != second => {
                let problem = "is the same in both headers, which differ: none of them is the current one";
                return Err(refused("SequenceNumber", HEADER_AT + 8, problem));
            }
            (true, true) if sequence(&first) < sequence(&second) => (second, HEADER_AT + COPY_DISTANCE, None),
            (true, true) => (first, HEADER_AT, None),
        };
        let fields = Fields(&current);
        Ok(Self {
            creator: creator(source)?,
            at,
            sequence: fields.u64(8),
            log_guid: fields.guid(LOG_GUID),
            log: log(&fields, at, source.length())?,
            damaged,
        })
    }
}

/// Where the log is, which must be right even when it is empty: nothing else may stand there.
fn log(fields: &Fields<'_>, header: u64, file_length: u64) -> Result<Range<u64>, ImageError> {
    let refuse = |field: &'static str, at: usize, problem: String| Err(refused(field, header + at as u64, problem));
    match (fields.u16(VERSION), fields.u16(LOG_VERSION)) {
        (1, 0) => {}
        (1, other) => return refuse("LogVersion", LOG_VERSION, format!("is {other}; version 0 is read")),
        (other, _) => return refuse("Version", VERSION, format!("is {other}; version 1 is read")),
    }
    let (start, length) = (fields.u64(LOG_OFFSET), u64::from(fields.u32(LOG_LENGTH)));
    if length == 0 {
        if fields.guid(LOG_GUID) != Guid::ZERO {
            return refuse("LogLength", LOG_LENGTH, "is 0, against a LogGuid that says there is a log".into());
        }
        return Ok(0..0);
    }
    if !length.is_multiple_of(MEBIBYTE) {
        return refuse("LogLength", LOG_LENGTH, format!("is {length}, not a multiple of 1 MiB"));
    }
    if start < HEADER_SECTION || !start.is_multiple_of(MEBIBYTE) {
        return refuse("LogOffset", LOG_OFFSET, format!("is {start}, not a multiple of 1 MiB from 1 MiB on"));
    }
    match start.checked_add(length) {
        Some(end) if end <= file_length => Ok(start..end),
        _ => refuse("LogOffset", LOG_OFFSET, "leads out of the file; it may have been cut off".into()),
    }
}

fn creator(source: &ImageFile) -> Result<String, ImageError> {
    let bytes: [u8; CREATOR_LENGTH] = source.read_array(CREATOR_AT)?;
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    Ok(char::decode_utf16(units.take_while(|unit| *unit != 0)).map(|c| c.unwrap_or('\u{fffd}')).collect())
}
