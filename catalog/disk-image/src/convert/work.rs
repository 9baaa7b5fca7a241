use std::{num::NonZero, sync::Mutex, sync::PoisonError, sync::atomic::AtomicBool, thread};

use super::{
    crew,
    fingerprint::{BLOCK, Fingerprint},
    packed_task::{PackedTask, PlacedSoFar},
    plain_task::PlainTask,
    target_file::TargetFile,
    units_task::UnitsTask,
    windows::Windows,
    zeros,
};
use crate::{
    DiskView, ImageError,
    layout::{
        AllocationMapBuilder, Identity, Layout, PackedFormat, PackedLayout, PackedUnits, PlainLayout, UnitFormat,
        UnitLayout,
    },
};

/// Guest bytes that a thread reads at a time: few enough to be in the processor's own cache when they are written.
const WINDOW: u64 = 512 << 10;
/// The same where they are compressed.
const PACKED_WINDOW: u64 = 1 << 20;
const MOST_THREADS: usize = 16;
/// Bytes of metadata that are computed at a time.
const METADATA: u64 = 1 << 20;

/// What stands behind a disk's bytes follows from its identity.
pub(super) type PlainPlan<'a> = &'a dyn Fn(&Identity) -> Result<PlainLayout, ImageError>;

/// How a disk is written.
pub struct Work<'a> {
    /// Threads that read, compress and write; as many as there are cores when not told.
    pub threads: Option<NonZero<usize>>,
    /// Whether the caller will wait until the disk has all bytes: then it begins with them at once.
    pub durable: bool,
    /// What tells the image from others; found out from the disk's content when not told.
    pub identity: Option<Identity>,
    /// Is told now and then how far the disk has been read, in bytes, from any thread and not always rising.
    pub progress: &'a (dyn Fn(u64) + Sync),
    /// Ends the work with [`ImageError::Cancelled`] once it is true.
    pub cancelled: &'a AtomicBool,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    /// The file's length, in bytes.
    pub file_length: u64,
    /// What the guest sees, in bytes: the source's size, perhaps rounded up.
    pub disk_size: u64,
    /// Bytes of the disk that the file holds, in the format's units; all, where it has none.
    pub stored: u64,
    /// The identity that the image has, in formats that have one.
    pub identity: Option<Identity>,
}

