use std::{sync::Arc, time::Duration};

use backend::{
    Backend,
    suite::{Candidate, verify},
};

use opennebula_adapter::OpenNebulaBackend;

use crate::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let rig = Rig::start().await;
    let options = rig.options_with_networks().await;
    let backend: Arc<dyn Backend> = Arc::new(OpenNebulaBackend::new(options).unwrap());
    let candidate = Candidate { backend, image: rig.image().await, patience: Duration::from_secs(60) };
    let report = verify(&candidate).await.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report:#?}");
}
