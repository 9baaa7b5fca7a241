//! What a site cannot do is said before anything is written down, in the words of its own description.

use backend::{Capability, Description, SaveMethod, SuspendMethod};
use occi_schema::{
    CategoryId,
    well_known::{BACKUP, DOWN, NETWORK, OFFLINE, RESIZE, SAVE, SNAPSHOT, SUSPEND},
};

use super::{Broker, BrokerError, creation::Candidate};
use crate::{
    dispatch::{Change, Order, PowerAction, policy::Operation},
    store::entity::Entity,
};

/// Seconds after which a site that is not configured may be again: somebody has to do that.
const CONFIGURED_AFTER: u32 = 60;

/// Who cannot, in words: `site lab (OpenNebula 7.0) cannot suspend a machine in memory`.
pub fn cannot(site: &str, description: &Description, capability: Capability) -> String {
    format!("site {site} ({}) cannot {capability}", description.software)
}

impl Broker {
    /// Whether the entity's site can do what is asked of it. Of a site that does not answer nothing is known: then
    /// it turns out when it does.
    ///
    /// # Errors
    /// [`BrokerError::Incapable`] if it cannot.
    pub(super) fn check_ability(&self, entity: &Entity, needed: Option<Capability>) -> Result<(), BrokerError> {
        self.refusal(&entity.site, needed).map_or(Ok(()), |words| Err(BrokerError::Incapable(words)))
    }

    /// Whether the entity's site can grant what a client wishes for, which it could also leave out.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if it cannot.
    pub(super) fn check_wishes(
        &self,
        entity: &Entity,
        wishes: impl IntoIterator<Item = Capability>,
    ) -> Result<(), BrokerError> {
        match wishes.into_iter().find_map(|wish| self.refusal(&entity.site, Some(wish))) {
            Some(words) => Err(BrokerError::Invalid(format!("{words}; leave that out, or choose another site"))),
            None => Ok(()),
        }
    }

    fn refusal(&self, site: &str, needed: Option<Capability>) -> Option<String> {
        let needed = needed?;
        let description = self.description_of(site)?;
        (!description.capabilities.contain(needed)).then(|| cannot(site, &description, needed))
    }

    /// What the site says of itself, if it answers.
    pub(super) fn description_of(&self, site: &str) -> Option<std::sync::Arc<Description>> {
        self.inner.dispatch.sites().get(site)?.description()
    }

    /// Whether the site takes one more request of a client. Asks nobody.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`]: its queue is full, or it is not configured any more.
    pub(super) fn admit(&self, site: &str, operation: Operation) -> Result<(), BrokerError> {
        if self.inner.dispatch.sites().get(site).is_none() {
            return Err(BrokerError::Unavailable { reason: not_configured(site), retry_after: CONFIGURED_AFTER });
        }
        Ok(self.inner.dispatch.admit(site, operation)?)
    }
}

/// What is said of everything at a site that was taken out of the configuration.
pub fn not_configured(site: &str) -> String {
    format!("site {site} is not configured any more")
}

/// The capabilities of which a site needs one for an action, whatever its method; none where every site can.
pub fn of_action(action: &CategoryId, kind: &CategoryId) -> &'static [Capability] {
    let needs: [(&CategoryId, &[Capability]); 6] = [
        (&SUSPEND, &[Capability::Suspend, Capability::Hibernate]),
        (&SAVE, &[Capability::SaveHot, Capability::SaveDeferred]),
        (&OFFLINE, &[Capability::VolumeOffline]),
        (&BACKUP, &[Capability::VolumeBackup]),
        (&SNAPSHOT, &[Capability::VolumeSnapshot]),
        (&RESIZE, &[Capability::VolumeResize]),
    ];
    if *action == DOWN && *kind == NETWORK {
        return &[Capability::NetworkDown];
    }
    needs.into_iter().find(|(one, _)| *one == action).map_or(&[], |(_, capabilities)| capabilities)
}

/// What a site needs for an action on a machine.
pub fn of_power(action: PowerAction) -> Option<Capability> {
    match action {
        PowerAction::Suspend(SuspendMethod::Suspend) => Some(Capability::Suspend),
        PowerAction::Suspend(SuspendMethod::Hibernate) => Some(Capability::Hibernate),
        PowerAction::Start | PowerAction::Stop(_) | PowerAction::Restart(_) => None,
    }
}

/// What a site needs for a copy of a disk.
pub fn of_save(method: SaveMethod) -> Capability {
    match method {
        SaveMethod::Hot => Capability::SaveHot,
        SaveMethod::Deferred => Capability::SaveDeferred,
    }
}

/// What a site needs for a change of the entity.
pub fn of_change(change: &Change, entity: &Entity) -> Option<Capability> {
    use backend::CopyPurpose::{Backup, Snapshot};
    match change {
        Change::Offline => Some(Capability::VolumeOffline),
        Change::Down if entity.kind == NETWORK => Some(Capability::NetworkDown),
        Change::Copy(Backup) => Some(Capability::VolumeBackup),
        Change::Copy(Snapshot) => Some(Capability::VolumeSnapshot),
        Change::VolumeSize(_) => Some(Capability::VolumeResize),
        Change::MachineSize(_) => Some(Capability::Resize),
        Change::Network(wanted) => match Order::of(entity) {
            Ok(Order::Network(now)) if now.subnet == wanted.subnet => None,
            _ => Some(Capability::NetworkReaddress),
        },
        // Up and online are the broker's word where a backend knows no other state.
        Change::Up | Change::Down | Change::Online | Change::Rules(_) | Change::Rejoin => None,
    }
}

/// What the client wishes for that not every site can grant.
pub fn wishes_of(candidate: &Candidate) -> Vec<Capability> {
    let wished = |is_wished: bool, capability| is_wished.then_some(capability);
    let wishes = match &candidate.order {
        Order::Machine(spec) => [
            wished(!spec.ssh_keys.is_empty(), Capability::SshKeys),
            wished(spec.user_data.is_some(), Capability::UserData),
        ],
        Order::Network(spec) => [wished(spec.vlan.is_some(), Capability::VlanOfChoice), None],
        Order::Address(spec) => [wished(spec.wanted.is_some(), Capability::ReservationOfChoice), None],
        Order::Link(link) if candidate.target.as_ref().is_some_and(|target| target.kind == NETWORK) => [
            wished(link.mac.is_some(), Capability::MacOfChoice),
            wished(link.address.is_some(), Capability::AddressOfChoice),
        ],
        Order::Volume(_) | Order::SecurityGroup(_) | Order::Link(_) => [None, None],
    };
    wishes.into_iter().flatten().collect()
}
