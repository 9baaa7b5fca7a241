use super::{Layout, Origin};
use crate::{DiskView, ImageError};

/// A disk as a file of some format, readable at any place, without that file.
pub struct Rendering<'a> {
    view: &'a dyn DiskView,
    layout: &'a dyn Layout,
}

impl<'a> Rendering<'a> {
    /// Shows `view` in the form of `layout`, which must have been planned for it.
    #[must_use]
    pub fn new(view: &'a dyn DiskView, layout: &'a dyn Layout) -> Self {
        Self { view, layout }
    }

    /// The file's length, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.layout.length()
    }

    /// Fills the buffer with the file's bytes from `offset` on.
    ///
    /// # Errors
    /// [`ImageError::OutOfDisk`] when the range leaves the file; what the view fails with.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        crate::view::check_range(self.length(), offset, buffer.len())?;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let Some(segment) = self.layout.segment_at(at) else { break };
            let length = usize::try_from(segment.length).unwrap_or(usize::MAX).min(rest.len()).max(1);
            let (part, behind) = rest.split_at_mut(length);
            match segment.origin {
                Origin::Metadata => {
                    part.fill(0);
                    self.layout.read_metadata(at, part);
                }
                Origin::Zero => part.fill(0),
                Origin::Packed { unit, within } => {
                    let Some(mut packer) = self.layout.packer() else { break };
                    let mut data = vec![0; usize::try_from(self.layout.unit()).unwrap_or(0)];
                    crate::view::read_padded(self.view, unit * self.layout.unit(), &mut data)?;
                    let mut packed = Vec::new();
                    packer.pack(unit, &data, &mut packed);
                    let from = usize::try_from(within).unwrap_or(usize::MAX).min(packed.len());
                    let length = length.min(packed.len() - from);
                    part[..length].copy_from_slice(&packed[from..from + length]);
                }
                Origin::Guest(place) => crate::view::read_padded(self.view, place, part)?,
            }
            at += length as u64;
            rest = behind;
        }
        Ok(())
    }
}
