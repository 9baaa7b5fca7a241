//! What a partial update or a replacement means.

use std::collections::BTreeMap;

use crate::attribute::{AttributeName, Change, Presence};
use crate::category::Class;
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::parse::EntityRequest;
use crate::resolve::attributes::{Definitions, insert, read};
use crate::resolve::{NewLink, Refusal};
use crate::value::Value;
use crate::well_known::{LINK, OS_TPL, template_families};

/// An entity as it is.
#[derive(Debug, Clone, Copy)]
pub struct CurrentEntity<'a> {
    /// Its kind.
    pub kind: &'a CategoryId,
    /// Its mixins.
    pub mixins: &'a [CategoryId],
    /// Its attributes, those that only the server writes included.
    pub attributes: &'a BTreeMap<AttributeName, Value>,
}

/// What is to change about an entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EntityUpdate {
    /// Mixins to put on it.
    pub mixins_added: Vec<CategoryId>,
    /// Mixins to take off: replaced templates and, in a replacement, absent tags.
    pub mixins_removed: Vec<CategoryId>,
    /// Attributes to set; only those that differ.
    pub attributes: BTreeMap<AttributeName, Value>,
    /// Attributes to remove.
    pub attributes_removed: Vec<AttributeName>,
    /// Links to create.
    pub links: Vec<NewLink>,
}

impl Model {
    /// Decides what a partial update means (POST on an entity): it adds, and removes nothing but replaced templates.
    ///
    /// # Errors
    /// [`Refusal`]: see its variants.
    pub fn resolve_update(
        &self,
        request: &EntityRequest,
        current: CurrentEntity<'_>,
        mode: Mode,
    ) -> Result<EntityUpdate, Refusal> {
        if !request.links.is_empty() && self.descends_from(current.kind, &LINK) {
            return Err(Refusal::LinkNotAllowed);
        }
        let mut update = self.changed_mixins(request, current, mode)?;
        self.change_attributes(&mut update, request, current, mode)?;
        update.links = self.new_links(&request.links, mode)?;
        Ok(update)
    }

    /// Decides what a replacement means (PUT on an entity): absent attributes and absent user mixins go, provider
    /// mixins and links stay.
    ///
    /// # Errors
    /// [`Refusal`]: see its variants; any link is refused.
    pub fn resolve_replacement(
        &self,
        request: &EntityRequest,
        current: CurrentEntity<'_>,
        is_user_mixin: impl Fn(&CategoryId) -> bool,
        mode: Mode,
    ) -> Result<EntityUpdate, Refusal> {
        if !request.links.is_empty() {
            return Err(Refusal::LinkNotAllowed);
        }
        let mut update = self.changed_mixins(request, current, mode)?;
        let is_named = |mixin: &CategoryId| request.categories.iter().any(|category| category.id == *mixin);
        let dropped = current.mixins.iter().filter(|mixin| is_user_mixin(mixin) && !is_named(mixin));
        update.mixins_removed.extend(dropped.cloned());
        let definitions = self.change_attributes(&mut update, request, current, mode)?;
        for (name, known) in definitions {
            let is_given = request.attributes.iter().any(|(given, _)| given == name);
            let stays = known.definition.change != Change::Always
                || known.definition.presence == Presence::Required
                || known.governed.is_some();
            if is_given || stays || !current.attributes.contains_key(name) {
                continue;
            }
            match known.default {
                Some((_, default)) if current.attributes.get(name) == Some(default) => {}
                Some((_, default)) => {
                    update.attributes.insert(name.clone(), default.clone());
                }
                None => update.attributes_removed.push(name.clone()),
            }
        }
        Ok(update)
    }

    /// What happens when mixins are put on an entity through their collections (C-213, C-217).
    ///
    /// # Errors
    /// [`Refusal`]: not applicable, or a required attribute has no value.
    pub fn resolve_association(
        &self,
        mixin: &CategoryId,
        current: CurrentEntity<'_>,
        mode: Mode,
    ) -> Result<EntityUpdate, Refusal> {
        let named = crate::parse::CategoryReference::new(mixin.clone(), Some(Class::Mixin));
        let request = EntityRequest { categories: vec![named], ..EntityRequest::default() };
        self.resolve_update(&request, current, mode)
    }

