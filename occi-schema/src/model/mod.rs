//! The set of categories that a server offers.

mod content;
mod error;
mod part;
mod query;

use std::sync::{Arc, LazyLock};

pub use error::ModelError;

use crate::attribute::{AttributeDefinition, AttributeName};
use crate::category::{Action, Category, Class, Kind, Mixin};
use crate::extensions::Extension;
use crate::identifier::CategoryId;
use crate::version::Versions;
use content::Content;

/// Whether deployed clients or the letter of the documents decide where the two disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Section 9.1: what deployed clients need.
    #[default]
    Interop,
    /// The documents.
    Strict,
}

/// The categories that a server offers. Cheap to clone: clones share their content until one of them changes.
#[derive(Debug, Clone)]
pub struct Model {
    content: Arc<Content>,
}

static STANDARD: LazyLock<Model> = LazyLock::new(|| match Model::new(Extension::STANDARD, Mode::Interop) {
    Ok(model) => model,
    #[expect(clippy::panic, reason = "the files are part of this crate, and every test reads them")]
    Err(broken) => panic!("{broken}"),
});

impl Model {
    /// Core, infrastructure, contextualization and the standard sizes, for deployed clients.
    #[must_use]
    pub fn standard() -> Self {
        STANDARD.clone()
    }

    /// A model of these extensions; core is always part of it.
    ///
    /// In strict mode kinds that cannot be instantiated have no location.
    ///
    /// # Errors
    /// An extension refers to a category of another one that is not given.
    pub fn new(extensions: &[Extension], mode: Mode) -> Result<Self, ModelError> {
        Self::of_versions(extensions, mode, Versions::Both)
    }

    /// The same, perhaps without what only OCCI 1.1 has.
    ///
    /// # Errors
    /// As for [`Model::new`].
    pub fn of_versions(extensions: &[Extension], mode: Mode, versions: Versions) -> Result<Self, ModelError> {
        let mut content = Content { mode, ..Content::default() };
        let mut declared = Vec::new();
        let others = extensions.iter().copied().filter(|extension| *extension != Extension::Core);
        for extension in std::iter::once(Extension::Core).chain(others) {
            let broken =
                |error: serde_json::Error| ModelError::BrokenExtension { extension, reason: error.to_string() };
            let mut entries = extension.load().map_err(broken)?;
            if versions == Versions::Only1_2 {
                entries.without_1_1();
            }
            declared.push(entries);
        }
        for entries in &mut declared {
            entries.actions.drain(..).try_for_each(|action| content.add_action(action.into()))?;
        }
        for entries in &mut declared {
            entries.kinds.drain(..).try_for_each(|kind| content.add_kind(kind.into()))?;
        }
        for entry in declared.into_iter().flat_map(|entries| entries.mixins) {
            let mut mixin = Mixin::from(entry);
            let applies_anywhere = mixin.applies.is_empty();
            // A mixin may apply to kinds of extensions that are not offered, but not to those alone.
            mixin.applies.retain(|kind| content.is(kind, Class::Kind));
            if applies_anywhere || !mixin.applies.is_empty() {
                content.add_mixin(mixin)?;
            }
        }
        Ok(Self { content: Arc::new(content) })
    }

