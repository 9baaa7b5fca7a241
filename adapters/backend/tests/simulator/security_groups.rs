use backend::{Backend, BackendError, Direction, Protocol, Rule, SecurityGroupSpec, simulator::Simulator};

use crate::{ip, machine, tag};

fn part(simulator: &Simulator) -> &dyn backend::SecurityGroups {
    simulator.security_groups().unwrap()
}

fn rule() -> Rule {
    Rule { direction: Direction::Inbound, protocol: Protocol::Tcp, ports: None, range: None }
}

fn spec(rules: Vec<Rule>) -> SecurityGroupSpec {
    SecurityGroupSpec { tag: tag(), name: "one".into(), rules }
}

#[tokio::test]
async fn rules_that_mean_no_traffic_are_refused() {
    let simulator = Simulator::default();
    let id = part(&simulator).create(&spec(vec![rule()])).await.unwrap().id;
    for rules in [
        vec![rule(), Rule { ports: Some((2, 1)), ..rule() }],
        vec![Rule { ports: Some((1, 2)), protocol: Protocol::Icmp, ..rule() }],
        vec![Rule { ports: Some((1, 2)), protocol: Protocol::All, ..rule() }],
        vec![Rule { range: Some((ip("192.0.2.0"), 33)), ..rule() }],
        vec![Rule { range: Some((ip("2001:db8::"), 129)), ..rule() }],
        vec![rule(); 257],
    ] {
        let changed = part(&simulator).change(&id, &rules).await;
        assert!(matches!(changed, Err(BackendError::Refused(_))), "{changed:?}");
        let created = part(&simulator).create(&spec(rules)).await;
        assert!(matches!(created, Err(BackendError::Refused(_))), "{created:?}");
    }
    assert_eq!(part(&simulator).group(&id).await.unwrap().rules, [rule()]);
    assert_eq!(simulator.security_group_count(), 1);
}

#[tokio::test]
async fn a_group_comes_off_with_its_machine() {
    let simulator = Simulator::default();
    let (one, other) = (machine(&simulator).await, machine(&simulator).await);
    let id = part(&simulator).create(&spec(vec![rule()])).await.unwrap().id;
    for machine in [&one, &one, &other] {
        part(&simulator).apply(machine, &id).await.unwrap();
    }
    assert_eq!(simulator.applied_group_count(), 2);
    simulator.delete(&one).await.unwrap();
    assert!(matches!(part(&simulator).delete(&id).await, Err(BackendError::Conflict(_))));
    simulator.delete(&other).await.unwrap();
    assert_eq!(simulator.applied_group_count(), 0);
    part(&simulator).delete(&id).await.unwrap();
}
