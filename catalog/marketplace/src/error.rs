use thiserror::Error;

/// Why an entry cannot stand in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MarketplaceError {
    /// One field is not as it must be.
    #[error("{field} {problem}")]
    Invalid {
        /// The field, in the words of the entry's author: `an appliance's title`.
        field: &'static str,
        /// What must hold, and what was found instead.
        problem: String,
    },
}

impl MarketplaceError {
    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}
