use std::{io, path::Path, sync::Arc, time::Duration};

use backend::{
    ImageOffer, ImageSource,
    suite::{Candidate, verify},
};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use occi_adapter::{OcciBackend, RenderingName};

use crate::tombolo::{Tombolo, binary};

struct Nothing;

impl ImageSource for Nothing {
    fn local_path(&self) -> Option<&Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        // OCCI hands nothing over.
        stream::empty().boxed()
    }
}

async fn keeps_the_contract(rendering: Option<RenderingName>) {
    let Some(binary) = binary() else {
        eprintln!("left out: there is no tombolo binary; build it, or name one by TOMBOLO_BINARY");
        return;
    };
    let mut image = vec![0; 1 << 20];
    image[..5].copy_from_slice(b"blank");
    let (tombolo, digest) = Tombolo::start(&binary, &image);
    let mut options = tombolo.options();
    options.rendering = rendering;
    options.images.insert(digest.clone(), "blank".into());
    let offer = ImageOffer { digest: digest.parse().unwrap(), size: 1 << 20, source: Arc::new(Nothing) };
    let candidate = Candidate {
        backend: Arc::new(OcciBackend::new(options).unwrap()),
        image: offer,
        patience: Duration::from_secs(60),
    };
    let outcome = verify(&candidate).await;
    let report = outcome.unwrap_or_else(|violation| panic!("{violation}\n{}", tombolo.log()));
    println!("{:#?}", report.skipped);
}

#[tokio::test]
async fn a_tombolo_behind_keeps_the_contract_in_json() {
    keeps_the_contract(None).await;
}

#[tokio::test]
async fn a_tombolo_behind_keeps_the_contract_in_text() {
    keeps_the_contract(Some(RenderingName::TextPlain)).await;
}
