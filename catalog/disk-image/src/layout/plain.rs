use super::{Layout, Origin, Segment};

/// A file with all of the guest's bytes in their places, and perhaps something behind them: raw, and fixed VHD.
pub struct PlainLayout {
    size: u64,
    tail: Vec<u8>,
}

impl PlainLayout {
    /// A disk of `size` bytes, with `tail` behind it.
    #[must_use]
    pub fn new(size: u64, tail: Vec<u8>) -> Self {
        Self { size, tail }
    }
}

impl Layout for PlainLayout {
    fn length(&self) -> u64 {
        self.size + self.tail.len() as u64
    }

    fn disk_size(&self) -> u64 {
        self.size
    }

    fn segment_at(&self, offset: u64) -> Option<Segment> {
        if offset < self.size {
            return Some(Segment { offset, length: self.size - offset, origin: Origin::Guest(offset) });
        }
        let length = self.length().checked_sub(offset).filter(|length| *length > 0)?;
        Some(Segment { offset, length, origin: Origin::Metadata })
    }

    fn read_metadata(&self, offset: u64, buffer: &mut [u8]) {
        super::units::put(buffer, offset, self.size, &self.tail);
    }
}
