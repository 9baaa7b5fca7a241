use async_trait::async_trait;
use backend::{
    BackendError, IntentTag, MachineId, Rule, SecurityGroup, SecurityGroupId, SecurityGroupSpec, SecurityGroups,
};

use super::{Guarded, call::Call, gone};

impl Guarded {
    fn its_security_groups(&self) -> Result<&dyn SecurityGroups, BackendError> {
        self.backend.security_groups().ok_or_else(|| gone("security groups"))
    }
}

#[async_trait]
impl SecurityGroups for Guarded {
    async fn create(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError> {
        self.call(Call::CreateSecurityGroup, self.its_security_groups()?.create(spec)).await
    }

    async fn group(&self, id: &SecurityGroupId) -> Result<SecurityGroup, BackendError> {
        self.call(Call::SecurityGroup, self.its_security_groups()?.group(id)).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroup>, BackendError> {
        self.call(Call::FindSecurityGroupByTag, self.its_security_groups()?.find_by_tag(tag)).await
    }

    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError> {
        self.call(Call::ChangeSecurityGroup, self.its_security_groups()?.change(id, rules)).await
    }

    async fn delete(&self, id: &SecurityGroupId) -> Result<(), BackendError> {
        self.call(Call::DeleteSecurityGroup, self.its_security_groups()?.delete(id)).await
    }

    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        self.call(Call::ApplySecurityGroup, self.its_security_groups()?.apply(machine, group)).await
    }

    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        self.call(Call::LiftSecurityGroup, self.its_security_groups()?.lift(machine, group)).await
    }
}
