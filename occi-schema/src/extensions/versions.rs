//! An extension without what only OCCI 1.1 has.

use super::{AttributeEntry, Declarations};
use crate::identifier::CategoryId;
use crate::version::OcciVersion;

impl Declarations {
    /// Drops attributes, values, actions and transitions that end before 1.2.
    pub(crate) fn without_1_1(&mut self) {
        let is_over = |until: Option<OcciVersion>| until.is_some_and(|until| until < OcciVersion::V1_2);
        let gone: Vec<CategoryId> =
            self.actions.iter().filter(|action| is_over(action.until)).map(|action| action.id.clone()).collect();
        let keep = |attributes: &mut Vec<AttributeEntry>| {
            attributes.retain(|attribute| !is_over(attribute.until));
            attributes.iter_mut().for_each(|attribute| attribute.older_values.clear());
        };
        self.actions.retain(|action| !gone.contains(&action.id));
        self.actions.iter_mut().for_each(|action| keep(&mut action.attributes));
        for mixin in &mut self.mixins {
            mixin.actions.retain(|id| !gone.contains(id));
            keep(&mut mixin.attributes);
        }
        for kind in &mut self.kinds {
            let words: Vec<String> =
                kind.attributes.iter().flat_map(|attribute| &attribute.older_values).cloned().collect();
            keep(&mut kind.attributes);
            if let Some(states) = &mut kind.states {
                let ends = kind.actions.iter().filter(|id| gone.contains(id)).map(CategoryId::term);
                let ends: Vec<&str> = ends.collect();
                states.transitions.retain(|edge| !ends.contains(&edge.action.as_str()) && !words.contains(&edge.from));
            }
            kind.actions.retain(|id| !gone.contains(id));
        }
    }
}
