use std::time::Duration;

use backend::BackendError;
use backend_http::{Caller, Method, Mode, Options};
use fault_proxy::ExpiredService;

use crate::{LONG, Rig};

#[tokio::test]
async fn a_closed_port_refuses_and_a_healed_one_does_not() {
    let rig = Rig::reverse().await;
    rig.get("servers").await.unwrap();
    for _ in 0..2 {
        rig.proxy.refuse_connections().await.unwrap();
        let Err(BackendError::Unreachable(words)) = rig.get("servers").await else { panic!("somebody answers") };
        assert!(words.to_lowercase().contains("refused"), "{words}");
        rig.proxy.heal().await.unwrap();
        rig.get("servers").await.unwrap();
    }
    assert_eq!(rig.service.calls(), 3);
}

#[tokio::test]
async fn a_deaf_port_does_not_even_connect() {
    let rig = Rig::reverse().await;
    rig.proxy.drop_connections().await.unwrap();
    let connection = tokio::net::TcpStream::connect(rig.proxy.authority());
    assert!(tokio::time::timeout(Duration::from_millis(200), connection).await.is_err(), "it connects");
    let answer = rig.get("servers").await;
    assert!(matches!(answer, Err(BackendError::Unreachable(_))), "{answer:?}");
    rig.proxy.heal().await.unwrap();
    rig.get("servers").await.unwrap();
}

#[tokio::test]
async fn a_connection_that_stood_is_cut() {
    let rig = Rig::reverse().await;
    rig.proxy.order(fault_proxy::Which::any(), fault_proxy::Fault::Silence, fault_proxy::Times::Always);
    let (answer, ()) = tokio::join!(rig.post("servers", ""), async {
        while rig.proxy.count(&fault_proxy::Which::any()) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rig.proxy.refuse_connections().await.unwrap();
    });
    assert!(matches!(answer, Err(BackendError::Unreachable(_))), "{answer:?}");
}

#[tokio::test]
async fn the_expired_service_says_what_is_wrong_to_whoever_trusts_its_authority() {
    let service = ExpiredService::start().await.unwrap();
    let options = Options { authorities: Some(service.authority().to_owned()), ..Options::new("the service") };
    let caller = Caller::new(&options).unwrap();
    let request = caller.request(Method::GET, service.url().parse().unwrap());
    let Err(BackendError::Unreachable(words)) = caller.send(request, Mode::Look, LONG).await else {
        panic!("it is trusted")
    };
    assert!(words.contains("expired"), "{words}");
}
