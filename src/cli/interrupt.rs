use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};

/// A flag that Ctrl-C and SIGTERM set, so that what was begun is removed before the command ends.
pub fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let cancelled = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let flag = Arc::clone(&cancelled);
        // Registered here and now: in the task, the first signal might come before it.
        let mut signal = signal(kind)?;
        tokio::spawn(async move {
            signal.recv().await;
            flag.store(true, Ordering::Relaxed);
        });
    }
    Ok(cancelled)
}
