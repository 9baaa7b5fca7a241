//! What a measurement runs on: a database, images, a token, and one or more servers.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    database::{Database, Kind},
    postgres::Postgres,
    wire,
};

/// How a compute is asked for: by a client that chooses an image, a size and a name.
const COMPUTE: &str = "Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"\r\n\
     Category: bench; scheme=\"http://occi.tombolo.local/occi/infrastructure/os_tpl#\"; class=\"mixin\"\r\n\
     Category: small; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#\"; class=\"mixin\"\r\n\
     X-OCCI-Attribute: occi.core.title=\"a desk\"\r\n\
     X-OCCI-Attribute: occi.compute.hostname=\"desk-7.school.example\"\r\n";

/// An empty database with an appliance in it, and a client's token.
pub struct Rig {
    scratch: TempDir,
    program: PathBuf,
    kind: Kind,
    address: String,
    token: String,
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Rig {
    pub fn new(program: &Path, kind: Kind, postgres: Option<&Postgres>, name: &str, configuration: &str) -> Self {
        let scratch = tempfile::Builder::new().prefix("tombolo-bench-").tempdir().expect("a scratch directory");
        let at = |name: &str| scratch.path().join(name).to_str().expect("a path of text").to_owned();
        let address = postgres.map_or_else(|| at("tombolo.sqlite"), |postgres| postgres.make_database(name));
        let configuration = format!("image_dir = {:?}\n{configuration}", at("images"));
        std::fs::write(at("tombolo.toml"), configuration.replace("SCRATCH", &at(""))).expect("a configuration");
        std::fs::write(at("disk.raw"), vec![b'b'; 1 << 20]).expect("an image");
        let image = at("disk.raw");
        let mut rig = Self { program: program.to_owned(), kind, address, token: String::new(), scratch };
        rig.run(&["catalog", "publish", &image, "--name", "bench", "--title", "Bench"]);
        rig.token = rig.run(&["token", "create", "--user", "bench", "--project", "bench"]);
        rig
    }

    /// Starts a server; each has a data directory of its own.
    pub fn serve(&self, replica: &str) -> Server {
        let log = self.scratch.path().join(format!("{replica}.log"));
        let mut child = self
            .command(replica, &["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("tombolo serve");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let address =
            line.trim().strip_prefix("listening on http://").and_then(|rest| rest.trim_end_matches('/').parse().ok());
        let address = address
            .unwrap_or_else(|| panic!("tombolo serve ended: {}", std::fs::read_to_string(&log).unwrap_or_default()));
        Server { child, address, log }
    }

    pub fn database(&self) -> Database {
        Database::connect(self.kind, &self.address)
    }

    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A request as a client of the project sends it, on a connection that is kept alive.
    pub fn request(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.token);
        let fields: Vec<(&str, &str)> =
            [("Authorization", bearer.as_str())].into_iter().chain(fields.iter().copied()).collect();
        wire::request(method, path, "127.0.0.1", &fields, body)
    }

    /// The POST of one compute.
    pub fn create(&self) -> Vec<u8> {
        self.request("POST", "/compute/", &[("Content-Type", "text/plain")], COMPUTE.as_bytes())
    }

    /// The POST of one compute at this site.
    pub fn create_at(&self, site: &str) -> Vec<u8> {
        let scheme = "http://occi.tombolo.local/occi/infrastructure/availability_zone#";
        let body = format!("{COMPUTE}Category: {site}; scheme=\"{scheme}\"; class=\"mixin\"\r\n");
        self.request("POST", "/compute/", &[("Content-Type", "text/plain")], body.as_bytes())
    }

    /// The GET of a compute by its path.
    pub fn read(&self, path: &str) -> Vec<u8> {
        self.request("GET", path, &[("Accept", "text/plain")], b"")
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = self.command("a", arguments);
        let output = command.stdin(Stdio::null()).output().expect("tombolo, built in release mode");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn command(&self, replica: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env_remove("TOMBOLO_LISTEN")
            .env_remove("TOMBOLO_LOG")
            .env("TOMBOLO_DATABASE", &self.address)
            .env("TOMBOLO_CONFIG", self.scratch.path().join("tombolo.toml"))
            .env("TOMBOLO_DATA_DIR", self.scratch.path().join(replica));
        command
    }
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process that runs");
        self.child.wait().expect("its end");
    }

    /// What it has logged as a warning or worse: how many lines, and the first.
    pub fn complaints(&self) -> Option<String> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut complaints = log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR"));
        let first: String = complaints.next()?.chars().take(240).collect();
        Some(format!("  the server complained {} times, first: {first}", complaints.count() + 1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
