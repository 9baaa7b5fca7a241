//! The daemon: its objects, its clock and its methods.

use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::settings::Settings;
use crate::wire::answer::{Refusal, Value};
use crate::wire::arguments::Arguments;
use crate::wire::call::{Call, Fault, Parameter};

pub mod access;
pub mod acl;
pub mod creation;
pub mod datastores;
pub mod disks;
pub mod documents;
pub mod events;
pub mod groups;
pub mod hosts;
pub mod images;
pub mod interfaces;
pub mod jobs;
pub mod lifecycle;
pub mod machines;
pub mod markets;
pub mod networks;
pub mod objects;
pub mod paging;
pub mod quotas;
pub mod recovery;
pub mod scheduling;
pub mod security_groups;
pub mod snapshots;
pub mod states;
pub mod system;
pub mod templates;
pub mod users;
pub mod world;

use access::Caller;
use events::Event;
use jobs::Job;
use objects::Pool;

/// What a method gives.
pub type Outcome = Result<Value, Refusal>;

/// A method: the session was taken from the arguments already.
pub type Method = fn(&mut Daemon, &Caller, &mut Arguments) -> Outcome;

/// A part of the table of methods.
pub type Methods = &'static [(&'static str, Method)];

const TABLES: &[Methods] = &[
    acl::METHODS,
    creation::METHODS,
    datastores::METHODS,
    disks::METHODS,
    groups::METHODS,
    hosts::METHODS,
    images::METHODS,
    interfaces::METHODS,
    lifecycle::METHODS,
    machines::METHODS,
    markets::METHODS,
    networks::METHODS,
    quotas::METHODS,
    recovery::METHODS,
    security_groups::METHODS,
    snapshots::METHODS,
    system::METHODS,
    templates::METHODS,
    users::METHODS,
];

/// All names that `system.listMethods` gives, sorted.
pub fn method_names() -> Vec<&'static str> {
    let own = ["system.listMethods", "system.multicall"];
    let mut names: Vec<_> = TABLES.iter().flat_map(|t| t.iter().map(|(name, _)| *name)).chain(own).collect();
    names.sort_unstable();
    names
}

/// Everything that the daemon knows.
pub struct Daemon {
    pub(crate) settings: Settings,
    pub(crate) directory: PathBuf,
    pub(crate) users: Pool<users::User>,
    pub(crate) groups: Pool<groups::Group>,
    pub(crate) rules: Pool<acl::Rule>,
    pub(crate) clusters: Pool<hosts::Cluster>,
    pub(crate) hosts: Pool<hosts::Host>,
    pub(crate) datastores: Pool<datastores::Datastore>,
    pub(crate) images: Pool<images::Image>,
    pub(crate) templates: Pool<templates::MachineTemplate>,
    pub(crate) machines: Pool<machines::Machine>,
    pub(crate) networks: Pool<networks::Network>,
    pub(crate) security_groups: Pool<security_groups::SecurityGroup>,
    pub(crate) marketplaces: Pool<markets::Marketplace>,
    pub(crate) apps: Pool<markets::App>,
    pub(crate) events: BinaryHeap<Event>,
    pub(crate) sequence: u64,
    pub(crate) jobs: Vec<Job>,
    pub(crate) driver_failures: Vec<events::DriverAction>,
    pub(crate) frozen_machines: Option<Pool<machines::Machine>>,
    pub(crate) moment: Instant,
}

impl Daemon {
    /// Answers one call.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub fn answer(&mut self, call: Call) -> Outcome {
        self.advance();
        let Some(method) = find(&call.method) else { return Err(Fault::method(&call.method).into()) };
        let mut arguments = Arguments::new(call.parameters);
        let session = arguments.text()?;
        let caller = access::authenticate(self, &session)?;
        method(self, &caller, &mut arguments)
    }

    /// Answers `system.multicall`.
    ///
    /// # Errors
    /// Fault -501 when the parameter is no array of structures with a method's name and its parameters.
    pub fn answer_several(&mut self, call: Call) -> Result<Vec<(String, Outcome)>, Fault> {
        let calls = Arguments::new(call.parameters).array()?;
        let malformed = || Fault::parameter("Each call of system.multicall is a structure of methodName and params");
        let mut results = Vec::new();
        for call in calls {
            let Parameter::Structure(mut members) = call else { return Err(malformed()) };
            let (Some(Parameter::Text(method)), Some(Parameter::Array(parameters))) =
                (members.remove("methodName"), members.remove("params"))
            else {
                return Err(malformed());
            };
            let outcome = self.answer(Call { method: method.clone(), parameters });
            results.push((method, outcome));
        }
        Ok(results)
    }

    /// What is to be done outside of the daemon, in the background.
    pub fn take_jobs(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }
}

fn find(name: &str) -> Option<Method> {
    TABLES.iter().flat_map(|t| t.iter()).find(|(known, _)| *known == name).map(|(_, method)| *method)
}

/// Seconds since 1970, as all times in the documents.
pub fn seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
