//! A real `tombolo serve` in a directory of its own, ended with the test.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use tempfile::TempDir;

pub const COMPUTE: &str = "http://schemas.ogf.org/occi/infrastructure#compute";
pub const OS_TPL_SCHEME: &str = "http://occi.tombolo.local/occi/infrastructure/os_tpl#";
pub const SIZE_SCHEME: &str = "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#";
pub const KIND_LINE: &str = "Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";

pub const SIMULATED_SITE: &str = "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\" }\n";

/// A data directory and its configuration; outlives servers that are killed.
pub struct Home {
    directory: TempDir,
    environment: Vec<(String, String)>,
    small_disk: Option<(String, String)>,
    /// Commands run where this process is: they see its small disk.
    pub beside: Option<u32>,
}

impl Home {
    /// With this text as its configuration file.
    pub fn new(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tombolo.toml"), configuration).unwrap();
        Self { directory, environment: Vec::new(), small_disk: None, beside: None }
    }

    pub fn simulated() -> Self {
        Self::new(SIMULATED_SITE)
    }

    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Lets this part of the data directory be a disk of that size for every command from now on: a file system in
    /// memory, in a mount name space of the command's own.
    pub fn on_small_disk(&mut self, part: &str, size: &str) {
        std::fs::create_dir_all(self.data_dir().join(part)).unwrap();
        self.small_disk = Some((part.to_owned(), size.to_owned()));
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_in(arguments, "exec \"$0\" \"$@\"")
    }

    /// `run` is a line of shell in the data directory that gets the program as `$0`; it counts with a small disk only.
    fn command_in(&self, arguments: &[&str], run: &str) -> Command {
        const BINARY: &str = env!("CARGO_BIN_EXE_tombolo");
        let mut command = match (&self.small_disk, self.beside) {
            (None, None) => Command::new(BINARY),
            (None, Some(process)) => {
                let mut command = beside(process);
                command.arg(BINARY);
                command
            }
            (Some((part, size)), _) => {
                let script =
                    format!("cd \"$TOMBOLO_DATA_DIR\" && mount -t tmpfs -o mode=700,size={size} tmpfs {part} && {run}");
                let mut command = Command::new("unshare");
                command.args(["--map-root-user", "--mount", "sh", "-c", &script, BINARY]);
                command
            }
        };
        command
            .args(arguments)
            .env_remove("TOMBOLO_LISTEN")
            .env("TOMBOLO_CONFIG", self.path("tombolo.toml"))
            .env("TOMBOLO_DATA_DIR", self.data_dir())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a subcommand to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a subcommand on a small disk, then a shell command in the data directory as that disk has it.
    pub fn run_then(&self, arguments: &[&str], afterwards: &str) -> Output {
        let run = format!("{{ \"$0\" \"$@\"; status=$?; {afterwards}; exit $status; }}");
        self.command_in(arguments, &run).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a subcommand that must succeed, and answers what it printed.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tombolo {arguments:?} failed: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn token(&self, user: &str, project: &str) -> String {
        self.must(&["token", "create", "--user", user, "--project", project])
    }

    /// Publishes a small disk that no guest boots from.
    pub fn publish_blank(&self, name: &str) {
        let image = self.path(&format!("{name}.raw"));
        let mut bytes = vec![0_u8; 1 << 20];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        std::fs::write(&image, bytes).unwrap();
        self.publish(name, &image);
    }

    pub fn publish(&self, name: &str, image: &Path) {
        self.must(&["catalog", "publish", image.to_str().unwrap(), "--name", name, "--title", "A test image"]);
    }

    /// Starts a server on a free port and waits until it listens.
    pub fn serve(&self) -> Server {
        self.try_serve().unwrap_or_else(|log| panic!("tombolo serve ended: {log}"))
    }

    /// Starts a server where another one was before.
    pub fn serve_at(&self, base: &str) -> Server {
        let listen = base.rsplit('/').next().unwrap();
        self.try_serve_at(listen).unwrap_or_else(|log| panic!("tombolo serve ended: {log}"))
    }

    /// Starts a server; answers its words when it ends instead of listening.
    pub fn try_serve(&self) -> Result<Server, String> {
        self.try_serve_at("127.0.0.1:0")
    }

    fn try_serve_at(&self, listen: &str) -> Result<Server, String> {
        let log = self.path("serve.log");
        let errors = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = self
            .command(&["serve", "--listen", listen])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        match line.trim().strip_prefix("listening on ") {
            Some(base) => Ok(Server {
                child: Some(child),
                base: base.trim_end_matches('/').to_owned(),
                // Tests see what the server says, not where that would lead.
                client: crate::client::builder()
                    .redirect(Policy::none())
                    .timeout(Duration::from_secs(60))
                    .build()
                    .unwrap(),
                token: None,
                log,
            }),
            None => {
                child.wait().unwrap();
                Err(std::fs::read_to_string(&log).unwrap())
            }
        }
    }
}

/// A command that runs in the mount name space of a process of ours; the program is to be added.
pub fn beside(process: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--user", "--mount", "--preserve-credentials", "--target", &process.to_string()]);
    command
}

/// A running server, and a client of it.
pub struct Server {
    pub child: Option<Child>,
    pub base: String,
    client: Client,
    token: Option<String>,
    log: PathBuf,
}

impl Server {
    /// Presents this token with every request from now on.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.request(method.parse().unwrap(), url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path).send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request("DELETE", path).send().await.unwrap()).await
    }

    /// Sends a body of text/plain.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        let request = self.request("POST", path).header("Content-Type", "text/plain").body(body.to_owned());
        Answer::of(request.send().await.unwrap()).await
    }

