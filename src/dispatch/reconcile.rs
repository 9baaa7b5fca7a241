//! Compares what backends say with what is remembered. Backends are the truth about machines, the store is the truth
//! about ownership. Thin for now: own machines only; foreign ones with our tag are counted and left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use backend::{BackendError, IntentTag, Machine, MachineState};
use tokio_util::sync::CancellationToken;

use super::{
    order::Order,
    provision::facts_of,
    site::{Site, Sites},
};
use crate::store::{
    Db, StoreError, Timestamp,
    entity::{self, Entity, EntityId, EntityState, Facts},
    saga,
};

const ROUND: Duration = Duration::from_secs(1);
/// How much longer a pause is than the work before it.
const REST: u32 = 9;
/// No round may take longer: a backend that hangs is a backend that does not answer.
const CALL_LIMIT: Duration = Duration::from_secs(20);
const PAGE: i64 = 500;
/// A machine is gone when it has been missing this often in a row: one list may be stale.
const CONFIRMATIONS: u32 = 2;

/// Reconciles every site in its own task, so that a slow one holds up no other.
pub async fn run(db: &Db, sites: &Sites, shutdown: &CancellationToken) {
    let mut tasks = tokio::task::JoinSet::new();
    for site in sites.iter() {
        let (db, site, shutdown) = (db.clone(), Arc::clone(site), shutdown.clone());
        tasks.spawn(async move { watch_site(&db, &site, &shutdown).await });
    }
    while tasks.join_next().await.is_some() {}
}

async fn watch_site(db: &Db, site: &Site, shutdown: &CancellationToken) {
    let mut missing = BTreeMap::new();
    loop {
        let round = async {
            let began = Instant::now();
            // The description outlives one silent call: only `look` itself decides that the site is away.
            if tokio::time::timeout(CALL_LIMIT, site.look()).await.is_err() {
                tracing::warn!(site = %site.name, "the site does not answer in time");
            }
            if let Err(error) = compare(db, site, &mut missing).await {
                tracing::warn!(site = %site.name, %error, "a round of reconciliation failed");
            }
            // Many machines take long to compare: at most a tenth of the time goes into it.
            tokio::time::sleep(ROUND.max(began.elapsed() * REST)).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round => {}
        }
    }
}

async fn compare(db: &Db, site: &Site, missing: &mut BTreeMap<EntityId, u32>) -> Result<(), StoreError> {
    // What was written after the backend was asked is newer than its answer.
    let asked_at = Timestamp::now();
    let listed = match tokio::time::timeout(CALL_LIMIT, site.backend.machines()).await {
        Ok(Ok(machines)) => machines.objects,
        // `look` has reported a silent site already.
        Ok(Err(BackendError::Unreachable(_))) | Err(_) => return Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(site = %site.name, %error, "the site cannot list its machines");
            return Ok(());
        }
    };
    let by_tag: BTreeMap<IntentTag, Machine> = listed.into_iter().map(|machine| (machine.tag, machine)).collect();
    let (volumes, networks) = (volume_tags(site).await, network_tags(site).await);
    let mut seen = BTreeSet::new();
    let mut after = None;
    loop {
        let name = site.name.clone();
        let page = db.read(move |connection| entity::with_backend_id_at(connection, &name, after, PAGE)).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for entity in page {
            seen.insert(entity.id);
            if entity.updated_at >= asked_at {
                continue;
            }
            let Ok(order) = Order::of(&entity) else { continue };
            let (tag, is_machine) = (order.tag(), matches!(order, Order::Machine(_)));
            let others = match order {
                Order::Volume(_) => &volumes,
                Order::Network(_) => &networks,
                Order::Machine(_) => &None,
                // Nobody lists these; a link goes with its machine.
                Order::Address(_) | Order::SecurityGroup(_) | Order::Link(_) => continue,
            };
            match (by_tag.get(&tag), others) {
                (Some(machine), _) => {
                    missing.remove(&entity.id);
                    adopt_facts(db, &entity, machine).await?;
                }
                (None, Some(tags)) if !tags.contains(&tag) => note_missing(db, site, &entity, missing).await?,
                (None, _) if is_machine => note_missing(db, site, &entity, missing).await?,
                (None, _) => {
                    missing.remove(&entity.id);
                }
            }
        }
    }
    missing.retain(|id, _| seen.contains(id));
    Ok(())
}

/// The tags of the site's volumes, if it says which it has.
async fn volume_tags(site: &Site) -> Option<BTreeSet<IntentTag>> {
    let listed = tokio::time::timeout(CALL_LIMIT, site.backend.volumes()?.volumes()).await.ok()?.ok()?;
    Some(listed.objects.into_iter().map(|volume| volume.tag).collect())
}

/// The tags of the site's networks, if it says which it has.
async fn network_tags(site: &Site) -> Option<BTreeSet<IntentTag>> {
    let listed = tokio::time::timeout(CALL_LIMIT, site.backend.networks()?.networks()).await.ok()?.ok()?;
    Some(listed.objects.into_iter().map(|network| network.tag).collect())
}

/// Writes what the backend says, unless a saga is just changing it or nothing is new.
async fn adopt_facts(db: &Db, entity: &Entity, machine: &Machine) -> Result<(), StoreError> {
    let state = match machine.state {
        MachineState::Running => EntityState::Active,
        MachineState::Stopped => EntityState::Inactive,
        MachineState::Suspended => EntityState::Suspended,
        MachineState::Failed => EntityState::Error,
        MachineState::Building | MachineState::Stopping => entity.state,
    };
    let facts = facts_of(machine);
    if state == entity.state && facts == entity.facts {
        return Ok(());
    }
    let message = if state == entity.state { entity.state_message.clone() } else { machine.detail.clone() };
    write_unless_changed(db, entity, state, message, facts).await
}

async fn note_missing(
    db: &Db,
    site: &Site,
    entity: &Entity,
    missing: &mut BTreeMap<EntityId, u32>,
) -> Result<(), StoreError> {
    let count = missing.entry(entity.id).or_default();
    *count = count.saturating_add(1);
    if *count < CONFIRMATIONS || entity.state == EntityState::Error {
        return Ok(());
    }
    let kind = entity.kind.term();
    let noun = if kind == "compute" { "machine" } else { kind };
    let message = format!("the {noun} has vanished from site {}; delete this entity", site.name);
    tracing::warn!(entity = %entity.id, site = %site.name, noun, "a thing has vanished");
    write_unless_changed(db, entity, EntityState::Error, Some(message), Facts::default()).await
}

/// Writes unless a saga is at work on the entity, or somebody has written since it was read.
async fn write_unless_changed(
    db: &Db,
    entity: &Entity,
    state: EntityState,
    message: Option<String>,
    facts: Facts,
) -> Result<(), StoreError> {
    let (id, version) = (entity.id, entity.version);
    db.write(move |connection| {
        let unchanged = entity::find_for_dispatch(connection, id)?.is_some_and(|now| now.version == version);
        if !unchanged || !saga::unfinished_of(connection, id)?.is_empty() {
            return Ok(());
        }
        entity::set_facts(connection, id, &facts)?;
        entity::set_state(connection, id, state, message.as_deref())
    })
    .await
}
