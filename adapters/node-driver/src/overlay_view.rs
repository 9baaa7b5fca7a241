//! What a guest sees of its root disk: the overlay that our QEMU writes, over the image below it.
//!
//! The overlay's own words on what lies below are not read: the driver knows. Only the form that the driver makes and
//! QEMU keeps is accepted; every number is held against the file.

use std::{fs::File, io, os::unix::fs::FileExt};

use disk_image::{LARGEST_DISK, SECTOR};

const MAGIC: &[u8; 4] = b"QFI\xfb";
pub(crate) const CLUSTER: u64 = 1 << 16;
const ENTRIES: u64 = CLUSTER / 8;
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const READS_AS_ZERO: u64 = 1;
/// Of the features that a reader must know, the one that does not concern it: reference counts may be stale.
const DIRTY: u64 = 1;

/// An overlay that nobody writes to any more, and its image.
pub(crate) struct OverlayView {
    overlay: File,
    length: u64,
    base: File,
    base_size: u64,
    size: u64,
    l1: Vec<u64>,
    /// The table that was used last, by its index.
    l2: Option<(u64, Vec<u64>)>,
}

/// Where a cluster's bytes are.
enum Cluster {
    Below,
    Zero,
    Here(u64),
}

/// The size that an overlay shows to its guest, in bytes.
pub(crate) fn virtual_size(overlay: &File) -> io::Result<u64> {
    header(overlay).map(|header| header.size)
}

struct Header {
    size: u64,
    l1_offset: u64,
    l1_entries: u64,
}

fn header(overlay: &File) -> io::Result<Header> {
    let mut bytes = [0; 104];
    overlay.read_exact_at(&mut bytes, 0)?;
    let long = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    let short = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
    let (version, cluster_bits, size, encryption) = (short(4), short(20), long(24), short(32));
    if &bytes[..4] != MAGIC || version != 3 || 1 << cluster_bits.min(63) != CLUSTER || encryption != 0 {
        return Err(broken("is not a disk of this driver's making"));
    }
    if long(72) & !DIRTY != 0 {
        return Err(broken("has features that this driver does not use, or is marked as corrupt"));
    }
    if size == 0 || !size.is_multiple_of(SECTOR) || size > LARGEST_DISK {
        return Err(broken("has an impossible size"));
    }
    let l1_entries = size.div_ceil(ENTRIES * CLUSTER);
    if u64::from(short(36)) < l1_entries {
        return Err(broken("has too short a table of tables"));
    }
    Ok(Header { size, l1_offset: long(40), l1_entries })
}

fn broken(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it {problem}"))
}

impl OverlayView {
    pub(crate) fn new(overlay: File, base: File) -> io::Result<Self> {
        let header = header(&overlay)?;
        let length = overlay.metadata()?.len();
        let base_size = base.metadata()?.len();
        let l1 = words(&overlay, header.l1_offset, header.l1_entries)?;
        Ok(Self { overlay, length, base, base_size, size: header.size, l1, l2: None })
    }

