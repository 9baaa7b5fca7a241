//! Hosts and clusters.

use super::access::{Caller, Right, may_create};
use super::documents::{common, whole};
use super::events::Happening;
use super::objects::{Kind, Ownership, check_name, no_such, object, rename, take, take_mut, update};
use super::{Daemon, Methods, Outcome, seconds};
use crate::form::{Form, identifiers};
use crate::template::Template;
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.host.allocate", allocate),
    ("one.host.info", info),
    ("one.host.status", set_status),
    ("one.host.rename", rename::<Host>),
    ("one.host.update", update::<Host>),
    ("one.host.delete", delete),
    ("one.hostpool.info", |daemon, caller, _| {
        Ok(Value::Text(whole(daemon, caller, "HOST_POOL", |d, id, host, out| write(d, id, host, false, out))?))
    }),
    ("one.cluster.allocate", allocate_cluster),
    ("one.cluster.info", cluster_info),
    ("one.cluster.rename", rename::<Cluster>),
    ("one.cluster.update", update::<Cluster>),
    ("one.cluster.delete", delete_cluster),
    ("one.clusterpool.info", |daemon, caller, _| {
        Ok(Value::Text(whole(daemon, caller, "CLUSTER_POOL", write_cluster)?))
    }),
];

const FORM: Form = Form::new(include_str!("../../forms/host.xml"));
const TEMPLATE: Form = Form::new(include_str!("../../forms/host-template.xml"));
const MONITORING: Form = Form::new(include_str!("../../forms/host-monitoring.xml"));
const PCI: &str = include_str!("../../forms/host-pci.xml").trim_ascii_end();
const NUMA: &str = include_str!("../../forms/host-numa.xml").trim_ascii_end();
const CLUSTER_FORM: Form = Form::new(include_str!("../../forms/cluster.xml"));

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Hosts belong to oneadmin.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// 0 INIT, 2 MONITORED, 3 ERROR, 4 DISABLED, 8 OFFLINE.
    pub state: u8,
    /// The state before.
    pub previous: u8,
    /// The monitoring driver.
    pub im_mad: String,
    /// The hypervisor's driver.
    pub vm_mad: String,
    /// Its cluster.
    pub cluster: i32,
    /// In hundredths of a processor.
    pub total_cpu: i64,
    /// In KiB.
    pub total_memory: i64,
    /// What is used, in hundredths of a processor.
    pub used_cpu: i64,
    /// What is used, in KiB.
    pub used_memory: i64,
    /// The machines on it.
    pub machines: Vec<i32>,
    /// Attributes besides those of the monitoring.
    pub template: Template,
}

object!(Host, Kind::Host, hosts, template, TAKEN = Code::Allocate);

/// A cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Clusters belong to oneadmin.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// Attributes.
    pub template: Template,
}

object!(Cluster, Kind::Cluster, clusters, template, TAKEN = Code::Allocate);

fn reserved() -> Template {
    let mut template = Template::default();
    template.set("RESERVED_CPU", "");
    template.set("RESERVED_MEM", "");
    template
}

impl Cluster {
    /// An empty cluster.
    pub fn new(name: &str) -> Self {
        Self { ownership: Ownership::of_oneadmin("110000000"), name: name.into(), template: reserved() }
    }
}

impl Host {
    /// A host that was not monitored yet.
    pub fn new(name: &str, im_mad: &str, vm_mad: &str, cluster: i32) -> Self {
        let mut template = reserved();
        template.set("IM_MAD", im_mad);
        template.set("VM_MAD", vm_mad);
        Self {
            ownership: Ownership::of_oneadmin("110000000"),
            name: name.into(),
            state: 0,
            previous: 0,
            im_mad: im_mad.into(),
            vm_mad: vm_mad.into(),
            cluster,
            total_cpu: 0,
            total_memory: 0,
            used_cpu: 0,
            used_memory: 0,
            machines: Vec::new(),
            template,
        }
    }

    /// The first answer of its monitoring: what the dummy driver reports.
    pub fn monitored(&mut self) {
        if self.state == 0 {
            self.state = 2;
            self.previous = 2;
        }
        if self.total_cpu == 0 {
            self.total_cpu = 800;
            self.total_memory = 16_777_216;
        }
    }

    /// Whether a machine of this size fits, and the host takes machines.
    pub fn has_room(&self, cpu: i64, memory: i64) -> bool {
        self.state == 2 && self.used_cpu + cpu <= self.total_cpu && self.used_memory + memory <= self.total_memory
    }

    fn set_state(&mut self, state: u8) {
        self.previous = self.state;
        self.state = state;
    }
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (name, im_mad, vm_mad) = (arguments.text()?, arguments.text()?, arguments.text()?);
    let cluster = arguments.integer_or(0)?;
    may_create(daemon, caller, Kind::Host)?;
    let cluster = if cluster < 0 { 0 } else { cluster };
    daemon.clusters.get(cluster).ok_or_else(|| no_such(Kind::Cluster, cluster))?;
    check_name::<Host>(daemon, &name, 0)
        .map_err(|(code, text)| Refusal::new(code, format!("Error allocating a new host. {text}")))?;
    let id = daemon.hosts.add(Host::new(&name, &im_mad, &vm_mad, cluster));
    daemon.plan(daemon.settings.delays.host, Happening::HostMonitored(id));
    Ok(Value::Integer(id))
}

