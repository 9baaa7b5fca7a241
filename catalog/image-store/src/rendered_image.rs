use disk_image::{
    ContentDigest, DiskView, ImageFormat,
    convert::Target,
    layout::{Identity, Layout, Origin, Rendering},
};

use crate::{ImageStore, StoreError};

/// Bytes of metadata that are looked at together.
const PIECE: usize = 1 << 20;

/// A stored image as a file of one format, readable at any place, without that file.
///
/// Its bytes never change; two with the same [`RenderedImage::validator`] have the same bytes.
pub struct RenderedImage {
    format: ImageFormat,
    view: Box<dyn DiskView>,
    layout: Box<dyn Layout>,
    validator: String,
}

impl RenderedImage {
    /// Plans the file. What may be zeros in the disk is asked of the file system, and nothing of the disk is read.
    pub(crate) fn plan(store: &ImageStore, digest: &ContentDigest, format: ImageFormat) -> Result<Self, StoreError> {
        let view = store.reader(digest)?;
        let layout = target(format).plan(&*view, identity(digest))?;
        let validator = validator(digest, format, &*layout);
        Ok(Self { format, view, layout, validator })
    }

    /// The file's format.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// The file's length, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.layout.length()
    }

    /// The disk that a guest sees, in bytes.
    #[must_use]
    pub fn disk_size(&self) -> u64 {
        self.layout.disk_size()
    }

    /// Tells the file from any other one: 32 hexadecimal digits that can stand in a strong entity tag (RFC 9110 section
    /// 8.8.3). Where the stored image was copied without its holes, the file is another one, and so is this.
    #[must_use]
    pub fn validator(&self) -> &str {
        &self.validator
    }

    /// Fills the buffer with the file's bytes from `offset` on.
    ///
    /// # Errors
    /// [`StoreError::Image`] when the range leaves the file, or the stored image cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        Ok(Rendering::new(&*self.view, &*self.layout).read_at(offset, buffer)?)
    }
}

/// How an image of a format is written that can be planned without reading the disk: plain, and growing where the
/// format can.
fn target(format: ImageFormat) -> Target {
    match format {
        ImageFormat::Raw => Target::Raw,
        ImageFormat::Qcow2 => Target::QCOW2,
        ImageFormat::Vmdk => Target::Vmdk,
        ImageFormat::Vhd => Target::Vhd,
        ImageFormat::Vhdx => Target::Vhdx { block_size: None, logical_sector_size: None },
        ImageFormat::Vdi => Target::Vdi,
    }
}

fn identity(digest: &ContentDigest) -> Identity {
    let text = digest.to_string();
    let first = text.get(..32).and_then(|digits| u128::from_str_radix(digits, 16).ok());
    Identity::from_bytes(first.unwrap_or_default().to_be_bytes())
}

/// Over all that the file is made of besides the disk itself: each run with its origin, and the tables byte for byte.
fn validator(digest: &ContentDigest, format: ImageFormat, layout: &dyn Layout) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(digest.to_string().as_bytes()).update(format.name().as_bytes());
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while let Some(segment) = layout.segment_at(at) {
        let (kind, place) = match segment.origin {
            Origin::Metadata => (0_u8, 0),
            Origin::Guest(place) => (1, place),
            Origin::Zero => (2, 0),
            Origin::Packed { unit, within } => (3, unit.wrapping_add(within)),
        };
        hasher.update(&[kind]).update(&place.to_le_bytes()).update(&segment.length.to_le_bytes());
        let end = at + segment.length.max(1);
        if segment.origin == Origin::Metadata {
            while at < end {
                let length = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
                let part = &mut buffer[..length];
                part.fill(0);
                layout.read_metadata(at, part);
                hasher.update(part);
                at += length as u64;
            }
        }
        at = end;
    }
    let mut text = hasher.finalize().to_hex().to_string();
    text.truncate(32);
    text
}
