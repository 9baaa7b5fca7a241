//! The rows of the fault table that lie between an adapter and its service, written once over the contract: every
//! adapter that speaks HTTP runs them against its real service, through a [`FaultProxy`].
//!
//! The invariants are those of the table: nothing that was asked for is lost, nothing is made twice (I2), and no
//! failure of a service is taken for an answer of it.

mod connections;
mod facts;
mod hostile;
mod lost_answers;
mod trial;

use std::sync::Arc;

use backend::{
    Backend,
    suite::{Candidate, Report, Violation},
};
use trial::Trial;

use crate::{ExpiredService, FaultProxy, Which};

/// What is known of the requests of an adapter.
pub struct Habits {
    /// Asks the service to make a machine: the one request that must not be done twice.
    pub create: Which,
    /// Lists machines.
    pub list: Which,
    /// Shows one machine.
    pub show: Which,
    /// Makes one machine unreadable, in an answer to `list` that has at least two of them.
    pub spoil: Option<BodyChange>,
    /// Makes the machine look failed, in an answer to `show`.
    pub fail: Option<BodyChange>,
    /// An adapter to the same service that does not pass by the proxy, as somebody else would have it.
    pub bypass: Option<Arc<dyn Backend>>,
    /// An adapter to a service with an expired certificate, whose authority it trusts.
    pub expired: Option<Connect>,
}

/// What becomes of the body of an answer.
pub type BodyChange = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

/// Makes an adapter to this service.
pub type Connect = Box<dyn Fn(&ExpiredService) -> Arc<dyn Backend> + Send + Sync>;

/// Runs all rows in turn: F1 to F6, F23 to F28, F45. The candidate's adapter passes by the proxy; its patience is at
/// least the longest time that the adapter gives a call. Rows whose habits are not known are noted in the report,
/// which is kept where [`Report::keep`] says. Nothing is left behind.
///
/// # Errors
/// The first broken promise.
pub async fn verify(candidate: &Candidate, proxy: &FaultProxy, habits: &Habits) -> Result<Report, Violation> {
    let mut trial = Trial::of(candidate, proxy, habits).await?;
    let outcome = rows(&mut trial).await;
    if let Err(violation) = &outcome {
        trial.report.breaks(violation.to_string());
    }
    let cleared = trial.clear().await;
    let kept = trial.keep();
    outcome.and(cleared).and(kept)?;
    Ok(trial.report)
}

async fn rows(trial: &mut Trial<'_>) -> Result<(), Violation> {
    connections::refused(trial).await?;
    connections::dropped(trial).await?;
    connections::slow(trial).await?;
    lost_answers::lost(trial).await?;
    lost_answers::replaced(trial).await?;
    lost_answers::failed_first(trial).await?;
    facts::deleted_by_others(trial).await?;
    facts::made_by_others(trial).await?;
    facts::stale_list(trial).await?;
    facts::flapping(trial).await?;
    connections::revoked(trial).await?;
    connections::expired(trial).await?;
    hostile::one_malformed_object(trial).await?;
    hostile::no_list_at_all(trial).await
}
