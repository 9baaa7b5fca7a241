//! What the invocation of an action means.

use std::collections::BTreeMap;

use crate::attribute::{AttributeName, Presence};
use crate::category::Category;
use crate::identifier::CategoryId;
use crate::model::Model;
use crate::parse::ActionRequest;
use crate::resolve::Refusal;
use crate::resolve::attributes::insert;
use crate::value::Value;

/// An action that is to be invoked.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedAction {
    /// The action.
    pub id: CategoryId,
    /// Its parameters. They never touch attributes of the entity, whatever their names.
    pub parameters: BTreeMap<AttributeName, Value>,
}

impl Model {
    /// Decides what an invocation on an entity of that kind and with these mixins means.
    ///
    /// `query_term` is the value of `?action=`. Whether the action is applicable in the entity's state is another
    /// question: see [`Model::applicable_actions`].
    ///
    /// # Errors
    /// [`Refusal`]: URL and body disagree, the entity has no such action, or a parameter is unknown or bad.
    pub fn resolve_action(
        &self,
        request: &ActionRequest,
        query_term: &str,
        kind: &CategoryId,
        mixins: &[CategoryId],
    ) -> Result<ResolvedAction, Refusal> {
        let id = &request.action.id;
        let Category::Action(action) = self.named_in(&request.action, self.mode())? else {
            return Err(Refusal::NotAnAction(id.clone()));
        };
        if id.term() != query_term {
            let query = crate::identifier::excerpt(query_term);
            return Err(Refusal::ActionMismatch { query, body: id.clone() });
        }
        let of_mixins = mixins.iter().flat_map(|id| self.with_dependencies(id)).flat_map(|mixin| &mixin.actions);
        if !self.actions_of_kind(kind).into_iter().chain(of_mixins).any(|offered| offered == id) {
            return Err(Refusal::ActionNotOffered { action: id.clone(), kind: kind.clone() });
        }
        let mut parameters = BTreeMap::new();
        for (name, raw) in &request.attributes {
            let definition = action.attributes.iter().find(|definition| definition.name == *name);
            let definition =
                definition.ok_or_else(|| Refusal::UnknownAttribute { attribute: name.clone(), owner: id.clone() })?;
            insert(&mut parameters, name, definition.coerce(raw, self.mode())?)?;
        }
        for definition in &action.attributes {
            let is_given = parameters.contains_key(&definition.name);
            match (&definition.default, definition.presence) {
                (Some(default), _) if !is_given => {
                    parameters.insert(definition.name.clone(), default.clone());
                }
                (None, Presence::Required) if !is_given => {
                    let (attribute, category) = (definition.name.clone(), id.clone());
                    return Err(Refusal::MissingAttribute { attribute, category });
                }
                _ => {}
            }
        }
        Ok(ResolvedAction { id: id.clone(), parameters })
    }
}
