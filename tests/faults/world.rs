//! A simulated site in the test's own process, and servers that are started and killed over it.

use std::{
    fmt::Write,
    path::PathBuf,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use backend::simulator::{Behaviour, Simulator, socket};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    database::Database,
    postgres::Postgres,
    server::{Home, Server},
};

/// How long anything may take that must happen; generous, since several worlds share a small machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);

/// The project whose requests a world accepts.
pub const PROJECT: &str = "physics";

/// Servers over one database and one site.
pub struct World {
    pub simulator: Simulator,
    pub database: Database,
    pub homes: Vec<Home>,
    pub servers: Vec<Option<Server>>,
    /// What clients were promised.
    pub accepted: Vec<Promise>,
    pub kills: usize,
    /// Present for what belongs to the project, and for a stranger.
    pub token: String,
    pub stranger: String,
    /// From where the operator gives commands, beside the servers.
    pub office: Home,
    place: TempDir,
    site: JoinHandle<()>,
}

/// Something that was accepted.
#[derive(Debug, Clone)]
pub struct Promise {
    pub path: String,
    /// Its removal was accepted too.
    pub removed: bool,
}

impl World {
    /// With its database in a file, for one server.
    pub async fn on_sqlite() -> Self {
        Self::with(1, None, "").await
    }

    /// With so many servers on PostgreSQL; `name` is the database.
    pub async fn on_postgres(replicas: usize, postgres: &Arc<Postgres>, name: &str) -> Self {
        Self::with(replicas, Some(Database::on(postgres, name)), "").await
    }

    /// `more` is added to the configuration. Nothing is started yet.
    pub async fn with(replicas: usize, database: Option<Database>, more: &str) -> Self {
        let mut world = Self::unfurnished(replicas, more).await;
        if let Some(database) = database {
            world.database = database;
        }
        world.furnish();
        world
    }

    /// With its database on a disk of this size that nothing else is on, and its server started.
    pub async fn on_small_disk(size: &str) -> Self {
        let mut world = Self::unfurnished(1, "").await;
        let home = &mut world.homes[0];
        let disk = home.data_dir().join("disk");
        home.on_small_disk("disk", size);
        home.set_environment("TOMBOLO_DATABASE", disk.join("tombolo.sqlite").to_str().unwrap());
        world.servers[0] = Some(world.homes[0].serve());
        let process = world.server(0).pid();
        world.database = Database::Hidden(disk.join("tombolo.sqlite"), process);
        world.office.beside = Some(process);
        world.furnish();
        world.servers[0] = world.servers[0].take().map(|server| server.with_token(&world.token));
        world
    }

    /// The small disk, which is mounted where the server sees it, by way of the server.
    pub fn small_disk(&self) -> PathBuf {
        let disk = self.homes[0].data_dir().join("disk");
        PathBuf::from(format!("/proc/{}/root", self.server(0).pid())).join(disk.strip_prefix("/").unwrap())
    }

    async fn unfurnished(replicas: usize, more: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        // Real ones are seldom idempotent.
        let simulator = Simulator::new(Behaviour { idempotent_create: false, ..Behaviour::default() });
        let listener = tokio::net::UnixListener::bind(place.path().join("site")).unwrap();
        let site = tokio::spawn(socket::serve(simulator.clone(), listener, std::future::pending()));
        let configuration = configuration(&place, more);
        let homes: Vec<Home> = (0..replicas).map(|_| Home::new(&configuration)).collect();
        Self {
            database: Database::Sqlite(homes[0].data_dir().join("tombolo.sqlite")),
            servers: homes.iter().map(|_| None).collect(),
            office: Home::new(&configuration),
            accepted: Vec::new(),
            kills: 0,
            token: String::new(),
            stranger: String::new(),
            simulator,
            homes,
            place,
            site,
        }
    }

