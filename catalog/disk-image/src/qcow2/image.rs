use std::{
    fs::File,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    compressed::Unpacker,
    entry::{Cluster, SUBCLUSTERS},
    facts,
    header::Header,
    refused,
    snapshots::{Snapshot, Snapshots},
    tables::{Tables, Walk},
    verify::{Usage, verify},
};
use crate::{
    DiskView, Extent, ExtentKind, Fact, ImageError, ImageFormat, ImageReader, source::ImageFile, view::check_range,
};

/// The longest extent that is put together, in bytes: bounds the work of one question about a huge sparse disk.
const LONGEST_EXTENT: u64 = 1 << 30;
/// Compressed clusters that follow each other in the file are read together, up to so many bytes of it.
const PACKED_TOGETHER: u64 = 1 << 20;

/// A qcow2 image that stands alone: the disk as it is now, or one of its internal snapshots.
#[derive(Debug)]
pub struct Qcow2Image {
    pub(super) source: ImageFile,
    pub(super) header: Header,
    pub(super) snapshots: Snapshots,
    pub(super) usage: Usage,
    /// What the guest sees, in bytes.
    size: u64,
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
    Absent,
    Zero,
    /// From this byte of the file on.
    Host(u64),
    /// Somewhere in the file, compressed.
    Packed(Packed),
}

/// Bytes of the file that a compressed cluster is in.
#[derive(Debug, Clone, Copy)]
struct Packed {
    offset: u64,
    available: u64,
}

impl Packed {
    fn end(self) -> u64 {
        self.offset + self.available
    }
}

impl Place {
    fn kind(self) -> ExtentKind {
        match self {
            Self::Absent => ExtentKind::Absent,
            Self::Zero => ExtentKind::Zero,
            Self::Host(_) | Self::Packed(_) => ExtentKind::Data,
        }
    }
}

impl Run {
    /// Whether `next` can be read together with this.
    fn continues_in(self, next: Place) -> bool {
        match (self.place, next) {
            (Place::Zero | Place::Absent, Place::Zero | Place::Absent) => true,
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
        Self::over(ImageFile::adopt(file).map_err(|source| ImageError::Read { offset: 0, source })?, None)
    }

    /// The disk as it is now, or the snapshot of this id or name.
    pub(crate) fn over(source: ImageFile, snapshot: Option<&str>) -> Result<Self, ImageError> {
        let header = Header::read(&source)?;
        let snapshots = Snapshots::read(&header, &source, snapshot)?;
        let (l1, size) = match snapshots.selected {
            None => ((header.l1_offset, header.l1_entries), header.size),
            Some(Snapshot { l1_offset, l1_entries, size, .. }) => ((l1_offset, l1_entries), size),
        };
        let tables = Tables::new(&source, header.geometry, l1, size)?;
        let usage = verify(&header, &source, &tables, size, &snapshots)?;
        Ok(Self { source, header, snapshots, usage, size, tables, unpacked: Mutex::default() })
    }

    /// Whether the last writer did not close the image. Its counts may be stale; the guest's bytes are as written.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.header.dirty
    }