    fn changed_mixins(
        &self,
        request: &EntityRequest,
        current: CurrentEntity<'_>,
        mode: Mode,
    ) -> Result<EntityUpdate, Refusal> {
        let named = self.named_by(&request.categories, mode)?;
        if let Some(requested) = named.kind.filter(|kind| kind != current.kind) {
            return Err(Refusal::KindChange { current: current.kind.clone(), requested });
        }
        self.check_mixins(current.kind, &named.mixins)?;
        let mut update = EntityUpdate::default();
        for mixin in named.mixins.into_iter().filter(|mixin| !current.mixins.contains(mixin)) {
            for family in template_families().filter(|family| self.is_template_of(&mixin, family)) {
                let Some(replaced) = current.mixins.iter().find(|old| self.is_template_of(old, family)) else {
                    continue;
                };
                if *family == OS_TPL {
                    return Err(Refusal::FixedTemplate { current: replaced.clone(), requested: mixin });
                }
                update.mixins_removed.push(replaced.clone());
            }
            update.mixins_added.push(mixin);
        }
        Ok(update)
    }

    /// Fills in which attributes change, and returns all that the entity will have.
    fn change_attributes<'m>(
        &'m self,
        update: &mut EntityUpdate,
        request: &EntityRequest,
        current: CurrentEntity<'_>,
        mode: Mode,
    ) -> Result<Definitions<'m>, Refusal> {
        let kept = current.mixins.iter().filter(|mixin| !update.mixins_removed.contains(mixin));
        let mixins: Vec<CategoryId> = kept.chain(&update.mixins_added).cloned().collect();
        let definitions = self.definitions(current.kind, &mixins);
        let mut governed = None;
        for (name, raw) in &request.attributes {
            let Some((known, value)) = read(current.kind, &definitions, name, raw, mode)? else { continue };
            let is_same = current.attributes.get(name) == Some(&value);
            match (known.governed, known.definition.change) {
                (Some((template, imposed)), _) if *imposed != value => governed = Some((name, template)),
                (Some(_), _) => {}
                (None, _) if is_same => {}
                (None, Change::Always) => insert(&mut update.attributes, name, value)?,
                (None, Change::AtCreation | Change::Never) => return Err(Refusal::ImmutableAttribute(name.clone())),
            }
        }
        let is_new = |owner: &CategoryId| update.mixins_added.iter().any(|added| self.depends_on(added, owner));
        for (name, known) in &definitions {
            let has_value = current.attributes.contains_key(*name) || update.attributes.contains_key(*name);
            match (known.governed, known.default) {
                (Some((template, imposed)), _)
                    if is_new(template) && current.attributes.get(*name) != Some(imposed) =>
                {
                    update.attributes.insert((*name).clone(), imposed.clone());
                }
                (None, Some((giver, default))) if is_new(giver) && !has_value => {
                    update.attributes.insert((*name).clone(), default.clone());
                }
                (None, None)
                    if is_new(known.owner) && !has_value && known.definition.presence == Presence::Required =>
                {
                    let (attribute, category) = ((*name).clone(), known.owner.clone());
                    return Err(Refusal::MissingAttribute { attribute, category });
                }
                _ => {}
            }
        }
        // What only the leaving mixins defined leaves with them (C-214).
        let leaving = self.definitions(current.kind, &update.mixins_removed);
        let gone = leaving.keys().filter(|name| !definitions.contains_key(*name));
        let gone = gone.filter(|name| current.attributes.contains_key(**name));
        update.attributes_removed.extend(gone.map(|name| (*name).clone()));
        match governed {
            Some((attribute, template)) if update.attributes.is_empty() && update.mixins_added.is_empty() => {
                Err(Refusal::GovernedByTemplate { attribute: attribute.clone(), template: template.clone() })
            }
            _ => Ok(definitions),
        }
    }
}