    /// What the guest sees, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Fills the buffer, which holds zeros, from a cluster's beginning on; tells whether there is anything else in it.
    pub(crate) fn read(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<bool> {
        let mut found = false;
        let mut place = at;
        for part in buffer.chunks_mut(CLUSTER as usize) {
            match self.cluster(place / CLUSTER)? {
                Cluster::Zero => {}
                Cluster::Below if place < self.base_size => {
                    let left = usize::try_from(self.base_size - place).unwrap_or(usize::MAX);
                    let end = part.len().min(left);
                    self.base.read_exact_at(&mut part[..end], place)?;
                    found |= part.iter().any(|byte| *byte != 0);
                }
                Cluster::Below => {}
                Cluster::Here(offset) => {
                    if offset >= self.length {
                        return Err(broken("has a cluster behind its end"));
                    }
                    // QEMU may leave the last cluster's end out of the file.
                    let left = (self.length - offset).min(self.size.saturating_sub(place));
                    let end = part.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.overlay.read_exact_at(&mut part[..end], offset)?;
                    found = true;
                }
            }
            place += part.len() as u64;
        }
        Ok(found)
    }

    fn cluster(&mut self, number: u64) -> io::Result<Cluster> {
        let (table, entry) = (number / ENTRIES, number % ENTRIES);
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let offset = self.l1.get(index(table)).copied().unwrap_or(0) & OFFSET;
        if offset == 0 {
            return Ok(Cluster::Below);
        }
        let entries = match self.l2.take() {
            Some((known, entries)) if known == table => entries,
            _ => words(&self.overlay, offset, ENTRIES)?,
        };
        let entry = entries.get(index(entry)).copied().unwrap_or(0);
        self.l2 = Some((table, entries));
        if entry & COMPRESSED != 0 {
            return Err(broken("has a compressed cluster, which this driver does not make"));
        }
        Ok(match (entry & READS_AS_ZERO, entry & OFFSET) {
            (0, 0) => Cluster::Below,
            (0, offset) => Cluster::Here(offset),
            _ => Cluster::Zero,
        })
    }
}

/// At most 1 MiB: an L1 table of the largest disk.
fn words(file: &File, offset: u64, count: u64) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; usize::try_from(count * 8).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.chunks_exact(8).map(|word| u64::from_be_bytes(word.try_into().unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::unix::fs::FileExt,
        path::Path,
        process::Command,
    };

    use disk_image::{
        ImageFormat,
        qcow2::{OverlaySpec, create_overlay},
    };

    use super::{CLUSTER, OverlayView, virtual_size};

    const SIZE: u64 = 600 << 20;

    /// An overlay that QEMU's own tool has written to, and the bytes that the tool says are in it.
    fn written(root: &Path) -> (OverlayView, Vec<u8>) {
        let (base, overlay, flat) = (root.join("base"), root.join("overlay"), root.join("flat"));
        let image: Vec<u8> = (0..(3 << 20) + 512_u32).map(|n| (n % 251) as u8).collect();
        fs::write(&base, image).unwrap();
        create_overlay(&OverlaySpec {
            path: &overlay,
            backing: &base,
            backing_format: ImageFormat::Raw,
            virtual_size: SIZE,
        })
        .unwrap();
        let mut write = Command::new("qemu-io");
        write.args(["-f", "qcow2"]);
        for command in
            ["write -P 7 100k 3k", "write -z 1M 128k", "write -P 9 3M 4k", "write -P 5 599M 64k", "discard 2M 64k"]
        {
            write.args(["-c", command]);
        }
        assert!(write.arg(&overlay).output().unwrap().status.success());
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "qcow2", "-O", "raw"]).args([&overlay, &flat]);
        assert!(convert.status().unwrap().success());
        let view = OverlayView::new(File::open(&overlay).unwrap(), File::open(&base).unwrap()).unwrap();
        (view, fs::read(flat).unwrap())
    }

    #[test]
    fn qemus_own_tools_see_the_same_bytes() {
        let root = tempfile::tempdir().unwrap();
        let (mut view, expected) = written(root.path());
        assert_eq!((view.size(), expected.len() as u64), (SIZE, SIZE));
        let chunk = 16 * CLUSTER;
        for at in (0..SIZE).step_by(chunk as usize) {
            let mut bytes = vec![0; (SIZE - at).min(chunk) as usize];
            let found = view.read(at, &mut bytes).unwrap();
            assert!(bytes == expected[at as usize..][..bytes.len()], "at {at}");
            assert!(found || bytes.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_is_not_of_our_making_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(written(root.path()));
        let (base, overlay) = (root.path().join("base"), root.path().join("overlay"));
        let good = fs::read(&overlay).unwrap();
        let open = |bytes: &[u8]| {
            fs::write(&overlay, bytes).unwrap();
            OverlayView::new(File::open(&overlay).unwrap(), File::open(&base).unwrap())
        };
        assert!(open(&good).is_ok());
        let l1 = good[40..48].to_vec();
        for (at, bytes) in [
            (0, vec![0]),
            (4, vec![0, 0, 0, 2]),
            (20, vec![0, 0, 0, 9]),
            (24, vec![0xff; 8]),
            (32, vec![0, 0, 0, 1]),
            (36, vec![0, 0, 0, 0]),
            (40, vec![0x7f; 8]),
            (72, vec![0, 0, 0, 0, 0, 0, 0, 4]),
        ] {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(&bytes);
            assert!(open(&bad).is_err(), "{at}");
        }
        assert!(open(&good[..50]).is_err());
        assert!(virtual_size(&File::open(&base).unwrap()).is_err());
        // A table, and then a cluster, behind the end of the file.
        let l1 = u64::from_be_bytes(l1.try_into().unwrap());
        let file = File::options().read(true).write(true).open(&overlay).unwrap();
        let l2 = u64::from_be_bytes(good[l1 as usize..][..8].try_into().unwrap()) & super::OFFSET;
        for (place, value) in [(l2, 1_u64 << 40), (l2, super::COMPRESSED | 1 << 20), (l1, 1 << 40)] {
            let mut view = open(&good).unwrap();
            file.write_all_at(&value.to_be_bytes(), place).unwrap();
            // The table of tables is read at once, the rest when it is needed.
            let again = OverlayView::new(File::open(&overlay).unwrap(), File::open(&base).unwrap());
            let view = if place == l1 { &mut again.unwrap() } else { &mut view };
            assert!(view.read(0, &mut vec![0; CLUSTER as usize]).is_err());
        }
    }
}
