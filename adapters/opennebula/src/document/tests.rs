use std::net::IpAddr;

use backend::{MachineState, NetworkState, Protocol};

use super::{
    DatastoreDocument, Document, HostDocument, ImageDocument, ImageState, NetworkDocument, SecurityGroupDocument,
    Unreadable, UserDocument, VmDocument,
};
use crate::{
    facts::facts,
    recordings::document,
    state::Standing,
    xml::{Bounds, read, read_children},
};

fn one<D: Document>(name: &str) -> D {
    let element = read(&document(name), Bounds::OBJECT).unwrap();
    assert_eq!(element.name, D::ELEMENT);
    D::read(&element).unwrap()
}

fn all<D: Document>(name: &str) -> Vec<D> {
    let mut objects = Vec::new();
    read_children(&document(name), Bounds::OBJECT, |element| objects.push(D::read(&element.unwrap()).unwrap()))
        .unwrap();
    objects
}

#[test]
fn a_running_machine_with_disks_interfaces_and_snapshots() {
    let vm: VmDocument = one("one.vm.info.ok_with_snapshot");
    assert_eq!(vm.standing, Standing::Running);
    assert_eq!((vm.cores, vm.tag), (Some(1), None));
    assert!(vm.disks.iter().all(|disk| disk.size_mib.is_some()) && vm.disks.len() > 1, "{:?}", vm.disks);
    assert_eq!(vm.disks[0].target.as_deref(), Some("sda"));
    let nic = &vm.nics[0];
    assert_eq!(nic.mac.unwrap().to_string(), "02:00:c0:a8:96:0e");
    assert_eq!(nic.address, Some(IpAddr::from([192, 168, 150, 14])));
    assert_eq!(nic.gateway, Some(IpAddr::from([192, 168, 150, 1])));
    assert_eq!(vm.snapshots.len(), 1);
    assert!(vm.snapshots[0].is_complete && vm.snapshots[0].tag.is_none());
    // It carries no tag of ours.
    assert_eq!(facts(&vm), Ok(None));
}

#[test]
fn machines_in_all_recorded_states() {
    for (name, standing) in [
        ("one.vm.info.ok_running", Standing::Running),
        ("one.vm.info.ok_pending_sched_message", Standing::Pending),
        ("one.vm.info.ok_boot_failure", Standing::Failed),
        ("one.vm.info.ok_done", Standing::Done),
        ("one.vm.info.ok_hold", Standing::Held),
        ("one.vm.info.ok_suspended", Standing::Frozen),
    ] {
        let vm: VmDocument = one(name);
        assert_eq!(vm.standing, standing, "{name}");
    }
    let pending: VmDocument = one("one.vm.info.ok_pending_sched_message");
    assert!(pending.scheduling.unwrap().contains("No host meets SCHED_REQUIREMENTS"));
    for name in ["one.vmpool.infoextended.ok", "one.vmpool.info.ok_all"] {
        let vms: Vec<VmDocument> = all(name);
        assert!(!vms.is_empty() && vms.windows(2).all(|pair| pair[0].id > pair[1].id), "{name}");
    }
}

#[test]
fn what_a_machine_is_to_the_broker() {
    let tag = uuid::Uuid::now_v7();
    let document = format!(
        "<VM><ID>7</ID><NAME>web</NAME><STATE>1</STATE><LCM_STATE>0</LCM_STATE><STIME>17</STIME><TEMPLATE>\
         <VCPU><![CDATA[2]]></VCPU><MEMORY>512</MEMORY><DISK><DISK_ID>0</DISK_ID><SIZE>2048</SIZE></DISK></TEMPLATE>\
         <USER_TEMPLATE><TOMBOLO_TAG>{tag}</TOMBOLO_TAG><TOMBOLO_NAME>web: one</TOMBOLO_NAME>\
         <SCHED_MESSAGE>no room</SCHED_MESSAGE></USER_TEMPLATE></VM>"
    );
    let vm = VmDocument::read(&read(&document, Bounds::OBJECT).unwrap()).unwrap();
    let machine = facts(&vm).unwrap().unwrap();
    assert_eq!((machine.state, machine.detail.as_deref()), (MachineState::Building, Some("no room")));
    assert_eq!((machine.tag.0, machine.name.as_deref()), (tag, Some("web: one")));
    let size = machine.size.unwrap();
    assert_eq!((size.cores, size.memory_mib, size.disk_bytes), (2, 512, 2 << 30));
}

