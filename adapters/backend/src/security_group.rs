//! Security groups: which traffic reaches a machine, and which leaves it.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{BackendError, IntentTag, MachineId, SecurityGroupId};

/// Which way traffic goes, seen from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the machine.
    Inbound,
    /// From the machine.
    Outbound,
}

/// Which traffic a rule means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, of either IP version.
    Icmp,
    /// Everything.
    All,
}

/// One kind of traffic that is let through; what no rule names is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which way.
    pub direction: Direction,
    /// Which protocol.
    pub protocol: Protocol,
    /// First and last port, for TCP and UDP; all when there is none.
    pub ports: Option<(u16, u16)>,
    /// The other side: an address and the length of its prefix; anybody when there is none.
    pub range: Option<(IpAddr, u8)>,
}

/// The group that the broker wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupSpec {
    /// The intent that asks.
    pub tag: IntentTag,
    /// For people.
    pub name: String,
    /// What is let through.
    pub rules: Vec<Rule>,
}

/// A backend's facts about one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// The backend's own name for it.
    pub id: SecurityGroupId,
    /// The intent that made it.
    pub tag: IntentTag,
    /// What is let through.
    pub rules: Vec<Rule>,
}

/// What the broker may ask of a backend that filters traffic. The rules of [`crate::Backend`] hold.
#[async_trait]
pub trait SecurityGroups: Send + Sync {
    /// Asks for a group. One that carries the tag already is returned instead of a second one.
    async fn create(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError>;

    /// The present facts of one group.
    async fn group(&self, id: &SecurityGroupId) -> Result<SecurityGroup, BackendError>;

    /// The group that carries this tag.
    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroup>, BackendError>;

    /// Gives the group other rules, for all machines that have it.
    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError>;

    /// Destroys the group; an unknown one is a success, one that a machine has a [`BackendError::Conflict`].
    async fn delete(&self, id: &SecurityGroupId) -> Result<(), BackendError>;

    /// Lets the group's rules hold for the machine; again changes nothing.
    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError>;

    /// Takes the group off the machine; where it is not on, or there is no such machine, that is a success.
    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError>;
}
