//! Machines are made, and found again.

use std::{ops::ControlFlow, sync::Arc};

use backend::{
    Architecture, BackendError, IntentTag, InterfaceSpec, InterfaceTarget, Listing, Machine, MachineSize, MachineSpec,
};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    document::{Document, ImageDocument, VmDocument},
    facts::facts,
    interfaces::refuse_mac,
    names::{self, Id},
    oned::{Allocated, allocated},
    pool::Pool,
    rpc::Call,
    site::{Site, is_ours},
    waiting::Looks,
    xml::{Attributes, Template},
};

/// The service's clock may be so far behind ours, in seconds, before a machine counts as older than its own intent.
const CLOCKS_DIFFER: i64 = 24 * 3600;
/// A request of more user data is none that a context holds.
const MOST_USER_DATA: usize = 64 << 10;
/// The security group that lets everything through, and that every interface has of which nothing else is said.
pub(crate) const OPEN_GROUP: &str = "0";

/// What a machine is joined with, in the service's names.
struct Joins {
    nics: Vec<(Id, InterfaceSpec)>,
    volumes: Vec<(Id, IntentTag)>,
    groups: Vec<Id>,
}

impl Site {
    /// A machine for this intent: the one that there is, or a new one.
    pub(crate) async fn create(self: &Arc<Self>, spec: MachineSpec) -> Result<Machine, BackendError> {
        let site = Arc::clone(self);
        self.to_the_end(spec.tag, async move {
            site.version().await?;
            let vm = match site.vm_by_tag(spec.tag).await? {
                Some(vm) => vm,
                None => {
                    let vm = site.allocate(&spec).await?;
                    site.only_one(spec.tag, vm).await?
                }
            };
            if !spec.joins.security_groups.is_empty() {
                site.close(vm.id).await?;
            }
            known(&vm)
        })
        .await
    }

