use std::{
    fs::File,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    entry::{Cluster, Entry},
    header::Header,
    refused,
    tables::Tables,
};
use crate::{DiskView, Extent, ExtentKind, ImageError, ImageFormat, ImageReader, source::ImageFile, view::check_range};

/// The longest extent that is put together, in bytes: bounds the work of one question about a huge sparse disk.
const LONGEST_EXTENT: u64 = 1 << 30;
const SUBCLUSTERS: u64 = 32;

/// A qcow2 image that stands alone.
#[derive(Debug)]
pub struct Qcow2Image {
    source: ImageFile,
    header: Header,
    tables: Tables,
    /// The compressed cluster that was unpacked last, by its number in the guest: small reads in order meet it again.
    unpacked: Mutex<Option<(u64, Arc<[u8]>)>>,
}

/// Bytes of the guest that lie together in the file.
#[derive(Debug, Clone, Copy)]
struct Run {
    place: Place,
    /// Bytes, never zero.
    length: u64,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Zero,
    /// From this byte of the file on.
    Host(u64),
    /// In these bytes of the file, compressed.
    Packed {
        offset: u64,
        available: u64,
    },
}

impl Place {
    fn kind(self) -> ExtentKind {
        if matches!(self, Self::Zero) { ExtentKind::Zero } else { ExtentKind::Data }
    }
}

impl Run {
    /// Whether `next` can be read together with this.
    fn continues_in(self, next: Place) -> bool {
        match (self.place, next) {
            (Place::Zero, Place::Zero) => true,
            (Place::Host(here), Place::Host(there)) => here + self.length == there,
            _ => false,
        }
    }
}

impl Qcow2Image {
    /// Takes an open file and checks its header and tables, all of them.
    ///
    /// # Errors
    /// [`ImageError::Refused`] with the field and its place when the file is damaged, points out of itself, or needs
    /// what this reader does not know.
    pub fn new(file: File) -> Result<Self, ImageError> {
        Self::over(ImageFile::adopt(file).map_err(|source| ImageError::Read { offset: 0, source })?)
    }

    pub(crate) fn over(source: ImageFile) -> Result<Self, ImageError> {
        let header = Header::read(&source)?;
        let tables = Tables::read(&header, &source)?;
        Ok(Self { source, header, tables, unpacked: Mutex::default() })
    }

    /// Whether the last writer did not close the image. Its counts may be stale; the guest's bytes are as written.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.header.dirty
    }

    /// Where byte `at` of the guest lies, and how many follow it there.
    fn locate(&self, at: u64) -> Result<Run, ImageError> {
        let header = &self.header;
        let span = header.bytes_per_l1_entry();
        let index = usize::try_from(at / span).unwrap_or(usize::MAX);
        let Some(entries) = self.tables.l2(header, &self.source, index)? else {
            return Ok(Run { place: Place::Zero, length: span - at % span });
        };
        let within = at % header.cluster();
        let entry = usize::try_from(at % span / header.cluster()).ok().and_then(|i| entries.get(i).copied());
        let length = header.cluster() - within;
        let place = match entry.unwrap_or(Entry { descriptor: 0, bitmap: 0 }).meaning(header) {
            Cluster::Zero => Place::Zero,
            Cluster::Host { offset } => Place::Host(offset + within),
            Cluster::Compressed { offset, available } => Place::Packed { offset, available },
            Cluster::Mixed { offset, stored } => return Ok(self.locate_subcluster(offset, stored, within)),
            // Checked when the image was opened: the file has been changed under us.
            Cluster::Invalid(problem) => {
                let place = self.tables.place_of_entry(header, at / header.cluster());
                return Err(refused("L2 entry", place, problem));
            }
        };
        Ok(Run { place, length })
    }

    fn locate_subcluster(&self, offset: u64, stored: u32, within: u64) -> Run {
        let subcluster = self.header.cluster() / SUBCLUSTERS;
        let place = if stored >> (within / subcluster) & 1 == 1 { Place::Host(offset + within) } else { Place::Zero };
        Run { place, length: subcluster - within % subcluster }
    }

    fn read_packed(&self, at: u64, run: (u64, u64), buffer: &mut [u8]) -> Result<(), ImageError> {
        let number = at / self.header.cluster();
        let cluster = self.unpack(number, run)?;
        let within = usize::try_from(at % self.header.cluster()).unwrap_or(0);
        buffer.copy_from_slice(&cluster[within..within + buffer.len()]);
        Ok(())
    }

    fn unpack(&self, number: u64, (offset, available): (u64, u64)) -> Result<Arc<[u8]>, ImageError> {
        if let Some((held, bytes)) = &*self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
            && *held == number
        {
            return Ok(Arc::clone(bytes));
        }
        let mut packed = vec![0; usize::try_from(available).unwrap_or(0)];
        self.source.read_padded(offset, &mut packed)?;
        let length = usize::try_from(self.header.cluster()).unwrap_or(0);
        let bytes: Arc<[u8]> = self
            .header
            .compression
            .unpack(&packed, length)
            .map_err(|problem| {
                let place = self.tables.place_of_entry(&self.header, number);
                refused("L2 entry", place, format!("leads to a compressed cluster at {offset} that {problem}"))
            })?
            .into();
        *self.unpacked.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

impl DiskView for Qcow2Image {
    fn format(&self) -> ImageFormat {
        ImageFormat::Qcow2
    }

    fn size(&self) -> u64 {
        self.header.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.header.size, offset, buffer.len())?;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let left = rest.len() as u64;
            let mut run = self.locate(at)?;
            while run.length < left {
                let next = self.locate(at + run.length)?;
                if !run.continues_in(next.place) {
                    break;
                }
                run.length += next.length;
            }
            let length = run.length.min(left);
            let (part, behind) = rest.split_at_mut(usize::try_from(length).unwrap_or(0));
            match run.place {
                Place::Zero => part.fill(0),
                Place::Host(host) => self.source.read_padded(host, part)?,
                Place::Packed { offset, available } => self.read_packed(at, (offset, available), part)?,
            }
            at += length;
            rest = behind;
        }
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        if from >= self.header.size {
            return Ok(None);
        }
        let most = LONGEST_EXTENT.min(self.header.size - from);
        let first = self.locate(from)?;
        let kind = first.place.kind();
        let mut length = first.length;
        while length < most {
            let next = self.locate(from + length)?;
            if next.place.kind() != kind {
                break;
            }
            length += next.length;
        }
        Ok(Some(Extent { offset: from, length: length.min(most), kind }))
    }
}

impl ImageReader for Qcow2Image {}
