//! Whether the caller still owns what it works on. The engine says so for all that a saga does; what has no owner
//! (looking at sites, reconciliation) is never stopped.

use std::{future::Future, sync::Arc};

use backend::BackendError;

/// Answers at once, from memory, whether the lease is held at this moment by the monotonic clock.
pub type HoldsLease = Arc<dyn Fn() -> bool + Send + Sync>;

tokio::task_local! {
    static HOLDS: HoldsLease;
}

/// Runs `work` as somebody who may call backends as long as `holds` says so. What it hands to another task is not
/// stopped, unless that task has a scope of its own.
pub async fn scope<F: Future>(holds: HoldsLease, work: F) -> F::Output {
    HOLDS.scope(holds, work).await
}

/// Whether the caller may call a backend now.
///
/// # Errors
/// [`BackendError::Unreachable`] when its lease is lost: another replica may be at the same work.
pub(super) fn may_call() -> Result<(), BackendError> {
    match HOLDS.try_with(|holds| holds()) {
        Ok(false) => Err(BackendError::Unreachable("this replica has lost its lease".into())),
        Ok(true) | Err(_) => Ok(()),
    }
}
