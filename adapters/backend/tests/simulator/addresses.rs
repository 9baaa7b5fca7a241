use backend::{AddressSpec, Backend, BackendError, InterfaceSpec, InterfaceTarget, simulator::Simulator};

use crate::{ip, machine, tag};

fn part(simulator: &Simulator) -> &dyn backend::Addresses {
    simulator.addresses().unwrap()
}

fn spec(wanted: Option<&str>) -> AddressSpec {
    AddressSpec { tag: tag(), wanted: wanted.map(ip) }
}

#[tokio::test]
async fn one_pool_follows_the_other_and_then_there_is_no_room() {
    let simulator = Simulator::default();
    let addresses = part(&simulator);
    let mut given = Vec::new();
    for _ in 0..508 {
        given.push(addresses.reserve(&spec(None)).await.unwrap());
    }
    let text = |index: usize| given[index].address.to_string();
    assert_eq!(
        [text(0), text(253), text(254), text(507)],
        ["203.0.113.1", "203.0.113.254", "198.51.100.1", "198.51.100.254"]
    );
    assert!(matches!(addresses.reserve(&spec(None)).await, Err(BackendError::Capacity(_))));
    addresses.release(&given[3].id).await.unwrap();
    assert_eq!(addresses.reserve(&spec(None)).await.unwrap().address, given[3].address);
}

#[tokio::test]
async fn wishes_are_granted_once() {
    let simulator = Simulator::default();
    let addresses = part(&simulator);
    for wanted in ["192.0.2.7", "2001:db8::7", "203.0.113.1"] {
        assert_eq!(addresses.reserve(&spec(Some(wanted))).await.unwrap().address, ip(wanted));
        assert!(matches!(addresses.reserve(&spec(Some(wanted))).await, Err(BackendError::Conflict(_))));
    }
    assert_eq!(addresses.reserve(&spec(None)).await.unwrap().address, ip("203.0.113.2"), "the first free one");
    for wrong in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"] {
        let answer = addresses.reserve(&spec(Some(wrong))).await;
        assert!(matches!(answer, Err(BackendError::Refused(_))), "{wrong}: {answer:?}");
    }
    assert_eq!(simulator.address_count(), 4);
}

#[tokio::test]
async fn an_address_is_used_while_a_machine_has_it() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    let reserved = part(&simulator).reserve(&spec(None)).await.unwrap();
    let target = InterfaceTarget::Address(reserved.id.clone());
    let other = InterfaceSpec { tag: tag(), target: target.clone(), mac: None, address: Some(ip("192.0.2.1")) };
    let networks = simulator.networks().unwrap();
    assert!(matches!(networks.plug(&machine, &other).await, Err(BackendError::Refused(_))), "another address");
    let wanted = InterfaceSpec { address: Some(reserved.address), ..other };
    networks.plug(&machine, &wanted).await.unwrap();
    let used = async || part(&simulator).address(&reserved.id).await.unwrap().used;
    assert!(used().await);
    assert!(matches!(part(&simulator).release(&reserved.id).await, Err(BackendError::Conflict(_))));
    simulator.delete(&machine).await.unwrap();
    assert!(!used().await);
}
