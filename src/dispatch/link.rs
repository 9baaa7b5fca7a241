//! The saga that joins a machine to a network, a volume, an address or a security group, and what undoes it.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use backend::{AttachmentSpec, Backend, BackendError, InterfaceSpec, InterfaceTarget, MachineId};
use occi_schema::{
    AttributeName, CategoryId, Value,
    well_known::{
        IP_NETWORK_INTERFACE, IP_RESERVATION, NETWORK_INTERFACE, STORAGE, STORAGE_LINK,
        attribute::{
            INTERFACE_ADDRESS, INTERFACE_ALLOCATION, INTERFACE_DEVICE, INTERFACE_GATEWAY, INTERFACE_MAC,
            RESERVED_ADDRESS_USED, STORAGE_LINK_DEVICE,
        },
    },
};

use super::{
    ledger,
    object::{name, networks, security_groups, volumes},
    order::{LinkOrder, Order},
    saga::{Definition, Done, Outcome, Run, StepFailure},
    site::Sites,
    work::{Work, failure},
};
use crate::store::{
    DbConnection, StoreError,
    entity::{self, Entity, EntityState, LinkTarget},
    intent,
    saga::{self, Saga},
};

pub const NAME: &str = "link";

const JOIN: &str = "join";

/// For how long the ends may take until they are made.
const PATIENCE: Duration = Duration::from_secs(1800);

pub struct Link {
    sites: Sites,
}

impl Link {
    pub fn new(sites: Sites) -> Self {
        Self { sites }
    }
}

#[async_trait]
impl Definition for Link {
    fn name(&self) -> &'static str {
        NAME
    }

    fn steps(&self) -> &'static [&'static str] {
        &[JOIN]
    }

    fn makes(&self, _step: &'static str) -> bool {
        true
    }

    fn announcement(&self, _step: &'static str, _saga: &Saga) -> Option<String> {
        Some("joining".to_owned())
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    async fn act(&self, _step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        join(run, &work).await
    }

    async fn undo(&self, _step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        leave(run, &work).await
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        let request_id = saga.request_id.as_deref();
        match outcome {
            Outcome::Done => ledger::set_state(connection, saga.entity, EntityState::Active, None, request_id),
            Outcome::Undone(reason) => {
                ledger::set_state(connection, saga.entity, EntityState::Error, Some(reason), request_id)
            }
        }
    }
}

/// Both ends of a link, as their site calls them.
struct Ends {
    machine: MachineId,
    target: Entity,
    target_id: String,
}

/// Joins the ends, and writes down how. What is joined already stays joined.
pub async fn join(run: &Run, work: &Work) -> Result<Done, StepFailure> {
    let ends = ready_ends(run, &work.entity).await?;
    let backend = work.site.backend.as_ref();
    let kind = work.entity.kind.clone();
    if ends.target.kind == STORAGE && ends.target.state == EntityState::Offline {
        // A volume that a machine gets is meant to be used.
        let volume = name(&ends.target_id).map_err(|error| failure(&error))?;
        let volumes = volumes(backend).map_err(|error| failure(&error))?;
        volumes.set_online(&volume, true).await.map_err(|error| failure(&error))?;
    }
    let learned = attach(backend, &kind, order(work)?, &ends).await.map_err(|error| failure(&error))?;
    let (id, tag) = (run.saga.entity, work.order.tag());
    let target = ends.target;
    Ok(Done::writing(move |connection| {
        entity::lock(connection, id)?;
        let Some(mut link) = entity::find_for_dispatch(connection, id)? else { return Ok(()) };
        let has_address = link.mixins.contains(&IP_NETWORK_INTERFACE);
        for (name, value) in &learned {
            let of_mixin = [&INTERFACE_ADDRESS, &INTERFACE_GATEWAY, &INTERFACE_ALLOCATION].contains(&name);
            if !of_mixin || has_address {
                link.attributes.insert(name.clone(), value.clone());
            }
        }
        entity::set_description(connection, id, &link.mixins, &link.attributes)?;
        entity::set_backend_id(connection, id, Some(&tag.to_string()))?;
        intent::settle(connection, tag, Some(&tag.to_string()))?;
        if target.kind == STORAGE && target.state == EntityState::Offline {
            ledger::set_state(connection, target.id, EntityState::Online, None, None)?;
        }
        note_use(connection, &target, true)
    }))
}

/// Parts the ends, and writes down that they are apart. What is apart already stays apart.
pub async fn leave(run: &Run, work: &Work) -> Result<Done, StepFailure> {
    let (source, target) = ends(run, &work.entity).await?;
    let machine = source.and_then(|source| source.backend_id).and_then(|id| id.parse::<MachineId>().ok());
    if let Some(machine) = machine {
        let backend = work.site.backend.as_ref();
        let target_id = target.as_ref().and_then(|target| target.backend_id.clone());
        let parted = detach(backend, &work.entity.kind, order(work)?, &machine, target_id.as_deref()).await;
        parted.map_err(|error| failure(&error))?;
    }
    let (id, tag) = (run.saga.entity, work.order.tag());
    Ok(Done::writing(move |connection| {
        intent::settle(connection, tag, None)?;
        entity::set_backend_id(connection, id, None)?;
        target.as_ref().map_or(Ok(()), |target| note_use(connection, target, false))
    }))
}

