use disk_image::{ContentDigest, ImageFormat};
use serde::{Deserialize, Serialize};

/// A backend's copy of an image of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteImage {
    /// What a guest sees of it.
    pub digest: ContentDigest,
    /// The backend's own name for it.
    pub id: String,
    /// Where it stands.
    pub state: SiteImageState,
    /// In which format it lies there, if the backend tells.
    pub format: Option<ImageFormat>,
    /// How much room it takes there, in bytes, if the backend tells.
    pub stored_bytes: Option<u64>,
}

/// Where a backend's copy of an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteImageState {
    /// Some of it is there.
    Arriving,
    /// Machines can be made from it.
    Ready,
    /// It did not arrive, or is broken.
    Failed,
}
