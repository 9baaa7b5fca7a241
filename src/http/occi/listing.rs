//! Lists as they go out: a portion at a time, whatever their length.

use actix_web::{HttpResponse, http::StatusCode};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use occi_schema::{
    MediaType, Mode, Purpose,
    render::{self, ListingWriter},
};

use super::{
    answer::{self, Failure},
    entity::view,
    received::Received,
};
use crate::{
    broker::{Broker, BrokerError, Listing, MOST_AT_ONCE, Selected, Shown},
    login::Principal,
    store::entity::EntityClass,
};

/// The selected entities: all of them, or the page that is asked for.
pub async fn serve(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    selected: &Selected,
) -> Result<HttpResponse, Failure> {
    let media = received.answer_media(Purpose::Listing)?;
    if let Some(page) = received.page()? {
        let entities = broker.page(principal, selected, page).await?;
        return Ok(answer::rendered(200, render::entities(media, entities.iter().map(view), &received.base)));
    }
    match media {
        MediaType::TextOcci => in_fields(broker, principal, received, selected).await,
        MediaType::Json | MediaType::LegacyJson => in_json(broker, principal, received, selected, media).await,
        MediaType::TextPlain | MediaType::UriList => in_lines(broker, principal, received, selected, media).await,
    }
}

/// Header fields come before everything else, so this list is whole or refused.
async fn in_fields(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    selected: &Selected,
) -> Result<HttpResponse, Failure> {
    let mut listing = broker.listing(principal, selected, EntityClass::All).await?;
    let mut paths = Vec::new();
    while let Some(portion) = listing.paths().await? {
        paths.extend(portion);
        if paths.len() > MOST_AT_ONCE {
            return Err(BrokerError::TooMany(MOST_AT_ONCE).into());
        }
    }
    let paths = paths.iter().map(String::as_str);
    Ok(answer::rendered(200, render::locations(MediaType::TextOcci, paths, &received.base)))
}

async fn in_lines(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    selected: &Selected,
    media: MediaType,
) -> Result<HttpResponse, Failure> {
    let listing = broker.listing(principal, selected, EntityClass::All).await?;
    stream_out(Lines { listing, out: Out::new(media, broker.mode(), received) }, media).await
}

/// Resources, then links; each object by itself.
async fn in_json(
    broker: &Broker,
    principal: &Principal,
    received: &Received,
    selected: &Selected,
    media: MediaType,
) -> Result<HttpResponse, Failure> {
    let resources = broker.listing(principal, selected, EntityClass::Resources).await?;
    let links = broker.listing(principal, selected, EntityClass::Links).await?;
    stream_out(Objects { parts: vec![links, resources], out: Out::new(media, broker.mode(), received) }, media).await
}

/// A rendering under way.
struct Out {
    /// Until the end.
    writer: Option<ListingWriter>,
    base: String,
    buffer: Vec<u8>,
}

impl Out {
    fn new(media: MediaType, mode: Mode, received: &Received) -> Self {
        Self { writer: Some(ListingWriter::new(media).in_mode(mode)), base: received.base.clone(), buffer: Vec::new() }
    }

    /// What has been written since, or nothing after the end.
    fn take(&mut self) -> Option<Vec<u8>> {
        (!self.buffer.is_empty()).then(|| std::mem::take(&mut self.buffer))
    }

    fn finish(&mut self) -> Option<Vec<u8>> {
        if let Some(writer) = self.writer.take() {
            writer.finish(&mut self.buffer);
        }
        self.take()
    }

    fn path(&mut self, path: &str) {
        if let Some(writer) = &mut self.writer {
            writer.location(path, &self.base, &mut self.buffer);
        }
    }

    fn entity(&mut self, shown: &Shown) {
        if let Some(writer) = &mut self.writer {
            writer.entity(&view(shown), &self.base, &mut self.buffer);
        }
    }
}

/// Something that comes a portion at a time.
trait Portions: 'static {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BrokerError>;
}

struct Lines {
    listing: Listing,
    out: Out,
}

impl Portions for Lines {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BrokerError> {
        while let Some(paths) = self.listing.paths().await? {
            for path in &paths {
                self.out.path(path);
            }
            if let Some(bytes) = self.out.take() {
                return Ok(Some(bytes));
            }
        }
        Ok(self.out.finish())
    }
}

struct Objects {
    /// What is still to be listed, the last one first.
    parts: Vec<Listing>,
    out: Out,
}

impl Portions for Objects {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BrokerError> {
        while let Some(listing) = self.parts.last_mut() {
            let Some(portion) = listing.entities().await? else {
                self.parts.pop();
                continue;
            };
            for shown in &portion {
                self.out.entity(shown);
            }
            if let Some(bytes) = self.out.take() {
                return Ok(Some(bytes));
            }
        }
        Ok(self.out.finish())
    }
}

/// The first portion is read before the answer begins, so that what goes wrong at once is still an error.
async fn stream_out(mut portions: impl Portions, media: MediaType) -> Result<HttpResponse, Failure> {
    let first = portions.next().await?;
    let rest = stream::unfold(portions, |mut portions| async move {
        match unless_broken(portions.next().await) {
            Ok(bytes) => bytes.map(|bytes| (Ok(Bytes::from(bytes)), portions)),
            Err(error) => Some((Err(error), portions)),
        }
    });
    let first = stream::iter(first.map(|bytes| Ok(Bytes::from(bytes))));
    Ok(HttpResponse::build(StatusCode::OK).content_type(media.content_type()).streaming(first.chain(rest)))
}

/// In the middle of an answer, all that is left is to break it off: a list that is cut must not look whole.
fn unless_broken<T>(portion: Result<T, BrokerError>) -> Result<T, std::io::Error> {
    portion.map_err(|error| {
        tracing::warn!(%error, "a list was broken off");
        std::io::Error::other(error)
    })
}