    pub(crate) async fn machine_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        match self.vm_by_tag(tag).await? {
            Some(vm) => facts(&vm),
            None => Ok(None),
        }
    }

    pub(crate) async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        self.oned.list(Pool::machines(self.filter()), |vm: VmDocument| facts(&vm)).await
    }

    /// The machine that carries the tag; the oldest, should there be several.
    async fn vm_by_tag(&self, tag: IntentTag) -> Result<Option<VmDocument>, BackendError> {
        Ok(self.vms_by_tag(tag).await?.into_iter().min_by_key(|vm| vm.id))
    }

    /// The machines that carry the tag. The newest come first, and none is older than the intent that made it, so the
    /// first page tells mostly.
    async fn vms_by_tag(&self, tag: IntentTag) -> Result<Vec<VmDocument>, BackendError> {
        let asked_at = tag.0.get_timestamp().and_then(|time| i64::try_from(time.to_unix().0).ok());
        let (mut found, mut last) = (Vec::new(), None);
        let mut sorted = true;
        self.oned
            .walk(Pool::machines(self.filter()), |vm: Result<VmDocument, String>| {
                let Ok(vm) = vm else { return ControlFlow::Continue(()) };
                // The order is one of the service's settings.
                sorted &= last.is_none_or(|last| vm.id < last);
                last = Some(vm.id);
                let is_older = asked_at.is_some_and(|asked_at| vm.made_at + CLOCKS_DIFFER < asked_at);
                if vm.tag == Some(tag) && is_ours(&vm) {
                    found.push(vm);
                }
                if sorted && is_older { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        Ok(found)
    }

    async fn allocate(&self, spec: &MachineSpec) -> Result<VmDocument, BackendError> {
        let size = MachineSize { cores: spec.cores, memory_mib: spec.memory_mib, disk_bytes: spec.disk_bytes };
        self.is_within_limits(&size).await?;
        let image = self.usable_image(&spec.image).await?;
        let joins = self.joins(spec).await?;
        let template = self.machine_template(spec, &image, &joins)?;
        let call = Call::new("one.vm.allocate").with(template).with(false);
        match allocated(self.oned.change(&call).await?)? {
            Allocated::New(id) => self.oned.object("one.vm.info", id).await,
            Allocated::NameTaken(refusal) => Err(refusal.into()),
        }
    }

    async fn joins(&self, spec: &MachineSpec) -> Result<Joins, BackendError> {
        let mut joins = Joins { nics: Vec::new(), volumes: Vec::new(), groups: Vec::new() };
        for interface in &spec.joins.interfaces {
            refuse_mac(interface)?;
            joins.nics.push((self.network_of(&interface.target).await?, interface.clone()));
        }
        for volume in &spec.joins.volumes {
            let document = self.volume_document(&volume.volume).await?;
            self.is_attachable(&document)?;
            joins.volumes.push((document.id, volume.tag));
        }
        if !spec.joins.security_groups.is_empty() {
            self.can_change_groups().await?;
        }
        for group in &spec.joins.security_groups {
            joins.groups.push(self.group_document(group).await?.id);
        }
        let has_network = !joins.nics.is_empty() || self.options.default_network.is_some();
        if !joins.groups.is_empty() && !has_network {
            return Err(BackendError::Refused(
                "a machine without an interface cannot have security groups here; give it one".into(),
            ));
        }
        Ok(joins)
    }

    fn machine_template(
        &self,
        spec: &MachineSpec,
        image: &ImageDocument,
        joins: &Joins,
    ) -> Result<String, BackendError> {
        let options = &self.options;
        if spec.user_data.as_ref().is_some_and(|data| data.len() > MOST_USER_DATA) {
            return Err(BackendError::Refused(format!("more than {MOST_USER_DATA} bytes of user data")));
        }
        Ok(Template::write(|template| {
            template.set("NAME", names::of_machine(&spec.name)).set(names::TAG, spec.tag);
            if keeps(&spec.name) {
                template.set(names::NAME, &spec.name);
            }
            template.set("CPU", f64::from(spec.cores) * options.cpu_per_core);
            template.set("VCPU", spec.cores).set("MEMORY", spec.memory_mib);
            template.set_some("SCHED_REQUIREMENTS", options.requirements.as_ref());
            template.set_some("CPU_COST", options.cpu_cost);
            template.set_some("MEMORY_COST", options.memory_cost.map(|cost| cost / 1024.0));
            template.set_some("DISK_COST", options.disk_cost.map(|cost| cost / 1024.0));
            template.vector("OS", |os| {
                os.set("ARCH", if spec.architecture == Architecture::X86 { "i686" } else { "x86_64" });
            });
            template.vector("GRAPHICS", |graphics| {
                graphics.set("TYPE", "VNC").set("LISTEN", "127.0.0.1");
            });
            template.vector("DISK", |disk| {
                disk.set("IMAGE_ID", image.id).set("DEV_PREFIX", &options.disk_prefix);
                let wanted = spec.disk_bytes.div_ceil(1 << 20);
                if wanted > image.size_mib {
                    disk.set("SIZE", wanted);
                }
            });
            for (volume, tag) in &joins.volumes {
                template.vector("DISK", |disk| {
                    disk.set("IMAGE_ID", volume).set("DEV_PREFIX", &options.disk_prefix).set(names::TAG, tag);
                });
            }
            self.set_nics(template, joins);
            template.vector("CONTEXT", |context| set_context(context, spec));
        })?)
    }

    fn set_nics(&self, template: &mut Attributes, joins: &Joins) {
        for (network, interface) in &joins.nics {
            template.vector("NIC", |nic| {
                set_nic(nic, *network, &joins.groups);
                nic.set_some("IP", interface.address).set(names::TAG, interface.tag);
            });
        }
        if let (true, Some(network)) = (joins.nics.is_empty(), self.options.default_network) {
            template.vector("NIC", |nic| {
                nic.set("NETWORK_ID", network).set("MODEL", "virtio");
                set_groups(nic, &joins.groups);
            });
        }
    }

    /// Of several machines of one intent (two brokers may have asked at the same moment) the oldest stays.
    async fn only_one(&self, tag: IntentTag, made: VmDocument) -> Result<VmDocument, BackendError> {
        let mut all = self.vms_by_tag(tag).await?;
        all.sort_by_key(|vm| vm.id);
        let mut all = all.into_iter();
        let Some(first) = all.next() else { return Ok(made) };
        for other in all {
            self.delete(other.id).await?;
        }
        Ok(first)
    }

    /// The network behind a target.
    pub(crate) async fn network_of(&self, target: &InterfaceTarget) -> Result<Id, BackendError> {
        Ok(match target {
            InterfaceTarget::Network(id) => self.network_document(id).await?.id,
            InterfaceTarget::Address(id) => self.address_document(id).await?.id,
        })
    }

    /// An object as soon as the service shows it; an allocate is answered a moment before, at times.
    pub(crate) async fn shown<D: Document>(&self, method: &'static str, id: Id) -> Result<D, BackendError> {
        let mut looks = Looks::within(std::time::Duration::from_secs(2));
        loop {
            match self.oned.object(method, id).await {
                Err(BackendError::NotFound(_)) if looks.next().await => {}
                answer => return answer,
            }
        }
    }
}

/// What an interface has in any case.
pub(crate) fn set_nic(nic: &mut Attributes, network: Id, groups: &[Id]) {
    nic.set("NETWORK_ID", network).set("MODEL", "virtio");
    set_groups(nic, groups);
}

fn set_groups(nic: &mut Attributes, groups: &[Id]) {
    if !groups.is_empty() {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        nic.set("SECURITY_GROUPS", groups.join(","));
    }
}

/// What one-context hands to the guest (OpenNebula, contextualization).
fn set_context(context: &mut Attributes, spec: &MachineSpec) {
    context.set("NETWORK", "YES");
    context.set_some("SET_HOSTNAME", spec.hostname.as_ref());
    let keys: Vec<&str> = spec.ssh_keys.iter().map(|key| key.trim()).filter(|key| !key.is_empty()).collect();
    context.set("SSH_PUBLIC_KEY", keys.join("\n"));
    if let Some(data) = spec.user_data.as_ref().filter(|data| !data.is_empty()) {
        context.set("USER_DATA", STANDARD.encode(data)).set("USERDATA_ENCODING", "base64");
    }
}

/// Whether the service keeps the name exactly as it is.
fn keeps(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && crate::xml::obstacle(name).is_none()
}

fn known(vm: &VmDocument) -> Result<Machine, BackendError> {
    let gone = || BackendError::Failed(format!("OpenNebula made machine {} and lost its tag", vm.id));
    facts(vm)?.ok_or_else(gone)
}
