//! Who answers, if anybody, is not always a node.

use std::io::ErrorKind;

use backend::{Backend, BackendError, SaveMethod};
use futures_util::TryStreamExt;
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

#[tokio::test]
async fn a_saved_disk_is_what_was_announced_or_an_error() {
    let reply = |size: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{size}\r\n", body.len());
        tcp_node([head.as_bytes(), body].concat())
    };
    let id = "m-1".parse().unwrap();
    let zeros = zstd::encode_all(&vec![0; 3 << 20][..], 1).unwrap();
    // A gigabyte in a few kilobytes.
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 1).unwrap();
    for size in ["", "tombolo-disk-size: many\r\n", "tombolo-disk-size: 18446744073709551615\r\n"] {
        let answer = reply(size, &zeros).await.save(&id, SaveMethod::Hot).await;
        assert!(matches!(answer, Err(BackendError::Failed(_))), "{answer:?}");
    }
    let size = |bytes: u64| format!("tombolo-disk-size: {bytes}\r\n");
    let good = reply(&size(3 << 20), &zeros).await.save(&id, SaveMethod::Hot).await.unwrap();
    let chunks: Vec<_> = good.bytes.try_collect().await.unwrap();
    assert!(chunks.iter().all(|chunk| chunk.len() <= 1 << 20));
    assert!(chunks.concat() == vec![0; 3 << 20]);
    for (answer, expected) in [
        (reply(&size((3 << 20) + 512), &zeros), ErrorKind::InvalidData),
        (reply(&size(2 << 20), &zeros), ErrorKind::InvalidData),
        (reply(&size(2 << 20), &bomb), ErrorKind::InvalidData),
        (reply(&size(3 << 20), &zeros[..zeros.len() - 1]), ErrorKind::UnexpectedEof),
        (reply(&size(3 << 20), b"no zstd at all, whatever it says"), ErrorKind::Other),
    ] {
        let disk = answer.await.save(&id, SaveMethod::Hot).await.unwrap();
        let error = disk.bytes.try_for_each(async |_| Ok(())).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
    }
}

async fn tcp_node(answer: Vec<u8>) -> NodeBackend {
    tcp(stranger(answer).await, "token")
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in ["", "node-7", "https://node-7", "file:///etc/passwd"] {
        let refused = NodeBackend::new(NodeAddress::Tcp { url: url.into(), token: "t".into() });
        assert!(matches!(refused, Err(BackendError::Refused(_))), "{url}");
    }
}
