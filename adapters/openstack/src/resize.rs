//! Other sizes for machines: other flavors.

use std::sync::Arc;

use backend::{BackendError, MachineSize};
use serde_json::json;

use crate::{
    life::not_now,
    nova::{Server, Situation},
    site::Site,
};

impl Site {
    /// Gives the machine the smallest flavor that holds the size, and waits until that is confirmed.
    pub(crate) async fn resize(self: &Arc<Self>, id: &str, wanted: MachineSize) -> Result<(), BackendError> {
        let _turn = self.turns.of(format!("machine {id}")).await;
        let mut server = self.server(id).await?;
        if server.situation() == Situation::Resized {
            self.confirm(id).await?;
            server = self.rested(id).await?;
        }
        let present = server.size();
        let from_volume = server.boots_from_volume();
        if let (true, Some(present)) = (from_volume, present)
            && wanted.disk_bytes > present.disk_bytes
        {
            return Err(BackendError::Refused(format!(
                "the root disk of machine {id} is a volume, and OpenStack does not enlarge one in use as a root disk"
            )));
        }
        // A disk never shrinks: neither does the flavor's.
        let disk_bytes = present.map_or(0, |present| if from_volume { 0 } else { present.disk_bytes });
        let wanted = MachineSize { disk_bytes: wanted.disk_bytes.max(disk_bytes), ..wanted };
        let least_disk = present.filter(|_| !from_volume);
        let offer = self.offer_for(wanted, least_disk).await?;
        let has_already = server.flavor.as_ref().is_some_and(|flavor| flavor.original_name == offer.name)
            || present.is_some_and(|present| {
                (present.cores, present.memory_mib) == (offer.size.cores, offer.size.memory_mib)
                    && (from_volume || present.disk_bytes == offer.size.disk_bytes)
            });
        if has_already {
            return Ok(());
        }
        match server.situation() {
            Situation::Active | Situation::Off => {}
            other => return Err(not_now(id, "be resized", other)),
        }
        self.act(id, json!({ "resize": { "flavorRef": offer.id } })).await?;
        self.await_effect(&format!("resize of machine {id}"), || async {
            let server = self.server(id).await?;
            match server.situation() {
                Situation::Resized => Ok(Some(())),
                Situation::Broken => Err(broken(&server)),
                // It was undone, or never began: no host had room.
                Situation::Active | Situation::Off => {
                    let has_it = server
                        .size()
                        .is_some_and(|size| size.cores == offer.size.cores && size.memory_mib == offer.size.memory_mib);
                    if has_it { Ok(Some(())) } else { self.resize_was_given_up(id).await }
                }
                _ => Ok(None),
            }
        })
        .await?;
        self.confirm(id).await?;
        self.rested(id).await.map(drop)
    }

    async fn confirm(&self, id: &str) -> Result<(), BackendError> {
        self.begins_to_confirm(id);
        let outcome = self.act(id, json!({ "confirmResize": null })).await;
        self.has_confirmed(id);
        match outcome {
            // Somebody else has confirmed it, or the site does by itself.
            Err(BackendError::Conflict(_) | BackendError::Refused(_)) => Ok(()),
            outcome => outcome,
        }
    }

    async fn rested(&self, id: &str) -> Result<Server, BackendError> {
        self.await_effect(&format!("end of the resize of machine {id}"), || async {
            let server = self.server(id).await?;
            match server.situation() {
                Situation::Busy(_) | Situation::Resized => Ok(None),
                Situation::Broken => Err(broken(&server)),
                _ => Ok(Some(server)),
            }
        })
        .await
    }

    /// Nova tells of a resize that it gave up in the server's history only.
    async fn resize_was_given_up(&self, id: &str) -> Result<Option<()>, BackendError> {
        Err(BackendError::Capacity(format!("no host can give machine {id} its new size; it keeps the present one")))
    }
}

fn broken(server: &Server) -> BackendError {
    let detail = server.facts().ok().flatten().and_then(|machine| machine.detail).unwrap_or_default();
    BackendError::Failed(format!("machine {} broke at its resize: {detail}", server.id))
}