    /// Creates a compute of the appliance, and answers its location.
    pub async fn create(&self, appliance: &str, more: &str) -> String {
        let body = format!("{KIND_LINE}\nCategory: {appliance}; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"\n{more}\n");
        let answer = self.post("/compute/", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.header("location")
    }

    /// Creates an entity of an infrastructure kind, and answers its location.
    pub async fn make(&self, kind: &str, more: &str) -> String {
        let scheme = "http://schemas.ogf.org/occi/infrastructure#";
        let body = format!("Category: {kind}; scheme=\"{scheme}\"; class=\"kind\"\n{more}\n");
        let answer = self.post(&format!("/{kind}/"), &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.header("location")
    }

    pub async fn act(&self, location: &str, action: &str) -> Answer {
        self.act_as(location, "compute", action, "").await
    }

    /// Invokes an action of the kind.
    pub async fn act_as(&self, location: &str, kind: &str, action: &str, more: &str) -> Answer {
        let scheme = format!("http://schemas.ogf.org/occi/infrastructure/{kind}/action#");
        let body = format!("Category: {action}; scheme=\"{scheme}\"; class=\"action\"\n{more}\n");
        self.post(&format!("{location}?action={action}"), &body).await
    }

    /// The entity in JSON.
    pub async fn entity(&self, location: &str) -> serde_json::Value {
        let request = self.request("GET", location).header("Accept", "application/occi+json");
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Waits until the entity is in the state and at rest; another final state fails the test.
    pub async fn arrive(&self, location: &str, state: &str) -> serde_json::Value {
        self.wait(location, state, true).await
    }

    /// Waits until the entity is in the state, whatever is said about it.
    pub async fn see(&self, location: &str, state: &str) -> serde_json::Value {
        self.wait(location, state, false).await
    }

    async fn wait(&self, location: &str, state: &str, silent: bool) -> serde_json::Value {
        let mut last = serde_json::Value::Null;
        for _ in 0..1200 {
            last = self.entity(location).await;
            let attribute = |suffix: &str| {
                let attributes = last["attributes"].as_object().unwrap();
                attributes.iter().find(|(name, _)| name.ends_with(suffix)).map(|(_, value)| value.as_str().unwrap())
            };
            let (now, said) = (attribute(".state").unwrap(), attribute(".state.message").is_some());
            if now == state && (!said || !silent || state == "error") {
                return last;
            }
            assert!(now != "error" || state == "error", "{last:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{state} was expected: {last:#}\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Asks the server to end, as Ctrl-C does.
    pub fn interrupt(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.child.take().unwrap().wait().unwrap()
    }

    /// Ends the server without a word, as `kill -9` does.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A response, read to its end.
pub struct Answer {
    pub status: StatusCode,
    headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        Self::try_of(response).await.unwrap()
    }

    /// An error when the server dies in the middle of it.
    pub async fn try_of(response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { status, headers, body: response.text().await? })
    }

    /// The values of all fields of this name.
    pub fn headers(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    /// The header's value, empty without one.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}
