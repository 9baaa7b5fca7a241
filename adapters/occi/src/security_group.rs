//! Security groups: the kinds that rOCCI and ooi have brought.

use std::{collections::BTreeMap, net::IpAddr};

use async_trait::async_trait;
use backend::{
    BackendError, Direction, IntentTag, MachineId, Protocol, Rule, SecurityGroup, SecurityGroupId, SecurityGroupSpec,
    SecurityGroups,
};
use occi_schema::{
    Value,
    render::Attributes,
    well_known::{COMPUTE, SECURITY_GROUP, SECURITY_GROUP_LINK, attribute::SECURITY_GROUP_RULES},
};
use uuid::Uuid;

use crate::{
    OcciBackend,
    compute::ours,
    peer::Peer,
    reading::Entity,
    server::{Server, failure, tag_of},
};

/// Most rules that are believed of one group.
const MOST_RULES: usize = 1024;

fn group(_peer: &Peer, entity: &Entity) -> Result<Option<SecurityGroup>, String> {
    let Some((_, tag)) = tag_of(entity) else { return Ok(None) };
    let id = entity.id.parse::<SecurityGroupId>().map_err(|error| error.to_string())?;
    let rules = match entity.value(&SECURITY_GROUP_RULES) {
        Some(Value::List(rules)) => rules,
        // The text renderings hold lists as JSON in quotes.
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|error| format!("its rules: {error}"))?,
        _ => Vec::new(),
    };
    if rules.len() > MOST_RULES {
        return Err(format!("{} rules", rules.len()));
    }
    let rules = rules.iter().map(|rule| read(rule).ok_or("a rule that cannot be read"));
    Ok(Some(SecurityGroup { id, tag, rules: rules.collect::<Result<_, _>>()? }))
}

fn read(rule: &Value) -> Option<Rule> {
    let Value::Map(members) = rule else { return None };
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) => Some(text.to_ascii_lowercase()),
        Some(Value::Integer(number)) => Some(number.to_string()),
        _ => None,
    };
    let direction = match text("type")?.as_str() {
        "inbound" => Direction::Inbound,
        "outbound" => Direction::Outbound,
        _ => return None,
    };
    let protocol = match text("protocol").as_deref() {
        Some("tcp") => Protocol::Tcp,
        Some("udp") => Protocol::Udp,
        Some("icmp") => Protocol::Icmp,
        None | Some("all" | "any") => Protocol::All,
        Some(_) => return None,
    };
    let ports = match text("port").filter(|ports| !ports.is_empty()) {
        None => None,
        Some(ports) => {
            let (first, last) = ports.split_once('-').unwrap_or((&ports, &ports));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        }
    };
    let range = match text("range").filter(|range| !range.is_empty()) {
        None => None,
        Some(range) => {
            let (address, prefix) = range.split_once('/')?;
            let address: IpAddr = address.trim().parse().ok()?;
            let prefix: u8 = prefix.trim().parse().ok()?;
            (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some(())?;
            Some((address, prefix))
        }
    };
    Some(Rule { direction, protocol, ports, range })
}

fn written(rules: &[Rule]) -> Value {
    let write = |rule: &Rule| {
        let direction = match rule.direction {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        };
        let protocol = match rule.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
            Protocol::All => "all",
        };
        let mut members = BTreeMap::from([
            ("type".to_owned(), Value::from(direction)),
            ("protocol".to_owned(), Value::from(protocol)),
        ]);
        match rule.ports {
            Some((first, last)) if first == last => members.insert("port".into(), Value::from(first.to_string())),
            Some((first, last)) => members.insert("port".into(), Value::from(format!("{first}-{last}"))),
            None => None,
        };
        if let Some((address, prefix)) = rule.range {
            members.insert("range".into(), Value::from(format!("{address}/{prefix}")));
        }
        Value::Map(members)
    };
    Value::List(rules.iter().map(write).collect())
}

impl Server {
    async fn group_of(&self, id: &str) -> Result<SecurityGroup, BackendError> {
        let entity = self.get(&SECURITY_GROUP, id).await?;
        ours(group(&*self.peer().await?, &entity), "security group", id)
    }