/// One host. Its last measurements stand in its own document, and not in the list.
fn write(daemon: &Daemon, id: i32, host: &Host, measured: bool, out: &mut String) {
    let monitored = host.total_cpu > 0;
    let capacity = |hole: &str| match hole {
        "ID" => id.to_string(),
        "NAME" => host.name.clone(),
        "IM_MAD" => host.im_mad.clone(),
        "VM_MAD" | "HYPERVISOR" => host.vm_mad.clone(),
        "TOTAL_CPU" => host.total_cpu.to_string(),
        "TOTAL_MEM" => host.total_memory.to_string(),
        "FREE_CPU" => (host.total_cpu - host.used_cpu).to_string(),
        "FREE_MEM" => (host.total_memory - host.used_memory).to_string(),
        "USED_CPU" | "CPU_USAGE" => host.used_cpu.to_string(),
        "USED_MEM" | "MEM_USAGE" => host.used_memory.to_string(),
        "TIMESTAMP" => seconds().to_string(),
        _ => String::new(),
    };
    FORM.fill(out, |hole| match hole {
        "STATE" => host.state.to_string().into(),
        "PREV_STATE" => host.previous.to_string().into(),
        "CLUSTER_ID" => host.cluster.to_string().into(),
        "CLUSTER" => daemon.clusters.get(host.cluster).map_or(String::new(), |c| c.name.clone()).into(),
        "RUNNING_VMS" => host.machines.len().to_string().into(),
        "DISK_USAGE" => "0".into(),
        "FREE_DISK" | "MAX_DISK" => if monitored { "20480" } else { "0" }.into(),
        "USED_DISK" => if monitored { "9720" } else { "0" }.into(),
        "PCI_DEVICES" => if monitored { PCI } else { "" }.into(),
        "NUMA_NODES" => if monitored { NUMA } else { "" }.into(),
        "VMS" => identifiers(&host.machines).into(),
        "TEMPLATE" if monitored => {
            let mut inner = String::new();
            TEMPLATE.fill(&mut inner, |hole| capacity(hole).into());
            inner.into()
        }
        "TEMPLATE" => host.template.written().into(),
        "MONITORING" if monitored && measured => {
            let mut inner = String::new();
            MONITORING.fill(&mut inner, |hole| capacity(hole).into());
            inner.into()
        }
        "MONITORING" => "<MONITORING/>".into(),
        hole => capacity(hole).into(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let host = take::<Host>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write(daemon, id, host, true, &mut out);
    Ok(Value::Text(out))
}

fn set_status(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, status) = (arguments.integer()?, arguments.integer()?);
    let state = match status {
        0 => 2,
        1 => 4,
        2 => 8,
        _ => return Err(Refusal::new(Code::Internal, "Wrong status code")),
    };
    take_mut::<Host>(daemon, caller, id, Right::Admin)?.set_state(state);
    Ok(Value::Integer(id))
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let host = take_mut::<Host>(daemon, caller, id, Right::Admin)?;
    if !host.machines.is_empty() {
        let text = "Cannot delete host. Can not remove a host with running VMs";
        return Err(Refusal::new(Code::Action, text));
    }
    daemon.hosts.remove(id);
    Ok(Value::Integer(id))
}

fn allocate_cluster(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let name = arguments.text()?;
    may_create(daemon, caller, Kind::Cluster)?;
    check_name::<Cluster>(daemon, &name, 0)
        .map_err(|(code, text)| Refusal::new(code, format!("Error allocating a new cluster. {text}")))?;
    Ok(Value::Integer(daemon.clusters.add(Cluster::new(&name))))
}

fn write_cluster(daemon: &Daemon, id: i32, cluster: &Cluster, out: &mut String) {
    let hosts: Vec<i32> = daemon.hosts.iter().filter(|(_, h)| h.cluster == id).map(|(id, _)| id).collect();
    let datastores: Vec<i32> =
        daemon.datastores.iter().filter(|(_, d)| d.clusters.contains(&id)).map(|(id, _)| id).collect();
    let networks: Vec<i32> =
        daemon.networks.iter().filter(|(_, n)| n.clusters.contains(&id)).map(|(id, _)| id).collect();
    CLUSTER_FORM.fill(out, |hole| match hole {
        "ID" => id.to_string().into(),
        "NAME" => cluster.name.clone().into(),
        "HOSTS" => identifiers(&hosts).into(),
        "DATASTORES" => identifiers(&datastores).into(),
        "VNETS" => identifiers(&networks).into(),
        "TEMPLATE" => cluster.template.written().into(),
        hole => common(daemon, id, cluster, hole).unwrap_or_default(),
    });
}

fn cluster_info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let cluster = take::<Cluster>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write_cluster(daemon, id, cluster, &mut out);
    Ok(Value::Text(out))
}

fn delete_cluster(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    take_mut::<Cluster>(daemon, caller, id, Right::Admin)?;
    let hosts = daemon.hosts.iter().filter(|(_, h)| h.cluster == id).count();
    if hosts > 0 {
        let text = format!("Cannot delete cluster. Cluster {id} is not empty, it contains {hosts} hosts.");
        return Err(Refusal::new(Code::Action, text));
    }
    daemon.clusters.remove(id);
    Ok(Value::Integer(id))
}
