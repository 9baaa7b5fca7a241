//! Images on their way to a site: one delivery of an image at a time, whose progress all can see who wait for it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use disk_image::ContentDigest;

/// The deliveries to one site that this process has under way.
#[derive(Default)]
pub struct Deliveries(Mutex<BTreeMap<ContentDigest, Weak<Delivery>>>);

/// One image on its way.
#[derive(Default)]
pub struct Delivery {
    /// Who has it delivers; the others wait.
    pub turn: tokio::sync::Mutex<()>,
    percent: AtomicU64,
}

impl Deliveries {
    /// The delivery of this image; a new one if there is none.
    pub fn of(&self, digest: ContentDigest) -> Arc<Delivery> {
        let mut deliveries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(delivery) = deliveries.get(&digest).and_then(Weak::upgrade) {
            return delivery;
        }
        deliveries.retain(|_, delivery| delivery.strong_count() > 0);
        let delivery = Arc::new(Delivery::default());
        deliveries.insert(digest, Arc::downgrade(&delivery));
        delivery
    }
}

impl Delivery {
    /// So many of the image's bytes have been delivered.
    pub fn note(&self, bytes: u64, size: u64) {
        self.percent.store(bytes.saturating_mul(100) / size.max(1), Ordering::Relaxed);
    }

    /// How much of it that is.
    pub fn percent(&self) -> u64 {
        self.percent.load(Ordering::Relaxed).min(100)
    }
}
