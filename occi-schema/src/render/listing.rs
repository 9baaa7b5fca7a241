//! Listings that are sent while they are being read from the store.

use super::escape::uri;
use super::{EntityView, json};
use crate::media_type::MediaType;

/// Writes a listing piece by piece, so that it is never in memory as a whole.
///
/// In JSON, resources have to come before links: `{"resources":[…],"links":[…]}`. text/occi has its listing in the
/// header fields, which cannot be streamed: use [`super::entities`] for it; here it is written like text/plain.
#[derive(Debug)]
pub struct ListingWriter {
    media: MediaType,
    open: Option<&'static str>,
}

impl ListingWriter {
    /// Starts a listing.
    #[must_use]
    pub fn new(media: MediaType) -> Self {
        Self { media, open: None }
    }

    /// Appends one entity.
    pub fn entity(&mut self, view: &EntityView<'_>, base_url: &str, out: &mut Vec<u8>) {
        match self.media {
            MediaType::Json => {
                let list = if view.is_link() { "links" } else { "resources" };
                let before = match self.open.replace(list) {
                    None => format!("{{\"{list}\":["),
                    Some(open) if open == list => ",".to_owned(),
                    Some(_) => format!("],\"{list}\":["),
                };
                out.extend_from_slice(before.as_bytes());
                out.extend_from_slice(&json::entity(view));
            }
            MediaType::UriList => self.location(view.location, base_url, out),
            MediaType::TextPlain | MediaType::TextOcci => self.location(view.location, base_url, out),
        }
    }

    /// Appends one location, given as a path; not for JSON.
    pub fn location(&mut self, path: &str, base_url: &str, out: &mut Vec<u8>) {
        let url = uri(&format!("{}{path}", base_url.trim_end_matches('/')));
        if self.media != MediaType::UriList {
            out.extend_from_slice(b"X-OCCI-Location: ");
        }
        out.extend_from_slice(url.as_bytes());
        out.push(b'\n');
    }

    /// Ends the listing.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.media == MediaType::Json {
            out.extend_from_slice(if self.open.is_some() { b"]}" } else { b"{\"resources\":[]}" });
        }
    }
}
