//! What is accepted in a world: everything that the broker accepts, by the same planner.

use std::{collections::BTreeMap, time::Duration};

use backend::{Architecture, IntentTag, MachineSpec, NetworkSpec, VolumeSpec};
use occi_schema::{
    CategoryId,
    well_known::{COMPUTE, NETWORK, NETWORK_INTERFACE, STORAGE, STORAGE_LINK},
};
use uuid::Uuid;

use super::world::World;
use crate::{
    dispatch::{Change, LinkOrder, Order, Planner, PowerAction, policy::Operation},
    store::{
        StoreError, Timestamp,
        entity::{self, Entity, EntityId, EntityState, Facts, LinkTarget},
        saga,
    },
};

impl World {
    /// Accepts a machine at a site.
    pub async fn order_machine_at(&mut self, site: &str) -> EntityId {
        let (entity, order) = self.machine(site);
        self.accept(entity, order).await
    }

    fn machine(&self, site: &str) -> (Entity, Order) {
        let spec = MachineSpec {
            tag: IntentTag(Uuid::now_v7()),
            name: "one".into(),
            hostname: None,
            cores: 1,
            memory_mib: 64,
            disk_bytes: 4096,
            architecture: Architecture::X86_64,
            image: self.image,
            ssh_keys: Vec::new(),
            user_data: None,
            joins: backend::MachineJoins::default(),
        };
        let order = Order::Machine(spec);
        (self.entity(site, COMPUTE.clone(), EntityState::Inactive, &order), order)
    }

    pub async fn order_machine(&mut self) -> EntityId {
        self.order_machine_at("lab").await
    }

    pub async fn order_volume(&mut self) -> EntityId {
        let spec = VolumeSpec { tag: IntentTag(Uuid::now_v7()), name: "disk".into(), size_bytes: 1 << 20 };
        let entity = self.entity("lab", STORAGE.clone(), EntityState::Offline, &Order::Volume(spec.clone()));
        self.accept(entity, Order::Volume(spec)).await
    }

    pub async fn order_network(&mut self) -> EntityId {
        let spec =
            NetworkSpec { tag: IntentTag(Uuid::now_v7()), name: "net".into(), vlan: None, label: None, subnet: None };
        let entity = self.entity("lab", NETWORK.clone(), EntityState::Inactive, &Order::Network(spec.clone()));
        self.accept(entity, Order::Network(spec)).await
    }

    /// Accepts a link from a machine to a volume or network.
    pub async fn order_link(&mut self, source: EntityId, target: EntityId) -> Option<EntityId> {
        let (source, target) = (self.find(source).await?, self.find(target).await?);
        let kind = if target.kind == STORAGE { STORAGE_LINK.clone() } else { NETWORK_INTERFACE.clone() };
        let order = LinkOrder { tag: IntentTag(Uuid::now_v7()), mac: None, address: None, device: None };
        let order = Order::Link(order);
        let mut entity = self.entity(&source.site, kind, EntityState::Inactive, &order);
        entity.source = Some(source.id);
        entity.target = Some(LinkTarget::Entity(target.id));
        Some(self.accept(entity, order).await)
    }

    fn entity(&self, site: &str, kind: CategoryId, state: EntityState, order: &Order) -> Entity {
        Entity {
            id: EntityId(Uuid::now_v7()),
            project: self.project,
            kind,
            mixins: Vec::new(),
            attributes: BTreeMap::new(),
            state,
            state_message: Some("accepted".into()),
            site: site.into(),
            placement: serde_json::Value::Null,
            specification: order.to_json().unwrap(),
            backend_id: None,
            source: None,
            target: None,
            facts: Facts::default(),
            version: 1,
            updated_at: Timestamp::now(),
        }
    }

    /// Accepts a machine that the system itself wants.
    pub async fn order_internally(&mut self) -> EntityId {
        let (entity, order) = self.machine("lab");
        self.accept_by(self.dispatch.planner().internal(), entity, order).await
    }

    async fn accept(&mut self, entity: Entity, order: Order) -> EntityId {
        self.accept_by(self.dispatch.planner(), entity, order).await
    }

    async fn accept_by(&mut self, planner: Planner, entity: Entity, order: Order) -> EntityId {
        let (id, site) = (entity.id, entity.site.clone());
        let operation = if matches!(order, Order::Link(_)) { Operation::Link } else { Operation::Create };
        self.db
            .write(move |connection| {
                entity::insert(connection, &entity)?;
                planner.plan_making(connection, &entity, &order)
            })
            .await
            .unwrap();
        self.accepted.insert(id, false);
        self.dispatch.wake(&site, operation);
        id
    }

    /// Accepts a removal, of what is there still.
    pub async fn remove(&mut self, id: EntityId) {
        let planner = self.dispatch.planner();
        let links = self.db.read(move |connection| entity::links_for_dispatch(connection, id)).await.unwrap();
        self.db
            .write(move |connection| match entity::find_for_dispatch(connection, id)? {
                Some(_) => planner.plan_removal(connection, id),
                None => Ok(()),
            })
            .await
            .unwrap();
        for id in links.into_iter().map(|link| link.id).chain([id]) {
            self.accepted.insert(id, true);
        }
        self.dispatch.wake_cancelled();
    }

    /// Accepts a start or stop if the machine is at rest, as the broker does; answers whether.
    pub async fn act(&mut self, id: EntityId, action: PowerAction) -> bool {
        let planner = self.dispatch.planner();
        let accepted = self.at_rest(id, move |connection, entity| planner.plan_power(connection, entity, action)).await;
        self.dispatch.wake("lab", Operation::Power);
        accepted
    }

    /// Accepts a change of what is at rest; answers whether.
    pub async fn change(&mut self, id: EntityId, change: Change) -> bool {
        let planner = self.dispatch.planner();
        let plan = move |connection: &mut crate::store::DbConnection, entity: &Entity| {
            planner.plan_change(connection, entity, change.clone(), None)
        };
        let accepted = self.at_rest(id, plan).await;
        self.dispatch.wake("lab", Operation::Change);
        accepted
    }

    async fn at_rest(
        &self,
        id: EntityId,
        plan: impl Fn(&mut crate::store::DbConnection, &Entity) -> Result<(), StoreError> + Send + 'static,
    ) -> bool {
        self.db
            .write(move |connection| {
                let Some(entity) = entity::find_for_dispatch(connection, id)? else { return Ok(false) };
                if entity.backend_id.is_none() || !saga::unfinished_of(connection, id)?.is_empty() {
                    return Ok(false);
                }
                plan(connection, &entity).map(|()| true)
            })
            .await
            .unwrap()
    }

    /// A machine with a volume and a network, all joined and running.
    pub async fn desk(&mut self) -> Desk {
        let (machine, volume, network) =
            (self.order_machine().await, self.order_volume().await, self.order_network().await);
        let disk = self.order_link(machine, volume).await.unwrap();
        let interface = self.order_link(machine, network).await.unwrap();
        Desk { machine, volume, network, disk, interface }
    }
}

/// A machine with what belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct Desk {
    pub machine: EntityId,
    pub volume: EntityId,
    pub network: EntityId,
    pub disk: EntityId,
    pub interface: EntityId,
}

/// Sleeps for so long; for what cannot be awaited: that nothing happens.
pub async fn a_while(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