    async fn make_group(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError> {
        let entity = match self.find(&SECURITY_GROUP, spec.tag).await? {
            Some(entity) => entity,
            None => {
                let peer = self.peer().await?;
                let mut mixins = Vec::new();
                self.place(&peer, &mut mixins)?;
                let mut attributes = Self::mark(&peer, &spec.name, spec.tag);
                attributes.insert(SECURITY_GROUP_RULES.clone(), written(&spec.rules));
                self.make(&SECURITY_GROUP, spec.tag, &mixins, &attributes, &[]).await?
            }
        };
        let (_, standing) = self.settled(&SECURITY_GROUP, &entity.id).await?;
        if standing.state == "error" {
            self.remove(&SECURITY_GROUP, &entity.id).await?;
            return Err(failure(&standing));
        }
        self.group_of(&entity.id).await
    }

    async fn change_group(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError> {
        self.group_of(id.as_str()).await?;
        let attributes = Attributes::from([(SECURITY_GROUP_RULES.clone(), written(rules))]);
        self.change(&SECURITY_GROUP, id.as_str(), &[], &attributes).await?;
        let (_, standing) = self.settled(&SECURITY_GROUP, id.as_str()).await?;
        if standing.message.is_some() { Err(failure(&standing)) } else { Ok(()) }
    }

    /// The machine's link to the group, by the server's own name for the link.
    async fn link_to(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<Option<String>, BackendError> {
        let compute = self.get(&COMPUTE, machine.as_str()).await?;
        let found = compute
            .links()
            .find(|link| link.is(&SECURITY_GROUP_LINK) && link.target_id() == group.as_str())
            .and_then(|link| link.id());
        Ok(found)
    }

    async fn apply_group(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        if let Some(id) = self.link_to(machine, group).await? {
            return self.joined(&SECURITY_GROUP_LINK, &id).await.map(drop);
        }
        self.group_of(group.as_str()).await?;
        let machine = self.path(&COMPUTE, machine.as_str()).await?;
        let target = self.path(&SECURITY_GROUP, group.as_str()).await?;
        // Nobody asks for this link by a tag: machine and group name it.
        let tag = IntentTag(Uuid::new_v4());
        let link = self.join(&SECURITY_GROUP_LINK, tag, (&machine, &target), &[], Attributes::new()).await?;
        self.joined(&SECURITY_GROUP_LINK, &link.id).await.map(drop)
    }
}

#[async_trait]
impl SecurityGroups for OcciBackend {
    async fn create(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError> {
        self.server.make_group(spec).await
    }

    async fn group(&self, id: &SecurityGroupId) -> Result<SecurityGroup, BackendError> {
        self.server.group_of(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroup>, BackendError> {
        let Some(entity) = self.server.find(&SECURITY_GROUP, tag).await? else { return Ok(None) };
        ours(group(&*self.server.peer().await?, &entity), "security group", &entity.id).map(Some)
    }

    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError> {
        self.server.change_group(id, rules).await
    }

    async fn delete(&self, id: &SecurityGroupId) -> Result<(), BackendError> {
        self.server.must_be_free(&SECURITY_GROUP, id.as_str(), &SECURITY_GROUP_LINK).await?;
        self.server.remove(&SECURITY_GROUP, id.as_str()).await
    }

    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        self.server.apply_group(machine, group).await
    }

    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        match self.server.link_to(machine, group).await {
            Ok(Some(id)) => self.server.remove(&SECURITY_GROUP_LINK, &id).await,
            Ok(None) | Err(BackendError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether the server has security groups that can be put on machines.
pub(crate) fn are_there(peer: &Peer) -> bool {
    let has = |kind| peer.categories.location(kind).is_some();
    has(&SECURITY_GROUP) && has(&SECURITY_GROUP_LINK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_as_they_were_written() {
        let rule = |direction, protocol, ports, range| Rule { direction, protocol, ports, range };
        let ten = Some(("10.0.0.0".parse().unwrap(), 8));
        let rules = [
            rule(Direction::Inbound, Protocol::Tcp, Some((22, 22)), ten),
            rule(Direction::Outbound, Protocol::Udp, Some((8000, 9000)), None),
            rule(Direction::Inbound, Protocol::Icmp, None, Some(("fd00::".parse().unwrap(), 64))),
            rule(Direction::Outbound, Protocol::All, None, None),
        ];
        let Value::List(values) = written(&rules) else { panic!("a list") };
        assert_eq!(values.iter().map(read).collect::<Option<Vec<_>>>().unwrap(), rules);
    }

    #[test]
    fn a_rule_that_cannot_be_kept_is_not_read_as_another() {
        let read = |text: &str| read(&serde_json::from_str(text).unwrap());
        for bad in [
            r#"{"protocol":"tcp"}"#,
            r#"{"type":"inbound","protocol":"sctp"}"#,
            r#"{"type":"inbound","protocol":"tcp","port":"22-x"}"#,
            r#"{"type":"inbound","protocol":"tcp","port":70000}"#,
            r#"{"type":"inbound","protocol":"tcp","range":"10.0.0.0/33"}"#,
            "7",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(read(r#"{"type":"inbound","protocol":"TCP","port":22,"ipversion":"4"}"#).is_some());
    }
}
