use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backend::{
    Backend, Capability, ImageOffer, ImageSource,
    suite::{Candidate, verify},
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{OpenNode, image};

async fn holds(node: OpenNode, image: ImageOffer) {
    let backend: Arc<dyn Backend> = Arc::new(node.backend());
    let candidate = Candidate { backend, image, patience: Duration::from_secs(60) };
    let report = verify(&candidate).await.unwrap_or_else(|violation| panic!("{violation}"));
    let missing = [
        &format!("console: the backend cannot {}", Capability::Console),
        "snapshots: the backend has none",
        "events: the backend has none",
        "reserved addresses: the backend has none",
        "security groups: the backend has none",
    ];
    assert_eq!(report.skipped, missing);
    assert_eq!(node.driver.machines(), []);
    node.close().await;
}

#[tokio::test]
async fn qemu_node_keeps_the_contract_over_a_unix_socket() {
    let node = OpenNode::unix().await;
    let image = image(Some(node.root.path().join("image")));
    holds(node, image).await;
}

#[tokio::test]
async fn qemu_node_keeps_the_contract_over_tcp() {
    holds(OpenNode::tcp().await, image(None)).await;
}

#[tokio::test]
async fn an_image_on_the_same_host_is_linked() {
    let node = OpenNode::unix().await;
    let offer = image(Some(node.root.path().join("image")));
    node.backend().provide_image(&offer, &|_| {}).await.unwrap();
    let kept = node.images().join(format!("{}.raw", offer.digest));
    let inode = |path: &std::path::Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&kept), inode(&node.root.path().join("image")));
    node.close().await;
}

#[tokio::test]
async fn an_image_for_another_host_travels_once_and_with_progress() {
    let node = OpenNode::tcp().await;
    // Even with a file at hand: the other host does not see it.
    let offer = image(Some(node.root.path().join("image")));
    let last = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&last);
    let progress = move |bytes| told.store(bytes, Ordering::Relaxed);
    node.backend().provide_image(&offer, &progress).await.unwrap();
    assert_eq!(last.load(Ordering::Relaxed), offer.size);
    let kept = node.images().join(format!("{}.raw", offer.digest));
    assert!(fs::read(&kept).unwrap() == fs::read(node.root.path().join("image")).unwrap());
    let before = kept.metadata().unwrap().ino();
    node.backend().provide_image(&offer, &|_| {}).await.unwrap();
    assert_eq!(kept.metadata().unwrap().ino(), before);
    node.close().await;
}

#[tokio::test]
async fn an_image_that_is_not_what_it_says_is_not_kept() {
    for node in [OpenNode::unix().await, OpenNode::tcp().await] {
        let mut offer = image(Some(node.root.path().join("image")));
        offer.digest = disk_image::ContentDigest::from_bytes([1; 32]);
        let refused = node.backend().provide_image(&offer, &|_| {}).await;
        assert!(matches!(refused, Err(backend::BackendError::Failed(_))), "{refused:?}");
        assert_eq!(fs::read_dir(node.images()).unwrap().count(), 0);
        node.close().await;
    }
}

#[tokio::test]
async fn an_image_whose_transfer_is_given_up_leaves_nothing() {
    let node = OpenNode::tcp().await;
    let whole = image(None);
    let stalling = ImageOffer { source: Arc::new(Stalling(Arc::clone(&whole.source))), ..whole.clone() };
    let backend = node.backend();
    let quiet = |_: u64| {};
    let mut delivery = Box::pin(backend.provide_image(&stalling, &quiet));
    let begun = async {
        while fs::read_dir(node.images()).unwrap().count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = &mut delivery => panic!("{answer:?}"),
        () = begun => {}
    }
    drop(delivery);
    // The next one waits for its turn, so it sees what the first has left.
    backend.provide_image(&whole, &quiet).await.unwrap();
    let left: Vec<_> = fs::read_dir(node.images()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [format!("{}.raw", whole.digest).as_str()]);
    node.close().await;
}

/// The first bytes of another source, and then no more, nor an end.
struct Stalling(Arc<dyn ImageSource>);

impl ImageSource for Stalling {
    fn local_path(&self) -> Option<&std::path::Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        self.0.stream().take(2).chain(stream::pending()).boxed()
    }
}
