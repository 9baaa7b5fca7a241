//! From a wish to a running machine, or to nothing at all.

use std::{path::PathBuf, sync::Arc};

use backend::{IntentTag, Machine, MachineId, MachineJoins, MachineSpec};
use disk_image::{
    ImageFormat, SECTOR,
    qcow2::{OverlaySpec, create_overlay},
};
use tokio::{
    sync::{OwnedMutexGuard, mpsc},
    time::Instant,
};

use super::{
    Inner, admission,
    card::{Ask, Card, Wish},
    keeper::Keeper,
    lock,
    means::persist,
    run::{Run, switch_on},
};
use crate::{
    NodeError,
    image_cache::blocking,
    machine_directory::{DISK, Hardware, Lifecycle, MachineDirectory, Record, SEED, sync_directory, write_private},
    seed::Seed,
};

/// Asks that wait while a keeper is busy; more have to wait outside.
const WAITING_ASKS: usize = 16;

/// A machine is named by the intent that made it, so one intent cannot make two.
pub(super) fn id_for(tag: IntentTag) -> Result<MachineId, NodeError> {
    tag.to_string().try_into().map_err(|error| NodeError::Internal(format!("{error}")))
}

/// The guest's network address: administered by us [IEEE 802, 8.4], the same at every start.
fn mac_for(id: &MachineId) -> String {
    let hash = blake3::hash(id.as_str().as_bytes());
    let rest: Vec<String> = hash.as_bytes()[..5].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("52:{}", rest.join(":"))
}

/// Right after the machine is there, since what is joined belongs to its keeper.
async fn join(card: &Card, joins: &MachineJoins) -> Result<(), NodeError> {
    for spec in joins.volumes.iter().cloned() {
        card.ask(|answer| Ask::Attach { spec, answer }).await?;
    }
    for spec in joins.interfaces.iter().cloned() {
        card.ask(|answer| Ask::Plug { spec, answer }).await?;
    }
    Ok(())
}

impl Inner {
    /// `_turn` is this machine's, and lasts until the machine is there or nothing of it is.
    pub(super) async fn create(
        self: &Arc<Self>,
        spec: &MachineSpec,
        _turn: OwnedMutexGuard<()>,
    ) -> Result<Machine, NodeError> {
        let id = id_for(spec.tag)?;
        if let Ok(card) = self.card(&id) {
            return Ok(card.show(&self.means));
        }
        let _images = self.images_in_use.read().await;
        admission::check(spec, &admission::limits(&self.means.options, &self.means.memory))?;
        if !spec.joins.security_groups.is_empty() {
            return Err(NodeError::Refused("a machine with security groups is wanted: a node has none".into()));
        }
        let seed = Seed::of(spec, &id)?;
        let (image, image_size) = self.means.image(&spec.image)?;
        let hypervisor = self.means.hypervisor().await?;
        if let Some(shortage) = self.means.shortage() {
            return Err(NodeError::NoRoom(shortage));
        }
        // Before anything is made, so that a busy node refuses quickly.
        self.means.memory.lease(spec.memory_mib).map(drop)?;
        let disk_bytes = spec.disk_bytes.next_multiple_of(SECTOR).max(image_size);
        let hardware = Hardware {
            machine_type: hypervisor.machine_type,
            cores: spec.cores,
            memory_mib: spec.memory_mib,
            mac: mac_for(&id),
            disk_bytes,
        };
        let mut record = Record::new(id.clone(), spec.tag, spec.name.clone(), spec.image, hardware);
        let directory = MachineDirectory::of(&self.means.machines, &id);
        if directory.path().exists() {
            // The driver found it at its start and could not read it: nothing to overwrite.
            return Err(NodeError::Refused(format!(
                "{} holds a machine that this driver cannot read: move it away first",
                directory.path().display()
            )));
        }
        match self.build(&directory, &mut record, seed, image, disk_bytes).await {
            Ok(run) => {
                self.keep(directory, record, Some(run), false);
                let card = self.card(&id)?;
                if let Err(error) = join(&card, &spec.joins).await {
                    // What was joined goes with the machine.
                    card.change(Wish::Delete).await?;
                    lock(&self.machines).remove(&id);
                    return Err(error);
                }
                Ok(card.show(&self.means))
            }
            Err(error) => {
                let removed = blocking(move || directory.remove()).await;
                if let Err(left) = removed {
                    tracing::error!(machine = %id, error = %left, "a failed create is cleared at the next start");
                }
                Err(error)
            }
        }
    }

    async fn build(
        &self,
        directory: &MachineDirectory,
        record: &mut Record,
        seed: Seed,
        image: PathBuf,
        disk_bytes: u64,
    ) -> Result<Run, NodeError> {
        let (place, id) = (directory.clone(), record.id.clone());
        blocking(move || {
            place.make()?;
            write_private(&place.file(SEED), &seed.render(&id)?)?;
            create_overlay(&OverlaySpec {
                path: &place.file(DISK),
                backing: &image,
                backing_format: ImageFormat::Raw,
                virtual_size: disk_bytes,
            })?;
            place.path().parent().map_or(Ok(()), sync_directory)
        })
        .await?;
        let run = switch_on(&self.means, directory, record).await?;
        record.lifecycle = Lifecycle::Running;
        if let Err(error) = persist(directory, record).await {
            run.destroy().await;
            return Err(error);
        }
        Ok(run)
    }

    /// Gives a machine to a keeper of its own.
    pub(super) fn keep(&self, directory: MachineDirectory, record: Record, run: Option<Run>, found_again: bool) {
        let (ask, asks) = mpsc::channel(WAITING_ASKS);
        let card = Arc::new(Card::new(&record, ask));
        lock(&self.machines).insert(card.id.clone(), Arc::clone(&card));
        let means = Arc::clone(&self.means);
        let next_look = Instant::now();
        let frozen = matches!(record.lifecycle, Lifecycle::Suspended { .. });
        let processors = run.is_some().then(|| if frozen { "paused" } else { "running" }.to_owned());
        let mut keeper = Keeper {
            means,
            directory,
            record,
            card,
            asks,
            run,
            found_again,
            next_look,
            processors,
            saving: None,
            volume_copy: None,
        };
        keeper.announce();
        self.tasks.spawn_on(keeper.keep(), &self.means.runtime);
    }
}

#[cfg(test)]
mod tests {
    use super::mac_for;

    #[test]
    fn addresses_are_local_single_and_stable() {
        let (one, other) = ("m-1".parse().unwrap(), "m-2".parse().unwrap());
        assert_eq!(mac_for(&one), mac_for(&one));
        assert_ne!(mac_for(&one), mac_for(&other));
        let first = u8::from_str_radix(&mac_for(&one)[..2], 16).unwrap();
        assert_eq!(first & 0b11, 0b10, "local, not multicast");
    }
}
