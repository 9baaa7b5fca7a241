//! What volumes and interfaces have in common when they come and go.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::Keeper;
use crate::{NodeError, machine_directory::Lifecycle};

/// How long a guest may take to let go of a device before it is taken.
const PATIENCE: Duration = Duration::from_secs(10);

impl Keeper {
    /// Kept memory knows the devices of its time.
    pub(super) fn ensure_awake(&self, asked: &'static str) -> Result<(), NodeError> {
        match self.record.lifecycle {
            Lifecycle::Hibernating | Lifecycle::Hibernated => Err(self.conflict(asked)),
            _ => Ok(()),
        }
    }

    /// One that sleeps cannot let go of anything.
    pub(super) fn ensure_listening(&self, asked: &'static str) -> Result<(), NodeError> {
        match self.record.lifecycle {
            Lifecycle::Suspended { .. } => Err(self.conflict(asked)),
            _ => self.ensure_awake(asked),
        }
    }

    /// The names of QEMU's devices, as far as they have one.
    pub(super) async fn devices(&mut self) -> Result<Vec<String>, NodeError> {
        let listed = self.order("qom-list", json!({ "path": "/machine/peripheral" })).await?;
        let names = listed.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        Ok(names.filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect())
    }

    /// Whether the guest has let go of the device.
    pub(super) async fn ask_guest_to_let_go(&mut self, device: &str) -> Result<bool, NodeError> {
        // Refused when it is asked already, which is as well.
        let _ = self.order("device_del", json!({ "id": device })).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(run) = &self.run else { return Ok(true) };
            let mut told = run.told.clone();
            let seen = told.borrow_and_update().removals;
            if !self.devices().await?.iter().any(|known| known == device) {
                return Ok(true);
            }
            let closing = self.means.closing.clone();
            let news = told.wait_for(|told| told.removals != seen || told.closed);
            tokio::select! {
                () = closing.cancelled() => return Err(NodeError::Closing),
                news = timeout_at(deadline, news) => if news.is_err() { return Ok(false) },
            }
        }
    }
}
