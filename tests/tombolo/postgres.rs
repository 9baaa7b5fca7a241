//! A real PostgreSQL of a test's own, from Debian's package, on a Unix socket in a temporary directory, with a password.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

pub const PASSWORD: &str = "p@ss word/1";

pub struct Postgres {
    pub directory: tempfile::TempDir,
    pub programs: PathBuf,
    pub server: Child,
}

impl Postgres {
    /// Starts one and waits until it takes connections.
    pub fn start() -> Self {
        let programs = std::fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL is missing: scripts/install-dependencies test")
            .map(|version| version.unwrap().path().join("bin"))
            .find(|bin| bin.join("initdb").exists())
            .expect("initdb is missing: scripts/install-dependencies test");
        let directory = tempfile::tempdir().unwrap();
        let (data, password) = (directory.path().join("data"), directory.path().join("password"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&password, PASSWORD).unwrap();
        // PostgreSQL refuses to run as root.
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").arg("-R").arg("postgres").arg(directory.path()).status().unwrap();
            assert!(owned.success());
        }
        let made = unprivileged(&programs.join("initdb"))
            .args(["-A", "scram-sha-256", "-U", "tester", "--no-sync", "--pwfile"])
            .arg(&password)
            .arg("-D")
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
        let postgres = Self { directory, programs, server };
        for _ in 0..200 {
            let mut ready = Command::new(postgres.programs.join("pg_isready"));
            ready.arg("-h").arg(postgres.directory.path()).stdout(Stdio::null());
            if ready.status().unwrap().success() {
                return postgres;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not start");
    }

    /// How it is reached, with the password.
    pub fn address(&self) -> String {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let host = encoded(self.directory.path().to_str().unwrap());
        format!("postgres://tester:{}@{host}/postgres", encoded(PASSWORD))
    }

    /// Runs statements, and answers what they print, without headings.
    pub fn run(&self, statements: &str) -> String {
        let Output { status, stdout, stderr } = Command::new(self.programs.join("psql"))
            .env("PGPASSWORD", PASSWORD)
            .arg("-h")
            .arg(self.directory.path())
            .args(["-U", "tester", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-Atqc", statements])
            .output()
            .unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let file = self.directory.path().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(file).ok().and_then(|text| text.lines().next()?.parse().ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = self.server.wait();
    }
}

/// A program as a user that PostgreSQL runs for.
pub fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
    command
}
