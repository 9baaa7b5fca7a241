//! What a model holds, and the rules that keep it whole.

use std::collections::HashMap;
use std::sync::Arc;

use crate::attribute::AttributeDefinition;
use crate::category::{Action, Class, Kind, Mixin};
use crate::identifier::CategoryId;
use crate::model::{Mode, ModelError};

/// Longest location, in bytes.
const LOCATION_BYTES: usize = 512;

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub mode: Mode,
    pub kinds: Vec<Arc<Kind>>,
    pub mixins: Vec<Arc<Mixin>>,
    pub actions: Vec<Arc<Action>>,
    pub places: HashMap<CategoryId, (Class, usize)>,
    pub locations: HashMap<String, CategoryId>,
}

impl Content {
    /// Finds everything anew by identity and location.
    pub(super) fn index(&mut self) {
        let kinds = self.kinds.iter().enumerate().map(|(place, kind)| (&kind.id, Class::Kind, place));
        let mixins = self.mixins.iter().enumerate().map(|(place, mixin)| (&mixin.id, Class::Mixin, place));
        let actions = self.actions.iter().enumerate().map(|(place, action)| (&action.id, Class::Action, place));
        let all = kinds.chain(mixins).chain(actions);
        self.places = all.map(|(id, class, place)| (id.clone(), (class, place))).collect();
        let of_kinds = self.kinds.iter().filter_map(|kind| Some((kind.location.clone()?, kind.id.clone())));
        let of_mixins = self.mixins.iter().map(|mixin| (mixin.location.clone(), mixin.id.clone()));
        self.locations = of_kinds.chain(of_mixins).collect();
    }

    pub fn add_kind(&mut self, mut kind: Kind) -> Result<(), ModelError> {
        if self.mode == Mode::Strict && !kind.instantiable {
            kind.location = None;
        }
        self.check(&kind.id, kind.location.as_deref(), &kind.attributes)?;
        let missing = kind.parent.iter().chain(&kind.targets).find(|id| !self.is(id, Class::Kind));
        let missing = missing.or_else(|| kind.actions.iter().find(|id| !self.is(id, Class::Action)));
        if let Some(missing) = missing {
            return Err(ModelError::Dangling { id: kind.id, missing: missing.clone() });
        }
        self.places.insert(kind.id.clone(), (Class::Kind, self.kinds.len()));
        self.locations.extend(kind.location.clone().map(|location| (location, kind.id.clone())));
        self.kinds.push(Arc::new(kind));
        Ok(())
    }

    pub fn add_action(&mut self, action: Action) -> Result<(), ModelError> {
        self.check(&action.id, None, &action.attributes)?;
        self.places.insert(action.id.clone(), (Class::Action, self.actions.len()));
        self.actions.push(Arc::new(action));
        Ok(())
    }

    pub fn add_mixin(&mut self, mixin: Mixin) -> Result<(), ModelError> {
        self.check(&mixin.id, Some(&mixin.location), &mixin.attributes)?;
        // What a mixin builds on exists before it does, so that no cycle can arise.
        let missing = mixin.depends.iter().find(|id| !self.is(id, Class::Mixin));
        let missing = missing.or_else(|| mixin.applies.iter().find(|id| !self.is(id, Class::Kind)));
        let missing = missing.or_else(|| mixin.actions.iter().find(|id| !self.is(id, Class::Action)));
        if let Some(missing) = missing {
            return Err(ModelError::Dangling { id: mixin.id, missing: missing.clone() });
        }
        self.places.insert(mixin.id.clone(), (Class::Mixin, self.mixins.len()));
        self.locations.insert(mixin.location.clone(), mixin.id.clone());
        self.mixins.push(Arc::new(mixin));
        Ok(())
    }

    pub fn remove_mixin(&mut self, id: &CategoryId) -> Result<Mixin, ModelError> {
        let Some((Class::Mixin, place)) = self.places.get(id).copied() else {
            return Err(ModelError::NoSuchMixin(id.clone()));
        };
        if let Some(dependent) = self.mixins.iter().find(|mixin| mixin.depends.contains(id)) {
            return Err(ModelError::StillNeeded { id: id.clone(), dependent: dependent.id.clone() });
        }
        let mixin = Arc::unwrap_or_clone(self.mixins.remove(place));
        self.places.remove(id);
        self.locations.remove(&mixin.location);
        for (place, mixin) in self.mixins.iter().enumerate().skip(place) {
            self.places.insert(mixin.id.clone(), (Class::Mixin, place));
        }
        Ok(mixin)
    }

    pub fn is(&self, id: &CategoryId, class: Class) -> bool {
        self.places.get(id).is_some_and(|(known, _)| *known == class)
    }

    fn check(
        &self,
        id: &CategoryId,
        location: Option<&str>,
        attributes: &[AttributeDefinition],
    ) -> Result<(), ModelError> {
        if self.places.contains_key(id) {
            return Err(ModelError::IdentifierTaken(id.clone()));
        }
        if let Some(location) = location {
            if !is_location(location) {
                return Err(ModelError::BadLocation { id: id.clone(), location: crate::identifier::excerpt(location) });
            }
            if let Some(holder) = self.locations.get(location) {
                let (location, holder) = (location.to_owned(), holder.clone());
                return Err(ModelError::LocationTaken { id: id.clone(), location, holder });
            }
        }
        for (place, definition) in attributes.iter().enumerate() {
            if attributes.iter().take(place).any(|other| other.name == definition.name) {
                return Err(ModelError::AttributeTwice { id: id.clone(), name: definition.name.clone() });
            }
        }
        Ok(())
    }
}

pub(super) fn is_location(text: &str) -> bool {
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'))
    };
    text.len() <= LOCATION_BYTES
        && !text.starts_with("/-/")
        && !text.starts_with("/.well-known/")
        && text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
            .is_some_and(|inner| inner.split('/').all(segment))
}
