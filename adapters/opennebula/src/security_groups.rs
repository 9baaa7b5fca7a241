//! Security groups. They belong to interfaces at the service, and to machines here: one holds for all interfaces.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backend::{
    BackendError, IntentTag, MachineId, Rule, SecurityGroup, SecurityGroupId, SecurityGroupSpec, SecurityGroups,
};

use crate::{
    OpenNebulaBackend,
    create::OPEN_GROUP,
    document::{Nic, SecurityGroupDocument},
    names::{self, Id, Kind},
    oned::{Allocated, allocated, unless_unknown},
    pool::Pool,
    rpc::Call,
    rules::{check_rules, write_rules},
    site::Site,
    version::Version,
    waiting::Looks,
    xml::Template,
};

/// Until a new machine can be given other security groups.
const CLOSES: Duration = Duration::from_secs(100);

fn tag_of(group: &SecurityGroupDocument) -> Option<IntentTag> {
    Kind::SecurityGroup.tag_in(&group.name).or(group.tag)
}

fn facts(group: SecurityGroupDocument) -> Result<Option<SecurityGroup>, BackendError> {
    let Some(tag) = tag_of(&group) else { return Ok(None) };
    Ok(Some(SecurityGroup { id: group.id.named()?, tag, rules: group.rules }))
}

fn unknown(id: &SecurityGroupId) -> BackendError {
    BackendError::NotFound(format!("security group {id}"))
}

impl Site {
    /// A security group of ours.
    pub(crate) async fn group_document(&self, id: &SecurityGroupId) -> Result<SecurityGroupDocument, BackendError> {
        let group: SecurityGroupDocument =
            self.oned.object("one.secgroup.info", Id::of("security group", id.as_str())?).await?;
        if tag_of(&group).is_some() { Ok(group) } else { Err(unknown(id)) }
    }

    async fn group_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroupDocument>, BackendError> {
        let is_it = |group: &SecurityGroupDocument| tag_of(group) == Some(tag);
        self.oned.find(Pool::security_groups(self.filter()), is_it).await
    }

    async fn create_group(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError> {
        self.version().await?;
        let lost = || BackendError::Failed(format!("OpenNebula made the security group of {} and lost it", spec.tag));
        if let Some(known) = self.group_by_tag(spec.tag).await? {
            return facts(known)?.ok_or_else(lost);
        }
        check_rules(&spec.rules)?;
        let template = Template::write(|template| {
            template.set("NAME", Kind::SecurityGroup.name(&spec.name, spec.tag)).set(names::TAG, spec.tag);
            write_rules(template, &spec.rules);
        })?;
        let call = Call::new("one.secgroup.allocate").with(template);
        let group: SecurityGroupDocument = match allocated(self.oned.change(&call).await?)? {
            Allocated::New(id) => self.shown("one.secgroup.info", id).await?,
            Allocated::NameTaken(refusal) => self.group_by_tag(spec.tag).await?.ok_or(refusal)?,
        };
        facts(group)?.ok_or_else(lost)
    }

    async fn change_group(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError> {
        const REPLACE: i32 = 0;
        let group = self.group_document(id).await?;
        check_rules(rules)?;
        let template = Template::write(|template| {
            template.set_some(names::TAG, tag_of(&group));
            write_rules(template, rules);
        })?;
        self.oned.changed(&Call::new("one.secgroup.update").with(group.id).with(template).with(REPLACE)).await?;
        // To all machines that have it, not only to those that could not be told before.
        self.oned.changed(&Call::new("one.secgroup.commit").with(group.id).with(false)).await.map(drop)
    }

    async fn apply(&self, machine: Id, group: &SecurityGroupId) -> Result<(), BackendError> {
        let group = self.group_document(group).await?.id;
        let vm = self.settled(machine).await?;
        if vm.nics.is_empty() {
            return Err(BackendError::Conflict(format!(
                "machine {machine} has no interface for which a security group could hold; plug one first"
            )));
        }
        self.can_change_groups().await?;
        for nic in vm.nics.iter().filter(|nic| !nic.security_groups.contains(&group)) {
            self.oned.changed(&to_nic("one.vm.attachsg", machine, nic, group)).await?;
        }
        self.close(machine).await
    }

    /// Takes the group that lets everything through off the interfaces that have another one. Groups add up, so beside
    /// it no other would mean anything; and a network gives it to its interfaces unasked.
    pub(crate) async fn close(&self, machine: Id) -> Result<(), BackendError> {
        let open = Id::of("security group", OPEN_GROUP)?;
        let mut looks = Looks::within(CLOSES);
        loop {
            let vm = self.vm(machine).await?;
            let is_half_open = |nic: &&Nic| nic.security_groups.contains(&open) && nic.security_groups.len() > 1;
            let Some(nic) = vm.nics.iter().find(is_half_open) else { return Ok(()) };
            match self.oned.changed(&to_nic("one.vm.detachsg", machine, nic, open)).await {
                Ok(_) => {}
                // Not in this state, but in the next one.
                Err(BackendError::Conflict(_)) if looks.next().await => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn lift(&self, machine: Id, group: Id) -> Result<(), BackendError> {
        let Some(vm) = self.vm_if_known(machine).await? else { return Ok(()) };
        if !vm.nics.iter().any(|nic| nic.security_groups.contains(&group)) {
            return Ok(());
        }
        self.can_change_groups().await?;
        let vm = self.settled(vm.id).await?;
        for nic in vm.nics.iter().filter(|nic| nic.security_groups.contains(&group)) {
            if nic.security_groups.len() == 1 {
                let open = Id::of("security group", OPEN_GROUP)?;
                self.oned.changed(&to_nic("one.vm.attachsg", machine, nic, open)).await?;
            }
            unless_unknown(self.oned.change(&to_nic("one.vm.detachsg", machine, nic, group)).await?)?;
        }
        Ok(())
    }

    pub(crate) async fn can_change_groups(&self) -> Result<(), BackendError> {
        if self.version().await? >= Version::CHANGES_GROUPS {
            return Ok(());
        }
        let needed = Version::CHANGES_GROUPS;
        Err(BackendError::Unsupported(format!(
            "give a machine other security groups before OpenNebula {needed}; upgrade the site"
        )))
    }
}

fn to_nic(method: &'static str, machine: Id, nic: &Nic, group: Id) -> Call {
    Call::new(method).with(machine).with(nic.id).with(group)
}

#[async_trait]
impl SecurityGroups for OpenNebulaBackend {
    async fn create(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError> {
        let (site, spec) = (Arc::clone(&self.site), spec.clone());
        self.site.to_the_end(spec.tag, async move { site.create_group(&spec).await }).await
    }

    async fn group(&self, id: &SecurityGroupId) -> Result<SecurityGroup, BackendError> {
        facts(self.site.group_document(id).await?)?.ok_or_else(|| unknown(id))
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroup>, BackendError> {
        self.site.group_by_tag(tag).await?.map_or(Ok(None), facts)
    }

    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError> {
        self.site.change_group(id, rules).await
    }

    async fn delete(&self, id: &SecurityGroupId) -> Result<(), BackendError> {
        match self.site.group_document(id).await {
            Ok(group) => {
                let call = Call::new("one.secgroup.delete").with(group.id);
                unless_unknown(self.site.oned.change(&call).await?).map(drop)
            }
            Err(BackendError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        self.site.apply(Id::of("machine", machine.as_str())?, group).await
    }

    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        let machine = Id::of("machine", machine.as_str());
        let (Ok(machine), Ok(group)) = (machine, Id::of("security group", group.as_str())) else { return Ok(()) };
        self.site.lift(machine, group).await
    }
}
