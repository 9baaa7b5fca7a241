//! The states of entities, of every kind.

use std::str::FromStr;

/// Where an entity stands; which of these a kind has, its state machine says (GFD.224 sections 3.1 to 3.5, GFD.228
/// section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityState {
    /// Not running, not in use, or not yet.
    Inactive,
    /// Running, or in use.
    Active,
    /// Frozen with its memory kept; of an agreement: not in force for now.
    Suspended,
    /// Needs somebody to look at it.
    Error,
    /// A storage that may be used.
    Online,
    /// A storage that is put away.
    Offline,
    /// A storage of which a copy is being made.
    Backup,
    /// A storage whose present content is being kept.
    Snapshot,
    /// A storage that is growing.
    Resize,
    /// A storage that works with less safety than it should.
    Degraded,
    /// An agreement that nobody has decided on.
    Pending,
    /// An agreement in force.
    Accepted,
    /// An agreement that was turned down.
    Rejected,
    /// An agreement that has ended.
    Terminated,
}

impl EntityState {
    const ALL: [Self; 14] = [
        Self::Inactive,
        Self::Active,
        Self::Suspended,
        Self::Error,
        Self::Online,
        Self::Offline,
        Self::Backup,
        Self::Snapshot,
        Self::Resize,
        Self::Degraded,
        Self::Pending,
        Self::Accepted,
        Self::Rejected,
        Self::Terminated,
    ];

    /// As OCCI writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Error => "error",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Backup => "backup",
            Self::Snapshot => "snapshot",
            Self::Resize => "resize",
            Self::Degraded => "degraded",
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Terminated => "terminated",
        }
    }
}

impl FromStr for EntityState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| format!("{text:?} is no state"))
    }
}

#[cfg(test)]
mod tests {
    use occi_schema::{AttributeName, Extension, Mode, Model, ValueType};

    use super::EntityState;

    #[test]
    fn every_state_of_every_kind_has_a_name_here() {
        let model = Model::new(Extension::ALL, Mode::Interop).unwrap();
        let mut checked = 0;
        for machine in model.kinds().filter_map(|kind| kind.states.as_ref()) {
            let name: &AttributeName = &machine.attribute;
            let ValueType::Enum(values) = &model.attribute(name).unwrap().value_type else { panic!("{name}") };
            for value in values {
                assert_eq!(value.parse::<EntityState>().unwrap().as_str(), value);
                checked += 1;
            }
        }
        assert!(checked > 20, "{checked}");
    }
}
