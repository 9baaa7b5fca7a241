//! Tags: by what we find again what we have made, in titles and summaries of entities.

use backend::IntentTag;

const MARK: &str = "tombolo:";
/// A tag behind its mark: a hyphenated UUID.
const TAG_LENGTH: usize = 36;
/// What stands around a tag behind a title.
const BRACKETS: (&str, &str) = (" [", "]");

/// The tag as the whole of a summary, or of a link's title.
pub(crate) fn alone(tag: IntentTag) -> String {
    format!("{MARK}{tag}")
}

/// The tag behind a title.
pub(crate) fn behind(title: &str, tag: IntentTag) -> String {
    let (open, close) = BRACKETS;
    format!("{title}{open}{}{close}", alone(tag))
}

/// The tag that is the whole text.
pub(crate) fn of_alone(text: &str) -> Option<IntentTag> {
    let tag = text.trim().strip_prefix(MARK)?;
    // Other spellings of a UUID would be other texts for a filter.
    (tag.len() == TAG_LENGTH).then(|| tag.parse().ok()).flatten()
}

/// A title, and the tag behind it.
pub(crate) fn of_behind(text: &str) -> Option<(&str, IntentTag)> {
    let (open, close) = BRACKETS;
    let (title, tag) = text.trim_end().strip_suffix(close)?.rsplit_once(open)?;
    Some((title, of_alone(tag)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_where_it_was_put() {
        let tag: IntentTag = "019e0000-0000-7000-8000-000000000001".parse().unwrap();
        assert_eq!(of_alone(&alone(tag)), Some(tag));
        for title in ["desk 1", "", "a [b] c", "x [tombolo:no]"] {
            assert_eq!(of_behind(&behind(title, tag)), Some((title, tag)), "{title}");
        }
    }

    #[test]
    fn what_is_no_tag_of_ours_is_none() {
        for text in ["", "tombolo:", "tombolo:019e", "019e0000-0000-7000-8000-000000000001", "desk [1]", "[tombolo:x]"]
        {
            assert_eq!(of_alone(text), None, "{text}");
            assert_eq!(of_behind(text), None, "{text}");
        }
        // Without hyphens it is no tag of ours, and no filter would find it.
        assert_eq!(of_alone("tombolo:019e0000000070008000000000000001"), None);
    }
}
