//! QEMU's jobs: copies of disks that it makes while the guest goes on. A job and its target have one name.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Keeper;
use crate::NodeError;

/// How often, and how long altogether, the end of a cancelled job is waited for.
const STEP: Duration = Duration::from_millis(50);
const STEPS: usize = 40;

impl Keeper {
    /// How the job ended; nothing while it goes on, or while QEMU does not say. Events wake us for it.
    pub(super) async fn job_end(&mut self, name: &str) -> Option<Result<(), String>> {
        let jobs = self.order("query-jobs", Value::Null).await.ok()?;
        let Some(job) = jobs.as_array()?.iter().find(|job| job["id"] == name) else {
            return Some(Err("QEMU has lost it".to_owned()));
        };
        match (job["status"].as_str(), job["error"].as_str()) {
            (Some("concluded"), Some(error)) => Some(Err(error.to_owned())),
            (Some("concluded"), None) => Some(Ok(())),
            _ => None,
        }
    }

    /// Lets QEMU close the target of a job that is over.
    pub(super) async fn end_job(&mut self, name: &str) -> Result<(), NodeError> {
        self.order("job-dismiss", json!({ "id": name })).await?;
        self.order("blockdev-del", json!({ "node-name": name })).await.map(drop)
    }

    /// Ends a job, however far it is, and closes its target. There may be none.
    pub(super) async fn clear_job(&mut self, name: &str) {
        if self.run.is_none() {
            return;
        }
        let _ = self.order("job-cancel", json!({ "id": name, "force": true })).await;
        for _ in 0..STEPS {
            let over = match self.job_end(name).await {
                Some(_) => true,
                // Nobody to ask.
                None => self.run.as_ref().is_none_or(|run| run.qmp.is_none()),
            };
            if over {
                break;
            }
            sleep(STEP).await;
        }
        let _ = self.end_job(name).await;
        // Without a job there may be a target all the same.
        let _ = self.order("blockdev-del", json!({ "node-name": name })).await;
    }
}
