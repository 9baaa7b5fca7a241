//! Security groups. On a machine they take the place of the project's default group, which lets everything out and
//! its own members in; it comes back with the end of the last one.

use std::sync::Arc;

use backend::{BackendError, IntentTag, Rule, SecurityGroup, SecurityGroupSpec};
use backend_http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::{
    identifier, mark,
    neutron::{NeutronGroup, wanted_rules},
    paging,
    service::Service,
    site::Site,
};

#[derive(Deserialize)]
struct OneGroup {
    security_group: NeutronGroup,
}

impl Site {
    pub(crate) async fn create_group(
        self: &Arc<Self>,
        spec: &SecurityGroupSpec,
    ) -> Result<SecurityGroup, BackendError> {
        let _turn = self.turns.of(format!("tag {}", spec.tag)).await;
        let (id, is_new) = match self.group_by_tag(spec.tag).await? {
            Some(group) => (group.id, false),
            None => {
                let body = json!({ "security_group": {
                    "name": spec.name, "description": mark::description(spec.tag) } });
                let about = format!("new security group with tag {}", spec.tag);
                let call = self.cloud.call(Service::Network, Method::POST, &["security-groups"], about).body(body);
                let OneGroup { security_group } = call.json().await?;
                (security_group.id, true)
            }
        };
        // One that was found may have been left half made; a new one lets everything out.
        let changed = self.set_rules(&id, &spec.rules).await;
        if let (Err(error), true) = (&changed, is_new)
            && !matches!(error, BackendError::Unreachable(_))
        {
            self.delete_group(&id).await?;
        }
        changed?;
        self.group(&id).await
    }

    /// The group as Neutron shows it, one of ours.
    pub(crate) async fn our_group(&self, id: &str) -> Result<NeutronGroup, BackendError> {
        let about = format!("security group {id}");
        let id = identifier::known("security group", id)?;
        let call = self.cloud.get(Service::Network, &["security-groups", &id], &about);
        let OneGroup { security_group } = call.json().await?;
        let is_ours = security_group.tag().is_some();
        let foreign = || BackendError::NotFound(format!("{about} among those of this broker"));
        if is_ours { Ok(security_group) } else { Err(foreign()) }
    }

    pub(crate) async fn group(&self, id: &str) -> Result<SecurityGroup, BackendError> {
        facts(&self.our_group(id).await?)
    }

    pub(crate) async fn group_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroupFound>, BackendError> {
        let call = self.cloud.get(Service::Network, &["security-groups"], format!("security group with tag {tag}"));
        let call = call.query("description", mark::description(tag));
        let groups: Vec<NeutronGroup> = paging::all(call, "security_groups").await?;
        let found = groups.into_iter().find(|group| group.tag() == Some(tag));
        found.map(|group| Ok(SecurityGroupFound { facts: facts(&group)?, id: group.id })).transpose()
    }

    pub(crate) async fn change_group(self: &Arc<Self>, id: &str, rules: &[Rule]) -> Result<(), BackendError> {
        let _turn = self.turns.of(format!("security group {id}")).await;
        self.set_rules(id, rules).await
    }

    /// Removes what is not wanted, then adds what is missing: what both have stays in force all the while.
    async fn set_rules(&self, id: &str, rules: &[Rule]) -> Result<(), BackendError> {
        let group = self.our_group(id).await?;
        let mut wanted = wanted_rules(&group.id, rules);
        for rule in &group.rules {
            if let Some(place) = wanted.iter().position(|wanted| rule.is(wanted)) {
                wanted.swap_remove(place);
                continue;
            }
            let rule_id = identifier::answered("rule", &rule.id)?;
            let about = format!("rule {rule_id} of security group {id}");
            let call = self.cloud.call(Service::Network, Method::DELETE, &["security-group-rules", &rule_id], about);
            call.send_if_there().await?;
        }
        for rule in wanted {
            let about = format!("new rule of security group {id}");
            let call = self.cloud.call(Service::Network, Method::POST, &["security-group-rules"], about);
            match call.body(json!({ "security_group_rule": rule })).send().await {
                // A rule that another one contains is refused as one that is there.
                Ok(_) | Err(BackendError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) async fn delete_group(&self, id: &str) -> Result<(), BackendError> {
        let group = match self.our_group(id).await {
            Ok(group) => group,
            Err(BackendError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let about = format!("security group {id}");
        let call = self.cloud.call(Service::Network, Method::DELETE, &["security-groups", &group.id], about);
        call.send_if_there().await.map(drop)
    }

    pub(crate) async fn apply(self: &Arc<Self>, machine: &str, group: &str) -> Result<(), BackendError> {
        let group = self.our_group(group).await?.id;
        let server = self.server(machine).await?.id;
        let _turn = self.turns.of(format!("interfaces of {server}")).await;
        let ports = self.ports_of(&server).await?;
        if ports.is_empty() {
            return Err(BackendError::Conflict(format!(
                "machine {machine} has no interface that a security group could guard; plug one in first"
            )));
        }
        let default = self.default_group().await?;
        for port in ports.iter().filter(|port| !port.security_groups.contains(&group)) {
            let others = port.security_groups.iter().filter(|other| Some(*other) != default.as_ref());
            let groups: Vec<String> = others.cloned().chain([group.clone()]).collect();
            self.guard(&port.id, &groups).await?;
        }
        Ok(())
    }

    pub(crate) async fn lift(self: &Arc<Self>, machine: &str, group: &str) -> Result<(), BackendError> {
        let (Ok(server), Ok(group)) =
            (identifier::known("machine", machine), identifier::known("security group", group))
        else {
            return Ok(());
        };
        let _turn = self.turns.of(format!("interfaces of {server}")).await;
        for port in self.ports_of(&server).await?.iter().filter(|port| port.security_groups.contains(&group)) {
            let mut groups: Vec<String> = port.security_groups.clone();
            groups.retain(|other| *other != group);
            if groups.is_empty() {
                groups.extend(self.default_group().await?);
            }
            self.guard(&port.id, &groups).await?;
        }
        Ok(())
    }

    async fn guard(&self, port: &str, groups: &[String]) -> Result<(), BackendError> {
        let about = format!("security groups of interface {port}");
        let call = self.cloud.call(Service::Network, Method::PUT, &["ports", port], about);
        call.body(json!({ "port": { "security_groups": groups } })).send().await.map(drop)
    }

    /// The group that Neutron gives an interface without any.
    async fn default_group(&self) -> Result<Option<String>, BackendError> {
        let project = self.cloud.session.token().await?.project.clone();
        let call = self.cloud.get(Service::Network, &["security-groups"], "default security group");
        let call = call.query("name", "default").query("project_id", project);
        let groups: Vec<NeutronGroup> = paging::all(call, "security_groups").await?;
        Ok(groups.into_iter().find(|group| group.tag().is_none()).map(|group| group.id))
    }
}

/// A group that was found by its tag.
pub(crate) struct SecurityGroupFound {
    pub(crate) id: String,
    pub(crate) facts: SecurityGroup,
}

fn facts(group: &NeutronGroup) -> Result<SecurityGroup, BackendError> {
    let id = identifier::answered("security group", &group.id)?;
    let tag = group.tag().ok_or_else(|| BackendError::NotFound(format!("security group {id}")))?;
    let id = id.try_into().map_err(|error| BackendError::Failed(format!("{error}")))?;
    Ok(SecurityGroup { id, tag, rules: group.given() })
}
