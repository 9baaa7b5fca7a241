//! The moments at which a server can be told to kill itself, and stories that come to them.

use backend::{
    BackendError,
    simulator::{Fault, Operation},
};

use crate::world::World;

/// The sagas and their steps, as the engine has them; its own tests hold this list against it.
const SAGAS: [(&str, &[&str]); 7] = [
    ("change", &["ask", "arrive"]),
    ("link", &["join"]),
    ("make", &["create", "arrive"]),
    ("power", &["ask", "arrive"]),
    ("provision", &["deliver image", "create machine", "boot"]),
    ("removal", &["remove machine"]),
    ("save", &["save disk"]),
];
const WHEN: [&str; 3] = ["before effect", "before log", "after log"];

/// A moment in the life of a saga.
#[derive(Debug, Clone)]
pub struct Moment {
    pub saga: &'static str,
    pub undoing: bool,
    /// As the server wants to hear it.
    pub name: String,
}

/// All that can come: a removal is never undone, everything else may be.
pub fn all() -> Vec<Moment> {
    let mut moments = Vec::new();
    for (saga, steps) in SAGAS {
        for undoing in [false, true].into_iter().filter(|undoing| !undoing || saga != "removal") {
            for (step, when) in steps.iter().flat_map(|step| WHEN.map(|when| (step, when))) {
                let way = if undoing { "undo" } else { "act" };
                moments.push(Moment { saga, undoing, name: format!("{saga}/{step}/{way}/{when}") });
            }
        }
    }
    moments
}

/// What there has to be before the story begins.
pub enum Scene {
    Nothing,
    Machine(String),
    Volume(String),
    Both(String, String),
}

impl Moment {
    /// Makes what the story needs, by sagas of other names; nobody dies meanwhile.
    pub async fn prepare(&self, world: &mut World) -> Scene {
        match self.saga {
            "power" | "save" | "removal" => Scene::Machine(running_machine(world).await),
            "change" => Scene::Volume(idle_volume(world).await),
            "link" => Scene::Both(running_machine(world).await, idle_volume(world).await),
            _ => Scene::Nothing,
        }
    }

    /// Lets one saga of the name run; its last step fails for good if it is to be undone.
    pub async fn trigger(&self, world: &mut World, scene: &Scene) {
        if self.undoing {
            let operation = match self.saga {
                "provision" | "power" => Operation::Machine,
                "make" | "change" => Operation::Volume,
                "link" => Operation::Attach,
                _ => Operation::Save,
            };
            world.simulator.inject(operation, Fault::Before(BackendError::Refused("not this time".into())), 1);
        }
        match (self.saga, scene) {
            ("make", _) => drop(world.order_volume().await),
            ("power", Scene::Machine(machine)) => {
                world.act(machine, "compute", "stop", "X-OCCI-Attribute: method=\"poweroff\"").await;
            }
            ("save", Scene::Machine(machine)) => {
                let name = format!("X-OCCI-Attribute: method=\"hot\", name=\"saved {}\"", world.accepted.len());
                world.act(machine, "compute", "save", &name).await;
            }
            ("removal", Scene::Machine(machine)) => world.remove(machine).await,
            ("change", Scene::Volume(volume)) => world.act(volume, "storage", "online", "").await,
            ("link", Scene::Both(machine, volume)) => drop(world.order_attachment(machine, volume).await),
            _ => drop(world.order_machine().await),
        }
    }
}

async fn running_machine(world: &mut World) -> String {
    let machine = world.order_machine().await;
    world.arrive(&machine, "active").await;
    machine
}

async fn idle_volume(world: &mut World) -> String {
    let volume = world.order_volume().await;
    world.arrive(&volume, "offline").await;
    volume
}
