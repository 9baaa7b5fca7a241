//! Start, stop, restart, freeze, resize.

use std::time::Duration;

use backend::{BackendError, MachineSize, RestartMethod, StopMethod};

use crate::{
    document::VmDocument,
    facts::size,
    names::Id,
    rpc::Call,
    site::{Site, root_disk},
    state::Standing,
    xml::Template,
};

/// Until a guest that was asked to stop has stopped, or the driver has given up: its usual deadline is 180 s.
const GUEST_STOPS: Duration = Duration::from_secs(240);
/// Until a host has switched a machine off or on, or made a disk larger.
const HOST_DOES: Duration = Duration::from_secs(120);

/// An operation of `one.vm.recover`: does again what failed.
const RETRY: i32 = 2;
/// The attribute of a machine that was switched off for some work, and is to run after it.
pub(crate) const RESUME: &str = "TOMBOLO_RESUME";

impl Site {
    pub(crate) async fn start(&self, id: Id) -> Result<(), BackendError> {
        let vm = self.vm(id).await?;
        // What is on its way to run needs no help.
        if matches!(vm.standing, Standing::Starting | Standing::Pending) {
            return Ok(());
        }
        let vm = if vm.standing.is_busy() { self.settled(id).await? } else { vm };
        match vm.standing {
            Standing::Held => self.act("release", &vm).await.map(drop),
            Standing::Off | Standing::Frozen | Standing::Lost => self.act("resume", &vm).await.map(drop),
            Standing::Failed => {
                self.oned.changed(&Call::new("one.vm.recover").with(vm.id).with(RETRY)).await?;
                self.moved("retry", &vm).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// A graceful stop is a request to the guest. A guest that does not listen runs on when the driver gives up, and
    /// the machine's detail says so: the service knows no other way.
    pub(crate) async fn stop(&self, id: Id, method: StopMethod) -> Result<(), BackendError> {
        let vm = self.vm(id).await?;
        if vm.standing == Standing::Stopping {
            return Ok(());
        }
        let vm = if vm.standing.is_busy() { self.settled(id).await? } else { vm };
        let action = match (vm.standing, method) {
            (Standing::Off, _) if vm.is_to_resume => return self.note_resume(id, false).await,
            (Standing::Off | Standing::Held, _) => return Ok(()),
            (Standing::Pending, _) => "hold",
            (Standing::Running, StopMethod::Graceful | StopMethod::AcpiOff) => "poweroff",
            (Standing::Running | Standing::Lost, _) => "poweroff-hard",
            _ => return Err(in_no_state_for("stop", &vm)),
        };
        self.act(action, &vm).await.map(drop)
    }

    pub(crate) async fn restart(&self, id: Id, method: RestartMethod) -> Result<(), BackendError> {
        let vm = self.settled(id).await?;
        if vm.standing != Standing::Running {
            return Err(in_no_state_for("restart", &vm));
        }
        let reboot = |action: &'static str| Call::new("one.vm.action").with(action).with(vm.id);
        match method {
            // Neither shows in the state.
            RestartMethod::Graceful => self.oned.changed(&reboot("reboot")).await.map(drop),
            RestartMethod::Warm => self.oned.changed(&reboot("reboot-hard")).await.map(drop),
            RestartMethod::Cold => {
                self.note_resume(id, true).await?;
                let off = self.off_at_once(&vm).await?;
                self.resume(&off).await
            }
        }
    }

    /// The service keeps the memory on disk, and knows no other way.
    pub(crate) async fn hibernate(&self, id: Id) -> Result<(), BackendError> {
        let vm = self.settled(id).await?;
        match vm.standing {
            Standing::Frozen => Ok(()),
            Standing::Running => self.act("suspend", &vm).await.map(drop),
            _ => Err(in_no_state_for("suspend", &vm)),
        }
    }

    pub(crate) async fn resize(&self, id: Id, wanted: &MachineSize) -> Result<(), BackendError> {
        self.is_within_limits(wanted).await?;
        let vm = self.settled(id).await?;
        if matches!(vm.standing, Standing::Frozen | Standing::Failed | Standing::Lost) {
            return Err(in_no_state_for("resize", &vm));
        }
        let present = size(&vm);
        if present.is_none_or(|size| size.disk_bytes < wanted.disk_bytes) {
            self.enlarge_root(&vm, wanted.disk_bytes).await?;
        }
        let same = |size: MachineSize| (size.cores, size.memory_mib) == (wanted.cores, wanted.memory_mib);
        if present.is_some_and(same) {
            // A run that was cut short may have left the machine off.
            return if vm.is_to_resume { self.resume(&vm).await } else { Ok(()) };
        }
        let (off, runs_after) = self.switched_off(&vm).await?;
        let outcome = self.give_capacity(id, wanted).await;
        if runs_after {
            self.resume(&off).await?;
        }
        outcome
    }

    pub(crate) async fn is_within_limits(&self, wanted: &MachineSize) -> Result<(), BackendError> {
        let limits = self.limits().await?;
        for (what, wanted, most) in [
            ("cores", u64::from(wanted.cores), u64::from(limits.cores)),
            ("MiB of memory", wanted.memory_mib, limits.memory_mib),
            ("bytes of disk", wanted.disk_bytes, limits.disk_bytes),
        ] {
            if wanted > most {
                return Err(BackendError::Refused(format!(
                    "{wanted} {what}: {most} is the most that a machine has here"
                )));
            }
        }
        Ok(())
    }

    async fn give_capacity(&self, id: Id, wanted: &MachineSize) -> Result<(), BackendError> {
        let template = Template::write(|template| {
            template.set("CPU", f64::from(wanted.cores) * self.options.cpu_per_core);
            template.set("VCPU", wanted.cores).set("MEMORY", wanted.memory_mib);
        })?;
        self.oned.changed(&Call::new("one.vm.resize").with(id).with(template).with(true)).await.map(drop)
    }

    async fn enlarge_root(&self, vm: &VmDocument, bytes: u64) -> Result<(), BackendError> {
        let nothing = || BackendError::Conflict(format!("machine {}: it has no disk", vm.id));
        let disk = root_disk(vm).ok_or_else(nothing)?;
        self.enlarge_disk(vm.id, disk.id, bytes).await
    }

    /// Makes a disk larger where it is.
    pub(crate) async fn enlarge_disk(&self, vm: Id, disk: Id, bytes: u64) -> Result<(), BackendError> {
        let mib = bytes.div_ceil(1 << 20);
        let call = Call::new("one.vm.diskresize").with(vm).with(disk).with(mib.to_string());
        self.oned.changed(&call).await?;
        let after = self.finished(vm, HOST_DOES).await?;
        let size = after.disks.iter().find(|one| one.id == disk).and_then(|disk| disk.size_mib);
        if size.is_some_and(|size| size >= mib) { Ok(()) } else { Err(Self::why_not(&after, "enlarge a disk of")) }
    }

    /// The machine, off, and whether it is to run again afterwards. That is noted at the machine, in case that nobody
    /// is left to do it.
    pub(crate) async fn switched_off(&self, vm: &VmDocument) -> Result<(VmDocument, bool), BackendError> {
        match vm.standing {
            Standing::Off => return Ok((vm.clone(), vm.is_to_resume)),
            Standing::Running => {}
            _ => return Err(in_no_state_for("switch off", vm)),
        }
        self.note_resume(vm.id, true).await?;
        self.act("poweroff", vm).await?;
        let after = self.finished(vm.id, GUEST_STOPS).await?;
        match after.standing {
            Standing::Off => Ok((after, true)),
            // The guest did not listen.
            Standing::Running => self.off_at_once(&after).await.map(|off| (off, true)),
            _ => Err(Self::why_not(&after, "switch off")),
        }
    }

    async fn off_at_once(&self, vm: &VmDocument) -> Result<VmDocument, BackendError> {
        self.act("poweroff-hard", vm).await?;
        let after = self.finished(vm.id, HOST_DOES).await?;
        if after.standing == Standing::Off { Ok(after) } else { Err(Self::why_not(&after, "switch off")) }
    }

    /// Lets a machine run again that was switched off for some work.
    pub(crate) async fn resume(&self, off: &VmDocument) -> Result<(), BackendError> {
        self.act("resume", off).await?;
        self.note_resume(off.id, false).await
    }

    pub(crate) async fn note_resume(&self, id: Id, is_due: bool) -> Result<(), BackendError> {
        const MERGE: i32 = 1;
        let template = Template::write(|template| {
            template.set(RESUME, if is_due { "YES" } else { "NO" });
        })?;
        self.oned.changed(&Call::new("one.vm.update").with(id).with(template).with(MERGE)).await.map(drop)
    }
}

pub(crate) fn in_no_state_for(what: &str, vm: &VmDocument) -> BackendError {
    let (id, state, lcm) = (vm.id, vm.state.state, vm.state.lcm);
    BackendError::Conflict(format!("machine {id} cannot {what} as it stands (OpenNebula's state {state}/{lcm})"))
}
