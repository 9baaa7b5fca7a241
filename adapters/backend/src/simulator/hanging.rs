//! Calls that never answer. In one process they end when their caller drops them; a caller behind a socket lets the
//! server know that it has gone.

use std::{future::Future, sync::Arc};

use tokio::sync::Notify;

use crate::BackendError;

tokio::task_local! {
    static GONE: Arc<Notify>;
}

/// Runs a call whose caller is elsewhere, and may go.
pub(super) async fn for_caller<F: Future>(gone: Arc<Notify>, call: F) -> F::Output {
    GONE.scope(gone, call).await
}

/// Ends, if ever, when the caller has gone.
pub(super) async fn hang() -> BackendError {
    match GONE.try_with(Arc::clone) {
        Ok(gone) => gone.notified().await,
        Err(_) => std::future::pending().await,
    }
    BackendError::Unreachable("the caller has gone".into())
}
