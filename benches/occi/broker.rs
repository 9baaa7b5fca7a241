//! `tombolo serve` over a store of its own, with a simulated site, filled through its own API.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use diesel::{Connection as _, RunQueryDsl, SqliteConnection, sql_types::BigInt};
use serde_json::json;
use tempfile::TempDir;

use crate::{load, process, report::Report, wire};

const KIND: &str = "http://schemas.ogf.org/occi/infrastructure#compute";
const TEMPLATE: &str = "http://occi.tombolo.local/occi/infrastructure/os_tpl#bench";
/// Entities of one request while filling: the most that the server takes.
const BATCH: usize = 64;
/// Requests at once while filling.
const FILLERS: u16 = 4;
/// How long all sagas may take to end, in the worst case: with a disk that syncs a hundred times a second.
const SETTLING_LIMIT: Duration = Duration::from_secs(3600);

/// A running server.
pub struct Broker {
    scratch: TempDir,
    child: Child,
    pub address: SocketAddr,
    token: String,
    /// Paths of the computes that were filled in.
    pub paths: Vec<String>,
    /// A whole answer to the GET of one of them, as it came.
    sample: Vec<u8>,
}

/// How the filling went.
pub struct Filling {
    /// Until the last create was accepted.
    pub accepting: Duration,
    /// From then on until the last machine ran.
    pub settling: Duration,
}

