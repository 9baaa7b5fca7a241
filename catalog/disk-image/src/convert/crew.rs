use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use super::{
    target_file::TargetFile,
    windows::{Window, Windows},
};
use crate::{DiskView, ImageError};

/// Often enough that the disk is never idle, seldom enough that it gets long runs.
const WINDOWS_BETWEEN_WRITEBACKS: u64 = 32;

/// What a crew of threads does with each window of a disk: prepare it, each for itself; place it, in the disk's order,
/// since a place depends on what came before; and store it, again each for itself.
///
/// So the bytes of the target never depend on which thread was faster.
pub(super) trait Task: Sync {
    /// What a thread keeps from one window to the next.
    type Hand: Send;

    /// Before a thread's first window.
    fn hand(&self) -> Self::Hand;

    /// Looks at the bytes of a window.
    fn prepare(&self, hand: &mut Self::Hand, window: Window, bytes: &[u8]) -> Result<(), ImageError>;

    /// Decides where what was prepared goes. Never called by two threads at once, and in the order of the windows.
    fn place(&self, hand: &mut Self::Hand, window: Window) -> Result<(), ImageError>;

    /// Writes what was placed.
    fn store(&self, hand: &mut Self::Hand, window: Window, bytes: &[u8]) -> Result<(), ImageError>;
}

/// Whose turn it is to place.
#[derive(Default)]
struct Turns {
    next: Mutex<u64>,
    moved: Condvar,
    failed: AtomicBool,
}

impl Turns {
    /// Waits until all windows before this one were placed; false when the work has failed.
    fn wait(&self, number: u64) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        while *next != number && !self.failed.load(Ordering::Relaxed) {
            next = self.moved.wait(next).unwrap_or_else(PoisonError::into_inner);
        }
        !self.failed.load(Ordering::Relaxed)
    }

    fn done(&self) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.moved.notify_all();
    }

    fn fail(&self) {
        // Under the lock: whoever is about to wait must not miss it.
        let _next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.failed.store(true, Ordering::Relaxed);
        self.moved.notify_all();
    }
}

/// Takes all of a disk's data through a task, with so many threads.
///
/// Where the disk will be waited for in the end, one thread more lets it begin with what `writeback` has been given.
pub(super) fn work<T: Task>(
    task: &T,
    view: &dyn DiskView,
    windows: Windows<'_>,
    threads: usize,
    writeback: Option<&TargetFile<'_>>,
    progress: &(dyn Fn(u64) + Sync),
    cancelled: &AtomicBool,
) -> Result<(), ImageError> {
    let windows = Mutex::new(windows);
    let turns = Turns::default();
    let (written, told) = mpsc::channel();
    let one_thread = |written: mpsc::Sender<()>| {
        let mut hand = task.hand();
        let mut buffer = Vec::new();
        while !turns.failed.load(Ordering::Relaxed) {
            if cancelled.load(Ordering::Relaxed) {
                return Err(ImageError::Cancelled);
            }
            let window = windows.lock().unwrap_or_else(PoisonError::into_inner).next()?;
            let Some(window) = window else { break };
            buffer.resize(window.length.max(buffer.len()), 0);
            let bytes = &mut buffer[..window.length];
            view.read_at(window.offset, bytes)?;
            task.prepare(&mut hand, window, bytes)?;
            if !turns.wait(window.number) {
                break;
            }
            task.place(&mut hand, window)?;
            turns.done();
            task.store(&mut hand, window, bytes)?;
            if window.number % WINDOWS_BETWEEN_WRITEBACKS == 0 {
                // Nobody listens where nothing is to be written back.
                let _ = written.send(());
            }
            progress(window.offset + window.length as u64);
        }
        Ok(())
    };
    let guarded = &|written| one_thread(written).inspect_err(|_| turns.fail());
    thread::scope(|scope| {
        if let Some(target) = writeback {
            scope.spawn(move || {
                let mut from = 0;
                while told.recv().is_ok() {
                    // What came in the meantime is done at once.
                    while told.try_recv().is_ok() {}
                    from = target.begin_writeback(from);
                }
            });
        }
        let another = || {
            let written = written.clone();
            scope.spawn(move || guarded(written))
        };
        let others: Vec<_> = (1..threads.max(1)).map(|_| another()).collect();
        // The last of them ends the thread that writes back.
        let mut result = guarded(written);
        for other in others {
            let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(theirs);
        }
        result
    })
}
