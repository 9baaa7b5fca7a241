//! Where each byte of an image's file comes from, known before any byte is written.
//!
//! A [`Layout`] is computed from which parts of a disk hold anything ([`AllocationMap`]), and from nothing else: the
//! length of the file, its own tables, and for each other byte where in the disk it stands. A file can thus be
//! written in one go, or served by ranges of bytes without ever being written ([`Rendering`]): both give the same.

mod allocation_map;
mod identity;
mod packed;
mod plain;
mod rendering;
pub(crate) mod units;

pub use allocation_map::AllocationMap;
pub(crate) use allocation_map::AllocationMapBuilder;
pub use identity::Identity;
pub use packed::{PackedFormat, PackedLayout, PackedUnits, Packer, PlacedUnit};
pub use plain::PlainLayout;
pub use rendering::Rendering;
pub use units::{UnitFormat, UnitLayout};
pub(crate) use units::{put, put_table};

/// The plan of an image's file.
pub trait Layout: Send + Sync {
    /// The whole file's length, in bytes.
    fn length(&self) -> u64;

    /// What the guest sees, in bytes: the disk's size, rounded up as the format demands.
    fn disk_size(&self) -> u64;

    /// The run of bytes of one origin that holds byte `offset` of the file, cut so that it begins there; `None` at
    /// the end of the file and beyond. Neighbours may be of one origin.
    fn segment_at(&self, offset: u64) -> Option<Segment>;

    /// Fills the buffer, which is all zeros, with the file's bytes from `offset` on. They must lie in one segment of
    /// [`Origin::Metadata`].
    fn read_metadata(&self, offset: u64, buffer: &mut [u8]);

    /// Guest bytes of a packed unit, for [`Origin::Packed`].
    fn unit(&self) -> u64 {
        0
    }

    /// Packs the units of [`Origin::Packed`]; `None` when there are none.
    fn packer(&self) -> Option<Box<dyn Packer>> {
        None
    }
}

/// Bytes of a file that come from one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes, never zero.
    pub length: u64,
    /// Where they come from.
    pub origin: Origin,
}

/// Where bytes of a file come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The layout computes them.
    Metadata,
    /// The disk's bytes from this one on. Behind the disk's end stand zeros.
    Guest(u64),
    /// What a unit packs to ([`Layout::packer`]), from this byte on.
    Packed {
        /// The unit's number in the guest.
        unit: u64,
        /// Bytes of the packed unit before these.
        within: u64,
    },
    /// Nothing but zeros, which a file need not store.
    Zero,
}
