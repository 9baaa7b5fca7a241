//! Facts of the wire, and the faults that can be ordered.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use opennebula_simulator::faults::{Fault, Order};
use opennebula_simulator::{Settings, Simulator};
use support::{Value, call, int, post, raw, text, yes_or_no};

const SESSION: &str = "oneadmin:opennebula";

async fn simulator() -> (Simulator, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Simulator::with_hosts(Settings::default(), directory.path()).await.unwrap(), directory)
}

#[tokio::test]
async fn only_post_to_one_address_is_taken() {
    let (simulator, _directory) = simulator().await;
    let address = simulator.address();
    for (request, status) in [
        ("GET /RPC2 HTTP/1.1\r\n\r\n", "HTTP/1.1 405"),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 404"),
        ("POST /RPC2/ HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 404"),
        ("POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 411"),
        ("POST /RPC2 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 400"),
        ("POST /RPC2?x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200"),
    ] {
        let answer = raw(address, request.as_bytes()).await;
        assert!(answer.starts_with(status), "{request:?}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"));
    }
    let empty = raw(address, b"POST /RPC2 HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await;
    let said = "According to your content-length HTTP header, your request is empty (zero length)";
    assert!(empty.contains("Content-type: text/html") && empty.contains(said));
    let fault = support::parse(&post(address, "hello").await);
    let said = "Call XML not a proper XML-RPC call.  Call is not valid XML.  syntax error";
    assert_eq!(fault, Value::Fault(-503, said.into()));
}

#[tokio::test]
async fn no_more_than_fifteen_connections_are_served() {
    let (simulator, _directory) = simulator().await;
    let mut idle = Vec::new();
    for _ in 0..15 {
        idle.push(tokio::net::TcpStream::connect(simulator.address()).await.unwrap());
    }
    let version = call(simulator.address(), SESSION, "one.system.version", &[]);
    tokio::pin!(version);
    tokio::select! {
        biased;
        answer = &mut version => panic!("a sixteenth connection was served: {answer:?}"),
        () = async { for _ in 0..1_000 { tokio::task::yield_now().await; } } => {}
    }
    drop(idle);
    assert_eq!(version.await.ok(), &Value::Text("7.4.0".into()));
}

#[tokio::test]
async fn a_lost_answer_has_its_effect() {
    let (simulator, _directory) = simulator().await;
    simulator.order(Order::once("one.vm.allocate", Fault::LostAnswer));
    let template = support::escape("NAME=\"once\"\nCPU=\"1\"\nMEMORY=\"64\"");
    let body = format!(
        "<methodCall><methodName>one.vm.allocate</methodName><params><param><value>{SESSION}</value></param>\
         <param><value>{template}</value></param></params></methodCall>"
    );
    assert_eq!(post(simulator.address(), &body).await, "");
    let pool = call(simulator.address(), SESSION, "one.vmpool.info", &[&int(-2), &int(-1), &int(-1), &int(-1)]).await;
    assert!(pool.ok().text().contains("<NAME>once</NAME>"));
}

#[tokio::test]
async fn faults_come_as_ordered_and_go() {
    let (simulator, _directory) = simulator().await;
    let address = simulator.address();
    let body = format!(
        "<methodCall><methodName>one.system.version</methodName><params><param><value>{SESSION}</value></param>\
         </params></methodCall>"
    );
    simulator.order(Order::once("one.system.version", Fault::Garbage));
    assert!(roxmltree::Document::parse(&post(address, &body).await).is_err());
    simulator.order(Order::once("one.system.version", Fault::EntityBomb));
    let bomb = post(address, &body).await;
    assert!(bomb.contains("<!ENTITY a9") && bomb.len() < 4096);
    simulator.order(Order::once("one.system.version", Fault::Huge(3 << 20)));
    assert_eq!(post(address, &body).await.len(), 3 << 20);
    simulator.order(Order::once("one.system.version", Fault::Slow(Duration::from_millis(1))));
    assert!(post(address, &body).await.contains("7.4.0"));
    simulator.order(Order::always(Fault::AuthenticationRevoked));
    assert_eq!(call(address, SESSION, "one.system.version", &[]).await.refused().0, 256);
    simulator.clear_faults();
    simulator.order("refused".parse().unwrap());
    assert_eq!(post(address, &body).await, "");
    assert!(post(address, &body).await.contains("7.4.0"));
}

#[tokio::test]
async fn lists_can_be_stale_and_malformed() {
    let (simulator, _directory) = simulator().await;
    let address = simulator.address();
    simulator.add_machines(3, "m", &[]);
    let bounds = [int(-2), int(-1), int(-1), int(-1)];
    let bounds = bounds.each_ref().map(String::as_str);
    simulator.order(Order::always(Fault::StalePool));
    simulator.add_machines(1, "late", &[]);
    let stale = call(address, SESSION, "one.vmpool.info", &bounds).await;
    assert!(!stale.ok().text().contains("late-0"));
    simulator.clear_faults();
    simulator.order(Order::once("one.vmpool.info", Fault::MalformedMachine(1)));
    let malformed = call(address, SESSION, "one.vmpool.info", &bounds).await;
    let list = malformed.ok().text();
    assert!(list.contains("late-0") && list.contains("<ID>none</ID>") && !list.contains("<VM><ID>1</ID>"));
}

#[tokio::test]
async fn ten_thousand_machines_are_listed_in_pages() {
    let (simulator, _directory) = simulator().await;
    let (first, last) = simulator.add_machines(10_000, "m", &[("SCHED_TAG", "x")]);
    let mut seen = 0;
    for page in 0..10 {
        let bounds = [int(-2), int(page * 1_000), int(-1_000), int(-1)];
        let bounds = bounds.each_ref().map(String::as_str);
        let answer = call(simulator.address(), SESSION, "one.vmpool.info", &bounds).await;
        seen += answer.ok().text().matches("<VM><ID>").count();
    }
    assert_eq!(seen, 10_000);
    assert_eq!(last - first, 9_999);
}

#[tokio::test]
async fn an_image_is_fetched_and_its_digest_checked() {
    let (simulator, directory) = simulator().await;
    let address = simulator.address();
    // The simulator's own error page is something to fetch: curl takes no 404, so it is served by hand.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/image", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbytes").await;
        }
    });
    let good = "4b3a6218bb3e3a7303e8a171a60fcf92";
    let mut states = Vec::new();
    for (name, md5) in [("good", good), ("bad", "00000000000000000000000000000000")] {
        let template = text(&format!("NAME=\"{name}\"\nTYPE=\"OS\"\nPATH=\"{url}\"\nFORMAT=\"raw\"\nMD5=\"{md5}\""));
        let id = call(address, SESSION, "one.image.allocate", &[&template, &int(1)]).await.ok().number();
        loop {
            let info = call(address, SESSION, "one.image.info", &[&int(id), &yes_or_no(false)]).await;
            let info = info.ok().text().to_owned();
            if !info.contains("<STATE>4</STATE>") {
                states.push(info);
                break;
            }
        }
    }
    assert!(states[0].contains("<STATE>1</STATE>") && states[0].contains("<SIZE>1</SIZE>"));
    let source = states[0].split("<SOURCE><![CDATA[").nth(1).unwrap().split("]]>").next().unwrap();
    assert!(source.starts_with(directory.path().to_str().unwrap()));
    assert_eq!(std::fs::read(source).unwrap(), b"bytes");
    assert!(states[1].contains("<STATE>5</STATE>") && states[1].contains("Hash check failed"));
}