impl Filling {
    /// Tells how it went, and what the server has complained of.
    pub fn report(&self, broker: &Broker, report: &mut Report) {
        let count = broker.paths.len();
        let (accepting, settling) = (self.accepting.as_secs_f64(), self.settling.as_secs_f64());
        let resident = process::memory(broker.pid()).0;
        report.line(format!(
            "filled with {count} computes: accepted in {accepting:.1} s, all running {settling:.1} s later; \
             {resident:.0} MiB resident"
        ));
        let complaints = broker.complaints();
        if !complaints.is_empty() {
            report.line(format!("the server complained:\n{complaints}"));
        }
        report.detail(
            "filling",
            &json!({ "computes": count, "accepting": accepting, "settling": settling, "resident_mib": resident }),
        );
    }
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Broker {
    /// On an empty store.
    pub fn start(program: &Path) -> Self {
        let scratch = tempfile::Builder::new().prefix("tombolo-bench-").tempdir().expect("a scratch directory");
        let at = |name: &str| scratch.path().join(name);
        std::fs::write(at("tombolo.toml"), "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\" }\n")
            .expect("a configuration");
        std::fs::write(at("disk.raw"), vec![b'b'; 1 << 20]).expect("an image");
        let image = at("disk.raw");
        let image = image.to_str().expect("a path of text");
        let run = |arguments: &[&str]| run(command(program, scratch.path(), arguments));
        run(&["catalog", "publish", image, "--name", "bench", "--title", "Bench"]);
        let token = run(&["token", "create", "--user", "bench", "--project", "bench"]);
        let mut child = command(program, scratch.path(), &["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(at("serve.log")).expect("a log"))
            .spawn()
            .expect("tombolo serve");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let address =
            line.trim().strip_prefix("listening on http://").and_then(|rest| rest.trim_end_matches('/').parse().ok());
        let address = address.unwrap_or_else(|| {
            panic!("tombolo serve ended: {}", std::fs::read_to_string(at("serve.log")).unwrap_or_default())
        });
        Self { scratch, child, address, token, paths: Vec::new(), sample: Vec::new() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub fn sample(&self) -> &[u8] {
        &self.sample
    }

    /// A request as a client of the project sends it, on a connection that is kept alive.
    pub fn request(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.token);
        let fields: Vec<(&str, &str)> =
            [("Authorization", bearer.as_str())].into_iter().chain(fields.iter().copied()).collect();
        wire::request(method, path, &self.address.to_string(), &fields, body)
    }

    /// The GET of each compute.
    pub fn reads(&self) -> Vec<Vec<u8>> {
        self.paths.iter().map(|path| self.request("GET", path, &[("Accept", "text/plain")], b"")).collect()
    }

    /// The POST of one compute, as of a client that chooses an image, a size and a name.
    pub fn create(&self) -> Vec<u8> {
        let (scheme, term) = TEMPLATE.split_once('#').expect("an identifier");
        let body = format!(
            "Category: compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"\r\n\
             Category: {term}; scheme=\"{scheme}#\"; class=\"mixin\"\r\n\
             Category: small; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#\"; \
             class=\"mixin\"\r\n\
             X-OCCI-Attribute: occi.core.title=\"a desk\"\r\n\
             X-OCCI-Attribute: occi.compute.hostname=\"desk-7.school.example\"\r\n"
        );
        self.request("POST", "/compute/", &[("Content-Type", "text/plain")], body.as_bytes())
    }

    /// Creates so many computes, and waits until all of them run.
    pub async fn fill(&mut self, computes: usize) -> Filling {
        let one = format!(
            "{{\"kind\":\"{KIND}\",\"mixins\":[\"{TEMPLATE}\"],\
             \"attributes\":{{\"occi.core.title\":\"a desk\",\"occi.compute.hostname\":\"desk-7.school.example\"}}}}"
        );
        let fields = [("Content-Type", "application/occi+json"), ("Accept", "text/uri-list")];
        let requests: Vec<Vec<u8>> = (0..computes)
            .step_by(BATCH)
            .map(|done| {
                let batch = vec![one.as_str(); BATCH.min(computes - done)];
                let body = format!("{{\"resources\":[{}]}}", batch.join(","));
                self.request("POST", "/compute/", &fields, body.as_bytes())
            })
            .collect();
        let base = format!("http://{}", self.address);
        let mut paths = Vec::with_capacity(computes);
        let accepting = load::send_all(self.address, &requests, FILLERS, 201, |answer| {
            let body = std::str::from_utf8(answer.body).expect("locations");
            paths.extend(body.lines().filter_map(|line| line.strip_prefix(&base)).map(str::to_owned));
        })
        .await;
        assert_eq!(paths.len(), computes, "one location for each compute");
        self.paths = paths;
        let settling = self.settle().await;
        let mut connection = wire::Connection::open(self.address).await.expect("a connection");
        let first = self.request("GET", &self.paths[0], &[("Accept", "text/plain")], b"");
        let answer = connection.ask(&first).await.expect("an answer");
        let shown = String::from_utf8_lossy(answer.body);
        assert!(shown.contains("\"active\""), "the compute should run: {shown}");
        self.sample = [answer.head, answer.body].concat();
        Filling { accepting, settling }
    }

    /// Waits until no saga is unfinished, and answers how long that took.
    pub async fn settle(&self) -> Duration {
        let begin = Instant::now();
        let mut shown = begin;
        loop {
            let left = self.count("SELECT count(*) AS count FROM sagas WHERE state IN ('running', 'unwinding')");
            if left == 0 {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < SETTLING_LIMIT, "{left} sagas have not ended in an hour");
            if shown.elapsed() > Duration::from_secs(10) {
                shown = Instant::now();
                eprintln!("bench-occi: waiting for {left} sagas to end");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many sagas have made or are making machines, as the database has it.
    pub fn provisions(&self) -> usize {
        usize::try_from(self.count("SELECT count(*) AS count FROM sagas WHERE name = 'provision'")).unwrap_or(0)
    }

    fn count(&self, query: &str) -> i64 {
        let file = self.scratch.path().join("data").join("tombolo.sqlite");
        let mut connection = SqliteConnection::establish(file.to_str().expect("a path of text")).expect("the database");
        diesel::sql_query("PRAGMA busy_timeout = 10000").execute(&mut connection).expect("a pragma");
        diesel::sql_query(query).get_result::<Count>(&mut connection).expect("a count").count
    }

    /// What the server has logged as a warning or worse, shortened.
    pub fn complaints(&self) -> String {
        let log = std::fs::read_to_string(self.scratch.path().join("serve.log")).unwrap_or_default();
        let complaints: Vec<&str> =
            log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR")).collect();
        let mut text = String::new();
        for line in complaints.iter().take(3) {
            let _ = writeln!(text, "  {}", line.chars().take(200).collect::<String>());
        }
        if complaints.len() > 3 {
            let _ = writeln!(text, "  … {} such lines in all", complaints.len());
        }
        text
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
