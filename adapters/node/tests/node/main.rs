//! The adapter against a real driver with a real QEMU.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod contract;
mod faults;
mod strangers;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use backend::{ImageOffer, ImageSource};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use node_adapter::{NodeAddress, NodeBackend};
use node_driver::{
    AcceleratorChoice, Driver, NodeError, Options,
    door::{Door, Listen},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "a token for tests only";

/// A node behind an open door.
pub(crate) struct OpenNode {
    pub(crate) root: tempfile::TempDir,
    pub(crate) driver: Driver,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), NodeError>>,
    address: NodeAddress,
}

impl OpenNode {
    pub(crate) async fn unix() -> Self {
        Self::open(|root| Listen::Unix(root.join("door.sock"))).await
    }

    pub(crate) async fn tcp() -> Self {
        Self::open(|_| Listen::Tcp { address: "127.0.0.1:0".parse().unwrap(), token: TOKEN.into() }).await
    }

    async fn open(listen: impl FnOnce(&Path) -> Listen) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut options = Options::new(root.path().join("node"));
        options.accelerator = AcceleratorChoice::Tcg;
        // The image does not boot, so nobody hears a graceful stop.
        options.graceful_deadline = Duration::from_secs(1);
        let driver = Driver::open(options).await.unwrap();
        let listen = listen(root.path());
        let socket = match &listen {
            Listen::Unix(path) => Some(path.clone()),
            Listen::Tcp { .. } => None,
        };
        let door = Door::bind(driver.clone(), listen).unwrap();
        let address = match (door.address(), socket) {
            (Some(address), _) => NodeAddress::Tcp { url: format!("http://{address}/"), token: TOKEN.into() },
            (None, socket) => NodeAddress::Unix(socket.unwrap()),
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(door.serve(shutdown.clone()));
        Self { root, driver, shutdown, serving, address }
    }

    pub(crate) fn backend(&self) -> NodeBackend {
        NodeBackend::new(self.address.clone()).unwrap()
    }

    pub(crate) fn tcp_address(&self) -> String {
        match &self.address {
            NodeAddress::Tcp { url, .. } => url.clone(),
            NodeAddress::Unix(_) => panic!("not over TCP"),
        }
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.root.path().join("node").join("images")
    }

    pub(crate) async fn close(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
        self.driver.close().await;
    }
}

/// An image in memory, perhaps also in a file.
pub(crate) struct TestImage {
    bytes: Bytes,
    path: Option<PathBuf>,
}

impl ImageSource for TestImage {
    fn local_path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let chunks: Vec<_> = self.bytes.chunks(1 << 20).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        stream::iter(chunks).boxed()
    }
}

/// An image that does not boot, which is no matter to a machine.
pub(crate) fn image(file: Option<PathBuf>) -> ImageOffer {
    let mut bytes = vec![0; 5 << 20];
    for (place, byte) in bytes[1 << 20..2 << 20].iter_mut().enumerate() {
        *byte = (place % 253) as u8;
    }
    if let Some(path) = &file {
        fs::write(path, &bytes).unwrap();
    }
    ImageOffer {
        digest: ContentDigest::from_bytes(*blake3::hash(&bytes).as_bytes()),
        size: bytes.len() as u64,
        source: Arc::new(TestImage { bytes: bytes.into(), path: file }),
    }
}
