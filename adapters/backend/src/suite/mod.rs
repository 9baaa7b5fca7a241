//! The contract test suite that every adapter must pass, against the real service behind it.
//!
//! The checks use only the contract, leave nothing behind, and may run beside other tenants of the same backend. The
//! guest need not boot: what needs its help (taking devices out of a running machine) is not asked for.

mod addresses;
mod inspection;
mod life;
mod machines;
mod networks;
mod parts;
mod save;
mod security_groups;
mod volumes;

use std::{sync::Arc, time::Duration};

use inspection::Inspection;
use thiserror::Error;

use crate::{Backend, BackendError, ImageOffer};

/// A backend to be checked, and what the checks need.
pub struct Candidate {
    /// The adapter, connected to its service.
    pub backend: Arc<dyn Backend>,
    /// An image that the service can run (it need not boot).
    pub image: ImageOffer,
    /// How long the service may take to answer, and from a request to its effect. More than it gives a guest to stop
    /// by itself: this one may not listen.
    pub patience: Duration,
}

/// What was checked, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What this backend does not have, one sentence each.
    pub skipped: Vec<String>,
}

/// A broken promise.
#[derive(Debug, Error)]
pub enum Violation {
    /// A call failed that must succeed.
    #[error("{check}: {error}")]
    Call {
        /// Which check.
        check: &'static str,
        /// What the adapter said.
        error: BackendError,
    },
    /// A promise of the contract does not hold.
    #[error("{check}: {promise}")]
    Promise {
        /// Which check.
        check: &'static str,
        /// What should hold, and what was seen.
        promise: String,
    },
}

/// Runs all checks in turn. What the backend does not have is left out, and named in the report.
///
/// # Errors
/// The first broken promise.
pub async fn verify(candidate: &Candidate) -> Result<Report, Violation> {
    let mut inspection = Inspection::of(candidate);
    let outcome = inspect(&mut inspection).await;
    // Whatever was broken, leave nothing.
    let cleared = inspection.clear().await;
    outcome.and(cleared)?;
    Ok(inspection.report)
}

async fn inspect(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    machines::verify(inspection).await?;
    life::verify(inspection).await?;
    parts::verify(inspection).await
}
