//! A real OpenID Connect provider, ended with the test: npm's `oidc-provider`, as `tests/rigs/provider` runs it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

/// The client that Tombolo is to the provider.
pub const CLIENT_ID: &str = "tombolo";
pub const CLIENT_SECRET: &str = "the-secret-of-tombolo-at-the-test-provider";

/// Someone whom every provider knows.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub user: &'static str,
    pub password: &'static str,
}

/// In the groups `teachers` and `class-3b`.
pub const ANNA: Person = Person { user: "anna", password: "blackboard" };
/// In the group `class-3b`.
pub const BEN: Person = Person { user: "ben", password: "schoolbag" };
/// In no group.
pub const CARL: Person = Person { user: "carl", password: "passer-by" };

/// A program of the rig; what it needs is installed first, once.
pub fn rig(program: &str) -> Command {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs/provider/run");
    let mut command = Command::new(run);
    // The input stays open as long as the test lives: the program ends with it, even when the test is killed.
    command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// A running provider.
pub struct Provider {
    child: Child,
    /// What a client is configured with.
    pub issuer: String,
    control: String,
    client: reqwest::Client,
    log: PathBuf,
    _directory: tempfile::TempDir,
}

impl Provider {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With these variables in its environment: times to live and the like.
    pub fn with(environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("provider.log");
        let mut child = rig("provider.mjs")
            .envs(environment.iter().copied())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the provider does not start: {}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        Self {
            child,
            issuer: text("issuer"),
            control: text("control"),
            client: crate::client::client(),
            log,
            _directory: directory,
        }
    }

    /// Tells the provider where Tombolo is reached, and that Tombolo calls the provider `name`.
    pub async fn knows_tombolo_at(&self, base: &str, name: &str) {
        self.change_client(&json!({
            "redirect_uris": [format!("{base}/login/callback/{name}")],
            "post_logout_redirect_uris": [format!("{base}/login"), format!("{base}/")],
            "backchannel_logout_uri": format!("{base}/login/backchannel/{name}"),
            "backchannel_logout_session_required": true,
        }))
        .await;
    }

    /// Changes what the provider knows of Tombolo.
    pub async fn change_client(&self, metadata: &Value) {
        self.control("POST", "clients/tombolo", metadata).await;
    }

    /// Changes a person, or makes one: `password`, `name`, `email`, `email_verified`, `groups`, `preferred_username`,
    /// `disabled`, `extra` (more claims).
    pub async fn change_person(&self, user: &str, changes: &Value) {
        self.control("POST", &format!("people/{user}"), changes).await;
    }

    /// Ends all sessions of the person, and sends back-channel logout. Answers who was told: `client`, `sid`,
    /// `outcome` (`taken`, or why not).
    pub async fn end_sessions(&self, user: &str) -> Vec<Value> {
        self.control("POST", &format!("end-sessions/{user}"), &json!({})).await.as_array().unwrap().clone()
    }

    /// New keys sign from now on; the old ones stay published unless they are withdrawn.
    pub async fn rotate_keys(&self, withdraw: bool) {
        self.control("POST", "keys", &json!({ "withdraw": withdraw })).await;
    }

    /// Closes the provider's port, or opens it again.
    pub async fn set_away(&self, away: bool) {
        self.control("POST", "away", &json!({ "away": away })).await;
    }

    /// An access token that the provider issues to `client` for the person: opaque, or a JWT for a resource.
    pub async fn access_token(&self, user: &str, client: &str, resource: Option<&str>) -> String {
        let asked = json!({ "user": user, "client": client, "resource": resource });
        self.control("POST", "access-token", &asked).await["access_token"].as_str().unwrap().to_owned()
    }

    /// How often the path was asked for, such as `/jwks`.
    pub async fn requests(&self, path: &str) -> u64 {
        self.control("GET", "requests", &Value::Null).await[path].as_u64().unwrap_or(0)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.control);
        let request = self.client.request(method.parse().unwrap(), url);
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await.unwrap();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {answer}\n{}", self.log());
        answer
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