    /// Whether deployed clients or the documents decide.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.content.mode
    }

    /// Adds a mixin, such as a template of the catalogue or a user's tag.
    ///
    /// # Errors
    /// The identifier or location is taken or malformed, or the mixin refers to something that is not defined.
    pub fn add_mixin(&mut self, mixin: Mixin) -> Result<(), ModelError> {
        Arc::make_mut(&mut self.content).add_mixin(mixin)
    }

    /// Removes a mixin and returns it.
    ///
    /// # Errors
    /// There is no such mixin, or another one depends on it.
    pub fn remove_mixin(&mut self, id: &CategoryId) -> Result<Mixin, ModelError> {
        Arc::make_mut(&mut self.content).remove_mixin(id)
    }

    /// The kind of that identity.
    #[must_use]
    pub fn kind(&self, id: &CategoryId) -> Option<&Kind> {
        match self.category(id) {
            Some(Category::Kind(kind)) => Some(kind),
            _ => None,
        }
    }

    /// The mixin of that identity.
    #[must_use]
    pub fn mixin(&self, id: &CategoryId) -> Option<&Mixin> {
        match self.category(id) {
            Some(Category::Mixin(mixin)) => Some(mixin),
            _ => None,
        }
    }

    /// The action of that identity.
    #[must_use]
    pub fn action(&self, id: &CategoryId) -> Option<&Action> {
        match self.category(id) {
            Some(Category::Action(action)) => Some(action),
            _ => None,
        }
    }

    /// The category of that identity.
    #[must_use]
    pub fn category(&self, id: &CategoryId) -> Option<Category<'_>> {
        let (class, place) = *self.content.places.get(id)?;
        match class {
            Class::Kind => self.content.kinds.get(place).map(|kind| Category::Kind(kind)),
            Class::Mixin => self.content.mixins.get(place).map(|mixin| Category::Mixin(mixin)),
            Class::Action => self.content.actions.get(place).map(|action| Category::Action(action)),
        }
    }

    /// The kind or mixin whose collection is at that path.
    #[must_use]
    pub fn at_location(&self, path: &str) -> Option<Category<'_>> {
        self.category(self.content.locations.get(path)?)
    }

    /// All kinds, the core's first.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.content.kinds.iter().map(AsRef::as_ref)
    }

    /// All mixins; one that others depend on comes before them.
    pub fn mixins(&self) -> impl Iterator<Item = &Mixin> {
        self.content.mixins.iter().map(AsRef::as_ref)
    }

    /// All actions.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.content.actions.iter().map(AsRef::as_ref)
    }

    /// Everything in the order of the query interface: kinds with the core's first, actions, mixins.
    pub fn categories(&self) -> impl Iterator<Item = Category<'_>> {
        let kinds = self.kinds().map(Category::Kind);
        kinds.chain(self.actions().map(Category::Action)).chain(self.mixins().map(Category::Mixin))
    }

    /// The kind and what it inherits from, itself first.
    pub fn ancestry<'a>(&'a self, id: &CategoryId) -> impl Iterator<Item = &'a Kind> {
        std::iter::successors(self.kind(id), |kind| kind.parent.as_ref().and_then(|parent| self.kind(parent)))
    }

    /// Whether a kind is `ancestor` or inherits from it.
    #[must_use]
    pub fn descends_from(&self, id: &CategoryId, ancestor: &CategoryId) -> bool {
        self.ancestry(id).any(|kind| kind.id == *ancestor)
    }

    /// The attributes of a kind, inherited ones first.
    #[must_use]
    pub fn attributes_of_kind(&self, id: &CategoryId) -> Vec<&AttributeDefinition> {
        let chain: Vec<&Kind> = self.ancestry(id).collect();
        chain.into_iter().rev().flat_map(|kind| &kind.attributes).collect()
    }

    /// The actions of a kind: its own, then inherited ones.
    #[must_use]
    pub fn actions_of_kind(&self, id: &CategoryId) -> Vec<&CategoryId> {
        self.ancestry(id).flat_map(|kind| &kind.actions).collect()
    }

    /// A mixin and all that it depends on, itself first, each once.
    #[must_use]
    pub fn with_dependencies(&self, id: &CategoryId) -> Vec<&Mixin> {
        let mut found: Vec<&Mixin> = self.mixin(id).into_iter().collect();
        let mut next = 0;
        while let Some(mixin) = found.get(next).copied() {
            for dependency in mixin.depends.iter().filter_map(|id| self.mixin(id)) {
                if !found.iter().any(|known| known.id == dependency.id) {
                    found.push(dependency);
                }
            }
            next += 1;
        }
        found
    }

    /// Whether a mixin is `base` or depends on it, over any number of steps.
    #[must_use]
    pub fn depends_on(&self, id: &CategoryId, base: &CategoryId) -> bool {
        let Some(mixin) = self.mixin(id).filter(|mixin| !mixin.depends.is_empty() && id != base) else {
            return id == base;
        };
        mixin.depends.contains(base) || self.with_dependencies(id).iter().any(|mixin| mixin.id == *base)
    }

    /// The templates of a family, such as `well_known::OS_TPL`; not the family itself.
    pub fn templates_of<'a>(&'a self, base: &'a CategoryId) -> impl Iterator<Item = &'a Mixin> {
        self.mixins().filter(move |mixin| mixin.id != *base && self.depends_on(&mixin.id, base))
    }

    /// Whether a mixin may be put on entities of a kind, by its own and its dependencies' `applies`.
    #[must_use]
    pub fn is_applicable(&self, mixin: &CategoryId, kind: &CategoryId) -> bool {
        self.all_apply(&self.with_dependencies(mixin), kind)
    }

    /// The same for a mixin whose dependencies are known.
    pub(crate) fn all_apply(&self, chain: &[&Mixin], kind: &CategoryId) -> bool {
        let applies_to = |allowed: &CategoryId| allowed == kind || self.descends_from(kind, allowed);
        chain.iter().all(|mixin| mixin.applies.is_empty() || mixin.applies.iter().any(applies_to))
    }

    /// The actions that an entity offers in a state, in the order of their declaration.
    ///
    /// An action of the kind is offered where its state machine has an edge for it; actions of mixins always are.
    #[must_use]
    pub fn applicable_actions(&self, kind: &CategoryId, mixins: &[CategoryId], state: &str) -> Vec<CategoryId> {
        let own = self.ancestry(kind).flat_map(|kind| {
            let offered = |id: &&CategoryId| {
                kind.states.as_ref().is_none_or(|states| states.transition(state, id.term()).is_some())
            };
            kind.actions.iter().filter(offered)
        });
        let added = mixins.iter().flat_map(|id| self.with_dependencies(id)).flat_map(|mixin| &mixin.actions);
        let mut offered: Vec<CategoryId> = Vec::new();
        for id in own.chain(added) {
            if !offered.contains(id) {
                offered.push(id.clone());
            }
        }
        offered
    }

    /// The definition of an attribute by its name, wherever it is defined; kinds come first.
    #[must_use]
    pub fn attribute(&self, name: &AttributeName) -> Option<&AttributeDefinition> {
        let of_kinds = self.kinds().flat_map(|kind| &kind.attributes);
        of_kinds.chain(self.mixins().flat_map(|mixin| &mixin.attributes)).find(|definition| definition.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::content::is_location;
    use super::*;
    use crate::well_known::*;

    fn id(text: &str) -> CategoryId {
        text.parse().unwrap()
    }

    #[test]
    fn c_003_core_comes_first_and_everything_descends_from_entity() {
        let model = Model::standard();
        let first: Vec<String> = model.kinds().take(3).map(|kind| kind.id.to_string()).collect();
        assert_eq!(first, ["entity", "resource", "link"].map(|term| format!("{CORE}{term}")));
        assert!(model.kinds().all(|kind| model.descends_from(&kind.id, &ENTITY)));
    }

    #[test]
    fn c_005_c_225_locations_are_unique_and_end_in_a_slash() {
        let model = Model::new(Extension::ALL, Mode::Interop).unwrap();
        assert_eq!(model.at_location("/compute/").map(|category| category.id()), Some(&COMPUTE));
        assert!(model.at_location("/compute").is_none());
        for kind in model.kinds() {
            assert!(kind.location.as_deref().is_some_and(is_location), "{}", kind.id);
        }
    }

    #[test]
    fn c_006_in_strict_mode_abstract_kinds_have_no_location() {
        let model = Model::new(Extension::STANDARD, Mode::Strict).unwrap();
        assert_eq!(model.kind(&ENTITY).and_then(|kind| kind.location.clone()), None);
        assert!(model.kind(&COMPUTE).is_some_and(|kind| kind.location.is_some()));
    }

    #[test]
    fn c_011_attributes_are_inherited_core_first() {
        let model = Model::standard();
        let names: Vec<&str> = model.attributes_of_kind(&COMPUTE).iter().map(|each| each.name.as_str()).collect();
        assert_eq!(names[..4], ["occi.core.id", "occi.core.title", "occi.core.summary", "occi.compute.architecture"]);
    }

    #[test]
    fn mixins_come_and_go_without_touching_clones() {
        let mut model = Model::standard();
        let before = model.clone();
        let debian = id("http://example.com/occi/os_tpl#debian12");
        let template = Mixin::template(debian.clone(), "Debian 12", OS_TPL.clone(), COMPUTE.clone(), "/os/debian12/");
        model.add_mixin(template.clone()).unwrap();
        assert_eq!(model.templates_of(&OS_TPL).count(), 1);
        assert!(before.mixin(&debian).is_none());
        assert_eq!(model.add_mixin(template.clone()), Err(ModelError::IdentifierTaken(debian.clone())));
        assert!(matches!(model.remove_mixin(&OS_TPL), Err(ModelError::StillNeeded { .. })));
        let small = model.remove_mixin(&SMALL).unwrap();
        assert_eq!(model.mixin(&debian), Some(&template));
        assert_eq!(model.remove_mixin(&debian), Ok(template));
        assert!(model.at_location("/os/debian12/").is_none());
        assert_eq!(small.depends, std::slice::from_ref(&RESOURCE_TPL));
    }

    #[test]
    fn a_31_mixins_cannot_take_over_places_or_form_cycles() {
        let mut model = Model::standard();
        let tag = |location: &str| Mixin::tag(id("http://example.com/x#t"), location);
        for bad in ["", "/", "//", "/-/", "/-/x/", "/a//b/", "/../", "/a", "a/", "/a b/", "/a?b/", "/.well-known/x/"] {
            assert!(matches!(model.add_mixin(tag(bad)), Err(ModelError::BadLocation { .. })), "{bad}");
        }
        assert!(matches!(model.add_mixin(tag("/compute/")), Err(ModelError::LocationTaken { .. })));
        let mut itself = tag("/t/");
        itself.depends.push(itself.id.clone());
        assert!(matches!(model.add_mixin(itself), Err(ModelError::Dangling { .. })));
    }

    #[test]
    fn applicability_includes_dependencies_and_inheritance() {
        let model = Model::new(Extension::ALL, Mode::Interop).unwrap();
        assert!(model.is_applicable(&SMALL, &COMPUTE));
        assert!(!model.is_applicable(&SMALL, &STORAGE));
        assert!(!model.is_applicable(&SSH_KEY, &STORAGE));
        assert!(model.is_applicable(&IP_NETWORK, &IP_RESERVATION));
    }

    #[test]
    fn c_134_c_135_actions_follow_the_state() {
        let model = Model::standard();
        let terms = |state: &str| -> Vec<String> {
            model.applicable_actions(&COMPUTE, &[], state).iter().map(|id| id.term().to_owned()).collect()
        };
        assert_eq!(terms("inactive"), ["start"]);
        assert_eq!(terms("active"), ["stop", "restart", "suspend", "save"]);
        assert_eq!(terms("suspended"), ["start"]);
        assert!(terms("error").is_empty());
    }

    #[test]
    fn c_009_every_action_is_declared_and_offered_by_someone() {
        let model = Model::standard();
        for kind in model.kinds() {
            assert!(kind.actions.iter().all(|action| model.action(action).is_some()), "{}", kind.id);
            if let Some(states) = &kind.states {
                assert!(model.attributes_of_kind(&kind.id).iter().any(|each| each.name == states.attribute));
            }
        }
    }
}
