//! Listings that are sent while they are being read from the store.

use std::collections::BTreeSet;

use super::escape::uri;
use super::{EntityView, json};
use crate::media_type::MediaType;
use crate::model::Mode;

/// Writes a listing piece by piece, so that it is never in memory as a whole: append some entities, hand out what is
/// in the buffer, empty it, go on.
///
/// In JSON, resources have to come before links: `{"resources":[…],"links":[…]}`; a resource that comes late would
/// stand among the links. text/occi has its listing in the header fields, which cannot be streamed: use
/// [`super::entities`] for it; here it is written like text/plain.
#[derive(Debug)]
pub struct ListingWriter {
    media: MediaType,
    mode: Mode,
    open: Option<&'static str>,
    /// Links of the older JSON, which stand beside their resources but come after them: kept until the end.
    beside: Vec<u8>,
    /// The locations of these links: one that is listed on its own as well is written once.
    beside_locations: BTreeSet<String>,
}

impl ListingWriter {
    /// Starts a listing.
    #[must_use]
    pub fn new(media: MediaType) -> Self {
        Self { media, mode: Mode::Interop, open: None, beside: Vec::new(), beside_locations: BTreeSet::new() }
    }

    /// The same with the line ends of the mode.
    #[must_use]
    pub fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Appends one entity.
    pub fn entity(&mut self, view: &EntityView<'_>, base_url: &str, out: &mut Vec<u8>) {
        match self.media {
            MediaType::Json => {
                let is_late = self.open == Some("links");
                self.start_item(if view.is_link() || is_late { "links" } else { "resources" }, out);
                json::entity(view, out);
            }
            MediaType::LegacyJson if view.is_link() => {
                self.put_beside(view.location, |out| json::legacy_entity(view, out));
            }
            MediaType::LegacyJson => {
                self.start_item("resources", out);
                json::legacy_entity(view, out);
                for link in &view.links {
                    self.put_beside(link.location, |out| json::legacy_link(view, link, out));
                }
            }
            MediaType::UriList | MediaType::TextPlain | MediaType::TextOcci => {
                self.location(view.location, base_url, out);
            }
        }
    }

    /// Appends one location, given as a path; not for JSON.
    pub fn location(&mut self, path: &str, base_url: &str, out: &mut Vec<u8>) {
        // Between lines, and behind the last one only where the documents have it.
        if self.mode == Mode::Interop && self.open.replace("locations").is_some() {
            out.push(b'\n');
        }
        if self.media != MediaType::UriList {
            out.extend_from_slice(b"X-OCCI-Location: ");
        }
        for part in [base_url.trim_end_matches('/'), path] {
            out.extend_from_slice(uri(part).as_bytes());
        }
        if self.mode == Mode::Strict {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Ends the listing.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if !matches!(self.media, MediaType::Json | MediaType::LegacyJson) {
            return;
        }
        if !self.beside.is_empty() {
            self.start_item("links", out);
            out.append(&mut self.beside);
        }
        out.extend_from_slice(if self.open.is_some() { b"]}" } else { b"{\"resources\":[]}" });
    }

    /// Writes what stands between the item before and one of that list.
    fn start_item(&mut self, list: &'static str, out: &mut Vec<u8>) {
        match self.open.replace(list) {
            Some(open) if open == list => out.push(b','),
            open => {
                out.extend_from_slice(if open.is_none() { b"{\"" } else { b"],\"" });
                out.extend_from_slice(list.as_bytes());
                out.extend_from_slice(b"\":[");
            }
        }
    }

    fn put_beside(&mut self, location: &str, write: impl FnOnce(&mut Vec<u8>)) {
        if self.beside_locations.insert(location.to_owned()) {
            if !self.beside.is_empty() {
                self.beside.push(b',');
            }
            write(&mut self.beside);
        }
    }
}

/// A whole listing in JSON, resources first.
pub(super) fn json<'v, 'a: 'v>(media: MediaType, views: impl Iterator<Item = &'v EntityView<'a>>) -> Vec<u8> {
    let mut writer = ListingWriter::new(media);
    let mut body = Vec::new();
    for view in views {
        writer.entity(view, "", &mut body);
    }
    writer.finish(&mut body);
    body
}
