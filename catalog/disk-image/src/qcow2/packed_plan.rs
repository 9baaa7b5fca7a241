use super::{
    entry::compressed_entry,
    packer::{self, Qcow2Compression},
    plan::{Plan, Qcow2Options, Tail, unwritable},
};
use crate::{
    ImageError, ImageFormat, SECTOR,
    layout::{Identity, PackedFormat, PackedUnits, Packer},
};

/// A qcow2 whose clusters are all compressed: the header's cluster, the compressed clusters that are there in the
/// guest's order and byte after byte, and then the tables.
#[derive(Debug, Clone)]
pub struct PackedQcow2Format {
    plan: Plan,
    compression: Qcow2Compression,
    tail: Option<Tail>,
}

impl PackedQcow2Format {
    /// For a disk of so many bytes, which is rounded up to a multiple of 512.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] for options or levels that do not exist, for Zstandard in version 2, and for a disk
    /// that would need larger tables than QEMU reads.
    pub fn new(disk_size: u64, options: Qcow2Options, compression: Qcow2Compression) -> Result<Self, ImageError> {
        let plan = Plan::new(disk_size, options)?;
        let zstd = matches!(compression, Qcow2Compression::Zstd { .. });
        if zstd && options.version == 2 {
            return Err(unwritable("version 2 knows no zstd; take version 3, or deflate"));
        }
        packer::check(compression).map_err(unwritable)?;
        Ok(Self { plan: Plan { zstd, ..plan }, compression, tail: None })
    }

    fn plan_tail(&self, units: &PackedUnits<Self>) -> Tail {
        self.plan.tail(units.stored(), *units.end())
    }

    /// How many compressed clusters touch each of these clusters of the file, all of which hold data. The last sector
    /// of a compressed cluster belongs to it as a whole.
    fn count(&self, units: &PackedUnits<Self>, clusters: std::ops::Range<u64>, counts: &mut [u16]) {
        let bits = self.plan.geometry.cluster_bits;
        counts.fill(0);
        // Whoever begins before the one at the first byte ends before it, and its last sector does too.
        let Some(first) = units.at(self, clusters.start << bits) else { return };
        for placed in units.placed(self, units.stored().rank(first.unit)) {
            let end = (placed.place + u64::from(placed.length)).next_multiple_of(SECTOR);
            let (from, to) = (placed.place >> bits, (end - 1) >> bits);
            if from >= clusters.end {
                break;
            }
            for cluster in from.max(clusters.start)..=to.min(clusters.end - 1) {
                let at = usize::try_from(cluster - clusters.start).unwrap_or(usize::MAX);
                if let Some(count) = counts.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
        }
    }
}

impl PackedFormat for PackedQcow2Format {
    fn format(&self) -> ImageFormat {
        ImageFormat::Qcow2
    }

    /// The first free byte of the file.
    type Cursor = u64;

    fn disk_size(&self) -> u64 {
        self.plan.disk_size
    }

    fn unit(&self) -> u64 {
        self.plan.cluster()
    }

    fn start(&self) -> u64 {
        self.plan.cluster()
    }

    fn place(&self, cursor: &mut u64, _: u64, length: u32) -> u64 {
        let length = u64::from(length);
        // An entry can say so many bytes, counted from the first sector's beginning on.
        let most = 2 * self.plan.cluster();
        let place = if *cursor % SECTOR + length > most { cursor.next_multiple_of(SECTOR) } else { *cursor };
        *cursor = place + length;
        place
    }

    fn packer(&self) -> Box<dyn Packer> {
        packer::packer(self.compression)
    }

    fn prepare(&mut self, units: &PackedUnits<Self>) {
        self.tail = Some(self.plan_tail(units));
    }

    fn length(&self, units: &PackedUnits<Self>) -> u64 {
        self.tail.as_ref().map_or_else(|| self.plan_tail(units).length, |tail| tail.length)
    }

    fn read_metadata(&self, units: &PackedUnits<Self>, _: &Identity, offset: u64, buffer: &mut [u8]) {
        let planned;
        let tail = match &self.tail {
            Some(tail) => tail,
            None => {
                planned = self.plan_tail(units);
                &planned
            }
        };
        self.plan.put_frame(tail, offset, buffer);
        let geometry = self.plan.geometry;
        tail.put_l2(geometry, offset, buffer, |table, wanted, entries| {
            let first = table * geometry.clusters_per_l2() + wanted.start;
            for placed in units.placed(self, units.stored().rank(first)) {
                let at = usize::try_from(placed.unit - first).unwrap_or(usize::MAX);
                let Some(entry) = entries.get_mut(at) else { break };
                *entry = compressed_entry(geometry.cluster_bits, placed.place, placed.length.into()).to_be_bytes();
            }
        });
        // The tables are used once each, and so is the header.
        let data = 1..tail.l2 >> geometry.cluster_bits;
        tail.put_refcounts(geometry.cluster(), offset, buffer, |wanted, counts| {
            let (from, to) = (wanted.start.max(data.start), wanted.end.min(data.end));
            if from < to {
                let [first, last] = [from, to].map(|at| usize::try_from(at - wanted.start).unwrap_or(0));
                self.count(units, from..to, &mut counts[first..last]);
            }
        });
    }
}
