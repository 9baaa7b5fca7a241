//! `tombolo serve` on a store of its own, and the same question asked in each way.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use crate::{
    credentials::{self, AUDIENCE, Provider},
    way::Way,
    wire,
};

const USER: &str = "bench";

/// A question that strangers may ask as well.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    pub name: &'static str,
    /// The `Category` filter, if there is one.
    filter: Option<&'static str>,
}

/// All of the query interface; and one category of it, which is the least that the OCCI door can be asked for, so that
/// what comes before the answer weighs the most.
pub const QUESTIONS: [Question; 2] = [
    Question { name: "all of /-/", filter: None },
    Question { name: "one category of /-/", filter: Some("entity; scheme=\"http://schemas.ogf.org/occi/core#\"") },
];

/// A running server.
pub struct Server {
    _scratch: TempDir,
    child: Child,
    pub address: SocketAddr,
    token: String,
    session: String,
    /// There is none without a provider.
    jwt: Option<String>,
}

impl Server {
    /// On an empty store; people of the provider, if there is one, are let in.
    pub fn start(program: &Path, provider: Option<&Provider>) -> Self {
        let scratch = tempfile::Builder::new().prefix("tombolo-bench-").tempdir().expect("a scratch directory");
        let at = |name: &str| scratch.path().join(name);
        let trusted = provider.map(trust).unwrap_or_default();
        let configuration = format!("[[site]]\nname = \"lab\"\nadapter = {{ kind = \"simulator\" }}\n{trusted}");
        std::fs::write(at("tombolo.toml"), configuration).expect("a configuration");
        let token = run(command(program, scratch.path(), &["token", "create", "--user", USER, "--project", "bench"]));
        let mut child = command(program, scratch.path(), &["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(at("serve.log")).expect("a log"))
            .spawn()
            .expect("tombolo serve");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let told = line.trim().strip_prefix("listening on http://");
        let address: Option<SocketAddr> = told.and_then(|rest| rest.trim_end_matches('/').parse().ok());
        let address = address.unwrap_or_else(|| {
            panic!("tombolo serve ended: {}", std::fs::read_to_string(at("serve.log")).unwrap_or_default())
        });
        let link = run(command(program, scratch.path(), &["user", "link", "--user", USER]));
        let session = credentials::session_by(&address.to_string(), &link);
        let jwt = provider.map(Provider::access_token);
        Self { _scratch: scratch, child, address, token, session, jwt }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The question, asked in this way on a connection that is kept alive.
    pub fn request(&self, question: Question, way: Way) -> Vec<u8> {
        let proof = self.proof(way);
        let mut fields = vec![("Accept", "text/plain")];
        fields.extend(question.filter.map(|filter| ("Category", filter)));
        fields.extend(proof.as_ref().map(|(name, value)| (*name, value.as_str())));
        wire::request("GET", "/-/", &self.address.to_string(), &fields, b"")
    }

    /// Fails unless this way opens a door that strangers find closed; the questions would be answered to them as well.
    pub fn check(&self, way: Way) {
        if let Some((name, value)) = self.proof(way) {
            let status = credentials::status(&self.address.to_string(), "/compute/", &format!("{name}: {value}\r\n"));
            assert_eq!(status, "200", "{}", way.name());
        }
    }

    fn proof(&self, way: Way) -> Option<(&'static str, String)> {
        let token = &self.token;
        match way {
            Way::Anonymous => None,
            Way::Bearer => Some(("Authorization", format!("Bearer {token}"))),
            Way::Basic => Some(("Authorization", format!("Basic {}", STANDARD.encode(format!("{USER}:{token}"))))),
            Way::AuthToken => Some(("X-Auth-Token", token.clone())),
            Way::Session => Some(("Cookie", self.session.clone())),
            Way::Jwt => Some(("Authorization", format!("Bearer {}", self.jwt.as_ref().expect("a provider")))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines by which the provider's people get in, with the role of a member of one project.
fn trust(provider: &Provider) -> String {
    format!(
        "[[login.provider]]\nname = \"school\"\nissuer = \"{}\"\nclient_id = \"tombolo\"\nallow_http = true\n\
         audiences = [\"{AUDIENCE}\"]\n\
         [[login.mapping]]\nprovider = \"school\"\nalways = true\nproject = \"bench\"\ncreate_projects = true\n",
        provider.issuer
    )
}

fn command(program: &Path, scratch: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove("TOMBOLO_LISTEN")
        .env_remove("TOMBOLO_DATABASE")
        .env_remove("TOMBOLO_LOG")
        .env("TOMBOLO_CONFIG", scratch.join("tombolo.toml"))
        .env("TOMBOLO_DATA_DIR", scratch.join("data"));
    command
}

fn run(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("tombolo, built in release mode");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
