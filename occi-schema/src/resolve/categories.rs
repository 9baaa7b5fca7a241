//! Which kind and which mixins a request names.

use crate::category::{Category, Class, Mixin};
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::parse::CategoryReference;
use crate::resolve::Refusal;
use crate::well_known::template_families;

/// Kind and mixins of a request, each once, in the client's order.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub kind: Option<CategoryId>,
    pub mixins: Vec<CategoryId>,
}

impl Model {
    /// Looks a reference up and checks its class.
    pub(super) fn named(&self, reference: &CategoryReference) -> Result<Category<'_>, Refusal> {
        let category = self.category(&reference.id).ok_or_else(|| Refusal::UnknownCategory(reference.id.clone()))?;
        match reference.class {
            Some(said) if said != category.class() => {
                Err(Refusal::WrongClass { id: reference.id.clone(), said, actual: category.class() })
            }
            _ => Ok(category),
        }
    }

    /// The same, where the documents want the class to be said.
    pub(super) fn named_in(&self, reference: &CategoryReference, mode: Mode) -> Result<Category<'_>, Refusal> {
        if mode == Mode::Strict && reference.class.is_none() {
            return Err(Refusal::NoClass(reference.id.clone()));
        }
        self.named(reference)
    }

    pub(super) fn named_by(&self, references: &[CategoryReference], mode: Mode) -> Result<Named, Refusal> {
        let mut named = Named::default();
        for reference in references {
            let category = self.named_in(reference, mode)?;
            match (category.class(), &named.kind) {
                (Class::Action, _) => return Err(Refusal::ActionAsCategory(reference.id.clone())),
                (Class::Kind, Some(first)) if *first != reference.id => {
                    return Err(Refusal::TwoKinds(first.clone(), reference.id.clone()));
                }
                (Class::Kind, _) => named.kind = Some(reference.id.clone()),
                (Class::Mixin, _) if !named.mixins.contains(&reference.id) => named.mixins.push(reference.id.clone()),
                (Class::Mixin, _) => {}
            }
        }
        Ok(named)
    }

    /// Refuses mixins that do not apply to the kind, and two templates of a family.
    pub(super) fn check_mixins(&self, kind: &CategoryId, mixins: &[CategoryId]) -> Result<(), Refusal> {
        let chains: Vec<(&CategoryId, Vec<&Mixin>)> =
            mixins.iter().map(|mixin| (mixin, self.with_dependencies(mixin))).collect();
        if let Some((mixin, _)) = chains.iter().find(|(_, chain)| !self.all_apply(chain, kind)) {
            return Err(Refusal::MixinNotApplicable { mixin: (*mixin).clone(), kind: kind.clone() });
        }
        for family in template_families() {
            let is_template = |chain: &[&Mixin]| chain.iter().skip(1).any(|mixin| mixin.id == *family);
            let mut templates = chains.iter().filter(|(_, chain)| is_template(chain)).map(|(mixin, _)| *mixin);
            if let (Some(first), Some(second)) = (templates.next(), templates.next()) {
                let (first, second) = (first.clone(), second.clone());
                return Err(Refusal::TwoTemplates { family: family.clone(), first, second });
            }
        }
        Ok(())
    }

    /// Whether a mixin is a template of a family; the family itself is none.
    pub(super) fn is_template_of(&self, mixin: &CategoryId, family: &CategoryId) -> bool {
        mixin != family && self.depends_on(mixin, family)
    }
}
