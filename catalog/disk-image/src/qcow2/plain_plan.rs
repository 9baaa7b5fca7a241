use super::{
    entry::COPIED,
    plan::{Plan, Qcow2Options, Tail},
};
use crate::{
    ImageError, ImageFormat,
    layout::{AllocationMap, Identity, UnitFormat},
};

/// A qcow2 whose clusters are stored as they are: the header's cluster, the clusters that are there in the guest's
/// order, and then the tables.
#[derive(Debug, Clone)]
pub struct Qcow2Format {
    plan: Plan,
    tail: Option<Tail>,
}

impl Qcow2Format {
    /// For a disk of so many bytes, which is rounded up to a multiple of 512.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] for options that do not exist, and for a disk that would need larger tables than QEMU
    /// reads.
    pub fn new(disk_size: u64, options: Qcow2Options) -> Result<Self, ImageError> {
        Ok(Self { plan: Plan::new(disk_size, options)?, tail: None })
    }

    fn plan_tail(&self, stored: &AllocationMap) -> Tail {
        self.plan.tail(stored, self.first() + stored.count() * self.unit())
    }
}

impl UnitFormat for Qcow2Format {
    fn format(&self) -> ImageFormat {
        ImageFormat::Qcow2
    }

    fn disk_size(&self) -> u64 {
        self.plan.disk_size
    }

    fn unit(&self) -> u64 {
        self.plan.cluster()
    }

    fn prepare(&mut self, stored: &AllocationMap) {
        self.tail = Some(self.plan_tail(stored));
    }

    fn first(&self) -> u64 {
        self.plan.cluster()
    }

    fn length(&self, stored: &AllocationMap) -> u64 {
        self.tail.as_ref().map_or_else(|| self.plan_tail(stored).length, |tail| tail.length)
    }

    fn read_metadata(&self, stored: &AllocationMap, _: &Identity, offset: u64, buffer: &mut [u8]) {
        let planned;
        let tail = match &self.tail {
            Some(tail) => tail,
            None => {
                planned = self.plan_tail(stored);
                &planned
            }
        };
        self.plan.put_frame(tail, offset, buffer);
        let per_table = self.plan.geometry.clusters_per_l2();
        tail.put_l2(self.plan.geometry, offset, buffer, |table, wanted, entries| {
            let first = table * per_table + wanted.start;
            let mut rank = stored.rank(first);
            for (unit, entry) in (first..).zip(entries) {
                if stored.contains(unit) {
                    *entry = (COPIED | self.place(rank)).to_be_bytes();
                    rank += 1;
                }
            }
        });
        // Every cluster of the file is used once.
        tail.put_refcounts(self.plan.cluster(), offset, buffer, |_, _| {});
    }
}
