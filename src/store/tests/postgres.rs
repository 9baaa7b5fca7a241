//! A real PostgreSQL for tests.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use diesel::connection::SimpleConnection;

use crate::store::{
    Db,
    connection::{Address, connect, migrate},
};

/// A PostgreSQL of the test's own, from Debian's package, on a Unix socket in a temporary directory.
pub(crate) struct Postgres {
    directory: tempfile::TempDir,
    server: Child,
    template: std::sync::Once,
}

impl Postgres {
    /// Starts one; it takes connections after [`Postgres::await_start`].
    pub(crate) fn start() -> Self {
        let programs = std::fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL is missing: scripts/install-dependencies test")
            .map(|version| version.unwrap().path().join("bin"))
            .find(|bin| bin.join("initdb").exists())
            .expect("initdb is missing: scripts/install-dependencies test");
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        // PostgreSQL refuses to run as root.
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").arg("-R").arg("postgres").arg(directory.path()).status().unwrap();
            assert!(owned.success());
        }
        let made = unprivileged(&programs.join("initdb"))
            .args(["-A", "trust", "-U", "tester", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let server = unprivileged(&programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=400", "-k"])
            .arg(directory.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { directory, server, template: std::sync::Once::new() }
    }

    /// How it is reached.
    pub(crate) fn address(&self) -> String {
        self.address_of("postgres")
    }

    fn address_of(&self, database: &str) -> String {
        let host: String = self.directory.path().to_str().unwrap().bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("postgres://tester@{host}/{database}")
    }

    /// Makes another database, and tells how it is reached. Blocking.
    pub(crate) fn make_database(&self, name: &str) -> String {
        connect(&self.address()).unwrap().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        self.address_of(name)
    }

    /// Makes a database with the store's tables in it, and tells how it is reached. Copied from one that is made once,
    /// since there may be a thousand of them. Blocking.
    pub(crate) fn make_store(&self, name: &str) -> String {
        const TEMPLATE: &str = "store_template";
        self.template.call_once(|| drop(migrate(&Address::parse(&self.make_database(TEMPLATE))).unwrap()));
        let mut connection = connect(&self.address()).unwrap();
        connection.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")).unwrap();
        self.address_of(name)
    }

    /// Removes a database, whoever is connected. Blocking.
    pub(crate) fn drop_database(&self, name: &str) {
        connect(&self.address()).unwrap().batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
    }

    /// Waits until it takes connections. Blocking.
    pub(crate) fn await_start(&self) {
        for _ in 0..200 {
            if connect(&self.address()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{}", connect(&self.address()).err().unwrap());
    }

    /// Opens the store in it. Blocking.
    pub(crate) fn open(&self) -> Db {
        Db::open(&self.address()).unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data: PathBuf = self.directory.path().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(data).ok().and_then(|text| text.lines().next()?.parse().ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = self.server.wait();
    }
}

fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
    command
}
