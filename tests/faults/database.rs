//! The databases of a test's worlds.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use crate::{postgres::Postgres, server::beside};

/// Where a world keeps what it knows.
#[derive(Clone)]
pub enum Database {
    /// In a file that one server has.
    Sqlite(PathBuf),
    /// In a file on a disk that only this process sees.
    Hidden(PathBuf, u32),
    /// In PostgreSQL, which any number of servers share; kept for as long as the world is there.
    Postgres(String, #[allow(dead_code, reason = "it ends with its last world")] Arc<Postgres>),
}

impl Database {
    /// An empty database of its own on this PostgreSQL.
    pub fn on(postgres: &Arc<Postgres>, name: &str) -> Self {
        postgres.run(&format!("CREATE DATABASE {name}"));
        let (server, _) = postgres.address().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        Self::Postgres(format!("{server}/{name}"), Arc::clone(postgres))
    }

    /// As servers are told it.
    pub fn address(&self) -> String {
        match self {
            Self::Sqlite(file) | Self::Hidden(file, _) => file.to_str().unwrap().to_owned(),
            Self::Postgres(address, _) => address.clone(),
        }
    }

    /// What a statement answers, without headings; the database's words when it fails.
    pub fn ask(&self, statement: &str) -> Result<String, String> {
        let mut command = match self {
            Self::Sqlite(file) => sqlite(Command::new("sqlite3"), file),
            Self::Hidden(file, process) => {
                let mut command = beside(*process);
                command.arg("sqlite3");
                sqlite(command, file)
            }
            Self::Postgres(address, _) => {
                let mut command = Command::new("psql");
                command.arg(address).args(["-v", "ON_ERROR_STOP=1", "-Atqc"]);
                command
            }
        };
        let Output { status, stdout, stderr } = command.arg(statement).output().unwrap();
        match status.success() {
            true => Ok(String::from_utf8(stdout).unwrap().trim().to_owned()),
            false => Err(String::from_utf8_lossy(&stderr).into_owned()),
        }
    }

    /// The same, which must not fail.
    pub fn query(&self, statement: &str) -> String {
        self.ask(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }
}

fn sqlite(mut command: Command, file: &Path) -> Command {
    command.args(["-cmd", ".timeout 10000"]).arg(file);
    command
}