impl Work<'_> {
    fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.map_or_else(cores, NonZero::get).min(MOST_THREADS)
    }

    fn writeback<'t, 'f>(&self, target: &'t TargetFile<'f>) -> Option<&'t TargetFile<'f>> {
        self.durable.then_some(target)
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.identity.is_none().then(Fingerprint::default)
    }

    fn identity(&self, fingerprint: Option<&Fingerprint>, view: &dyn DiskView) -> Identity {
        let found = || fingerprint.map(|fingerprint| fingerprint.identity(view.size()));
        self.identity.or_else(found).unwrap_or_default()
    }

    /// Writes each byte to its own place, and what `plan` says behind them.
    pub(super) fn write_plain(
        &self,
        view: &dyn DiskView,
        target: &TargetFile<'_>,
        disk_size: u64,
        plan: Option<PlainPlan<'_>>,
    ) -> Result<Converted, ImageError> {
        target.make_room(disk_size)?;
        let fingerprint = plan.and_then(|_| self.fingerprint());
        let task = PlainTask { target, fingerprint, done: Mutex::new(0) };
        let windows = Windows::new(view, WINDOW, BLOCK);
        crew::work(&task, view, windows, self.threads(), self.writeback(target), self.progress, self.cancelled)?;
        let done = *task.done.lock().unwrap_or_else(PoisonError::into_inner);
        target.write_zeros(done, disk_size.saturating_sub(done))?;
        let identity = plan.map(|_| self.identity(task.fingerprint.as_ref(), view));
        let layout = match plan.zip(identity) {
            Some((plan, identity)) => plan(&identity)?,
            None => PlainLayout::new(disk_size, Vec::new()),
        };
        self.close(&layout, target, disk_size..layout.length(), disk_size, identity)
    }

    /// Writes a sparse format.
    pub(super) fn write_units<F: UnitFormat>(
        &self,
        view: &dyn DiskView,
        target: &mut TargetFile<'_>,
        format: F,
    ) -> Result<Converted, ImageError> {
        target.blank()?;
        let target = &*target;
        let unit = format.unit();
        let stored = Mutex::new(AllocationMapBuilder::new(format.disk_size().div_ceil(unit)));
        let task = UnitsTask { format: &format, target, fingerprint: self.fingerprint(), stored };
        // Whole units where they fit, so that most are written by one call.
        let windows = Windows::new(view, WINDOW, if unit <= WINDOW { unit.max(BLOCK) } else { BLOCK });
        crew::work(&task, view, windows, self.threads(), self.writeback(target), self.progress, self.cancelled)?;
        let UnitsTask { fingerprint, stored, .. } = task;
        let stored = stored.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        let identity = self.identity(fingerprint.as_ref(), view);
        let (first, prefix, count) = (format.first(), format.prefix(), stored.count());
        let tail = first + count * (prefix + unit);
        let layout = UnitLayout::new(format, stored, identity);
        self.write_metadata(&layout, target, 0..first)?;
        if prefix > 0 {
            for rank in 0..count {
                let start = first + rank * (prefix + unit);
                self.write_metadata(&layout, target, start..start + prefix)?;
            }
        }
        self.close(&layout, target, tail..layout.length(), count * unit, Some(identity))
    }

    /// Writes a compressed format.
    pub(super) fn write_packed<F: PackedFormat>(
        &self,
        view: &dyn DiskView,
        target: &mut TargetFile<'_>,
        format: F,
    ) -> Result<Converted, ImageError> {
        target.blank()?;
        let target = &*target;
        let unit = format.unit();
        let so_far = PlacedSoFar {
            stored: AllocationMapBuilder::new(format.disk_size().div_ceil(unit)),
            lengths: Vec::new(),
            cursor: format.start(),
        };
        let task = PackedTask { format: &format, target, fingerprint: self.fingerprint(), placed: Mutex::new(so_far) };
        let windows = Windows::new(view, PACKED_WINDOW.max(unit), unit.max(BLOCK));
        crew::work(&task, view, windows, self.threads(), self.writeback(target), self.progress, self.cancelled)?;
        let PackedTask { fingerprint, placed, .. } = task;
        let PlacedSoFar { stored, lengths, .. } = placed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let stored = stored.finish();
        let identity = self.identity(fingerprint.as_ref(), view);
        let units = PackedUnits::new(&format, stored, lengths);
        let gaps = units.gaps(&format);
        let count = units.stored().count();
        let layout = PackedLayout::new(format, units, identity);
        let mut from = 0;
        for gap in gaps {
            self.write_metadata(&layout, target, gap.clone())?;
            from = gap.end;
        }
        self.close(&layout, target, from..layout.length(), count * unit, Some(identity))
    }

    /// Writes what is left, and gives the file its length.
    fn close(
        &self,
        layout: &dyn Layout,
        target: &TargetFile<'_>,
        rest: std::ops::Range<u64>,
        stored: u64,
        identity: Option<Identity>,
    ) -> Result<Converted, ImageError> {
        self.write_metadata(layout, target, rest)?;
        target.finish(layout.length())?;
        Ok(Converted { file_length: layout.length(), disk_size: layout.disk_size(), stored, identity })
    }

    /// Writes a range of the file that is nothing but metadata; long runs of zeros become holes.
    fn write_metadata(
        &self,
        layout: &dyn Layout,
        target: &TargetFile<'_>,
        range: std::ops::Range<u64>,
    ) -> Result<(), ImageError> {
        const STEP: usize = 4 << 10;
        target.make_room(range.end)?;
        let (mut at, mut bytes, mut runs) = (range.start, Vec::new(), Vec::new());
        while at < range.end {
            if self.cancelled.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(ImageError::Cancelled);
            }
            let length = METADATA.min(range.end - at);
            // Truncated and filled: growing from nothing zeros byte by byte where nothing is optimised.
            bytes.resize(usize::try_from(length).unwrap_or(0), 0);
            bytes.fill(0);
            layout.read_metadata(at, &mut bytes);
            zeros::runs(&bytes, STEP, STEP, &mut runs);
            for run in &runs {
                target.write_at(at + run.start as u64, &bytes[run.clone()])?;
            }
            at += length;
        }
        Ok(())
    }
}
