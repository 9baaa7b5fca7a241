//! The command line that makes a QEMU the machine of a record.

use std::{ffi::OsString, net::IpAddr, path::Path};

use backend::{IntentTag, MachineId};
use serde_json::{Value, json};

use super::{
    accelerator::Accelerator,
    hotplug::{NIC_SLOTS, Nic, VOLUME_SLOTS, Volume},
    hypervisor::{Hypervisor, SANDBOX},
};
use crate::{
    GuestNetwork,
    machine_directory::{DISK, Hardware, MEMORY, QMP_SOCKET, SEED, SERIAL_SOCKET, VNC_SOCKET},
};

/// Translated code that TCG may keep, in MiB. QEMU's own default is up to 1 GiB for each machine.
pub(crate) const TRANSLATION_MIB: u64 = 128;

/// Everything that one start depends on.
pub(crate) struct Start<'a> {
    pub(crate) hypervisor: &'a Hypervisor,
    pub(crate) accelerator: Accelerator,
    pub(crate) id: &'a MachineId,
    /// What the guest sees as its board's serial number.
    pub(crate) tag: IntentTag,
    pub(crate) hardware: &'a Hardware,
    /// Absolute path of the raw file under the overlay.
    pub(crate) image: &'a Path,
    pub(crate) forward_host: IpAddr,
    pub(crate) ssh_port: u16,
    pub(crate) network: GuestNetwork,
    pub(crate) volumes: &'a [Volume<'a>],
    pub(crate) interfaces: &'a [Nic],
    /// The guest goes on from its memory in [`MEMORY`], instead of from the beginning.
    pub(crate) from_memory: bool,
}

/// Arguments for a QEMU that works in the machine's directory; socket names are relative to it.
///
/// No format is ever probed: a guest that writes a qcow2 header into its raw disk gets nothing by it. PCI slots
/// are given, so that a newer driver shows the guest the same hardware.
pub(crate) fn arguments(start: &Start<'_>) -> Vec<OsString> {
    let Hardware { machine_type, cores, memory_mib, mac, .. } = start.hardware;
    let mut line = Line::default();
    line.add("-name", start.id.as_str());
    line.add("-uuid", start.tag.to_string());
    line.flag("-nodefaults");
    line.flag("-no-user-config");
    if start.hypervisor.sandbox {
        line.add("-sandbox", SANDBOX);
    }
    line.add("-machine", format!("{machine_type},usb=off,vmport=off,dump-guest-core=off"));
    match start.accelerator {
        Accelerator::Kvm => {
            line.add("-accel", "kvm");
            line.add("-cpu", "host");
        }
        Accelerator::Tcg => {
            // One thread for all processors: with one each, QEMU 10.0.2 on a busy host now and then aborted at the boot
            // of a guest with two (iotlb_to_section: section_index < d->map.sections_nb).
            line.add("-accel", format!("tcg,thread=single,tb-size={TRANSLATION_MIB}"));
            // With these, the x86-64-v2 level that today's distributions need. `max` corrupts some guests.
            line.add("-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt");
        }
    }
    line.add("-smp", format!("{cores},sockets=1,cores={cores},threads=1"));
    line.add("-m", format!("{memory_mib}M"));
    line.add("-rtc", "base=utc");
    line.add("-boot", "strict=on");
    // The driver connects to the sockets before the guest's first instruction.
    line.flag("-S");
    line.add("-chardev", format!("socket,id=qmp,path={QMP_SOCKET},server=on,wait=off"));
    line.add("-mon", "chardev=qmp,mode=control");
    line.add("-chardev", format!("socket,id=serial,path={SERIAL_SOCKET},server=on,wait=off"));
    line.add("-device", "isa-serial,chardev=serial");
    line.add("-vnc", format!("unix:{VNC_SOCKET}"));
    line.add("-device", "VGA,id=screen,bus=pcie.0,addr=0x2");
    disk(&mut line, start.image);
    network(&mut line, start, mac);
    ports(&mut line);
    for volume in start.volumes {
        line.json("-blockdev", &volume.node());
        line.json("-device", &volume.device());
    }
    for interface in start.interfaces {
        line.json("-netdev", &interface.netdev());
        line.json("-device", &interface.device());
    }
    if start.from_memory {
        line.add("-incoming", format!("file:{MEMORY}"));
    }
    line.add("-object", "rng-random,id=entropy,filename=/dev/urandom");
    line.add("-device", "virtio-rng-pci,rng=entropy,bus=pcie.0,addr=0x6");
    line.0
}

