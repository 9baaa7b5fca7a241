//! Which QEMU there is.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::NodeError;

const PROGRAM: &str = "qemu-system-x86_64";
/// Denies QEMU what it never needs here, should a guest take it over.
pub(crate) const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// A QEMU that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hypervisor {
    pub(crate) program: PathBuf,
    /// As in `10.0.2`.
    pub(crate) version: String,
    /// The newest board of the q35 family, by its versioned name.
    pub(crate) machine_type: String,
    /// Whether it was built with system call filters.
    pub(crate) sandbox: bool,
}

impl Hypervisor {
    /// Looks for QEMU and asks what it is.
    ///
    /// # Errors
    /// [`NodeError::HypervisorMissing`], with what to do.
    pub(crate) async fn find(configured: Option<&Path>) -> Result<Self, NodeError> {
        let program = match configured {
            Some(program) => program.to_owned(),
            None => search(env::var_os("PATH").as_deref()).ok_or_else(|| {
                NodeError::HypervisorMissing(format!(
                    "{PROGRAM} is not on PATH: install it (Debian: apt-get install qemu-system-x86)"
                ))
            })?,
        };
        let broken = |problem: String| {
            NodeError::HypervisorMissing(format!(
                "{} does not work: {problem}; reinstall QEMU, or name another one",
                program.display()
            ))
        };
        let banner = ask(&program, &["--version"]).await.map_err(broken)?;
        let version = parse_version(&banner).ok_or_else(|| broken("it does not tell its version".into()))?;
        let boards = ask(&program, &["-machine", "help"]).await.map_err(broken)?;
        let sandbox = ask(&program, &["-sandbox", SANDBOX, "--version"]).await.is_ok();
        Ok(Self { version, machine_type: newest_q35(&boards), sandbox, program })
    }
}

fn search(path: Option<&OsStr>) -> Option<PathBuf> {
    env::split_paths(path?).map(|directory| directory.join(PROGRAM)).find(|program| {
        program.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

async fn ask(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let asked = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(Duration::from_secs(10), asked)
        .await
        .map_err(|_| "no answer within 10 s".to_owned())?
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let words: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect();
        return Err(format!("{} {words}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse_version(banner: &str) -> Option<String> {
    let rest = banner.split_once("version ")?.1;
    let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').take(20).collect();
    (!version.is_empty()).then_some(version)
}

fn newest_q35(boards: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    boards
        .lines()
        .find_map(|line| line.strip_prefix("q35 ")?.split_once("(alias of ")?.1.split_once(')'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(plain))
        .unwrap_or_else(|| "q35".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_boards_are_read() {
        assert_eq!(parse_version("QEMU emulator version 10.0.2 (Debian 1:10)\n").unwrap(), "10.0.2");
        assert_eq!(parse_version("something else"), None);
        let boards = "pc   Standard PC (alias of pc-i440fx-10.0)\nq35    Standard PC (Q35) (alias of pc-q35-10.0)\n";
        assert_eq!(newest_q35(boards), "pc-q35-10.0");
        assert_eq!(newest_q35("q35  x (alias of a,b)\n"), "q35");
    }

    #[tokio::test]
    async fn a_missing_or_broken_qemu_is_told_with_what_to_do() {
        let missing = Hypervisor::find(Some(Path::new("/nonexistent/qemu"))).await.unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/qemu") && missing.contains("reinstall"), "{missing}");
        let broken = Hypervisor::find(Some(Path::new("/bin/false"))).await.unwrap_err().to_string();
        assert!(broken.contains("exit status: 1"), "{broken}");
        assert_eq!(search(Some(OsStr::new("/nonexistent:/proc"))), None);
    }
}
