//! What a filter of the query interface selects.

use crate::category::{Category, Kind};
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::version::OcciVersion;

impl Model {
    /// The categories that the query interface answers with: all where none is `wanted`, otherwise exactly the wanted
    /// ones (GFD.185 section 3.4.1). In strict mode clients of OCCI 1.2 get what is related to these instead (GFD.223
    /// section 7.1).
    pub fn queried<'a>(
        &'a self,
        wanted: &[CategoryId],
        client: Option<OcciVersion>,
    ) -> impl Iterator<Item = Category<'a>> + use<'a> {
        let wants_related = self.mode() == Mode::Strict && client >= Some(OcciVersion::V1_2);
        let shows_all = wanted.is_empty();
        let mut shown = wanted.to_vec();
        if wants_related {
            shown.extend(wanted.iter().flat_map(|id| self.related(id)).map(|category| category.id().clone()));
        }
        self.categories().filter(move |category| shows_all || shown.contains(category.id()))
    }

    /// A category and what is related to it, in the order of the query interface (C-022).
    ///
    /// For a kind these are its actions and the mixins that can be put on it. For a mixin they are its actions, the
    /// kinds that it names and the mixins that build on it, which for a family are its templates. For an action they
    /// are the kinds and mixins that offer it. Nothing is related to what is not defined.
    #[must_use]
    pub fn related(&self, id: &CategoryId) -> Vec<Category<'_>> {
        let Some(wanted) = self.category(id) else { return Vec::new() };
        let actions_of_kind = match wanted {
            Category::Kind(_) => self.actions_of_kind(id),
            _ => Vec::new(),
        };
        let is_related = |other: &Category<'_>| match (wanted, other) {
            _ if other.id() == id => true,
            (Category::Kind(_), Category::Mixin(mixin)) => self.is_applicable(&mixin.id, id),
            (Category::Kind(_), Category::Action(action)) => actions_of_kind.contains(&&action.id),
            (Category::Mixin(mixin), Category::Kind(kind)) => mixin.applies.contains(&kind.id),
            (Category::Mixin(_), Category::Mixin(other)) => self.depends_on(&other.id, id),
            (Category::Mixin(mixin), Category::Action(action)) => mixin.actions.contains(&action.id),
            (Category::Action(action), Category::Kind(Kind { actions, .. })) => actions.contains(&action.id),
            (Category::Action(action), Category::Mixin(mixin)) => mixin.actions.contains(&action.id),
            (Category::Kind(_), Category::Kind(_)) | (Category::Action(_), Category::Action(_)) => false,
        };
        self.categories().filter(is_related).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::Extension;
    use crate::well_known::{COMPUTE, IP_NETWORK, NETWORK, RESOURCE_TPL, SMALL, START, STORAGE};

    fn contains(categories: &[Category<'_>], id: &CategoryId) -> bool {
        categories.iter().any(|category| category.id() == id)
    }

    #[test]
    fn c_022_related_are_a_kinds_actions_and_mixins() {
        let model = Model::standard();
        let of_compute = model.related(&COMPUTE);
        for id in [&COMPUTE, &START, &SMALL, &RESOURCE_TPL] {
            assert!(contains(&of_compute, id), "{id}");
        }
        for id in [&NETWORK, &STORAGE, &IP_NETWORK] {
            assert!(!contains(&of_compute, id), "{id}");
        }
        let of_family = model.related(&RESOURCE_TPL);
        assert!(contains(&of_family, &SMALL) && contains(&of_family, &COMPUTE) && !contains(&of_family, &START));
        assert!(contains(&model.related(&START), &COMPUTE));
        assert!(model.related(&"http://example.com/x#none".parse().unwrap()).is_empty());
    }

    #[test]
    fn c_020_c_021_filters_are_exact_unless_a_strict_server_talks_to_a_1_2_client() {
        let wanted = [COMPUTE.clone(), NETWORK.clone()];
        let ids = |model: &Model, client| -> Vec<CategoryId> {
            model.queried(&wanted, client).map(|category| category.id().clone()).collect()
        };
        let interop = Model::standard();
        let strict = Model::new(Extension::STANDARD, Mode::Strict).unwrap();
        for client in [None, Some(OcciVersion::V1_1), Some(OcciVersion::V1_2)] {
            assert_eq!(ids(&interop, client), wanted);
        }
        assert_eq!(ids(&strict, Some(OcciVersion::V1_1)), wanted);
        assert!(ids(&strict, Some(OcciVersion::V1_2)).contains(&IP_NETWORK));
        assert_eq!(interop.queried(&[], None).count(), interop.categories().count());
    }
}
