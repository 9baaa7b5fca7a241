//! The rows of the fault table that lie between the adapter and the service.

use std::{sync::Arc, time::Duration};

use backend::{Backend, suite::Candidate};
use backend_http::Url;
use fault_proxy::{
    FaultProxy, Which,
    suite::{BodyChange, Habits, verify},
};
use opennebula_adapter::{OpenNebulaBackend, OpenNebulaOptions};

use crate::Rig;

fn calls(method: &str) -> Which {
    Which::of("POST").saying(format!("<methodName>{method}</methodName>"))
}

fn replacing(word: &'static str, other: &'static str) -> Option<BodyChange> {
    Some(Arc::new(move |body| String::from_utf8(body).unwrap().replacen(word, other, 1).into_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_to_f45_between_adapter_and_daemon() {
    let rig = Rig::start().await;
    let proxy = FaultProxy::to(rig.simulator.address().to_string()).await.unwrap();
    let options =
        OpenNebulaOptions { endpoint: Url::parse(&format!("{}/RPC2", proxy.url())).unwrap(), ..rig.options() };
    let usual = options.clone();
    let habits = Habits {
        create: calls("one.vm.allocate"),
        list: calls("one.vmpool.infoextended"),
        show: calls("one.vm.info"),
        spoil: replacing("&lt;STATE&gt;", "&lt;STATE&gt;NaN"),
        fail: replacing("&lt;LCM_STATE&gt;3&lt;", "&lt;LCM_STATE&gt;36&lt;"),
        bypass: Some(Arc::new(rig.backend())),
        expired: Some(Box::new(move |service| {
            let mut options = usual.clone();
            options.endpoint = Url::parse(&format!("{}/RPC2", service.url())).unwrap();
            options.authorities = Some(service.authority().to_owned());
            Arc::new(OpenNebulaBackend::new(options).unwrap())
        })),
    };
    let backend: Arc<dyn Backend> = Arc::new(OpenNebulaBackend::new(options).unwrap());
    let candidate = Candidate { backend, image: rig.image().await, patience: Duration::from_secs(120) };
    let report = verify(&candidate, &proxy, &habits).await.unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(report.skipped, Vec::<String>::new());
}
