//! The recorded state sequences, compared with those that the simulator's machines go through.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use opennebula_simulator::{Delays, DriverAction, Settings, Simulator};
use support::{call, int, text, yes_or_no};

const SESSION: &str = "oneadmin:opennebula";

fn recorded() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/sequences.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A recorded sequence without `VM:ACTIVE` and `LCM:LCM_INIT`, which the log of a real machine has only sometimes.
fn names(recorded: &[String]) -> Vec<String> {
    let names = recorded.iter().filter_map(|s| s.split_once(':')).map(|(_, name)| name.to_owned());
    names.filter(|n| n != "ACTIVE" && n != "LCM_INIT").collect()
}

struct Rig {
    simulator: Simulator,
    _directory: tempfile::TempDir,
    seen: usize,
}

impl Rig {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(3600);
        let delays = Delays { race: long, step: long, placement: long, image: long, network: long, host: long };
        let settings = Settings { delays, ..Settings::default() };
        let simulator = Simulator::with_hosts(settings, directory.path()).await.unwrap();
        Self { simulator, _directory: directory, seen: 0 }
    }

    async fn call(&self, method: &str, values: &[String]) -> support::Value {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        call(self.simulator.address(), SESSION, method, &values).await
    }

    /// What came since the last time that this was asked.
    fn since(&mut self) -> Vec<String> {
        self.simulator.settle();
        let all = self.simulator.states_of(0);
        let fresh = all[self.seen..].iter().filter(|n| **n != "ACTIVE").map(|n| (*n).to_owned()).collect();
        self.seen = all.len();
        fresh
    }
}

