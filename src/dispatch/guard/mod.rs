//! What stands between the broker and every backend: no call without a lease, none to a backend that does not answer,
//! none without an end, and none unseen.
//!
//! A call asks the lease first, then the breaker; then it goes, bounded in time; and how it ended is told to the
//! breaker, the metrics and the log. When the breaker wants a probe, `describe` is sent ahead: a probe should be
//! cheap, and harmless when its answer is lost.

mod addresses;
mod call;
mod events;
pub mod lease_check;
mod machines;
mod movement;
mod networks;
mod security_groups;
mod snapshots;
#[cfg(test)]
mod tests;
mod volumes;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use backend::{Backend, BackendError, request};
use call::Call;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::{
    breaker::{self, Breaker, BreakerState, BreakerView, Permit, Refused},
    image,
};
use crate::measured::{BACKEND_CALL_SECONDS, SITE_BREAKER};

/// A site's backend behind its breaker, with deadlines.
pub struct Guarded {
    site: Arc<str>,
    backend: Arc<dyn Backend>,
    breaker: Breaker,
    /// The change of the breaker, counted from 1, during which a failure was warned of.
    warned: AtomicU64,
}

impl Guarded {
    /// Guards the backend of the site of this name.
    pub fn new(site: impl Into<Arc<str>>, backend: Arc<dyn Backend>) -> Self {
        let guarded = Self { site: site.into(), backend, breaker: Breaker::new(), warned: AtomicU64::new(0) };
        guarded.show_breaker();
        guarded
    }

    /// How the breaker stands, and why.
    pub fn breaker(&self) -> BreakerView {
        self.breaker.state()
    }

    /// Makes a call that has to be answered within its deadline.
    async fn call<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        self.watch(call, bounded(call, work)).await
    }

    /// Makes a call that ends by itself.
    async fn watch<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        // What a door serves right now calls backends on its behalf too.
        let request = request::current().or_else(|| crate::request::current()?.parse().ok());
        let request_id = request.as_ref().map(request::RequestId::as_str);
        let span = tracing::debug_span!("backend call", site = %self.site, call = call.as_str(), request_id);
        let guarded = async {
            lease_check::may_call()?;
            let permit = self.permit(call).await?;
            self.perform(call, permit, work).await
        }
        .instrument(span);
        // Each scope around it would hold it whole, on one stack with all that leads here.
        let guarded = Box::pin(guarded);
        let trail = request::current_trail().or_else(crate::request::trail).unwrap_or_default();
        let guarded = request::trail_scope(trail, guarded);
        match request {
            Some(id) => request::scope(id, guarded).await,
            None => guarded.await,
        }
    }

    async fn permit(&self, call: Call) -> Result<Permit<'_>, BackendError> {
        let permit = self.breaker.permit().map_err(refusal)?;
        if !permit.is_probe() {
            return Ok(permit);
        }
        self.show_breaker();
        if call == Call::Describe {
            return Ok(permit);
        }
        // Whatever it answers, the breaker has heard it.
        let _ = self.perform(Call::Describe, permit, bounded(Call::Describe, self.backend.describe())).await;
        lease_check::may_call()?;
        self.breaker.permit().map_err(refusal)
    }

    async fn perform<T>(
        &self,
        call: Call,
        permit: Permit<'_>,
        work: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let began = Instant::now();
        // Before anything is logged or kept of it.
        let result = work.await.map_err(image::without_tickets);
        let labels =
            [("site", self.site.to_string()), ("call", call.as_str().into()), ("outcome", outcome(&result).into())];
        metrics::histogram!(BACKEND_CALL_SECONDS, &labels).record(began.elapsed());
        let was_probe = permit.is_probe();
        match &result {
            Ok(_) => permit.answered(),
            Err(error) => permit.failed(error),
        }
        let breaker = self.breaker.state();
        match &result {
            Err(error) if error.is_transient() => self.report(call, error, &breaker),
            _ if was_probe && breaker.state == BreakerState::Closed => {
                tracing::info!(site = %self.site, "the backend answers again");
            }
            _ => {}
        }
        self.show_breaker();
        result
    }

    /// A dead site must not flood the log: one warning until the breaker changes.
    fn report(&self, call: Call, error: &BackendError, breaker: &BreakerView) {
        let (site, call, change) = (&self.site, call.as_str(), breaker.changes + 1);
        let reason = breaker::words(error);
        if self.warned.swap(change, Ordering::Relaxed) == change {
            tracing::debug!(%site, call, reason, "again a call to the backend failed");
        } else {
            let next_try_seconds = breaker.next_try.map(|left| left.as_secs_f64());
            tracing::warn!(
                %site, call, reason, breaker = %breaker.state, next_try_seconds, "a call to the backend failed"
            );
        }
    }

    fn show_breaker(&self) {
        let number = self.breaker.state().state.number();
        metrics::gauge!(SITE_BREAKER, "site" => self.site.to_string()).set(f64::from(number));
    }
}

/// Ends the work at the call's deadline. The effect may have happened then, as after any lost answer.
async fn bounded<T>(call: Call, work: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
    let Some(deadline) = call.deadline() else { return work.await };
    let late = |_| BackendError::Unreachable(format!("no answer to {} within {} s", call.as_str(), deadline.as_secs()));
    timeout(deadline, work).await.map_err(late).flatten()
}

fn refusal(refused: Refused) -> BackendError {
    let Refused { reason, credentials, retry_in } = refused;
    let text = format!("{reason} (not asked again for {} s)", retry_in.as_secs() + 1);
    if credentials { BackendError::Unauthorized(text) } else { BackendError::Unreachable(text) }
}

/// The value of the metrics' label.
fn outcome<T>(result: &Result<T, BackendError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(BackendError::Unreachable(_)) => "unreachable",
        Err(BackendError::Unauthorized(_)) => "unauthorized",
        Err(BackendError::Refused(_)) => "refused",
        Err(BackendError::Capacity(_)) => "capacity",
        Err(BackendError::Unsupported(_)) => "unsupported",
        Err(BackendError::NotFound(_)) => "not_found",
        Err(BackendError::Conflict(_)) => "conflict",
        Err(BackendError::Failed(_)) => "failed",
    }
}

/// The part that a caller holds was there when it asked.
fn gone(part: &str) -> BackendError {
    BackendError::Unsupported(format!("offer {part} any more"))
}
