//! A simulator of OpenStack: it answers as the recorded services did, and as it is told to. It keeps no state but its
//! journal.

use std::sync::{Arc, Mutex};

use openstack_adapter::{Credentials, Domain, Named, OpenStackBackend, OpenStackOptions, Secret};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub const PROJECT: &str = "0bb01d6660e14d4fa2780d968ab7f59a";

/// What came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub token: Option<String>,
    pub body: Value,
}

impl Request {
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path.split('?').next() == Some(path)
    }
}

/// What goes out.
pub enum Reply {
    Json(u16, Value),
    /// With a header of its own.
    Headed(u16, &'static str, String, Value),
    Bytes(Vec<u8>),
    /// The connection is closed without an answer.
    Nothing,
}

type Script = dyn Fn(&Request, &Recorded) -> Option<Reply> + Send + Sync;

pub struct Recorded {
    pub url: String,
    journal: Mutex<Vec<Request>>,
    script: Box<Script>,
    /// Of tokens, in seconds.
    lasts: i64,
    highest: &'static str,
}

/// Ends with its test.
pub struct Service {
    pub recorded: Arc<Recorded>,
    task: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    /// What the script does not answer is answered as usual.
    pub async fn start(script: impl Fn(&Request, &Recorded) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::with(3600, "2.103", script).await
    }

    pub async fn with(
        lasts: i64,
        highest: &'static str,
        script: impl Fn(&Request, &Recorded) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let journal = Mutex::new(Vec::new());
        let recorded = Arc::new(Recorded { url, journal, script: Box::new(script), lasts, highest });
        let served = Arc::clone(&recorded);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                tokio::spawn(async move { served.serve(stream).await });
            }
        });
        Self { recorded, task }
    }

    pub fn options(&self) -> OpenStackOptions {
        let named = |name: &str| Named::Name { name: name.into(), domain: Domain::default() };
        let auth = Credentials::Password { user: named("demo"), password: Secret::new("demopw") };
        let mut options = OpenStackOptions::new(self.recorded.url.parse().unwrap(), auth, Some(named("demo")));
        options.patience.look_milliseconds = 10;
        options
    }

    pub fn backend(&self) -> OpenStackBackend {
        OpenStackBackend::new(self.options()).unwrap()
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        self.recorded.count(method, path)
    }

    pub fn logins(&self) -> usize {
        self.count("POST", "/v3/auth/tokens")
    }
}

impl Recorded {
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.journal.lock().unwrap().iter().filter(|request| request.is(method, path)).count()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.journal.lock().unwrap().clone()
    }

    async fn serve(&self, mut stream: TcpStream) {
        let Some(request) = read(&mut stream).await else { return };
        self.journal.lock().unwrap().push(request.clone());
        let reply = (self.script)(&request, self).unwrap_or_else(|| self.usual(&request));
        let (status, header, body) = match reply {
            Reply::Json(status, body) => (status, String::new(), body.to_string().into_bytes()),
            Reply::Headed(status, name, value, body) => {
                (status, format!("{name}: {value}\r\n"), body.to_string().into_bytes())
            }
            Reply::Bytes(bytes) => (200, String::new(), bytes),
            Reply::Nothing => return,
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{header}\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
        let _ = stream.shutdown().await;
    }

    fn usual(&self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap_or_default();
        match (request.method.as_str(), path) {
            ("POST", "/v3/auth/tokens") => {
                let token = format!("token-{}", self.count("POST", "/v3/auth/tokens"));
                Reply::Headed(201, "X-Subject-Token", token, self.token())
            }
            ("GET", "/v2.1/") => {
                Reply::Json(200, json!({ "version": { "id": "v2.1", "version": self.highest, "min_version": "2.1" } }))
            }
            ("GET", "/v3/") => {
                Reply::Json(300, json!({ "versions": [{ "id": "v3.0", "version": "3.71", "min_version": "3.0" }] }))
            }
            ("GET", "/v2.1/servers/detail") => Reply::Json(200, json!({ "servers": [] })),
            ("GET", "/v2.1/flavors/detail") => Reply::Json(
                200,
                json!({ "flavors": [
                    { "id": "t-small", "name": "t.small", "ram": 256, "disk": 2, "vcpus": 2, "extra_specs": {} },
                    { "id": "t-tiny", "name": "t.tiny", "ram": 64, "disk": 1, "vcpus": 1, "extra_specs": {} } ] }),
            ),
            ("GET", "/v2/images") => Reply::Json(
                200,
                json!({ "images": [{ "id": "435714ef-e50e-43d6-8c6d-d5384e65bc0b", "status": "active",
                    "disk_format": "qcow2", "owner": PROJECT, "tombolo_digest": "5a".repeat(32),
                    "tombolo_size": "2097152" }] }),
            ),
            ("GET", "/v2.0/networks") => Reply::Json(200, json!({ "networks": [] })),
            ("GET", "/v2.0/ports") => Reply::Json(200, json!({ "ports": [] })),
            _ => Reply::Json(404, json!({ "itemNotFound": { "code": 404, "message": "nothing there" } })),
        }
    }

    fn token(&self) -> Value {
        let services = [("compute", "/v2.1"), ("image", ""), ("network", ""), ("volumev3", "/v3")];
        let catalog: Vec<Value> = services
            .iter()
            .map(|(kind, path)| {
                json!({ "type": kind, "endpoints": [{ "interface": "public", "region_id": "RegionOne",
                    "url": format!("{}{path}", self.url) }] })
            })
            .collect();
        let expires_at = format!("2026-11-21T{:02}:16:15.000000Z", 4 + self.lasts / 3600);
        json!({ "token": { "methods": ["password"], "issued_at": "2026-11-21T04:16:15.000000Z",
            "expires_at": expires_at, "project": { "id": PROJECT, "name": "demo" },
            "roles": [{ "id": "1", "name": "member" }], "catalog": catalog } })
    }
}

/// A machine as Nova shows it.
pub fn server(number: u32, tag: &str) -> Value {
    json!({ "id": format!("6468346e-7e7e-4e4c-b9c8-{number:012x}"), "name": "vm1", "status": "ACTIVE",
        "OS-EXT-STS:task_state": null, "metadata": { "tombolo_tag": tag }, "created": "2026-11-21T04:16:21Z",
        "flavor": { "vcpus": 1, "ram": 64, "disk": 1, "original_name": "t.tiny" }, "addresses": {},
        "image": { "id": "435714ef-e50e-43d6-8c6d-d5384e65bc0b" }, "tags": ["tombolo", format!("tombolo-{tag}")] })
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut words = head.lines().next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default();
    Some(Request { method, path, token: header("x-auth-token"), body })
}
