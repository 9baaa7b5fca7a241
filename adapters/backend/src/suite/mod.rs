//! The contract test suite that every adapter must pass, against the real service behind it.
//!
//! The checks use only the contract, leave nothing behind, and may run beside other tenants of the same backend. The
//! guest need not boot: what needs its help (taking devices out of a running machine) is not asked for.

mod addresses;
mod console;
mod description;
mod events;
mod guests;
mod images;
mod inspection;
mod joins;
mod leftover;
mod life;
mod machines;
mod networks;
mod parts;
mod quota;
mod report;
mod save;
mod security_groups;
mod snapshots;
mod volumes;

use std::{sync::Arc, time::Duration};

use inspection::Inspection;
pub use report::{Outcome, Report, Row};
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

/// Runs all checks in turn. What the backend does not have is left out, and named in the report; the report is also
/// kept where [`Report::keep`] says.
///
/// # Errors
/// The first broken promise.
pub async fn verify(candidate: &Candidate) -> Result<Report, Violation> {
    const CHECK: &str = "description";
    let description = inspection::answer(candidate, CHECK, candidate.backend.describe()).await?;
    let description = description.map_err(|error| Violation::Call { check: CHECK, error })?;
    let software = description.software.clone();
    let mut inspection = Inspection::of(candidate, description);
    let outcome = inspect(&mut inspection).await;
    if let Err(violation) = &outcome {
        inspection.report().breaks(violation.to_string());
    }
    // Whatever was broken, leave nothing.
    let cleared = inspection.clear().await;
    let report = inspection.report().clone();
    let kept = report.keep(&software).map_err(|error| Violation::Promise {
        check: "report",
        promise: format!("it cannot be kept: {error}; see the variable TOMBOLO_CONTRACT_REPORT"),
    });
    outcome.and(cleared).and(kept)?;
    Ok(report)
}

async fn inspect(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    description::verify(inspection).await?;
    machines::verify(inspection).await?;
    life::verify(inspection).await?;
    guests::verify(inspection).await?;
    snapshots::verify(inspection).await?;
    events::verify(inspection).await?;
    parts::verify(inspection).await?;
    joins::verify(inspection).await?;
    images::verify(inspection).await
}
