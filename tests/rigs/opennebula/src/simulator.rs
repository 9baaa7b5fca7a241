//! The simulator as tests hold it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::daemon::access::Caller;
use crate::daemon::events::DriverAction;
use crate::daemon::machines::Machine;
use crate::daemon::markets::{App, Marketplace};
use crate::daemon::objects::Ownership;
use crate::daemon::states::State;
use crate::daemon::{Daemon, method_names, seconds};
use crate::faults::{Fault, Order, Orders, entity_bomb, malform};
use crate::settings::Settings;
use crate::template::Template;
use crate::wire::answer::{self, Code, Refusal};
use crate::wire::call;
use crate::wire::http::{self, Answering, Delivery};

/// A running simulator. It stops when it is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Shared {
    daemon: Mutex<Daemon>,
    orders: Mutex<Orders>,
    runtime: Handle,
    calls: Mutex<Vec<String>>,
    counted: std::sync::atomic::AtomicU64,
}

/// An appliance for a marketplace.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// Its name.
    pub name: String,
    /// Where its bytes are.
    pub source: String,
    /// MD5 of its bytes, in hexadecimal.
    pub md5: String,
    /// For instance `qcow2`.
    pub format: String,
    /// In MiB.
    pub megabytes: i64,
}

/// How many of the last calls are remembered.
const REMEMBERED: usize = 10_000;

impl Simulator {
    /// Starts on a free port of the loopback interface, with a fresh installation: no host yet. Images' bytes are kept
    /// below the directory.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start(settings: Settings, directory: &Path) -> io::Result<Self> {
        Self::start_at("127.0.0.1:0", settings, directory).await
    }

    /// Starts at an address.
    ///
    /// # Errors
    /// When it cannot be listened on.
    pub async fn start_at(address: &str, settings: Settings, directory: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            daemon: Mutex::new(Daemon::new(settings, PathBuf::from(directory))),
            orders: Mutex::new(Orders::default()),
            runtime: Handle::current(),
            calls: Mutex::new(Vec::new()),
            counted: std::sync::atomic::AtomicU64::new(0),
        });
        let server = tokio::spawn(http::serve(listener, Arc::new(Arc::clone(&shared))));
        Ok(Self { shared, address, server })
    }

    /// Starts with what most tests need: two monitored KVM hosts in the default cluster.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn with_hosts(settings: Settings, directory: &Path) -> io::Result<Self> {
        let simulator = Self::start(settings, directory).await?;
        simulator.add_host("kvm-1");
        simulator.add_host("kvm-2");
        Ok(simulator)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its interface: `http://127.0.0.1:PORT/RPC2`.
    pub fn url(&self) -> String {
        format!("http://{}/RPC2", self.address)
    }

    /// Orders a fault.
    pub fn order(&self, order: Order) {
        if order.fault == Fault::StalePool {
            let mut daemon = self.shared.daemon();
            daemon.frozen_machines = Some(daemon.machines.clone());
        }
        lock(&self.shared.orders).add(order);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        lock(&self.shared.orders).clear();
        let mut daemon = self.shared.daemon();
        daemon.frozen_machines = None;
        daemon.driver_failures.clear();
    }

    /// Lets the hypervisor's driver fail at its next action of this kind.
    pub fn fail_driver(&self, action: DriverAction) {
        self.shared.daemon().driver_failures.push(action);
    }

    /// Lets everything happen at once that is planned, except downloads.
    pub fn settle(&self) {
        self.shared.daemon().settle();
    }

    /// Lets only the next thing happen that is planned for a machine, and says whether there was something. With long
    /// delays a machine can be held in any state this way.
    pub fn step(&self, machine: i32) -> bool {
        self.shared.daemon().step(machine)
    }

    /// Adds a monitored KVM host to the default cluster and gives its identifier.
    pub fn add_host(&self, name: &str) -> i32 {
        self.shared.daemon().add_host(name, 0)
    }

    /// Adds a marketplace with appliances and gives the identifiers of these.
    pub fn add_marketplace(&self, name: &str, apps: &[NewApp]) -> Vec<i32> {
        let mut daemon = self.shared.daemon();
        let mut template = Template::default();
        template.set("MARKET_MAD", "one");
        let ownership = Ownership::of_oneadmin("111100100");
        let marketplace =
            daemon.marketplaces.add(Marketplace { ownership: ownership.clone(), name: name.into(), template });
        let mut added = Vec::new();
        for app in apps {
            added.push(daemon.apps.add(App {
                ownership: ownership.clone(),
                name: app.name.clone(),
                source: app.source.clone(),
                md5: app.md5.clone(),
                format: app.format.clone(),
                megabytes: app.megabytes,
                marketplace,
                registered: seconds(),
                template: Template::default(),
            }));
        }
        added
    }

    /// Adds many machines of oneadmin at once, running on no host and with these attributes, and gives the identifiers
    /// of the first and of the last. Meant for measurements; the names end in their numbers.
    pub fn add_machines(&self, count: u32, name: &str, attributes: &[(&str, &str)]) -> (i32, i32) {
        let mut daemon = self.shared.daemon();
        let first = daemon.machines.next_id();
        for number in 0..count {
            let mut template = Template::default();
            template.set("CPU", "0.1");
            template.set("MEMORY", "64");
            template.set("VMID", daemon.machines.next_id().to_string());
            let mut own = Template::default();
            for (name, value) in attributes {
                own.set(name, *value);
            }
            let name = format!("{name}-{number}");
            let mut machine = Machine::new(Ownership::of(&Caller::oneadmin()), name, template, own);
            machine.state = State::RUNNING;
            daemon.machines.add(machine);
        }
        (first, daemon.machines.next_id() - 1)
    }

    /// The states that a machine came into, as the daemon writes them into its log, since it was made.
    pub fn states_of(&self, machine: i32) -> Vec<&'static str> {
        self.shared.daemon().machines.get(machine).map(|m| m.log.clone()).unwrap_or_default()
    }

    /// The methods of the last calls, at most 10,000, in their order.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.shared.calls).clone()
    }

    /// How many calls there were.
    pub fn call_count(&self) -> u64 {
        self.shared.counted.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A lock that a panicked test left behind is as good as any: the state is a simulator's.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn daemon(&self) -> MutexGuard<'_, Daemon> {
        lock(&self.daemon)
    }

    fn remember(&self, method: &str) {
        self.counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut calls = lock(&self.calls);
        if calls.len() >= REMEMBERED {
            calls.drain(..REMEMBERED / 2);
        }
        calls.push(method.to_owned());
    }

    fn document(self: &Shared, call: call::Call) -> (String, Vec<crate::daemon::jobs::Job>) {
        let method = call.method.clone();
        let mut daemon = self.daemon();
        let document = match method.as_str() {
            "system.listMethods" => answer::names(&method_names()),
            "system.multicall" => match daemon.answer_several(call) {
                Ok(results) => answer::several(&results),
                Err(fault) => answer::document(&method, &Err(fault.into())),
            },
            _ => answer::document(&method, &daemon.answer(call)),
        };
        (document, daemon.take_jobs())
    }
}

