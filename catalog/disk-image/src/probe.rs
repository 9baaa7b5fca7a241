use crate::{ForeignFormat, ImageError, ImageFormat, container::Compression, qcow2, source::ImageFile};

/// What the bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// An image of this format, which is never raw.
    Image(ImageFormat),
    /// A tar archive, which may be an OVA.
    Archive,
    /// The text of an OVF, whose disks are files beside it.
    Ovf,
    /// A compressed stream.
    Compressed(Compression),
    /// Something that has no reader.
    Foreign(ForeignFormat),
    /// Nothing that is known, which is how a raw disk looks.
    Nothing,
}

impl Found {
    /// As a clause for an error.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Image(format) => format!("it is a {format} image"),
            Self::Archive => "it is a tar archive".into(),
            Self::Ovf => "it is the description of a machine (OVF)".into(),
            Self::Compressed(compression) => format!("it is a {compression} file"),
            Self::Foreign(format) => format!("it is {format}"),
            Self::Nothing => "it has no mark of a known format".into(),
        }
    }
}

const HEAD: usize = 512;
const ISO_MARK: u64 = 32769;

const AT_START: [(&[u8], Found); 15] = [
    (b"KDMV", Found::Image(ImageFormat::Vmdk)),
    (b"# Disk DescriptorFile", Found::Image(ImageFormat::Vmdk)),
    (b"COWD", Found::Foreign(ForeignFormat::EsxiSnapshot)),
    (b"\xbe\xba\xfe\xca\0\0\0\0", Found::Foreign(ForeignFormat::EsxiSnapshot)),
    (b"vhdxfile", Found::Image(ImageFormat::Vhdx)),
    (b"conectix", Found::Image(ImageFormat::Vhd)),
    (b"QED\0", Found::Foreign(ForeignFormat::Qed)),
    (b"WithoutFreeSpace", Found::Foreign(ForeignFormat::Parallels)),
    (b"WithouFreSpacExt", Found::Foreign(ForeignFormat::Parallels)),
    (b"LUKS\xba\xbe", Found::Foreign(ForeignFormat::Luks)),
    (b"\x1f\x8b", Found::Compressed(Compression::Gzip)),
    (b"\xfd7zXZ\0", Found::Compressed(Compression::Xz)),
    (b"\x28\xb5\x2f\xfd", Found::Compressed(Compression::Zstd)),
    // A frame to skip, which pzstd begins with.
    (b"\x50\x2a\x4d\x18", Found::Compressed(Compression::Zstd)),
    (b"BZh", Found::Compressed(Compression::Bzip2)),
];

/// Looks for the marks of formats, where each of them puts its own.
pub(crate) fn probe(source: &ImageFile) -> Result<Found, ImageError> {
    let head: [u8; HEAD] = source.read_array(0)?;
    if head.starts_with(&qcow2::MAGIC) {
        let known = matches!(head[4..8], [0, 0, 0, 2 | 3]);
        return Ok(if known { Found::Image(ImageFormat::Qcow2) } else { Found::Foreign(ForeignFormat::Qcow) });
    }
    if let Some((_, found)) = AT_START.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Ok(*found);
    }
    if head[64..68] == 0xbeda_107f_u32.to_le_bytes() {
        return Ok(Found::Image(ImageFormat::Vdi));
    }
    if &head[257..262] == b"ustar" {
        return Ok(Found::Archive);
    }
    if is_ovf(&head) {
        return Ok(Found::Ovf);
    }
    // VHD's footer is one byte shorter in files of the oldest tools.
    for (from_end, expected, found) in [
        (512, b"conectix".as_slice(), Found::Image(ImageFormat::Vhd)),
        (511, b"conectix", Found::Image(ImageFormat::Vhd)),
        (512, b"koly", Found::Foreign(ForeignFormat::Dmg)),
    ] {
        if let Some(offset) = source.length().checked_sub(from_end)
            && source.read_array::<8>(offset)?.starts_with(expected)
        {
            return Ok(found);
        }
    }
    let is_disc = source.read_array::<8>(ISO_MARK)?.starts_with(b"CD001");
    Ok(if is_disc { Found::Foreign(ForeignFormat::Iso9660) } else { Found::Nothing })
}

/// XML whose root, the first element that is no declaration or comment, is an `Envelope`.
fn is_ovf(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head));
    let text = text.trim_start();
    text.starts_with('<') && (text.contains("<Envelope") || text.contains(":Envelope"))
}