fn disk(line: &mut Line, image: &Path) {
    let raw = |name: &str, file: &str| {
        json!({
            "driver": "raw", "node-name": name, "read-only": true,
            "file": { "driver": "file", "filename": file, "locking": "off" },
        })
    };
    line.json("-blockdev", &raw("image", &image.to_string_lossy()));
    line.json(
        "-blockdev",
        &json!({
            "driver": "qcow2", "node-name": "disk", "backing": "image", "discard": "unmap",
            "file": { "driver": "file", "filename": DISK, "discard": "unmap" },
        }),
    );
    // A host without space stops the guest, which goes on when there is space again.
    line.json(
        "-device",
        &json!({
            "driver": "virtio-blk-pci", "id": "root", "drive": "disk", "bus": "pcie.0", "addr": "0x3",
            "bootindex": 1, "werror": "enospc", "rerror": "report",
        }),
    );
    line.json("-blockdev", &raw("seed", SEED));
    line.json(
        "-device",
        &json!({ "driver": "virtio-blk-pci", "id": "seed", "drive": "seed", "bus": "pcie.0", "addr": "0x4" }),
    );
}

/// The board's own bus takes nothing while the guest runs; behind these ports it can.
fn ports(line: &mut Line) {
    let volumes = (0..VOLUME_SLOTS).map(|slot| (Volume::port(slot), 8, slot));
    let interfaces = (0..NIC_SLOTS).map(|slot| (Nic::port(slot), 9, slot));
    for (chassis, (port, place, function)) in (1..).zip(volumes.chain(interfaces)) {
        let multifunction = if function == 0 { "on" } else { "off" };
        line.add(
            "-device",
            format!(
                "pcie-root-port,id={port},bus=pcie.0,addr={place:#x}.{function},chassis={chassis},\
                 multifunction={multifunction}"
            ),
        );
    }
}

fn network(line: &mut Line, start: &Start<'_>, mac: &str) {
    let isolated = match start.network {
        GuestNetwork::Open => "off",
        GuestNetwork::Isolated => "on",
    };
    let (host, port) = (start.forward_host, start.ssh_port);
    line.add("-netdev", format!("user,id=net,ipv6=off,restrict={isolated},hostfwd=tcp:{host}:{port}-:22"));
    // Without a boot ROM: nothing boots from the network.
    line.add("-device", format!("virtio-net-pci,netdev=net,mac={mac},bus=pcie.0,addr=0x5,romfile="));
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn add(&mut self, flag: &str, value: impl Into<String>) {
        self.flag(flag);
        self.0.push(value.into().into());
    }

    /// For values that may hold commas, which have a meaning in the other notation.
    fn json(&mut self, flag: &str, value: &Value) {
        self.add(flag, value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, path::Path};

    use super::{Nic, Start, Volume, arguments};
    use crate::{
        GuestNetwork,
        kvm::{accelerator::Accelerator, hypervisor::Hypervisor},
        machine_directory::Hardware,
    };

    fn line(network: GuestNetwork, sandbox: bool) -> String {
        let hardware = Hardware {
            machine_type: "pc-q35-10.0".into(),
            cores: 3,
            memory_mib: 640,
            mac: "52:54:00:01:02:03".into(),
            disk_bytes: 0,
        };
        let hypervisor = Hypervisor {
            program: "/usr/bin/qemu".into(),
            version: "10.0.2".into(),
            machine_type: "pc-q35-99.0".into(),
            sandbox,
        };
        let id = "m-1".parse().unwrap();
        let words = arguments(&Start {
            hypervisor: &hypervisor,
            accelerator: Accelerator::Tcg,
            id: &id,
            tag: backend::IntentTag(uuid::Uuid::from_u128(1)),
            hardware: &hardware,
            image: Path::new("/data, with comma/images/a.raw"),
            forward_host: Ipv4Addr::LOCALHOST.into(),
            ssh_port: 22_001,
            network,
            interfaces: &[Nic { slot: 1, mac: backend::MacAddress([2, 0, 0, 0, 0, 9]) }],
            volumes: &[Volume { slot: 2, file: Path::new("/data, with comma/v.raw"), serial: "abc" }],
            from_memory: false,
        });
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_record_decides_about_the_hardware() {
        let line = line(GuestNetwork::Open, true);
        for part in [
            "-machine pc-q35-10.0,",
            "-smp 3,",
            "-m 640M",
            "mac=52:54:00:01:02:03",
            "hostfwd=tcp:127.0.0.1:22001-:22",
            "restrict=off",
            "-sandbox on,",
            "\"filename\":\"/data, with comma/images/a.raw\"",
            "\"filename\":\"/data, with comma/v.raw\"",
            "\"bus\":\"port2\"",
            "id=nicport1,bus=pcie.0,addr=0x9.1,chassis=10,",
            "\"mac\":\"02:00:00:00:00:09\"",
        ] {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
    }

    #[test]
    fn a_network_can_be_isolated_and_a_sandbox_be_missing() {
        let line = line(GuestNetwork::Isolated, false);
        assert!(line.contains("restrict=on"), "{line}");
        assert!(!line.contains("-sandbox"), "{line}");
    }
}
