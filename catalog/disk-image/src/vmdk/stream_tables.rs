//! What stands in a stream besides grains.

use super::{
    ENTRIES, TABLE,
    description::embedded,
    sparse_format::{DESCRIPTOR, GRAIN, HeaderFields, sector},
    stream_format::{StreamVmdkFormat, TABLE_WITH_MARKER},
};
use crate::{
    SECTOR,
    layout::{
        Identity, PackedUnits,
        units::{put, put_table},
    },
};

/// Footer marker, footer, marker of the end.
pub(super) const END: u64 = 3 * SECTOR;

/// The directory stands where the footer says.
const AT_END: u64 = u64::MAX;

/// What a marker announces.
#[derive(Clone, Copy)]
enum Marker {
    Table = 1,
    Directory = 2,
    Footer = 3,
}

impl Marker {
    /// Before so many bytes.
    fn bytes(self, length: u64) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(length / SECTOR).to_le_bytes());
        bytes[12] = self as u8;
        bytes
    }
}

pub(super) fn read_metadata(
    format: &StreamVmdkFormat,
    units: &PackedUnits<StreamVmdkFormat>,
    identity: &Identity,
    offset: u64,
    buffer: &mut [u8],
) {
    let header = |directory| HeaderFields {
        version: 3,
        // Newline test, compressed, markers.
        flags: 0x3_0001,
        capacity: format.capacity,
        redundant: 0,
        directory,
        overhead: GRAIN,
        compression: 1,
    };
    if offset < GRAIN * SECTOR {
        put(buffer, offset, 0, &header(AT_END).bytes());
        let text = embedded("streamOptimized", format.capacity, identity);
        put(buffer, offset, DESCRIPTOR * SECTOR, text.as_bytes());
    }
    put_tables(format, units, offset, buffer);

    let marker = units.end().end();
    let directory = marker + SECTOR;
    put(buffer, offset, marker, &Marker::Directory.bytes(format.directory()));
    put_table(buffer, offset, directory, format.tables(), |number| {
        let place = place_of_table(format, units, number);
        place.map_or(0, |place| sector(place / SECTOR)).to_le_bytes()
    });
    let footer = directory + format.directory();
    put(buffer, offset, footer, &Marker::Footer.bytes(SECTOR));
    put(buffer, offset, footer + SECTOR, &header(directory / SECTOR).bytes());
}

/// The tables, each behind its last grain.
fn put_tables(format: &StreamVmdkFormat, units: &PackedUnits<StreamVmdkFormat>, offset: u64, buffer: &mut [u8]) {
    let end = offset + buffer.len() as u64;
    let mut next = units.at(format, offset).map(|placed| placed.unit / ENTRIES);
    while let Some(number) = next {
        let Some(place) = place_of_table(format, units, number).filter(|place| place - SECTOR < end) else { break };
        put(buffer, offset, place - SECTOR, &Marker::Table.bytes(TABLE));
        if place + TABLE_WITH_MARKER > offset {
            for placed in units.placed(format, units.stored().rank(number * ENTRIES)) {
                if placed.unit / ENTRIES != number {
                    break;
                }
                let entry = sector(placed.place / SECTOR).to_le_bytes();
                put(buffer, offset, place + placed.unit % ENTRIES * 4, &entry);
            }
        }
        next = units.stored().next((number + 1) * ENTRIES).map(|unit| unit / ENTRIES);
    }
}

/// Where a table stands, in bytes, behind its marker; `None` when it has no grains.
fn place_of_table(format: &StreamVmdkFormat, units: &PackedUnits<StreamVmdkFormat>, number: u64) -> Option<u64> {
    let (from, to) = (number * ENTRIES, (number + 1) * ENTRIES);
    if !units.stored().any(from, to) {
        return None;
    }
    let last = units.placed(format, units.stored().rank(to) - 1).next()?;
    Some(last.place + u64::from(last.length) + SECTOR)
}
