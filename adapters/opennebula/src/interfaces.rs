//! Interfaces of machines.

use std::time::Duration;

use backend::{BackendError, Capability, IntentTag, Interface, InterfaceSpec, InterfaceTarget};

use crate::{
    create::{OPEN_GROUP, set_nic},
    document::{Nic, VmDocument},
    names::{self, Id},
    oned::unless_unknown,
    rpc::Call,
    site::Site,
    xml::Template,
};

/// Until an interface is in a machine, or out of it.
const PLUGS: Duration = Duration::from_secs(100);

/// An interface has the Ethernet address that belongs to its IP address; the service replaces any other.
pub(crate) fn refuse_mac(spec: &InterfaceSpec) -> Result<(), BackendError> {
    match spec.mac {
        None => Ok(()),
        Some(_) => Err(Capability::MacOfChoice.missing()),
    }
}

impl Site {
    pub(crate) async fn plug(&self, machine: Id, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        let vm = self.settled(machine).await?;
        if let Some(nic) = vm.nics.iter().find(|nic| nic.tag == Some(spec.tag)) {
            return interface(&vm, nic, spec);
        }
        let network = self.network_of(&spec.target).await?;
        refuse_mac(spec)?;
        let network = self.network_at_rest(network).await?;
        let taken = matches!(spec.target, InterfaceTarget::Address(_)) && network.used_leases > 0;
        if taken {
            return Err(BackendError::Conflict(format!("reserved address {}: another machine has it", network.id)));
        }
        let groups = groups_of(&vm);
        let template = Template::write(|template| {
            template.vector("NIC", |nic| {
                set_nic(nic, network.id, &groups);
                nic.set_some("IP", spec.address).set(names::TAG, spec.tag);
            });
        })?;
        let call = Call::new("one.vm.attachnic").with(machine).with(template);
        match (self.oned.change(&call).await?, spec.address) {
            (Ok(_), _) => {}
            (Err(refusal), Some(wish)) if refusal.is_about_an_address() => {
                let why = BackendError::from(refusal);
                return Err(BackendError::Conflict(format!("{wish} is not free on network {}: {why}", network.id)));
            }
            (Err(refusal), _) => return Err(refusal.into()),
        }
        let after = self.finished(machine, PLUGS).await?;
        let Some(nic) = after.nics.iter().find(|nic| nic.tag == Some(spec.tag)) else {
            return Err(Self::why_not(&after, "give an interface to"));
        };
        let there = interface(&after, nic, spec)?;
        if spec.address.is_some_and(|wish| there.address.is_some_and(|address| address != wish)) {
            self.unplug(machine, spec.tag).await?;
            return Err(BackendError::Conflict("OpenNebula has given another address than the one wished for".into()));
        }
        if !groups.is_empty() {
            self.close(machine).await?;
        }
        Ok(there)
    }

    pub(crate) async fn unplug(&self, machine: Id, tag: IntentTag) -> Result<(), BackendError> {
        let vm = match self.vm_if_known(machine).await? {
            Some(vm) if vm.nics.iter().any(|nic| nic.tag == Some(tag)) => self.settled(vm.id).await?,
            _ => return Ok(()),
        };
        let Some(nic) = vm.nics.iter().find(|nic| nic.tag == Some(tag)) else { return Ok(()) };
        let call = Call::new("one.vm.detachnic").with(machine).with(nic.id);
        if unless_unknown(self.oned.change(&call).await?)?.is_none() {
            return Ok(());
        }
        let after = self.finished(machine, PLUGS).await?;
        if after.nics.iter().any(|nic| nic.tag == Some(tag)) {
            return Err(Self::why_not(&after, "take an interface out of"));
        }
        Ok(())
    }
}

/// The security groups that hold for the machine, which is for all of its interfaces.
pub(crate) fn groups_of(vm: &VmDocument) -> Vec<Id> {
    let mut groups: Vec<Id> = vm.nics.iter().flat_map(|nic| nic.security_groups.iter().copied()).collect();
    groups.retain(|group| group.to_string() != OPEN_GROUP);
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn interface(vm: &VmDocument, nic: &Nic, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
    let nameless =
        || BackendError::Failed(format!("interface {} of machine {} has no Ethernet address", nic.id, vm.id));
    Ok(Interface {
        tag: spec.tag,
        // Guests of one-context are told their interfaces by number (ETH0_IP).
        device: format!("eth{}", nic.id),
        mac: nic.mac.ok_or_else(nameless)?,
        address: nic.address,
        gateway: nic.gateway,
    })
}
