//! The rows of the fault table between the adapter and a real driver.

use std::{sync::Arc, time::Duration};

use backend::{Backend, suite::Candidate};
use fault_proxy::{
    FaultProxy, Which,
    suite::{Habits, verify},
};
use node_adapter::{NodeAddress, NodeBackend};

use crate::{OpenNode, TOKEN, image};

/// The first of these words in the answer becomes the other.
fn replacing(word: &'static str, other: &'static str) -> Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync> {
    Arc::new(move |body| String::from_utf8(body).unwrap().replacen(word, other, 1).into_bytes())
}

#[tokio::test]
async fn f1_to_f45_between_adapter_and_driver() {
    let node = OpenNode::tcp().await;
    let authority = node.tcp_address().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let proxy = FaultProxy::to(authority).await.unwrap();
    let through = NodeAddress::Tcp { url: proxy.url(), token: TOKEN.into() };
    let backend: Arc<dyn Backend> = Arc::new(NodeBackend::new(through).unwrap());
    let candidate = Candidate { backend, image: image(None), patience: Duration::from_secs(120) };
    let habits = Habits {
        create: Which::of("POST").path_ending("/machines"),
        list: Which::of("GET").path_ending("/machines").that(|request| !request.target.contains('?')),
        show: Which::of("GET").to("/machines/"),
        spoil: Some(replacing("\"state\":\"running\"", "\"state\":\"dancing\"")),
        fail: Some(replacing("\"state\":\"running\"", "\"state\":\"failed\"")),
        bypass: Some(Arc::new(node.backend())),
        expired: None,
    };
    let report = verify(&candidate, &proxy, &habits).await.unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(report.skipped, ["F28 certificate expired: the adapter speaks no TLS"]);
    assert_eq!(node.driver.machines(), []);
    node.close().await;
}