    /// Publishes an appliance and lets two projects in.
    fn furnish(&mut self) {
        self.office.set_environment("TOMBOLO_DATABASE", &self.database.address());
        if let Database::Postgres(address, _) = &self.database {
            self.homes.iter_mut().for_each(|home| home.set_environment("TOMBOLO_DATABASE", address));
        } else {
            std::fs::create_dir_all(self.homes[0].data_dir()).unwrap();
        }
        self.office.publish_blank("blank");
        self.token = self.office.token("ann", PROJECT);
        self.stranger = self.office.token("mallory", "elsewhere");
    }

    /// Starts a server; it kills itself at the moment of this name if one is named.
    pub fn start(&mut self, replica: usize, death: &str) {
        assert!(self.servers[replica].is_none());
        self.homes[replica].set_environment("TOMBOLO_DIE_AT", death);
        self.servers[replica] = Some(self.homes[replica].serve().with_token(&self.token));
    }

    /// Starts every server that does not run.
    pub fn start_all(&mut self) {
        self.start_all_from(0);
    }

    /// The same, leaving out those before.
    pub fn start_all_from(&mut self, first: usize) {
        for replica in first..self.homes.len() {
            if self.servers[replica].is_none() {
                self.start(replica, "");
            }
        }
    }

    pub fn server(&self, replica: usize) -> &Server {
        self.servers[replica].as_ref().expect("this server was started")
    }

    /// Ends a server as `kill -9` does.
    pub fn kill(&mut self, replica: usize) {
        if let Some(server) = self.servers[replica].take() {
            server.kill();
            self.kills += 1;
        }
    }

    /// Ends a server as Ctrl-C does.
    pub fn interrupt(&mut self, replica: usize) -> ExitStatus {
        self.servers[replica].take().expect("this server was started").interrupt()
    }

    /// Sends a signal to a server.
    pub fn signal(&self, replica: usize, signal: Signal) {
        let pid = Pid::from_raw(self.server(replica).pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Whether the server has killed itself; it is buried then.
    pub fn bury(&mut self, replica: usize) -> bool {
        let Some(server) = &mut self.servers[replica] else { return false };
        match server.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
            None => false,
            Some(status) => {
                use std::os::unix::process::ExitStatusExt;
                assert_eq!(status.signal(), Some(9), "a server ended by itself: {}", server.log());
                self.servers[replica] = None;
                self.kills += 1;
                true
            }
        }
    }

    /// Waits until this is so.
    pub async fn until(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        while !so(self) {
            assert!(began.elapsed() < PATIENCE, "it does not come to this: {what}\n{}", self.words());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends what was ordered to go wrong, and waits until everything that was accepted is at rest.
    pub async fn settle(&mut self) {
        self.simulator.heal();
        let unfinished = "SELECT count(*) FROM sagas WHERE state NOT IN ('done', 'undone')";
        self.until("all sagas end", |world| world.database.query(unfinished) == "0").await;
    }

    pub fn is_on_postgres(&self) -> bool {
        matches!(self.database, Database::Postgres(..))
    }

    /// Where this world keeps files of its own.
    pub fn path(&self, below: &str) -> PathBuf {
        self.place.path().join(below)
    }

    /// What the servers have said, and what is unfinished: for whoever has to find out.
    fn words(&self) -> String {
        let mut words =
            self.database.ask("SELECT name, state, step, attempts, owner, error FROM sagas").unwrap_or_default();
        for home in &self.homes {
            let log = std::fs::read_to_string(home.path("serve.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let _ = write!(words, "\n--- a server:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        words
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.site.abort();
    }
}

fn configuration(place: &TempDir, more: &str) -> String {
    format!(
        "image_dir = {:?}\n{more}\n[[site]]\nname = \"lab\"\nsighting_seconds = 1\n\
         adapter = {{ kind = \"simulator-socket\", socket = {:?} }}\n",
        place.path().join("images"),
        place.path().join("site"),
    )
}