#[test]
fn a_machine_whose_name_or_state_is_nonsense_is_unreadable() {
    let machine = |name: &str, state: &str| {
        let vm = format!("<VM><ID>7</ID><NAME>{name}</NAME><STATE>{state}</STATE><LCM_STATE>0</LCM_STATE></VM>");
        VmDocument::read(&read(&vm, Bounds::OBJECT).unwrap())
    };
    assert!(machine("web", "8").is_ok());
    for (name, state) in [("web", "NaN"), ("web", ""), ("web", "99"), ("x".repeat(2000).as_str(), "8")] {
        let Unreadable(why) = machine(name, state).unwrap_err();
        assert!(why.contains("VM 7") && why.len() < 300, "{why}");
    }
}

#[test]
fn images() {
    let images: Vec<ImageDocument> = all("one.imagepool.info.ok_all");
    assert!(images.len() >= 4);
    let failed: ImageDocument = one("one.image.info.ok_state_error");
    assert_eq!(failed.state, ImageState::Error);
    assert!(failed.error.unwrap().contains("RESTRICTED_DIRS"));
    let used: ImageDocument = one("one.image.info.ok_used_persistent");
    assert_eq!((used.state, used.machines.len()), (ImageState::UsedPersistent, 1));
}

#[test]
fn networks() {
    let ready: NetworkDocument = one("one.vn.info.ok");
    assert_eq!(ready.state.state(), NetworkState::Up);
    assert_eq!(ready.first_address, Some(IpAddr::from([192, 168, 150, 10])));
    assert_eq!(ready.subnet, Some((IpAddr::from([192, 168, 150, 0]), 24)));
    let coming: NetworkDocument = one("one.vn.info.ok_lock_create");
    assert_eq!(coming.state.state(), NetworkState::Building);
    assert_eq!(all::<NetworkDocument>("one.vnpool.info.ok_all").len(), 2);
}

#[test]
fn security_groups_with_what_this_vocabulary_has() {
    let groups: Vec<SecurityGroupDocument> = all("one.secgrouppool.info.ok");
    // A list of ports and a type of ICMP are left out.
    let rules = &groups[0].rules;
    assert_eq!(rules.iter().map(|rule| rule.protocol).collect::<Vec<_>>(), [Protocol::All]);
    assert_eq!(groups[1].rules.len(), 2);
}

#[test]
fn hosts_and_datastores() {
    let hosts: Vec<HostDocument> = all("one.hostpool.info.ok");
    assert!(hosts.iter().all(|host| host.is_up && host.most_cpu == Some(800)), "{hosts:?}");
    assert_eq!(hosts[0].most_memory_kib, Some(16_777_216));
    assert!(hosts[0].cpu_flags.iter().any(|flag| flag == "vmx") && hosts[0].cpu_model.is_some());
    assert!(all::<HostDocument>("one.hostpool.info.by_plain_user").is_empty());
    let stores: Vec<DatastoreDocument> = all("one.datastorepool.info.ok");
    assert!(stores.iter().any(|store| store.holds_images && store.is_enabled));
    assert!(stores.iter().any(|store| !store.holds_images));
}

#[test]
fn quotas() {
    let user: UserDocument = one("one.user.info.ok_with_quota");
    let memory = user.own.memory;
    assert_eq!((memory.limit(user.usual.memory), memory.used), (Some(128.0), 64.0));
    assert_eq!(user.own.machines.limit(user.usual.machines), Some(2.0));
    assert_eq!(user.own.system_disk.limit(user.usual.system_disk), None);
    assert_eq!(user.own.leases.used, 1.0);
    let group = read(&document("one.group.info.ok_with_quota"), Bounds::OBJECT).unwrap();
    assert!(UserDocument::read(&group).is_ok());
}