#[tokio::test]
async fn states_follow_each_other_as_recorded() {
    let recorded = recorded();
    let mut rig = Rig::new().await;
    let network = "NAME=\"n\"\nVN_MAD=\"dummy\"\nAR=[TYPE=\"IP4\",IP=\"10.0.0.2\",SIZE=\"20\"]";
    rig.call("one.vn.allocate", &[text(network), int(-1)]).await.ok();
    let image = "NAME=\"i\"\nTYPE=\"DATABLOCK\"\nSIZE=\"1\"\nPATH=\"/srv/one/images/i.raw\"";
    rig.call("one.image.allocate", &[text(image), int(1)]).await.ok();
    let group = "NAME=\"g\"\nRULE=[PROTOCOL=\"TCP\",RULE_TYPE=\"inbound\"]";
    rig.call("one.secgroup.allocate", &[text(group)]).await.ok();
    rig.simulator.settle();
    let template = "NAME=\"m\"\nCPU=\"0.1\"\nMEMORY=\"64\"\nDISK=[IMAGE_ID=\"0\"]\n\
                    NIC=[NETWORK_ID=\"0\"]\nSCHED_REQUIREMENTS=\"ID=1\"";
    rig.call("one.vm.allocate", &[text(template), yes_or_no(true)]).await.ok();
    rig.since();
    let action = |name: &str| ("one.vm.action", vec![text(name), int(0)]);
    let migrate = |host: i32, live: bool, kind: i32| {
        ("one.vm.migrate", vec![int(0), int(host), yes_or_no(live), yes_or_no(false), int(-1), int(kind)])
    };
    let steps: Vec<(&str, (&str, Vec<String>))> = vec![
        ("release(HOLD->PENDING->...)", action("release")),
        ("poweroff", action("poweroff")),
        ("resume from POWEROFF", action("resume")),
        ("poweroff-hard", action("poweroff-hard")),
        ("resume from POWEROFF (2)", action("resume")),
        ("suspend", action("suspend")),
        ("resume from SUSPENDED", action("resume")),
        ("stop", action("stop")),
        ("resume from STOPPED", action("resume")),
        ("undeploy", action("undeploy")),
        ("resume from UNDEPLOYED", action("resume")),
        ("undeploy-hard", action("undeploy-hard")),
        ("resume from UNDEPLOYED (2)", action("resume")),
        ("reboot", action("reboot")),
        ("reboot-hard", action("reboot-hard")),
        ("resched", action("resched")),
        ("unresched", action("unresched")),
        ("live migrate", migrate(0, true, 0)),
        ("cold migrate (save)", migrate(1, false, 0)),
        ("cold migrate (poweroff)", migrate(0, false, 1)),
        ("cold migrate (poweroff hard)", migrate(1, false, 2)),
        ("attach disk", ("one.vm.attach", vec![int(0), text("DISK=[TYPE=\"fs\",SIZE=\"10\"]")])),
        ("disk resize", ("one.vm.diskresize", vec![int(0), int(0), text("200")])),
        ("disk snapshot create (running)", ("one.vm.disksnapshotcreate", vec![int(0), int(0), text("d")])),
        ("system snapshot create", ("one.vm.snapshotcreate", vec![int(0), text("s")])),
        ("system snapshot revert", ("one.vm.snapshotrevert", vec![int(0), int(0)])),
        ("system snapshot delete", ("one.vm.snapshotdelete", vec![int(0), int(0)])),
        ("disk saveas running (hot)", ("one.vm.disksaveas", vec![int(0), int(0), text("saved"), text(""), int(-1)])),
        ("detach disk", ("one.vm.detach", vec![int(0), int(1)])),
        ("attach nic", ("one.vm.attachnic", vec![int(0), text("NIC=[NETWORK_ID=\"0\"]")])),
        ("attach sec group", ("one.vm.attachsg", vec![int(0), int(1), int(100)])),
        ("detach sec group", ("one.vm.detachsg", vec![int(0), int(1), int(100)])),
        ("update nic", ("one.vm.updatenic", vec![int(0), int(1), text("NIC=[INBOUND_AVG_BW=\"1000\"]")])),
        ("detach nic", ("one.vm.detachnic", vec![int(0), int(1)])),
        ("resize (live)", ("one.vm.resize", vec![int(0), text("MEMORY=\"256\""), yes_or_no(true)])),
        ("backup (running)", ("one.vm.backup", vec![int(0), int(1), yes_or_no(false)])),
        ("poweroff (3)", action("poweroff")),
        ("disk snapshot create (poweroff)", ("one.vm.disksnapshotcreate", vec![int(0), int(0), text("e")])),
        ("disk snapshot revert (poweroff)", ("one.vm.disksnapshotrevert", vec![int(0), int(0), int(0)])),
        ("disk saveas poweroff", ("one.vm.disksaveas", vec![int(0), int(0), text("saved-cold"), text(""), int(-1)])),
        ("resize (poweroff)", ("one.vm.resize", vec![int(0), text("MEMORY=\"128\""), yes_or_no(true)])),
        ("attach disk (poweroff)", ("one.vm.attach", vec![int(0), text("DISK=[TYPE=\"fs\",SIZE=\"10\"]")])),
        ("attach nic (poweroff)", ("one.vm.attachnic", vec![int(0), text("NIC=[NETWORK_ID=\"0\"]")])),
        ("migrate in POWEROFF", migrate(0, false, 0)),
        ("resume (4)", action("resume")),
        ("terminate with failing shutdown", action("terminate")),
        ("terminate", action("terminate")),
    ];
    let mut differences = Vec::new();
    let squeezed: BTreeMap<String, &Vec<String>> = recorded.iter().map(|(n, s)| (n.replace(' ', ""), s)).collect();
    for (name, (method, values)) in steps {
        if name == "terminate with failing shutdown" {
            rig.simulator.fail_driver(DriverAction::Shutdown);
        }
        let answer = rig.call(method, &values).await;
        assert!(matches!(&answer, support::Value::Array(parts) if parts.len() == 3), "{name}: {answer:?}");
        let expected = squeezed.get(&name.replace(' ', "")).unwrap_or_else(|| panic!("{name} was not recorded"));
        let (expected, found) = (names(expected), rig.since());
        if expected != found {
            differences.push(format!("{name}: recorded {expected:?}, simulated {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn the_old_state_is_shown_after_an_action_and_a_second_one_is_refused() {
    let rig = Rig::new().await;
    let template = text("NAME=\"m\"\nCPU=\"0.1\"\nMEMORY=\"64\"");
    let id = rig.call("one.vm.allocate", &[template, yes_or_no(false)]).await.ok().number();
    rig.simulator.settle();
    rig.call("one.vm.action", &[text("poweroff"), int(id)]).await.ok();
    let info = rig.call("one.vm.info", &[int(id)]).await;
    assert!(info.ok().text().contains("<STATE>3</STATE><LCM_STATE>3</LCM_STATE>"));
    let (code, said) = rig.call("one.vm.action", &[text("suspend"), int(id)]).await.refused();
    assert_eq!(code, 2048);
    assert!(said.ends_with("This action is not available for state SHUTDOWN_POWEROFF"), "{said}");
}

#[tokio::test]
async fn a_failed_start_can_be_tried_again() {
    let rig = Rig::new().await;
    rig.simulator.fail_driver(DriverAction::Deploy);
    let template = text("NAME=\"m\"\nCPU=\"0.1\"\nMEMORY=\"64\"");
    let id = rig.call("one.vm.allocate", &[template, yes_or_no(false)]).await.ok().number();
    rig.simulator.settle();
    assert_eq!(rig.simulator.states_of(id).last(), Some(&"BOOT_FAILURE"));
    rig.call("one.vm.recover", &[int(id), int(2)]).await.ok();
    rig.simulator.settle();
    let states = rig.simulator.states_of(id);
    assert_eq!(states[states.len() - 2..], ["BOOT", "RUNNING"]);
}
