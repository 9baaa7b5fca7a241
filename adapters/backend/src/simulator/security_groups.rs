//! Security groups, and which machines have them.

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Operation, Simulator, State, shelf::Object, unknown};
use crate::{
    BackendError, IntentTag, MachineId, Protocol, Rule, SecurityGroup, SecurityGroupId, SecurityGroupSpec,
    SecurityGroups,
};

const MOST_RULES: usize = 256;

pub(super) struct SimulatedSecurityGroup(SecurityGroup);

impl Object for SimulatedSecurityGroup {
    type Id = SecurityGroupId;

    const PREFIX: &'static str = "group";

    fn tag(&self) -> IntentTag {
        self.0.tag
    }
}

impl State {
    pub(super) fn apply(&mut self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        self.security_group(group)?;
        self.join_group(machine, group)
    }

    fn security_group(&self, id: &SecurityGroupId) -> Result<&SecurityGroup, BackendError> {
        self.security_groups.get(id).map(|group| &group.0).ok_or_else(|| unknown("a security group", id))
    }

    fn create_security_group(&mut self, spec: &SecurityGroupSpec, now: Instant) -> Result<SecurityGroup, BackendError> {
        if self.behaviour.idempotent_create
            && let Some(existing) = self.security_groups.oldest(spec.tag)?
        {
            return Ok(existing.0.clone());
        }
        admit(&spec.rules)?;
        let id = self.security_groups.fresh_name(spec.tag)?;
        let group = SecurityGroup { id: id.clone(), tag: spec.tag, rules: spec.rules.clone() };
        self.security_groups.insert(id, SimulatedSecurityGroup(group.clone()), now);
        Ok(group)
    }

    fn delete_security_group(&mut self, id: &SecurityGroupId) -> Result<(), BackendError> {
        if let Some(machine) = self.joins.machine_with_group(id) {
            return Err(BackendError::Conflict(format!(
                "machine {machine} has the security group {id}: lift it first"
            )));
        }
        self.security_groups.remove(id);
        Ok(())
    }
}

fn admit(rules: &[Rule]) -> Result<(), BackendError> {
    if rules.len() > MOST_RULES {
        return Err(BackendError::Refused(format!("{} rules are more than {MOST_RULES}", rules.len())));
    }
    let wrong = |rule: &Rule| {
        let portless = matches!(rule.protocol, Protocol::Icmp | Protocol::All);
        let ports = rule.ports.is_some_and(|(first, last)| portless || first > last);
        let range = rule.range.is_some_and(|(address, prefix)| prefix > if address.is_ipv6() { 128 } else { 32 });
        ports || range
    };
    rules.iter().find(|rule| wrong(rule)).map_or(Ok(()), |rule| {
        Err(BackendError::Refused(format!("no traffic is like {rule:?}: check its ports and its prefix")))
    })
}

#[async_trait]
impl SecurityGroups for Simulator {
    async fn create(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError> {
        self.perform(Operation::CreateSecurityGroup, |state, now| state.create_security_group(spec, now)).await
    }

    async fn group(&self, id: &SecurityGroupId) -> Result<SecurityGroup, BackendError> {
        self.perform(Operation::SecurityGroup, |state, _| state.security_group(id).cloned()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroup>, BackendError> {
        let find = |state: &mut State, now| {
            let found = state.security_groups.find(tag, now, state.behaviour.listing_lag)?;
            Ok(found.map(|found| found.0.clone()))
        };
        self.perform(Operation::FindSecurityGroupByTag, find).await
    }

    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError> {
        let change = |state: &mut State, _| {
            let group = state.security_groups.get_mut(id).ok_or_else(|| unknown("a security group", id))?;
            admit(rules)?;
            group.0.rules = rules.to_vec();
            Ok(())
        };
        self.perform(Operation::ChangeSecurityGroup, change).await
    }

    async fn delete(&self, id: &SecurityGroupId) -> Result<(), BackendError> {
        self.perform(Operation::DeleteSecurityGroup, |state, _| state.delete_security_group(id)).await
    }

    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        self.perform(Operation::ApplySecurityGroup, |state, _| state.apply(machine, group)).await
    }

    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        let lift = |state: &mut State, _| {
            state.part_group(machine, group);
            Ok(())
        };
        self.perform(Operation::LiftSecurityGroup, lift).await
    }
}
