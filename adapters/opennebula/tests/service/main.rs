//! The adapter against a simulator of the daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod contract;
mod faults;
mod rows;

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use backend::{Backend, ImageOffer, ImageSource, IntentTag, NetworkSpec, NetworkState, Rendering, Subnet};
use backend_http::Url;
use bytes::Bytes;
use disk_image::{ContentDigest, ImageFormat};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use opennebula_adapter::{NewNetworks, OpenNebulaBackend, OpenNebulaOptions};
use opennebula_simulator::{Settings, Simulator};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A simulated daemon with two hosts and a network for everybody.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) directory: TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("datastores")).unwrap();
        let simulator = Simulator::with_hosts(settings, directory.path()).await.unwrap();
        Self { simulator, directory }
    }

    pub(crate) fn options(&self) -> OpenNebulaOptions {
        let mut options = OpenNebulaOptions::new(Url::parse(&self.simulator.url()).unwrap(), "oneadmin", "opennebula");
        options.datastores = Some(self.directory.path().join("datastores"));
        options.networks = Some(NewNetworks::Created {
            template: BTreeMap::from([("VN_MAD".into(), "bridge".into())]),
            cluster: Some(0),
        });
        options
    }

    /// The same, with a network for machines that ask for none, and one on which addresses are reserved.
    pub(crate) async fn options_with_networks(&self) -> OpenNebulaOptions {
        let (usual, public) = (self.network([10, 99, 0, 0]).await, self.network([203, 0, 113, 0]).await);
        OpenNebulaOptions { default_network: Some(usual), public_network: Some(public), ..self.options() }
    }

    async fn network(&self, address: [u8; 4]) -> u32 {
        let backend = self.backend();
        let networks = backend.networks().unwrap();
        let subnet = Subnet { address: address.into(), prefix: 24, gateway: None, dynamic: false };
        let tag = IntentTag(uuid::Uuid::now_v7());
        let spec = NetworkSpec { tag, name: "everybody's".into(), vlan: None, label: None, subnet: Some(subnet) };
        let id = networks.create(&spec).await.unwrap().id;
        while networks.network(&id).await.unwrap().state != NetworkState::Up {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        id.as_str().parse().unwrap()
    }

    pub(crate) fn backend(&self) -> OpenNebulaBackend {
        OpenNebulaBackend::new(self.options()).unwrap()
    }

    /// An image of 2 MiB that can be fetched.
    pub(crate) async fn image(&self) -> ImageOffer {
        let bytes: Vec<u8> = (0..2_u32 << 20).map(|at| (at / 4096 % 251) as u8).collect();
        let digest = ContentDigest::from_bytes(*blake3::hash(&bytes).as_bytes());
        let bytes = Bytes::from(bytes);
        let url = serve(bytes.clone()).await;
        ImageOffer { digest, size: bytes.len() as u64, source: Arc::new(ServedImage { bytes, url }) }
    }
}

/// Answers every request with these bytes, until the test ends.
async fn serve(bytes: Bytes) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/guest.raw", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let read = peer.read(&mut request).await.unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
                peer.write_all(head.as_bytes()).await.unwrap();
                if !request[..read].starts_with(b"HEAD") {
                    // Who hangs up has seen enough.
                    let _ = peer.write_all(&bytes).await;
                }
            });
        }
    });
    url
}

pub(crate) struct ServedImage {
    bytes: Bytes,
    url: String,
}

impl ServedImage {
    /// One that nobody serves.
    pub(crate) fn nowhere() -> Self {
        Self { bytes: Bytes::new(), url: "http://127.0.0.1:9/nothing.raw".into() }
    }
}

#[async_trait::async_trait]
impl ImageSource for ServedImage {
    fn local_path(&self) -> Option<&Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        stream::iter([Ok(self.bytes.clone())]).boxed()
    }

    async fn render(&self, format: ImageFormat) -> io::Result<Option<Rendering>> {
        let raw = (format == ImageFormat::Raw).then(|| Rendering {
            format,
            length: self.bytes.len() as u64,
            url: Some(self.url.clone()),
            bytes: self.stream(),
        });
        Ok(raw)
    }
}
