use super::{at_header, cut_off};
use crate::{ImageError, source::ImageFile};

/// What headers and members are aligned to, in bytes.
pub(super) const BLOCK: u64 = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;

/// What a header begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// GNU's: the name of the next member.
    LongName,
    /// Attributes of the next member (pax).
    Extended,
    /// Attributes of all members (pax).
    Global,
    /// What it is, for the refusal.
    Refused(&'static str),
}

impl Kind {
    /// Whether pax attributes speak of it.
    pub(super) fn is_member(self) -> bool {
        matches!(self, Self::File | Self::Directory)
    }

    fn of(flag: u8) -> Self {
        match flag {
            b'0' | 0 | b'7' => Self::File,
            b'5' => Self::Directory,
            b'L' => Self::LongName,
            b'x' => Self::Extended,
            b'g' => Self::Global,
            b'1' => Self::Refused("a hard link"),
            b'2' | b'K' => Self::Refused("a symbolic link"),
            b'3' | b'4' => Self::Refused("a device"),
            b'6' => Self::Refused("a named pipe"),
            b'S' => Self::Refused("a sparse file"),
            b'M' => Self::Refused("the continuation of another archive"),
            _ => Self::Refused("of an unknown kind"),
        }
    }
}

/// One header, checked.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    /// Of what follows, in bytes.
    pub(super) size: u64,
}

/// Reads the header there; `None` at the archive's end, which is a block of zeros or the file's end.
pub(super) fn header_at(source: &ImageFile, at: u64) -> Result<Option<Header>, ImageError> {
    if at >= source.length() {
        return Ok(None);
    }
    let bytes: [u8; 512] = source.read_array(at)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if source.length() - at < BLOCK {
        return Err(cut_off(at));
    }
    let mut header = tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(&bytes);
    let (unsigned, signed) = sums(&bytes);
    let stored = header.cksum().map_err(|_| at_header(at, "has no checksum"))?;
    if stored != unsigned && i64::from(stored) != signed {
        return Err(at_header(at, "is damaged: its checksum is wrong"));
    }
    let size = header.entry_size().map_err(|_| at_header(at, "has a size that is no number"))?;
    Ok(Some(Header { kind: Kind::of(bytes[KIND]), name: header.path_bytes().into_owned(), size }))
}

/// The sum of all bytes with the checksum as spaces; old tools took bytes for signed.
fn sums(bytes: &[u8; 512]) -> (u32, i64) {
    let counted = |(index, byte): (usize, &u8)| if CHECKSUM.contains(&index) { b' ' } else { *byte };
    let all = || bytes.iter().enumerate().map(counted);
    (all().map(u32::from).sum(), all().map(|byte| i64::from(byte.cast_signed())).sum())
}
