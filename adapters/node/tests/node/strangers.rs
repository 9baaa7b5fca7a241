//! Who answers, if anybody, is not always a node.

use std::io::ErrorKind;

use backend::{
    Backend, BackendError, IntentTag, SaveMethod,
    request::{self, RequestId},
};
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
async fn a_wrong_token_is_a_matter_of_credentials() {
    let node = OpenNode::tcp().await;
    node.backend().describe().await.unwrap();
    let answer = tcp(node.tcp_address(), "another token, not known here").describe().await;
    let error = answer.unwrap_err();
    assert!(matches!(error, BackendError::Unauthorized(_)), "{error:?}");
    assert!(error.is_transient(), "somebody may renew them");
    assert!(error.to_string().contains("the node wants its token"), "{error}");
    node.close().await;
}

fn reply(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn whoever_wants_credentials_is_heard_in_bounds() {
    let of_a_node = br#"{"kind": "refused", "message": "no"}"#;
    let long = format!(r#"{{"kind": "refused", "message": "{}\u0007"}}"#, "x".repeat(5000));
    for body in [&b"<html>"[..], of_a_node, long.as_bytes()] {
        for status in ["401 Unauthorized", "403 Forbidden"] {
            let error = tcp_node(reply(status, body)).await.describe().await.unwrap_err();
            assert!(matches!(error, BackendError::Unauthorized(_)), "{error}");
            assert!(error.to_string().len() < 500 && !error.to_string().contains(char::is_control), "{error}");
        }
    }
}

#[tokio::test]
async fn one_malformed_object_does_not_hide_the_others() {
    let tag = "0190b6a2-7b1e-7c5f-a6b5-000000000001";
    let machine = |id: &str| {
        format!(
            r#"{{"id": "{id}", "tag": "{tag}", "state": "running", "detail": null, "endpoints": [], "console": null,
                "guest_answers": null}}"#
        )
    };
    let spoilt = [b"[", machine("m-1").as_bytes(), b", {\"id\": \"\xff\", \"cores\": NaN}, "].concat();
    let list = [&spoilt, machine("m-2").as_bytes(), b"]"].concat();
    let node = tcp_node(reply("200 OK", &list)).await;
    let listing = node.machines().await.unwrap();
    let ids: Vec<_> = listing.objects.iter().map(|machine| machine.id.as_str()).collect();
    assert_eq!((ids, listing.unreadable_count()), (vec!["m-1", "m-2"], 1));
    let found = node.find_by_tag(IntentTag(tag.parse().unwrap())).await.unwrap();
    assert_eq!(found.map(|machine| machine.id.to_string()), Some("m-1".to_owned()));
    // What cannot be read may be the one that is looked for: saying "none" would make a second one.
    let other = node.find_by_tag(IntentTag(uuid::Uuid::nil())).await;
    assert!(matches!(other, Err(BackendError::Failed(_))), "{other:?}");
    for list in [
        node.volumes().unwrap().volumes().await.unwrap().unreadable_count(),
        node.networks().unwrap().networks().await.unwrap().unreadable_count(),
    ] {
        assert_eq!(list, 3, "machines are neither");
    }
    let no_list = tcp_node(reply("200 OK", b"{}")).await.machines().await;
    assert!(matches!(no_list, Err(BackendError::Failed(_))), "{no_list:?}");
}

#[tokio::test]
async fn the_request_behind_a_call_travels_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = tcp(format!("http://{}", listener.local_addr().unwrap()), "token");
    let heard = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut line, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = line.read(&mut head).await.unwrap();
            heads.push(String::from_utf8_lossy(&head[..length]).to_lowercase());
        }
        heads
    });
    let id: RequestId = "from-the-door-7".parse().unwrap();
    assert!(request::scope(id, node.describe()).await.is_err());
    assert!(node.describe().await.is_err());
    let heads = heard.await.unwrap();
    assert!(heads[0].contains("x-request-id: from-the-door-7\r\n"), "{}", heads[0]);
    assert!(!heads[1].contains("x-request-id"), "{}", heads[1]);
}

#[tokio::test]
async fn nonsense_is_a_failure_and_is_read_in_bounds() {
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
