use std::{sync::Arc, time::Duration};

use backend::{
    AddressSpec, Backend, IntentTag,
    suite::{Candidate, verify},
};

use opennebula_adapter::{OpenNebulaBackend, OpenNebulaOptions};

use crate::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let rig = Rig::start().await;
    // The simulator reserves the next free address, whichever was wished for.
    let options = OpenNebulaOptions { public_network: None, ..rig.options_with_networks().await };
    let backend: Arc<dyn Backend> = Arc::new(OpenNebulaBackend::new(options).unwrap());
    let candidate = Candidate { backend, image: rig.image().await, patience: Duration::from_secs(60) };
    let report = verify(&candidate).await.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report:#?}");
}

#[tokio::test]
async fn an_address_is_reserved_once_and_given_back() {
    let rig = Rig::start().await;
    let backend = OpenNebulaBackend::new(rig.options_with_networks().await).unwrap();
    let addresses = backend.addresses().unwrap();
    let spec = AddressSpec { tag: IntentTag(uuid::Uuid::now_v7()), wanted: None };
    let reserved = addresses.reserve(&spec).await.unwrap();
    assert_eq!(addresses.reserve(&spec).await.unwrap(), reserved);
    assert_eq!(addresses.find_by_tag(spec.tag).await.unwrap(), Some(reserved.clone()));
    assert!(!reserved.used && reserved.address.to_string().starts_with("203.0.113."));
    // It is a network at the service, and none of ours to the broker.
    let networks = backend.networks().unwrap().networks().await.unwrap();
    assert!(networks.objects.iter().all(|network| network.id.as_str() != reserved.id.as_str()));
    addresses.release(&reserved.id).await.unwrap();
    assert_eq!(addresses.find_by_tag(spec.tag).await.unwrap(), None);
    addresses.release(&reserved.id).await.unwrap();
}
