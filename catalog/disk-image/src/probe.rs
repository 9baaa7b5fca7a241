use crate::{ForeignFormat, ImageError, ImageFormat, qcow2, source::ImageFile};

/// What the bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Qcow2,
    Foreign(ForeignFormat),
    /// Nothing that is known, which is how a raw disk looks.
    Nothing,
}

impl Found {
    /// As a clause for an error.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Qcow2 => format!("it is a {} image", ImageFormat::Qcow2),
            Self::Foreign(format) => format!("it is {format}"),
            Self::Nothing => "it has no mark of a known format".into(),
        }
    }
}

const HEAD: usize = 512;
const ISO_MARK: u64 = 32769;

const AT_START: [(&[u8], ForeignFormat); 14] = [
    (b"KDMV", ForeignFormat::Vmdk),
    (b"COWD", ForeignFormat::Vmdk),
    (b"\xbe\xba\xfe\xca\0\0\0\0", ForeignFormat::Vmdk),
    (b"# Disk DescriptorFile", ForeignFormat::Vmdk),
    (b"vhdxfile", ForeignFormat::Vhdx),
    (b"conectix", ForeignFormat::Vhd),
    (b"QED\0", ForeignFormat::Qed),
    (b"WithoutFreeSpace", ForeignFormat::Parallels),
    (b"WithouFreSpacExt", ForeignFormat::Parallels),
    (b"LUKS\xba\xbe", ForeignFormat::Luks),
    (b"\x1f\x8b", ForeignFormat::Gzip),
    (b"\xfd7zXZ\0", ForeignFormat::Xz),
    (b"\x28\xb5\x2f\xfd", ForeignFormat::Zstd),
    (b"BZh", ForeignFormat::Bzip2),
];

/// Looks for the marks of formats, where each of them puts its own.
pub(crate) fn probe(source: &ImageFile) -> Result<Found, ImageError> {
    let mut head = [0; HEAD];
    source.read_padded(0, &mut head)?;
    if head.starts_with(&qcow2::MAGIC) {
        let known = matches!(head[4..8], [0, 0, 0, 2 | 3]);
        return Ok(if known { Found::Qcow2 } else { Found::Foreign(ForeignFormat::Qcow) });
    }
    if let Some((_, format)) = AT_START.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Ok(Found::Foreign(*format));
    }
    if head[64..68] == 0xbeda_107f_u32.to_le_bytes() {
        return Ok(Found::Foreign(ForeignFormat::Vdi));
    }
    if &head[257..262] == b"ustar" {
        return Ok(Found::Foreign(ForeignFormat::Tar));
    }
    let mut mark = [0; 8];
    // VHD's footer is one byte shorter in files of the oldest tools.
    for (from_end, expected, format) in [
        (512, b"conectix".as_slice(), ForeignFormat::Vhd),
        (511, b"conectix", ForeignFormat::Vhd),
        (512, b"koly", ForeignFormat::Dmg),
    ] {
        if let Some(offset) = source.length().checked_sub(from_end) {
            source.read_padded(offset, &mut mark)?;
            if mark.starts_with(expected) {
                return Ok(Found::Foreign(format));
            }
        }
    }
    source.read_padded(ISO_MARK, &mut mark)?;
    Ok(if mark.starts_with(b"CD001") { Found::Foreign(ForeignFormat::Iso9660) } else { Found::Nothing })
}
