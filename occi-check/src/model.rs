//! What the server offers, as its query interface said at the start.

use crate::answer::{Answer, Category, split_commas};
use crate::check::Stop;

/// The categories of the query interface.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) categories: Vec<Category>,
}

impl Model {
    /// Reads what can be read: one faulty line must not make all other checks impossible, and the checks of the
    /// query interface find it.
    pub(crate) fn of(answer: &Answer) -> Self {
        let text = answer.text().unwrap_or_default();
        let values = text.lines().filter_map(|line| line.strip_prefix("Category:"));
        let values = values.flat_map(|values| split_commas(values).unwrap_or_default());
        Self { categories: values.filter_map(|value| Category::parse(&value).ok()).collect() }
    }

    pub(crate) fn find(&self, identifier: &str) -> Option<&Category> {
        self.categories.iter().find(|category| category.identifier() == identifier)
    }

    /// Like `find`, but what is not offered is a reason to skip.
    pub(crate) fn require(&self, identifier: &str) -> Result<&Category, Stop> {
        match self.find(identifier) {
            Some(category) => Ok(category),
            None => skip!("the server offers no {identifier}"),
        }
    }

    /// The path of a kind's or mixin's collection.
    pub(crate) fn location(&self, identifier: &str) -> Result<&str, Stop> {
        match &self.require(identifier)?.location {
            Some(location) => Ok(location),
            None => fail!("{identifier} has no location in the query interface"),
        }
    }

    /// The provider's templates of a family such as `os_tpl`.
    pub(crate) fn templates(&self, base: &str) -> Vec<&Category> {
        let is_of = |category: &&Category| category.class == "mixin" && category.rel.as_deref() == Some(base);
        self.categories.iter().filter(is_of).collect()
    }
}
