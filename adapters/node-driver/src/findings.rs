//! What `tombolo doctor` says about a host as a node.

use std::fs::OpenOptions;

use crate::{
    Options, host,
    kvm::{accelerator, hypervisor::Hypervisor},
    limits,
    ports::Ports,
};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub subject: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what to do if it is not well.
    pub text: String,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Machines run, but not as well as they could.
    Notice,
    /// Machines cannot run.
    Bad,
}

/// Looks at the host without changing anything but the remembered accelerator. May be used beside a driver.
pub async fn examine(options: &Options) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |subject, verdict, text| findings.push(Finding { subject, verdict, text });
    match Hypervisor::find(options.qemu.as_deref()).await {
        Ok(hypervisor) => {
            let text = format!("{} is version {}", hypervisor.program.display(), hypervisor.version);
            find("QEMU", Verdict::Good, text);
            let choice = accelerator::choose(options.accelerator, &hypervisor, &options.data_dir).await;
            let (verdict, hint) = match choice.accelerator {
                accelerator::Accelerator::Kvm => (Verdict::Good, ""),
                accelerator::Accelerator::Tcg => (Verdict::Notice, "; guests run, several times slower than with KVM"),
            };
            find("accelerator", verdict, format!("{} ({}){hint}", choice.accelerator.name(), choice.reason));
            let (verdict, text) = if hypervisor.sandbox {
                (Verdict::Good, "QEMU filters its own system calls")
            } else {
                (Verdict::Notice, "this QEMU was built without system call filters")
            };
            find("sandbox", verdict, text.to_owned());
        }
        Err(error) => find("QEMU", Verdict::Bad, error.to_string()),
    }
    find("memory", Verdict::Good, format!("{} MiB, {}", host::memory_mib(), limits::describe()));
    find("processors", Verdict::Good, host::cores().to_string());
    let (verdict, text) = disk(options);
    find("disk", verdict, text);
    let ports = Ports::new(options.forward_host, options.ssh_ports.clone());
    let (free, all) = (ports.count_free(), options.ssh_ports.clone().count());
    let verdict = if free == 0 { Verdict::Bad } else { Verdict::Good };
    find("ports", verdict, format!("{free} of {all} ports for SSH are free on {}", options.forward_host));
    findings
}

fn disk(options: &Options) -> (Verdict, String) {
    let existing = options.data_dir.ancestors().find(|path| path.is_dir());
    let Some((place, space)) = existing.and_then(|place| Some((place, host::space(place)?))) else {
        return (Verdict::Bad, format!("{} cannot be looked at", options.data_dir.display()));
    };
    let text = format!("{} MiB of {} MiB are free at {}", space.free >> 20, space.total >> 20, place.display());
    let lock = options.data_dir.join("lock");
    let in_use = OpenOptions::new().write(true).open(lock).is_ok_and(|lock| lock.try_lock().is_err());
    let text = if in_use { format!("{text}; a node driver works there") } else { text };
    if space.free < options.disk_reserve_bytes {
        let reserve = options.disk_reserve_bytes >> 20;
        return (Verdict::Bad, format!("{text}: less than the reserve of {reserve} MiB, so nothing new is stored"));
    }
    (Verdict::Good, text)
}
