//! Parts of a model: what some server offers of it, what some client can read of it.

use std::sync::Arc;

use crate::attribute::{AttributeDefinition, AttributeName};
use crate::category::{Kind, Mixin};
use crate::identifier::CategoryId;
use crate::model::Model;
use crate::model::content::Content;
use crate::version::OcciVersion;
use crate::well_known::CORE;

impl Model {
    /// The part of the model for a server that offers only these kinds: they and what they descend from, the mixins
    /// that can be put on them, and the actions of both.
    #[must_use]
    pub fn serving(&self, offered: &[CategoryId]) -> Self {
        let is_core = |kind: &Kind| kind.id.scheme() == CORE;
        self.part(
            |kind| is_core(kind) || offered.iter().any(|id| self.descends_from(id, &kind.id)),
            |mixin| offered.iter().any(|kind| self.is_applicable(&mixin.id, kind)),
        )
    }

    /// The part of the model that a client of that version can read, by its `User-Agent`.
    ///
    /// Clients of OCCI 1.1, and those that name no version, may not get past an attribute with a capital in its name
    /// the categories that have one are hidden from them, with what descends from or depends on these.
    #[must_use]
    pub fn for_version(&self, client: Option<OcciVersion>) -> Self {
        if client >= Some(OcciVersion::V1_2) {
            return self.clone();
        }
        let is_readable = |attributes: &[AttributeDefinition]| attributes.iter().all(|each| is_lower_case(&each.name));
        let shows_kind = |kind: &CategoryId| self.ancestry(kind).all(|kind| is_readable(&kind.attributes));
        let shows_any = |kinds: &[CategoryId]| kinds.is_empty() || kinds.iter().any(shows_kind);
        let shows_mixin = |mixin: &Mixin| {
            let chain = self.with_dependencies(&mixin.id);
            chain.iter().all(|mixin| is_readable(&mixin.attributes) && shows_any(&mixin.applies))
        };
        if self.kinds().all(|kind| shows_kind(&kind.id)) && self.mixins().all(shows_mixin) {
            return self.clone();
        }
        self.part(
            |kind| shows_kind(&kind.id) && [&kind.sources, &kind.targets].into_iter().all(|ends| shows_any(ends)),
            shows_mixin,
        )
    }

    /// Some kinds and mixins, and the actions of both. What is kept refers to nothing else that is not.
    fn part(&self, keeps_kind: impl Fn(&Kind) -> bool, keeps_mixin: impl Fn(&Mixin) -> bool) -> Self {
        let kinds: Vec<_> = self.content.kinds.iter().filter(|kind| keeps_kind(kind)).cloned().collect();
        let is_kept = |id: &CategoryId| kinds.iter().any(|kind| kind.id == *id);
        let mixins = self.content.mixins.iter().filter(|mixin| keeps_mixin(mixin)).cloned().map(|mut mixin| {
            if !mixin.applies.iter().all(is_kept) {
                Arc::make_mut(&mut mixin).applies.retain(is_kept);
            }
            mixin
        });
        let mixins: Vec<_> = mixins.collect();
        let is_used = |id: &CategoryId| {
            kinds.iter().any(|kind| kind.actions.contains(id)) || mixins.iter().any(|mixin| mixin.actions.contains(id))
        };
        let actions: Vec<_> = self.content.actions.iter().filter(|action| is_used(&action.id)).cloned().collect();
        let mut content = Content { mode: self.content.mode, kinds, mixins, actions, ..Content::default() };
        content.index();
        Self { content: Arc::new(content) }
    }
}

fn is_lower_case(name: &AttributeName) -> bool {
    !name.as_str().bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::Extension;
    use crate::model::Mode;
    use crate::version::Versions;
    use crate::well_known::{COMPUTE, RESIZE, SMALL, STORAGE, attribute};

    fn id(text: &str) -> CategoryId {
        text.parse().unwrap()
    }

    #[test]
    fn a_31_older_clients_do_not_see_names_with_capitals() {
        let model = Model::new(Extension::ALL, Mode::Interop).unwrap();
        for client in [None, Some(OcciVersion::V1_1)] {
            let seen = model.for_version(client);
            for hidden in ["agreement", "agreement_link", "agreement_tpl", "accept"] {
                assert!(seen.category(&id(&format!("http://schemas.ogf.org/occi/sla#{hidden}"))).is_none(), "{hidden}");
            }
            assert!(seen.kind(&COMPUTE).is_some() && seen.mixin(&SMALL).is_some());
            let names = seen.kinds().flat_map(|kind| &kind.attributes);
            assert!(
                names.chain(seen.mixins().flat_map(|mixin| &mixin.attributes)).all(|each| is_lower_case(&each.name))
            );
        }
        assert_eq!(model.for_version(Some(OcciVersion::V1_2)).categories().count(), model.categories().count());
        let standard = Model::standard();
        assert_eq!(standard.for_version(None).categories().count(), standard.categories().count());
    }

    #[test]
    fn a_26_a_server_may_be_1_2_only() {
        let model = Model::of_versions(Extension::STANDARD, Mode::Interop, Versions::Only1_2).unwrap();
        assert!(model.attribute(&attribute::SPEED).is_none() && model.attribute(&attribute::SHARE).is_some());
        assert!(model.action(&RESIZE).is_none());
        let storage = model.kind(&STORAGE).unwrap();
        let actions: Vec<&str> = storage.actions.iter().map(CategoryId::term).collect();
        assert_eq!(actions, ["online", "offline"]);
        assert_eq!(storage.states.as_ref().unwrap().transitions.len(), 2);
        let states = model.attribute(&attribute::STORAGE_STATE).unwrap();
        assert_eq!(states.value_type, crate::ValueType::Enum(["online", "offline", "error"].map(str::to_owned).into()));
    }
}
