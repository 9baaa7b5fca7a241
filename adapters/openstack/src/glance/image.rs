use backend::{SiteImage, SiteImageState};
use disk_image::{ContentDigest, ImageFormat};
use serde::Deserialize;

/// An image, as Glance shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    status: String,
    #[serde(default)]
    disk_format: Option<String>,
    #[serde(default)]
    pub(crate) size: Option<u64>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    image_type: Option<String>,
    #[serde(default)]
    tombolo_digest: Option<String>,
    #[serde(default)]
    tombolo_size: Option<String>,
    #[serde(default)]
    os_glance_importing_to_stores: Option<String>,
    #[serde(default)]
    os_glance_failed_import: Option<String>,
}

/// Where an image stands (Image service, "Image Statuses").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Its bytes may come.
    Empty,
    /// Its bytes come, or are worked on.
    Arriving,
    Ready,
    /// Its bytes did not come.
    Failed,
    /// An administrator has taken it out of use.
    Withheld,
    Gone,
}

impl Image {
    pub(crate) fn condition(&self) -> Condition {
        let has = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        match self.status.as_str() {
            "active" => Condition::Ready,
            "queued" if has(&self.os_glance_importing_to_stores) => Condition::Arriving,
            "queued" if has(&self.os_glance_failed_import) => Condition::Failed,
            "queued" => Condition::Empty,
            "saving" | "uploading" | "importing" => Condition::Arriving,
            "deactivated" => Condition::Withheld,
            "deleted" | "pending_delete" => Condition::Gone,
            _ => Condition::Failed,
        }
    }

    /// In which format it lies there; none for those that we do not know.
    pub(crate) fn format(&self) -> Option<ImageFormat> {
        ImageFormat::ALL.into_iter().find(|format| self.disk_format.as_deref() == Some(format.name()))
    }

    /// The digest of what a guest sees, if it is our own copy: anybody can give an image of theirs our property, and
    /// an image that Nova makes of a machine inherits those of the image that it was made from.
    pub(crate) fn digest(&self, project: &str) -> Option<ContentDigest> {
        let is_ours = self.owner.as_deref() == Some(project) && self.image_type.as_deref() != Some("snapshot");
        self.tombolo_digest.as_ref().filter(|_| is_ours)?.parse().ok()
    }

    /// How large the disk is that a guest sees, in bytes.
    pub(crate) fn guest_size(&self) -> Option<u64> {
        self.tombolo_size.as_ref()?.parse().ok()
    }

    /// Among copies of one image the first made is the one that counts.
    pub(crate) fn age(&self) -> (&str, &str) {
        (&self.created_at, &self.id)
    }

    /// What changes while its bytes come.
    pub(crate) fn progress(&self) -> (String, Option<u64>, Option<String>) {
        (self.status.clone(), self.size, self.os_glance_importing_to_stores.clone())
    }

    pub(crate) fn facts(&self, digest: ContentDigest) -> SiteImage {
        let state = match self.condition() {
            Condition::Ready => SiteImageState::Ready,
            Condition::Empty | Condition::Arriving => SiteImageState::Arriving,
            Condition::Failed | Condition::Withheld | Condition::Gone => SiteImageState::Failed,
        };
        SiteImage { digest, id: self.id.clone(), state, format: self.format(), stored_bytes: self.size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text: serde_json::Value) -> Image {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_foreign_image_with_our_property_is_not_ours() {
        let digest = "5a".repeat(32);
        let foreign = image(serde_json::json!({
            "id": "x", "status": "active", "owner": "other", "tombolo_digest": digest, "visibility": "public",
        }));
        assert_eq!(foreign.digest("ours"), None);
        assert_eq!(foreign.digest("other").map(|digest| digest.to_string()).as_ref(), Some(&digest));
        let of_a_machine = image(serde_json::json!({
            "id": "x", "status": "active", "owner": "ours", "tombolo_digest": digest, "image_type": "snapshot",
        }));
        assert_eq!(of_a_machine.digest("ours"), None);
    }

    #[test]
    fn a_failed_import_is_told_from_one_to_come() {
        for (status, importing, failed, condition) in [
            ("queued", "", "", Condition::Empty),
            ("queued", "fs", "", Condition::Arriving),
            ("importing", "fs", "", Condition::Arriving),
            ("queued", "", "fs", Condition::Failed),
            ("active", "", "", Condition::Ready),
            ("killed", "", "", Condition::Failed),
            ("deactivated", "", "", Condition::Withheld),
            ("pending_delete", "", "", Condition::Gone),
        ] {
            let image = image(serde_json::json!({ "id": "x", "status": status,
                "os_glance_importing_to_stores": importing, "os_glance_failed_import": failed }));
            assert_eq!(image.condition(), condition, "{status}");
        }
    }
}
