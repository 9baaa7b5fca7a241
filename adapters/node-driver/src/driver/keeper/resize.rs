//! Another size for a machine.

use std::fs::File;

use backend::MachineSize;
use disk_image::SECTOR;
use serde_json::json;

use super::Keeper;
use crate::{
    NodeError,
    image_cache::blocking,
    machine_directory::{DISK, Hardware, Lifecycle},
    overlay_view::virtual_size,
};

impl Keeper {
    /// Cores and memory change while the machine is off: one that runs is stopped and started for it. A disk grows at
    /// once while the guest runs, or else at the next start.
    pub(super) async fn resize(&mut self, size: &MachineSize) -> Result<(), NodeError> {
        let overlay = self.directory.file(DISK);
        let shown = blocking(move || {
            File::open(&overlay).and_then(|file| virtual_size(&file)).map_err(NodeError::file("read", &overlay))
        });
        let old = self.record.hardware.clone();
        let shown = shown.await?.max(old.disk_bytes);
        let disk_bytes = size.disk_bytes.next_multiple_of(SECTOR).max(shown);
        let new = Hardware { cores: size.cores, memory_mib: size.memory_mib, disk_bytes, ..old.clone() };
        let restarts = (new.cores, new.memory_mib) != (old.cores, old.memory_mib);
        if !restarts && disk_bytes == shown {
            return Ok(());
        }
        let lifecycle = match &self.record.lifecycle {
            Lifecycle::Running if restarts => {
                let more = new.memory_mib.saturating_sub(old.memory_mib);
                self.means.memory.lease(more).map(drop)?;
                self.restart_within(self.means.options.graceful_deadline)
            }
            Lifecycle::Running => {
                self.order("block_resize", json!({ "node-name": "disk", "size": disk_bytes })).await?;
                Lifecycle::Running
            }
            stopped @ (Lifecycle::Stopping { .. } | Lifecycle::Stopped { .. } | Lifecycle::Failed { .. }) => {
                stopped.clone()
            }
            // The kept memory belongs to the old size.
            _ => return Err(self.conflict("resize")),
        };
        self.record.hardware = new;
        let changed = self.intend(lifecycle).await;
        if changed.is_err() {
            self.record.hardware = old;
        }
        changed
    }
}
