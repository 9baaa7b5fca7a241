//! A real `tombolo serve` with a simulated site, in a directory of its own, ended with the test.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use occi_adapter::{Authorization, OcciOptions, Secret};
use tempfile::TempDir;

/// A site whose machines are in memory.
pub const SITE: &str = "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\", boot_milliseconds = 50 }\n";

/// The binary: what `TOMBOLO_BINARY` names, or the one that lies beside the tests when the workspace was built.
pub fn binary() -> Option<PathBuf> {
    if let Some(named) = env::var_os("TOMBOLO_BINARY") {
        return Some(named.into());
    }
    let beside = env::current_exe().unwrap().parent()?.parent()?.join("tombolo");
    beside.exists().then_some(beside)
}

pub struct Tombolo {
    directory: TempDir,
    child: Child,
    pub base: String,
    pub token: String,
}

impl Tombolo {
    /// With a simulated site, and an appliance `blank` of these bytes; answers its image's digest too.
    pub fn start(binary: &PathBuf, image: &[u8]) -> (Self, String) {
        Self::start_at(binary, image, SITE, "127.0.0.1:0")
    }

    /// The same with these sites, listening there.
    pub fn start_at(binary: &PathBuf, image: &[u8], sites: &str, listen: &str) -> (Self, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = |below: &str| directory.path().join(below);
        std::fs::write(path("tombolo.toml"), sites).unwrap();
        std::fs::write(path("blank.raw"), image).unwrap();
        let command = |arguments: &[&str]| {
            let mut command = Command::new(binary);
            command
                .args(arguments)
                .env_remove("TOMBOLO_LISTEN")
                .env("TOMBOLO_CONFIG", path("tombolo.toml"))
                .env("TOMBOLO_DATA_DIR", path("data"))
                .env("TOMBOLO_LOG", "tombolo=debug")
                .stdin(Stdio::null());
            command
        };
        let must = |arguments: &[&str]| {
            let output = command(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let file = path("blank.raw");
        let file = file.to_str().unwrap();
        let published = must(&["catalog", "publish", file, "--name", "blank", "--title", "Blank", "--json"]);
        let published: serde_json::Value = serde_json::from_str(&published).unwrap();
        let token = must(&["token", "create", "--user", "ann", "--project", "outer"]);
        let log = std::fs::File::create(path("serve.log")).unwrap();
        let mut serve = command(&["serve", "--listen", listen]);
        let mut child = serve.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        let digest = published["image"].as_str().unwrap().to_owned();
        (Self { directory, child, base, token }, digest)
    }

    pub fn options(&self) -> OcciOptions {
        let mut options = OcciOptions::new(self.base.parse().unwrap());
        options.auth = Authorization::Bearer { token: Secret::new(self.token.as_str()) };
        options
    }

    /// Lets it have these sites from its next look at its configuration on.
    pub fn rewrite(&self, sites: &str) {
        std::fs::write(self.directory.path().join("tombolo.toml"), sites).unwrap();
    }

    /// This server as a site of another one.
    pub fn as_site(&self) -> String {
        as_site(&self.base, &self.token)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("serve.log")).unwrap_or_default()
    }
}

impl Drop for Tombolo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The OCCI server there as a site.
pub fn as_site(endpoint: &str, token: &str) -> String {
    format!(
        "[[site]]\nname = \"behind\"\n[site.adapter]\nkind = \"occi\"\nendpoint = \"{endpoint}\"\n\
         auth = {{ kind = \"bearer\", token = \"{token}\" }}\n"
    )
}
