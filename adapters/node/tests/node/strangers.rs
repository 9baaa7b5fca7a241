//! Who answers, if anybody, is not always a node.

use backend::{Backend, BackendError};
use node_adapter::{NodeAddress, NodeBackend};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::OpenNode;

fn tcp(url: String, token: &str) -> NodeBackend {
    NodeBackend::new(NodeAddress::Tcp { url, token: token.into() }).unwrap()
}

/// Simulates a service that answers everything with these bytes, then closes.
async fn stranger(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            let _ = line.read(&mut [0; 4096]).await;
            let _ = line.write_all(&answer).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let root = tempfile::tempdir().unwrap();
    let spare = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = spare.local_addr().unwrap();
    drop(spare);
    let missing = NodeBackend::new(NodeAddress::Unix(root.path().join("none.sock"))).unwrap();
    for node in [missing, tcp(format!("http://{address}"), "token"), tcp(stranger(Vec::new()).await, "token")] {
        let answer = node.describe().await;
        assert!(matches!(answer, Err(BackendError::Unreachable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let node = OpenNode::tcp().await;
    node.backend().describe().await.unwrap();
    let answer = tcp(node.tcp_address(), "another token, not known here").describe().await;
    assert!(matches!(answer, Err(BackendError::Refused(_))), "{answer:?}");
    node.close().await;
}

#[tokio::test]
async fn nonsense_is_a_failure_and_is_read_in_bounds() {
    let reply = |head: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 {head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    for (answer, says) in [
        (reply("200 OK", b"<html>"), "nonsense"),
        (reply("200 OK", b"[]"), "nonsense"),
        (reply("502 Bad Gateway", b"<html>"), "502"),
        (reply("302 Found", b""), "302"),
        (reply("200 OK", &vec![b' '; 20 << 20]), "without end"),
    ] {
        let error = tcp(stranger(answer).await, "token").describe().await.unwrap_err();
        assert!(matches!(&error, BackendError::Failed(text) if text.contains(says)), "{error}");
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in ["", "node-7", "https://node-7", "file:///etc/passwd"] {
        let refused = NodeBackend::new(NodeAddress::Tcp { url: url.into(), token: "t".into() });
        assert!(matches!(refused, Err(BackendError::Refused(_))), "{url}");
    }
}
