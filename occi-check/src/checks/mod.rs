//! All checks, one or a few files for each section of the list.

mod action;
mod agreement;
mod collection;
mod collection_action;
mod creation;
mod creation_forms;
mod creation_values;
mod deletion;
mod headers;
mod infrastructure;
mod json;
mod link;
mod mixin;
mod negotiation;
mod path;
mod platform;
mod profile;
mod put;
mod query_filter;
mod query_interface;
mod reading;
mod replacement;
mod robustness;
mod status;
mod text;
mod update;
mod user_mixin;

use crate::check::Section;

/// All sections in the order of the list.
#[must_use]
pub fn sections() -> &'static [Section] {
    SECTIONS
}

const SECTIONS: &[Section] = &[
    Section {
        letter: 'A',
        title: "Discovery: the query interface",
        parts: &[query_interface::CHECKS, query_filter::CHECKS, user_mixin::CHECKS],
    },
    Section {
        letter: 'B',
        title: "Headers, version, negotiation, status",
        parts: &[headers::CHECKS, negotiation::CHECKS, status::CHECKS],
    },
    Section {
        letter: 'C',
        title: "Creating resources",
        parts: &[creation::CHECKS, creation_values::CHECKS, creation_forms::CHECKS],
    },
    Section { letter: 'D', title: "Creating at a path of the client's choice", parts: &[put::CHECKS] },
    Section { letter: 'E', title: "Reading entities", parts: &[reading::CHECKS] },
    Section { letter: 'F', title: "Updating entities", parts: &[update::CHECKS, replacement::CHECKS] },
    Section { letter: 'G', title: "Deleting entities", parts: &[deletion::CHECKS] },
    Section { letter: 'H', title: "Collections of kinds", parts: &[collection::CHECKS, collection_action::CHECKS] },
    Section { letter: 'I', title: "Collections of mixins, and tags", parts: &[mixin::CHECKS] },
    Section { letter: 'J', title: "Paths", parts: &[path::CHECKS] },
    Section { letter: 'K', title: "Actions", parts: &[action::CHECKS] },
    Section { letter: 'L', title: "Links", parts: &[link::CHECKS] },
    Section { letter: 'M', title: "The text renderings", parts: &[text::CHECKS] },
    Section { letter: 'N', title: "The JSON rendering", parts: &[json::CHECKS] },
    Section { letter: 'O', title: "The infrastructure", parts: &[infrastructure::CHECKS] },
    Section {
        letter: 'P',
        title: "Profile, platform, service levels",
        parts: &[profile::CHECKS, platform::CHECKS, agreement::CHECKS],
    },
    Section { letter: 'Q', title: "Robustness", parts: &[robustness::CHECKS] },
];

#[cfg(test)]
mod tests {
    use super::sections;

    #[test]
    fn numbers_rise_and_words_are_complete() {
        let mut last = 0;
        for check in sections().iter().flat_map(super::Section::checks) {
            assert!(check.number > last, "C-{:03} comes after C-{last:03}", check.number);
            assert!(check.rule.len() > 10 && check.source.len() > 3, "C-{:03} says too little", check.number);
            last = check.number;
        }
        assert!(last <= 323);
    }
}