impl Answering for Arc<Shared> {
    fn refuses(&self) -> bool {
        lock(&self.orders).refuse_connection()
    }

    fn answer(&self, body: &[u8]) -> Delivery {
        let call = match call::parse(body) {
            Ok(call) => call,
            Err(fault) => return Delivery::Document(answer::document("", &Err(fault.into()))),
        };
        self.remember(&call.method);
        let faults = lock(&self.orders).of_call(&call.method);
        if faults.contains(&Fault::Mute) {
            return Delivery::Silence;
        }
        if faults.contains(&Fault::AuthenticationRevoked) {
            let refusal = Refusal::new(Code::Authentication, "User couldn't be authenticated, aborting call.");
            return Delivery::Document(answer::document(&call.method, &Err(refusal)));
        }
        let pool = call.method.starts_with("one.vmpool.");
        let thaw = pool && !faults.contains(&Fault::StalePool);
        let frozen = if thaw { self.daemon().frozen_machines.take() } else { None };
        let (mut document, jobs) = self.document(call);
        if frozen.is_some() {
            self.daemon().frozen_machines = frozen;
        }
        for job in jobs {
            let shared = Arc::clone(self);
            self.runtime.spawn(async move {
                let result = job.run().await;
                shared.daemon().job_done(&job, result);
            });
        }
        for fault in &faults {
            match fault {
                Fault::LostAnswer => return Delivery::Nothing,
                Fault::Garbage => return Delivery::Document("\u{7f}ELF no document <<<&&&".into()),
                Fault::EntityBomb => return Delivery::Document(entity_bomb()),
                Fault::Huge(bytes) => return Delivery::Endless(*bytes),
                Fault::MalformedMachine(id) => document = malform(&document, *id),
                _ => {}
            }
        }
        let slow = faults.iter().find_map(|f| match f {
            Fault::Slow(after) => Some(*after),
            _ => None,
        });
        match slow {
            Some(after) => Delivery::Late(after, document),
            None => Delivery::Document(document),
        }
    }
}
