use disk_image::ContentDigest;
use serde::{Deserialize, Serialize};

use crate::{MarketplaceError, Requirements, VersionLabel, requirements::MOST_DISK_BYTES};

const SECTOR: u64 = 512;

/// When a version was published: microseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicationTime(pub i64);

/// One release of an appliance. It never changes, but may be withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "VersionDraft", into = "VersionDraft")]
pub struct ApplianceVersion {
    label: VersionLabel,
    image: ContentDigest,
    image_bytes: u64,
    requirements: Requirements,
    published_at: PublicationTime,
    withdrawn: bool,
}

/// A release as its author wrote it, or as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionDraft {
    /// See [`VersionLabel`].
    pub label: String,
    /// The disk that a machine begins with.
    pub image: ContentDigest,
    /// The image's guest-visible size, in bytes: a multiple of 512, at most 64 TiB.
    pub image_bytes: u64,
    /// The least that a machine must have.
    pub requirements: Requirements,
    /// Since when it is offered.
    pub published_at: PublicationTime,
    /// Not offered any more; machines that were made from it stay.
    #[serde(default)]
    pub withdrawn: bool,
}

impl ApplianceVersion {
    /// What the publisher calls it.
    #[must_use]
    pub fn label(&self) -> &VersionLabel {
        &self.label
    }

    /// The disk that a machine begins with.
    #[must_use]
    pub fn image(&self) -> ContentDigest {
        self.image
    }

    /// The image's guest-visible size, in bytes.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// The least that a machine must have.
    #[must_use]
    pub fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// Since when it is offered.
    #[must_use]
    pub fn published_at(&self) -> PublicationTime {
        self.published_at
    }

    /// Whether it is not offered any more.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn
    }
}

impl TryFrom<VersionDraft> for ApplianceVersion {
    type Error = MarketplaceError;

    fn try_from(draft: VersionDraft) -> Result<Self, MarketplaceError> {
        let VersionDraft { label, image, image_bytes, requirements, published_at, withdrawn } = draft;
        let label = label.try_into()?;
        if image_bytes == 0 || !image_bytes.is_multiple_of(SECTOR) || image_bytes > MOST_DISK_BYTES {
            let problem = format!("must be a multiple of 512 from 512 to {MOST_DISK_BYTES} bytes, not {image_bytes}");
            return Err(MarketplaceError::invalid("the size of a version's image", problem));
        }
        requirements.check(image_bytes)?;
        Ok(Self { label, image, image_bytes, requirements, published_at, withdrawn })
    }
}

impl From<ApplianceVersion> for VersionDraft {
    fn from(version: ApplianceVersion) -> Self {
        let ApplianceVersion { label, image, image_bytes, requirements, published_at, withdrawn } = version;
        Self { label: label.into(), image, image_bytes, requirements, published_at, withdrawn }
    }
}

/// The version that new machines get: of those not withdrawn the one published last; of two published at once the
/// one whose label sorts last, so that every replica chooses the same.
#[must_use]
pub fn current_version<'a>(versions: impl IntoIterator<Item = &'a ApplianceVersion>) -> Option<&'a ApplianceVersion> {
    versions
        .into_iter()
        .filter(|version| !version.withdrawn)
        .max_by_key(|version| (version.published_at, &version.label))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Architecture;

    fn draft(label: &str, published_at: i64, withdrawn: bool) -> VersionDraft {
        VersionDraft {
            label: label.into(),
            image: ContentDigest::from_bytes([7; 32]),
            image_bytes: 1 << 30,
            requirements: Requirements {
                architecture: Architecture::X86_64,
                cores: 1,
                memory_mib: 256,
                disk_bytes: 1 << 30,
            },
            published_at: PublicationTime(published_at),
            withdrawn,
        }
    }

    fn version(label: &str, published_at: i64, withdrawn: bool) -> ApplianceVersion {
        draft(label, published_at, withdrawn).try_into().unwrap()
    }

    fn current(versions: &[ApplianceVersion]) -> Option<&str> {
        current_version(versions).map(|version| version.label().as_str())
    }

    #[test]
    fn the_last_published_is_current_until_it_is_withdrawn() {
        assert_eq!(current(&[]), None);
        assert_eq!(current(&[version("10", 1, false), version("9", 2, false)]), Some("9"));
        assert_eq!(current(&[version("9", 2, true), version("10", 1, false)]), Some("10"));
        assert_eq!(current(&[version("9", 2, true)]), None);
        assert_eq!(current(&[version("b", 1, false), version("a", 1, false)]), Some("b"));
    }

    #[test]
    fn each_field_is_named_when_it_is_wrong() {
        let good = draft("1", 0, false);
        let asks = good.requirements;
        let cases = [
            (VersionDraft { label: "a b".into(), ..good.clone() }, "label"),
            (VersionDraft { image_bytes: 0, ..good.clone() }, "image"),
            (VersionDraft { image_bytes: 513, ..good.clone() }, "image"),
            (VersionDraft { image_bytes: u64::MAX - 511, ..good.clone() }, "image"),
            (VersionDraft { requirements: Requirements { cores: 0, ..asks }, ..good.clone() }, "cores"),
            (VersionDraft { requirements: Requirements { cores: u32::MAX, ..asks }, ..good.clone() }, "cores"),
            (VersionDraft { requirements: Requirements { memory_mib: 0, ..asks }, ..good.clone() }, "memory"),
            (VersionDraft { requirements: Requirements { memory_mib: u64::MAX, ..asks }, ..good.clone() }, "memory"),
            (VersionDraft { requirements: Requirements { disk_bytes: 512, ..asks }, ..good.clone() }, "disk"),
            (VersionDraft { requirements: Requirements { disk_bytes: u64::MAX, ..asks }, ..good }, "disk"),
        ];
        for (draft, field) in cases {
            let error = ApplianceVersion::try_from(draft).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn json_is_checked_too() {
        let version = version("12.7", 5, true);
        let text = serde_json::to_string(&version).unwrap();
        assert!(text.contains(r#""architecture":"x86_64""#), "{text}");
        assert_eq!(serde_json::from_str::<ApplianceVersion>(&text).unwrap(), version);
        assert!(serde_json::from_str::<ApplianceVersion>(&text.replace("\"cores\":1", "\"cores\":0")).is_err());
    }

    proptest! {
        #[test]
        fn the_order_of_listing_does_not_matter(
            mut versions in proptest::collection::vec((0_i64..4, "[a-c][0-9]{0,2}", any::<bool>()), 0..8),
        ) {
            versions.sort();
            versions.dedup();
            let forward: Vec<_> =
                versions.iter().map(|(at, label, withdrawn)| version(label, *at, *withdrawn)).collect();
            let backward: Vec<_> = forward.iter().rev().cloned().collect();
            prop_assert_eq!(current(&forward), current(&backward));
        }
    }
}
