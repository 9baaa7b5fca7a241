use std::sync::Arc;

use disk_image::{ContentDigest, ImageFormat};
use moka::sync::Cache;

use crate::{ImageStore, RenderedImage, StoreError};

/// Plans that are kept. The largest disk's takes some 4 MiB, a usual one a few KiB.
const MOST_PLANS: u64 = 48;

/// Stored images as files of any format. A file is planned once, and the plan is kept as long as it is asked for.
/// Cheap to clone.
#[derive(Clone)]
pub struct Renderings {
    store: Arc<ImageStore>,
    /// By length too: an image that is damaged, and of another length, is replaced under its name.
    plans: Cache<(ContentDigest, u64, ImageFormat), Arc<RenderedImage>>,
}

impl Renderings {
    /// The images of this store.
    #[must_use]
    pub fn new(store: Arc<ImageStore>) -> Self {
        Self { store, plans: Cache::new(MOST_PLANS) }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<ImageStore> {
        &self.store
    }

    /// The image as a file of the format. Of several callers at once, one plans and the others wait.
    ///
    /// # Errors
    /// [`StoreError::Absent`]; [`StoreError::Image`] when the disk does not fit the format, or cannot be opened.
    pub fn open(&self, digest: &ContentDigest, format: ImageFormat) -> Result<Arc<RenderedImage>, Arc<StoreError>> {
        let stored = self.store.get(digest).map_err(Arc::new)?;
        // What was removed is not served any more, though a plan would still hold its file open.
        let stored = stored.ok_or_else(|| Arc::new(StoreError::Absent(*digest)))?;
        let key = (*digest, stored.size, format);
        self.plans.try_get_with(key, || RenderedImage::plan(&self.store, digest, format).map(Arc::new))
    }
}