fn order(work: &Work) -> Result<&LinkOrder, StepFailure> {
    match &work.order {
        Order::Link(order) => Ok(order),
        other => Err(StepFailure::Lasting(format!("{} is a {} and no link", work.entity.id, other.noun()))),
    }
}

async fn ends(run: &Run, link: &Entity) -> Result<(Option<Entity>, Option<Entity>), StepFailure> {
    let (source, target) = (link.source, link.target.clone());
    Ok(run
        .read(move |connection| {
            let source = source.map(|id| entity::find_for_dispatch(connection, id)).transpose()?.flatten();
            let target = match target {
                Some(LinkTarget::Entity(id)) => entity::find_for_dispatch(connection, id)?,
                _ => None,
            };
            Ok((source, target))
        })
        .await?)
}

/// Both ends, if both exist at their site already. One that is still being made is waited for.
async fn ready_ends(run: &Run, link: &Entity) -> Result<Ends, StepFailure> {
    let (source, target) = ends(run, link).await?;
    let source = source.ok_or_else(|| StepFailure::Lasting("the link's source is gone".into()))?;
    let target = target.ok_or_else(|| StepFailure::Lasting("the link's target is gone".into()))?;
    let machine = made(run, &source).await?;
    let target_id = made(run, &target).await?;
    let machine = name(&machine).map_err(|error| failure(&error))?;
    Ok(Ends { machine, target, target_id })
}

/// The backend's name for an end.
async fn made(run: &Run, end: &Entity) -> Result<String, StepFailure> {
    let (id, kind) = (end.id, end.kind.term().to_owned());
    let under_way = run.read(move |connection| Ok(!saga::unfinished_of(connection, id)?.is_empty())).await?;
    match &end.backend_id {
        // A machine that is just booting or stopping is a bad moment for most backends.
        _ if under_way => Err(StepFailure::Passing(format!("waiting for {kind} {id}"))),
        Some(backend_id) => Ok(backend_id.clone()),
        None => Err(StepFailure::Lasting(format!("{kind} {id} was never made at its site"))),
    }
}

type Learned = BTreeMap<AttributeName, Value>;

async fn attach(
    backend: &dyn Backend,
    kind: &CategoryId,
    order: &LinkOrder,
    ends: &Ends,
) -> Result<Learned, BackendError> {
    let mut learned = Learned::new();
    let mut learn = |name: &AttributeName, value: String| {
        learned.insert(name.clone(), Value::from(value.as_str()));
    };
    if *kind == STORAGE_LINK {
        let spec = AttachmentSpec { tag: order.tag, volume: name(&ends.target_id)?, device: order.device.clone() };
        let attachment = volumes(backend)?.attach(&ends.machine, &spec).await?;
        learn(&STORAGE_LINK_DEVICE, attachment.device);
    } else if *kind == NETWORK_INTERFACE {
        let target = if ends.target.kind == IP_RESERVATION {
            InterfaceTarget::Address(name(&ends.target_id)?)
        } else {
            InterfaceTarget::Network(name(&ends.target_id)?)
        };
        let spec = InterfaceSpec { tag: order.tag, target, mac: order.mac, address: order.address };
        let interface = networks(backend)?.plug(&ends.machine, &spec).await?;
        learn(&INTERFACE_DEVICE, interface.device);
        learn(&INTERFACE_MAC, interface.mac.to_string());
        let allocation = if order.address.is_some() { "static" } else { "dynamic" };
        learn(&INTERFACE_ALLOCATION, allocation.to_owned());
        if let Some(address) = interface.address {
            learn(&INTERFACE_ADDRESS, address.to_string());
        }
        if let Some(gateway) = interface.gateway {
            learn(&INTERFACE_GATEWAY, gateway.to_string());
        }
    } else {
        security_groups(backend)?.apply(&ends.machine, &name(&ends.target_id)?).await?;
    }
    Ok(learned)
}

async fn detach(
    backend: &dyn Backend,
    kind: &CategoryId,
    order: &LinkOrder,
    machine: &MachineId,
    target: Option<&str>,
) -> Result<(), BackendError> {
    if *kind == STORAGE_LINK {
        volumes(backend)?.detach(machine, order.tag).await
    } else if *kind == NETWORK_INTERFACE {
        networks(backend)?.unplug(machine, order.tag).await
    } else if let Some(group) = target {
        security_groups(backend)?.lift(machine, &name(group)?).await
    } else {
        Ok(())
    }
}

/// A reserved address shows whether a machine has it.
pub fn note_use(connection: &mut DbConnection, target: &Entity, used: bool) -> Result<(), StoreError> {
    if target.kind != IP_RESERVATION {
        return Ok(());
    }
    entity::lock(connection, target.id)?;
    let Some(Entity { mixins, mut attributes, .. }) = entity::find_for_dispatch(connection, target.id)? else {
        return Ok(());
    };
    attributes.insert(RESERVED_ADDRESS_USED.clone(), Value::Boolean(used));
    entity::set_description(connection, target.id, &mixins, &attributes)
}
