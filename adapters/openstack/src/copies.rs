//! Copies of volumes: snapshots, and backups where the site keeps any. A copy's name is its tag: Cinder keeps metadata of
//! backups only since 3.43.

use std::sync::Arc;

use backend::{BackendError, Capability, CopyPurpose, IntentTag};
use backend_http::Method;
use serde_json::json;

use crate::{cinder::Copy, mark, paging, service::Service, site::Site};

impl Site {
    pub(crate) async fn copy_volume(
        self: &Arc<Self>,
        id: &str,
        purpose: CopyPurpose,
        tag: IntentTag,
    ) -> Result<(), BackendError> {
        let volume = self.our_volume(id).await?;
        let (kind, one) = match purpose {
            CopyPurpose::Snapshot => ("snapshots", "snapshot"),
            CopyPurpose::Backup if self.cloud.options.volume_backups => ("backups", "backup"),
            CopyPurpose::Backup => return Err(Capability::VolumeBackup.missing()),
        };
        let _turn = self.turns.of(format!("tag {tag}")).await;
        let name = mark::server_tag(tag);
        let about = format!("{one} of volume {id}");
        let call = self.cloud.get(Service::BlockStorage, &[kind, "detail"], &about);
        let there: Vec<Copy> = paging::all(call.query("volume_id", &volume.id), kind).await?;
        if there.iter().any(|copy| copy.name.as_deref() == Some(name.as_str())) {
            return Ok(());
        }
        let words = json!({ "volume_id": volume.id, "name": name, "force": true });
        let call = self.cloud.call(Service::BlockStorage, Method::POST, &[kind], &about);
        match call.body(json!({ one: words })).send().await {
            // Cinder says 400 for what the volume's state does not allow.
            Err(BackendError::Refused(why)) if why.contains("status") => Err(BackendError::Conflict(why)),
            outcome => outcome.map(drop),
        }
    }

    /// Whether a copy of the volume is being made or deleted.
    pub(crate) async fn has_busy_copies(&self, volume: &str) -> Result<bool, BackendError> {
        let kinds: &[&str] = if self.cloud.options.volume_backups { &["snapshots", "backups"] } else { &["snapshots"] };
        for kind in kinds {
            let call = self.cloud.get(Service::BlockStorage, &[kind, "detail"], format!("{kind} of volume {volume}"));
            let copies: Vec<Copy> = paging::all(call.query("volume_id", volume), kind).await?;
            if copies.iter().any(Copy::is_busy) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Snapshots go with their volume; backups do not.
    pub(crate) async fn delete_backups(&self, volume: &str) -> Result<(), BackendError> {
        if !self.cloud.options.volume_backups {
            return Ok(());
        }
        let about = format!("backups of volume {volume}");
        let call = self.cloud.get(Service::BlockStorage, &["backups", "detail"], &about).query("volume_id", volume);
        let backups: Vec<Copy> = paging::all(call, "backups").await?;
        for backup in backups {
            let path = ["backups", backup.id.as_str()];
            let call = self.cloud.call(Service::BlockStorage, Method::DELETE, &path, &about);
            call.send_if_there().await?;
        }
        Ok(())
    }
}