    /// Whether QEMU has marked the image corrupt. Its tables contradict each other nowhere, since it was opened.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.header.corrupt
    }

    /// Where byte `at` of the guest lies, and how many follow it there.
    fn locate(&self, walk: &mut Walk<'_>, at: u64) -> Result<Run, ImageError> {
        let geometry = self.header.geometry;
        let Some(entry) = walk.entry(at / geometry.cluster())? else {
            let span = geometry.bytes_per_l1_entry();
            return Ok(Run { place: Place::Absent, length: span - at % span });
        };
        let within = at % geometry.cluster();
        let length = geometry.cluster() - within;
        let place = match entry.meaning(geometry) {
            Cluster::Absent => Place::Absent,
            Cluster::Zero => Place::Zero,
            Cluster::Host { offset } => Place::Host(offset + within),
            Cluster::Compressed { offset, available } => Place::Packed(Packed { offset, available }),
            Cluster::Mixed { offset, stored, zero } => {
                let subcluster = geometry.cluster() / SUBCLUSTERS;
                let bit = within / subcluster;
                let place = match (stored >> bit & 1, zero >> bit & 1) {
                    (1, _) => Place::Host(offset + within),
                    (_, 1) => Place::Zero,
                    _ => Place::Absent,
                };
                return Ok(Run { place, length: subcluster - within % subcluster });
            }
            // Checked when the image was opened: the file has been changed under us.
            Cluster::Invalid(problem) => {
                return Err(refused("L2 entry", self.tables.place_of_entry(at / geometry.cluster()), problem));
            }
        };
        Ok(Run { place, length })
    }

    /// Reads compressed clusters from `at` on, the first of which is `first`, and answers how many bytes were read.
    fn read_packed(&self, walk: &mut Walk<'_>, at: u64, first: Packed, buffer: &mut [u8]) -> Result<usize, ImageError> {
        let cluster = usize::try_from(self.header.cluster()).unwrap_or(usize::MAX);
        let within = usize::try_from(at % self.header.cluster()).unwrap_or(0);
        if within > 0 || buffer.len() < cluster {
            let length = buffer.len().min(cluster - within);
            let bytes = self.unpack_one(at / self.header.cluster(), first)?;
            buffer[..length].copy_from_slice(&bytes[within..within + length]);
            return Ok(length);
        }
        // Whole clusters go where they are wanted, without a stop in between.
        let mut together = vec![first];
        let mut end = first.end();
        while (together.len() + 1) * cluster <= buffer.len() {
            let next = self.locate(walk, at + (together.len() * cluster) as u64)?;
            match next.place {
                Place::Packed(next)
                    if (first.offset..=end).contains(&next.offset) && next.end() - first.offset <= PACKED_TOGETHER =>
                {
                    end = end.max(next.end());
                    together.push(next);
                }
                _ => break,
            }
        }
        let length = together.len() * cluster;
        Unpacker::with(|unpacker| {
            let mut packed = std::mem::take(&mut unpacker.packed);
            packed.resize(usize::try_from(end - first.offset).unwrap_or(0), 0);
            let read = self.source.read_padded(first.offset, &mut packed);
            let unpacked = read.and_then(|()| {
                let clusters = together.iter().zip(buffer[..length].chunks_exact_mut(cluster));
                for (number, (place, bytes)) in (at / self.header.cluster()..).zip(clusters) {
                    let range = [place.offset, place.end()]
                        .map(|end| usize::try_from(end - first.offset).unwrap_or(usize::MAX));
                    self.unpack(unpacker, number, *place, &packed[range[0]..range[1]], bytes)?;
                }
                Ok(length)
            });
            unpacker.packed = packed;
            unpacked
        })
    }

    /// A whole cluster, of which only a part is wanted now.
    fn unpack_one(&self, number: u64, place: Packed) -> Result<Arc<[u8]>, ImageError> {
        if let Some((held, bytes)) = &*self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
            && *held == number
        {
            return Ok(Arc::clone(bytes));
        }
        let mut packed = vec![0; usize::try_from(place.available).unwrap_or(0)];
        self.source.read_padded(place.offset, &mut packed)?;
        let mut bytes = vec![0; usize::try_from(self.header.cluster()).unwrap_or(0)];
        Unpacker::with(|unpacker| self.unpack(unpacker, number, place, &packed, &mut bytes))?;
        let bytes: Arc<[u8]> = bytes.into();
        *self.unpacked.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, Arc::clone(&bytes)));
        Ok(bytes)
    }

    fn unpack(
        &self,
        unpacker: &mut Unpacker,
        number: u64,
        place: Packed,
        packed: &[u8],
        cluster: &mut [u8],
    ) -> Result<(), ImageError> {
        unpacker.unpack(self.header.compression, packed, cluster).map_err(|problem| {
            let offset = place.offset;
            let at = self.tables.place_of_entry(number);
            refused("L2 entry", at, format!("leads to a compressed cluster at {offset} that {problem}"))
        })
    }
}

impl DiskView for Qcow2Image {
    fn format(&self) -> ImageFormat {
        ImageFormat::Qcow2
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.size, offset, buffer.len())?;
        let mut walk = self.tables.walk();
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let left = rest.len() as u64;
            let mut run = self.locate(&mut walk, at)?;
            if let Place::Packed(first) = run.place {
                let length = self.read_packed(&mut walk, at, first, rest)?;
                at += length as u64;
                rest = &mut rest[length..];
                continue;
            }
            while run.length < left {
                let next = self.locate(&mut walk, at + run.length)?;
                if !run.continues_in(next.place) {
                    break;
                }
                run.length += next.length;
            }
            let length = run.length.min(left);
            let (part, behind) = rest.split_at_mut(usize::try_from(length).unwrap_or(0));
            match run.place {
                Place::Host(host) => self.source.read_padded(host, part)?,
                _ => part.fill(0),
            }
            at += length;
            rest = behind;
        }
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        if from >= self.size {
            return Ok(None);
        }
        let mut walk = self.tables.walk();
        let most = LONGEST_EXTENT.min(self.size - from);
        let first = self.locate(&mut walk, from)?;
        let kind = first.place.kind();
        let mut length = first.length;
        while length < most {
            let next = self.locate(&mut walk, from + length)?;
            if next.place.kind() != kind {
                break;
            }
            length += next.length;
        }
        Ok(Some(Extent { offset: from, length: length.min(most), kind }))
    }
}

impl ImageReader for Qcow2Image {
    fn facts(&self) -> Vec<Fact> {
        facts::facts(self)
    }

    fn warnings(&self) -> Vec<String> {
        facts::warnings(&self.header)
    }

    fn damage(&self, most: usize) -> Result<Vec<String>, ImageError> {
        super::damage::damage(&self.header, &self.source, &self.snapshots, most)
    }
}
