use std::fmt;

/// Little-endian numbers at fixed places of bytes that are long enough.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(there) = self.0.get(at..at + N) {
            bytes.copy_from_slice(there);
        }
        bytes
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    pub(super) fn guid(&self, at: usize) -> Guid {
        Guid(self.bytes(at))
    }
}

/// An identifier as it stands in the file: its first three numbers are little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guid([u8; 16]);

impl Guid {
    pub(super) const ZERO: Self = Self([0; 16]);

    /// From the number that its printed form is.
    pub(super) const fn new(printed: u128) -> Self {
        Self::from_printed(printed.to_be_bytes())
    }

    pub(super) const fn from_printed(p: [u8; 16]) -> Self {
        let [a, b, c, d] = [p[3], p[2], p[1], p[0]];
        Self([a, b, c, d, p[5], p[4], p[7], p[6], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]])
    }

    pub(super) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The order of bytes is undone by doing it once more.
        let Self(printed) = Self::from_printed(self.0);
        for (i, byte) in printed.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Where all structures with a checksum have it.
pub(super) const CHECKSUM_AT: usize = 4;

/// The CRC-32C of a structure, its own field counted as zeros.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let (before, rest) = bytes.split_at(CHECKSUM_AT.min(bytes.len()));
    let behind = rest.get(4..).unwrap_or(&[]);
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]), behind)
}

/// Whether a structure has this signature and a checksum that is right.
pub(super) fn is_sound(bytes: &[u8], signature: [u8; 4]) -> bool {
    bytes.starts_with(&signature) && Fields(bytes).u32(CHECKSUM_AT) == checksum(bytes)
}
