//! A PostgreSQL of the benchmark's own, from Debian's package, durable as an operator's is.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use diesel::{Connection as _, PgConnection, connection::SimpleConnection};

use crate::process;

/// On a Unix socket in a temporary directory; it ends with this value.
pub struct Postgres {
    directory: tempfile::TempDir,
    server: Child,
}

impl Postgres {
    /// Makes a cluster with the defaults of the package, and starts it.
    pub fn start() -> Self {
        let programs = std::fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL: scripts/install-dependencies test")
            .filter_map(|version| Some(version.ok()?.path().join("bin")))
            .find(|bin| bin.join("initdb").exists())
            .expect("initdb: scripts/install-dependencies test");
        let directory = tempfile::Builder::new().prefix("tombolo-bench-pg-").tempdir().expect("a scratch directory");
        let data = directory.path().join("data");
        std::fs::create_dir(&data).expect("a directory");
        // PostgreSQL refuses to run as root.
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").args(["-R", "postgres"]).arg(directory.path()).status().expect("chown");
            assert!(owned.success(), "the directory could not be given to the user postgres");
        }
        let made = unprivileged(&programs.join("initdb"))
            .args(["-A", "trust", "-U", "bench", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect("initdb");
        assert!(made.success(), "initdb failed");
        let server = unprivileged(&programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-k"])
            .arg(directory.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres");
        let postgres = Self { directory, server };
        for _ in 0..200 {
            if PgConnection::establish(&postgres.address("postgres")).is_ok() {
                return postgres;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL takes no connections after ten seconds");
    }

    /// Makes an empty database, and answers its address.
    pub fn make_database(&self, name: &str) -> String {
        let mut connection = PgConnection::establish(&self.address("postgres")).expect("PostgreSQL");
        connection.batch_execute(&format!("CREATE DATABASE {name}")).expect("a new database");
        self.address(name)
    }

    fn address(&self, database: &str) -> String {
        let host = self.directory.path().to_str().expect("a path of text");
        let host: String = host.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("postgres://bench@{host}/{database}")
    }

    fn pid(&self) -> Option<u32> {
        let file: PathBuf = self.directory.path().join("data/postmaster.pid");
        std::fs::read_to_string(file).ok().and_then(|text| text.lines().next()?.parse().ok())
    }

    /// Processor time of all its processes, those that have ended included.
    pub fn processor_time(&self) -> Duration {
        self.pid().map_or(Duration::ZERO, process::processor_time_of_family)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = self.pid().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
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
