//! Mixins that users define through the query interface.

use crate::category::{Category, Class, Mixin};
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::parse::{CategoryReference, local_path};
use crate::resolve::Refusal;
use crate::well_known::{RESERVED_SCHEMES, template_families};

/// What a definition of a user mixin means.
#[derive(Debug, Clone, PartialEq)]
pub enum UserMixinDefinition {
    /// It is new; [`Model::add_mixin`] will take it.
    New(Mixin),
    /// The very same mixin exists.
    Unchanged(CategoryId),
}

impl Model {
    /// Decides what the definition of a user mixin means. `base_url` is this server's own, for absolute locations.
    ///
    /// A `rel` that is not defined here is left out, attributes and actions are ignored, or in strict mode
    /// refused.
    ///
    /// # Errors
    /// [`Refusal`]: no mixin, no location, a reserved scheme, or a clash with something that is defined.
    pub fn resolve_user_mixin(
        &self,
        request: &CategoryReference,
        base_url: &str,
    ) -> Result<UserMixinDefinition, Refusal> {
        if let Some(class) = request.class.filter(|class| *class != Class::Mixin) {
            return Err(Refusal::NotAMixin(request.id.clone(), class));
        }
        if request.id.scheme().starts_with(RESERVED_SCHEMES) {
            return Err(Refusal::ReservedScheme(request.id.clone()));
        }
        if self.mode() == Mode::Strict && !(request.attributes.is_empty() && request.actions.is_empty()) {
            return Err(Refusal::MoreThanATag(request.id.clone()));
        }
        let location = request.location.as_deref().ok_or_else(|| Refusal::NoLocation(request.id.clone()))?;
        let location = local_path(location, base_url).unwrap_or(location);
        let of_templates = |id: &CategoryId| template_families().any(|family| self.depends_on(id, family));
        if let Some(family) = request.related.iter().find(|id| of_templates(id)) {
            return Err(Refusal::UserTemplate { mixin: request.id.clone(), family: family.clone() });
        }
        let mixin = Mixin {
            title: request.title.clone(),
            depends: known_once(&request.related, |id| self.mixin(id).is_some()),
            applies: known_once(&request.applies, |id| self.kind(id).is_some()),
            ..Mixin::tag(request.id.clone(), location)
        };
        if self.mixin(&mixin.id) == Some(&mixin) {
            return Ok(UserMixinDefinition::Unchanged(mixin.id));
        }
        // Below a kind's location there are entities, whose paths no collection may hide.
        let above = mixin.location.match_indices('/').map(|(at, _)| mixin.location.get(..=at).unwrap_or_default());
        let holder = above.filter_map(|path| self.at_location(path)).find(|holder| matches!(holder, Category::Kind(_)));
        if let Some(holder) = holder {
            let (id, location, holder) = (mixin.id, mixin.location, holder.id().clone());
            return Err(crate::model::ModelError::LocationTaken { id, location, holder }.into());
        }
        self.clone().add_mixin(mixin.clone())?;
        Ok(UserMixinDefinition::New(mixin))
    }
}

fn known_once(ids: &[CategoryId], is_known: impl Fn(&CategoryId) -> bool) -> Vec<CategoryId> {
    let mut known: Vec<CategoryId> = Vec::new();
    for id in ids.iter().filter(|id| is_known(id)) {
        if !known.contains(id) {
            known.push(id.clone());
        }
    }
    known
}
