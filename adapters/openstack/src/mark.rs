//! How our objects are told from everybody else's: each carries the tag of the intent that made it.

use backend::IntentTag;

/// The key of a machine's or volume's metadata that holds the tag.
pub(crate) const TAG_KEY: &str = "tombolo_tag";

/// The key of a volume's metadata that names the attachment.
pub(crate) const ATTACHMENT_KEY: &str = "tombolo_attachment";

/// The property and key for the least size of a root disk, in bytes.
pub(crate) const SIZE_KEY: &str = "tombolo_size";

/// The property of an image that holds the digest of what a guest sees of it.
pub(crate) const DIGEST_KEY: &str = "tombolo_digest";

/// The server tag of every machine of ours.
pub(crate) const OURS: &str = "tombolo";

/// The server tag of the machine that this intent made.
pub(crate) fn server_tag(tag: IntentTag) -> String {
    format!("{OURS}-{tag}")
}

/// What an object of Neutron is described as. Descriptions can be given at the create, and listed by, on every
/// Neutron; its tags cannot be given at the create everywhere.
pub(crate) fn description(tag: IntentTag) -> String {
    format!("{OURS} {tag}")
}

/// The tag in such a description.
pub(crate) fn described(description: &str) -> Option<IntentTag> {
    description.strip_prefix(OURS)?.strip_prefix(' ')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_back_and_others_are_not_ours() {
        let tag: IntentTag = "0193c2b0-0000-7000-8000-000000000001".parse().unwrap();
        assert_eq!(described(&description(tag)), Some(tag));
        for text in
            ["", "tombolo", "tombolo ", "tombolo x", "my tombolo", "tombolo0193c2b0-0000-7000-8000-000000000001"]
        {
            assert_eq!(described(text), None, "{text}");
        }
    }
}
