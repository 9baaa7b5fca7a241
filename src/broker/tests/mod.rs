//! What may happen, asked of a broker over a simulated site where nothing runs: what is accepted stays accepted.

mod permission;
mod quota;

use std::sync::Arc;

use backend::{
    Backend,
    simulator::{Behaviour, Simulator},
};
use image_store::ImageStore;
use occi_schema::{ActionRequest, EntityRequest, Limits, MediaType, parse};

use super::{Address, Broker, BrokerError};
use crate::{
    config::Config,
    dispatch::{Dispatch, Policy, Site, Sites, Trial},
    login::{Principal, Proof, Rights},
    store::{
        Db,
        entity::EntityId,
        member::{self, ProjectId},
        tests::postgres::Postgres,
    },
};

const INFRASTRUCTURE: &str = "http://schemas.ogf.org/occi/infrastructure#";
const BASE: &str = "http://broker.example";

/// A broker, and what has to live as long.
struct Yard {
    broker: Broker,
    _directory: tempfile::TempDir,
}

impl Yard {
    async fn over(db: Db) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let images = Arc::new(ImageStore::open(directory.path()).unwrap());
        let simulator = Arc::new(Simulator::new(Behaviour::default())) as Arc<dyn Backend>;
        let sites = Sites::new([Site::new("lab", simulator)]);
        for site in sites.present().iter() {
            site.look().await;
        }
        let dispatch = Dispatch::new(&db, sites, &images, Policy::default(), Trial::default());
        let broker = Broker::new(db, dispatch, &Config::default()).unwrap();
        Self { broker, _directory: directory }
    }

    /// Somebody with these rights in the project.
    async fn principal(&self, user: &'static str, project: &'static str, rights: &str) -> Principal {
        let made = self.broker.db().write(move |connection| {
            Ok((member::ensure_user(connection, user)?, member::ensure_project(connection, project)?))
        });
        let (id, project) = made.await.unwrap();
        Principal { user: id, user_name: user.into(), project, rights: rights.parse().unwrap(), by: Proof::Session }
    }
}

impl Broker {
    async fn make(&self, principal: &Principal, request: &EntityRequest) -> Result<EntityId, BrokerError> {
        let address = Address { kind: None, path: None, base_url: BASE };
        let made = self.create(principal, address, std::slice::from_ref(request), None).await?;
        Ok(EntityId(made[0].rsplit_once('/').unwrap().1.parse().unwrap()))
    }
}

/// A request for one of the standard kinds.
fn request(kind: &str, attributes: &str) -> EntityRequest {
    let mut text = format!("Category: {kind}; scheme=\"{INFRASTRUCTURE}\"; class=\"kind\"\n");
    for attribute in attributes.split_terminator(';') {
        text.push_str(&format!("X-OCCI-Attribute: {}\n", attribute.trim()));
    }
    parse::entity(MediaType::TextPlain, &[], text.as_bytes(), &Limits::default()).unwrap()
}

fn storage(gib: u32) -> EntityRequest {
    request("storage", &format!("occi.storage.size={gib}.0"))
}

fn action(kind: &str, term: &str) -> ActionRequest {
    let scheme = format!("http://schemas.ogf.org/occi/infrastructure/{kind}/action#");
    let text = format!("Category: {term}; scheme=\"{scheme}\"; class=\"action\"\n");
    parse::action(MediaType::TextPlain, &[], text.as_bytes(), &Limits::default()).unwrap()
}

/// Runs the story on SQLite and on a real PostgreSQL.
async fn on_both<S: AsyncFn(Db)>(story: S) {
    let directory = tempfile::tempdir().unwrap();
    story(Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap()).await;
    let postgres = Postgres::start();
    let db = tokio::task::block_in_place(|| {
        postgres.await_start();
        postgres.open()
    });
    story(db).await;
}

fn forbidden<T: std::fmt::Debug>(outcome: Result<T, BrokerError>) -> String {
    match outcome {
        Err(BrokerError::Forbidden(words)) => words,
        other => panic!("{other:?}"),
    }
}

fn rights(text: &str) -> Rights {
    text.parse().unwrap()
}

async fn project(db: &Db, name: &'static str) -> ProjectId {
    db.write(move |connection| member::ensure_project(connection, name)).await.unwrap()
}
