//! The simulator keeps the contract, and breaks it when told to; the suite notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod addresses;
mod contract;
mod faults;
mod liar;
mod lie;
mod listing;
mod machines;
mod mishaps;
mod networks;
mod request;
mod security_groups;
mod socket;
mod volumes;

use std::{io, net::IpAddr, path::Path, sync::Arc};

use backend::{
    Architecture, Backend, ImageOffer, ImageSource, IntentTag, MachineId, MachineSpec, simulator::Simulator,
};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::stream::{self, BoxStream, StreamExt};
use uuid::Uuid;

struct Repeated(u8, usize);

impl ImageSource for Repeated {
    fn local_path(&self) -> Option<&Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let chunk = Bytes::from(vec![self.0; self.1.min(1 << 20)]);
        let chunks = self.1.div_ceil(1 << 20);
        let last = self.1 - (chunks - 1) * chunk.len();
        let piece = move |index| if index + 1 == chunks { chunk.slice(..last) } else { chunk.clone() };
        stream::iter(0..chunks).map(move |index| Ok(piece(index))).boxed()
    }
}

/// An image of sevens.
fn offer(size: usize) -> ImageOffer {
    ImageOffer { digest: ContentDigest::from_bytes([1; 32]), size: size as u64, source: Arc::new(Repeated(7, size)) }
}

fn tag() -> IntentTag {
    IntentTag(Uuid::now_v7())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn spec() -> MachineSpec {
    MachineSpec {
        tag: tag(),
        name: "one".into(),
        hostname: None,
        cores: 1,
        memory_mib: 128,
        disk_bytes: 512,
        architecture: Architecture::X86_64,
        image: ContentDigest::from_bytes([1; 32]),
        ssh_keys: Vec::new(),
        user_data: None,
        joins: backend::MachineJoins::default(),
    }
}

/// A machine that runs, unless the simulator has been told to be slow.
async fn machine(simulator: &Simulator) -> MachineId {
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    simulator.create(&spec()).await.unwrap().id
}

/// Nothing is left of what the contract can make.
fn assert_empty(simulator: &Simulator) {
    assert_eq!(simulator.machine_count(), 0, "machines");
    assert_eq!((simulator.volume_count(), simulator.copy_count()), (0, 0), "volumes and copies");
    assert_eq!(simulator.network_count(), 0, "networks");
    assert_eq!(simulator.address_count(), 0, "addresses");
    assert_eq!(simulator.security_group_count(), 0, "security groups");
}
