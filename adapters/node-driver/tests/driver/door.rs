use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use node_driver::{
    NodeError,
    door::{Door, Listen},
    wire::{Failure, FailureKind},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{leaks::ask, node::Node};

const TOKEN: &str = "a token for tests only";

struct Open {
    node: Node,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), NodeError>>,
}

impl Open {
    async fn close(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
        self.node.clear().await;
    }
}

async fn unix() -> (Open, PathBuf) {
    let node = Node::new().await;
    let socket = node.root.path().join("run").join("door.sock");
    let door = Door::bind(node.driver.clone(), Listen::Unix(socket.clone())).unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(door.serve(shutdown.clone()));
    (Open { node, shutdown, serving }, socket)
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone() {
    let (open, socket) = unix().await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    let (status, description) = ask(&socket, "GET", "/description", &Value::Null).await;
    assert_eq!(status, 200);
    assert!(description["software"].as_str().unwrap().starts_with("tombolo node"));
    let second = Door::bind(open.node.driver.clone(), Listen::Unix(socket.clone()));
    assert!(matches!(second, Err(NodeError::DataDirectoryTaken(_))), "somebody listens there");
    open.close().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_dead_drivers_socket_is_replaced_and_a_file_is_not() {
    let node = Node::new().await;
    let socket = node.root.path().join("door.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    Door::bind(node.driver.clone(), Listen::Unix(socket)).unwrap();
    let file = node.root.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(Door::bind(node.driver.clone(), Listen::Unix(file.clone())), Err(NodeError::Refused(_))));
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    node.clear().await;
}

#[tokio::test]
async fn malformed_requests_are_refused_in_json() {
    let (open, socket) = unix().await;
    let digest = "00".repeat(32);
    for (method, path, body, status) in [
        ("POST", "/machines", json!({"tag": "no uuid"}), 422),
        ("POST", "/machines", json!([]), 422),
        ("POST", "/machines", json!("x".repeat(5 << 20)), 422),
        ("GET", "/machines/..", Value::Null, 422),
        ("GET", "/machines/a%2Fb", Value::Null, 422),
        ("GET", "/machines/nobody", Value::Null, 404),
        ("GET", "/machines?tag=x", Value::Null, 422),
        ("POST", "/machines/nobody/stop", json!({"method": "violently"}), 422),
        ("POST", "/machines/nobody/stop", json!({"method": "poweroff"}), 404),
        ("POST", "/machines/nobody/suspend", json!({"method": "deeply"}), 422),
        ("POST", "/machines/nobody/suspend", json!({"method": "hibernate"}), 404),
        ("POST", "/machines/nobody/resize", json!({"cores": -1, "memory_mib": 64, "disk_bytes": 0}), 422),
        ("POST", "/machines/nobody/resize", json!({"cores": 1, "memory_mib": 64, "disk_bytes": 0}), 404),
        ("POST", "/machines/nobody/save", json!({"method": "hot"}), 404),
        ("POST", "/volumes", json!({"tag": "no uuid", "name": "n", "size_bytes": 512}), 422),
        ("GET", "/volumes/..", Value::Null, 422),
        ("GET", "/volumes/nothing", Value::Null, 404),
        ("POST", "/volumes/nothing/online", json!({"online": true}), 404),
        ("POST", "/volumes/nothing/resize", json!({"size_bytes": 512}), 404),
        ("POST", "/machines/nobody/volumes", json!({"tag": Uuid::nil(), "volume": "../x", "device": null}), 422),
        ("POST", "/machines/nobody/volumes", json!({"tag": Uuid::nil(), "volume": "x", "device": null}), 404),
        ("GET", "/networks/nothing", Value::Null, 404),
        ("POST", "/networks/nothing/up", json!({"up": "yes"}), 422),
        ("POST", "/networks/nothing/up", json!({"up": true}), 404),
        ("POST", "/machines/nobody/interfaces", json!({"tag": Uuid::nil(), "target": {"kind": "moon"}}), 422),
        ("PUT", "/images/short?size=512", json!({"link": "/x"}), 422),
        ("PUT", &format!("/images/{digest}?size=512"), json!({"link": "relative"}), 422),
        ("PUT", &format!("/images/{digest}?size=512"), json!({"link": "/x", "more": 1}), 422),
        ("PUT", &format!("/images/{digest}?size=512"), json!({"link": "/nonexistent"}), 500),
        ("GET", &format!("/images/{digest}?size=512"), Value::Null, 404),
    ] {
        let (got, answer) = ask(&socket, method, path, &body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        let failure: Failure = serde_json::from_value(answer).unwrap();
        assert!(!failure.message.is_empty());
    }
    open.close().await;
}

async fn over_tcp(address: std::net::SocketAddr, request: &str) -> String {
    let mut line = TcpStream::connect(address).await.unwrap();
    line.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.unwrap();
    answer
}

fn request_id(answer: &str) -> &str {
    let mut headers = answer.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(name, _)| name.eq_ignore_ascii_case("x-request-id")).unwrap().1
}

#[tokio::test]
async fn over_tcp_the_token_decides() {
    let node = Node::new().await;
    let address = "127.0.0.1:0".parse().unwrap();
    let weak = Door::bind(node.driver.clone(), Listen::Tcp { address, token: "short".into() });
    assert!(matches!(weak, Err(NodeError::Refused(_))));
    let door = Door::bind(node.driver.clone(), Listen::Tcp { address, token: TOKEN.into() }).unwrap();
    let address = door.address().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(door.serve(shutdown.clone()));
    let get =
        |authorization: &str| format!("GET /machines HTTP/1.1\r\nHost: n\r\nConnection: close\r\n{authorization}\r\n");
    for wrong in
        ["", "Authorization: Bearer \r\n", "Authorization: Bearer nonsense\r\n", "Authorization: Basic eDp5\r\n"]
    {
        let answer = over_tcp(address, &get(wrong)).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{wrong}: {answer}");
        let failure: Failure = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(failure.kind, FailureKind::Unauthorized);
        assert_eq!(request_id(&answer).len(), 36, "one of the node's own");
    }
    let given = over_tcp(address, &get("X-Request-Id: from-the-door-7\r\n")).await;
    assert_eq!(request_id(&given), "from-the-door-7");
    let hostile = over_tcp(address, &get("X-Request-Id: a\"b\r\n")).await;
    assert_eq!(request_id(&hostile).len(), 36);
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = over_tcp(address, &get(&right)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("[]"), "{answer}");

    // A caller from elsewhere cannot make the node read its own files.
    let link = "{\"link\": \"/etc/passwd\"}";
    let digest = "00".repeat(32);
    let request = format!(
        "PUT /images/{digest}?size=512 HTTP/1.1\r\nHost: n\r\nConnection: close\r\n{right}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{link}",
        link.len()
    );
    let answer = over_tcp(address, &request).await;
    let failure: Failure = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(failure.kind, FailureKind::Refused, "{answer}");
    let open = Open { node, shutdown, serving };
    open.close().await;
}
