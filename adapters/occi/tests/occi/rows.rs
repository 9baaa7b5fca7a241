//! The rows of the fault table that lie between the adapter and a server.

use std::{sync::Arc, time::Duration};

use backend::{Backend, ImageOffer, suite::Candidate};
use fault_proxy::{
    FaultProxy, Which,
    suite::{BodyChange, Habits, verify},
};
use occi_adapter::{OcciBackend, OcciOptions};

use crate::{
    contract::Nothing,
    tombolo::{Tombolo, binary},
};

fn replacing(word: &'static str, other: &'static str) -> Option<BodyChange> {
    Some(Arc::new(move |body| String::from_utf8(body).unwrap().replacen(word, other, 1).into_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_to_f45_between_adapter_and_server() {
    let Some(binary) = binary() else {
        eprintln!("left out: there is no tombolo binary; build it, or name one by TOMBOLO_BINARY");
        return;
    };
    let mut image = vec![0; 1 << 20];
    image[..5].copy_from_slice(b"blank");
    let (tombolo, digest) = Tombolo::start(&binary, &image);
    let usual = tombolo.options();
    let authority = usual.endpoint.authority().to_owned();
    let proxy = FaultProxy::to(authority).await.unwrap();
    let options = OcciOptions { endpoint: proxy.url().parse().unwrap(), ..usual.clone() };
    let behind = usual.clone();
    let habits = Habits {
        create: Which::of("POST").path_ending("/compute/"),
        list: Which::of("GET").path_ending("/compute/"),
        show: Which::of("GET").to("/compute/").that(|request| !request.path().ends_with('/')),
        spoil: replacing("\"occi.compute.state\":\"", "\"occi.compute.state\":7,\"x\":\""),
        fail: replacing("\"occi.compute.state\":\"active\"", "\"occi.compute.state\":\"error\""),
        bypass: Some(Arc::new(OcciBackend::new(behind).unwrap())),
        expired: Some(Box::new(move |service| {
            let mut options = usual.clone();
            options.endpoint = service.url().parse().unwrap();
            options.authorities = Some(service.authority().to_owned());
            Arc::new(OcciBackend::new(options).unwrap())
        })),
    };
    let backend: Arc<dyn Backend> = Arc::new(OcciBackend::new(options).unwrap());
    let image = ImageOffer { digest: digest.parse().unwrap(), size: 1 << 20, source: Arc::new(Nothing) };
    let candidate = Candidate { backend, image, patience: Duration::from_secs(130) };
    let outcome = verify(&candidate, &proxy, &habits).await;
    let report = outcome.unwrap_or_else(|violation| panic!("{violation}\n{}", tombolo.log()));
    assert_eq!(report.skipped, Vec::<String>::new());
}
