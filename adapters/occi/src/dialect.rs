//! What is known of OCCI servers in the field, as data: no other module asks who a server is.

use occi_schema::MediaType;
use serde::Deserialize;

/// Servers whose habits are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialectName {
    /// Another Tombolo.
    Tombolo,
    /// rOCCI-server 1 (OpenNebula, EC2).
    Rocci1,
    /// rOCCI-server 2 (OpenNebula).
    Rocci2,
    /// ooi (OpenStack).
    Ooi,
    /// pyssf and what is built on it.
    Pyssf,
    /// erocci.
    Erocci,
    /// By the documents.
    Unknown,
}

/// Where a server keeps the tag by which we find again what we have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagPlace {
    /// In `occi.core.summary`, alone, so that a filter finds it.
    Summary,
    /// At the end of `occi.core.title`: every server keeps titles, and few keep summaries.
    Title,
}

/// How a server shows that it is at work on an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// By a state message that reports no failure.
    Message,
    /// By the state `waiting`, which the standard has not (rOCCI-server 2).
    Waiting,
    /// Not at all.
    Silent,
}

/// A server's habits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) name: DialectName,
    /// The renderings to be tried, the best first.
    pub(crate) renderings: &'static [MediaType],
    pub(crate) tag_place: TagPlace,
    pub(crate) busy: Busy,
    /// Listings are filtered by attributes (GFD.223 section 7.3).
    pub(crate) filters: bool,
    /// Listings come by pages (GFD.223 section 7.2), in JSON with whole entities.
    pub(crate) pages: bool,
    /// A request under an `Idempotency-Key` is done once, however often it is sent.
    pub(crate) repeats: bool,
    /// A link keeps the title that it was given. Without, nobody could tell our links from others'.
    pub(crate) keeps_link_titles: bool,
    /// A machine's cores and memory are what was asked for, and may change; otherwise its template decides.
    pub(crate) sizes_of_choice: bool,
    /// The root disk of a machine that names no template and no size for it, in bytes.
    pub(crate) usual_disk_bytes: Option<u64>,
    /// What OCCI describes is there to the letter: addresses of choice, networks that change, volumes that grow.
    pub(crate) is_complete: bool,
}

use MediaType::{Json, TextOcci, TextPlain};

const TEXT_ALONE: &[MediaType] = &[TextPlain, TextOcci];
const ALL: &[MediaType] = &[Json, TextPlain, TextOcci];

const UNKNOWN: Dialect = Dialect {
    name: DialectName::Unknown,
    renderings: ALL,
    tag_place: TagPlace::Title,
    busy: Busy::Silent,
    filters: false,
    pages: false,
    repeats: false,
    keeps_link_titles: false,
    sizes_of_choice: true,
    usual_disk_bytes: None,
    is_complete: false,
};

const TOMBOLO: Dialect = Dialect {
    name: DialectName::Tombolo,
    tag_place: TagPlace::Summary,
    busy: Busy::Message,
    filters: true,
    pages: true,
    repeats: true,
    keeps_link_titles: true,
    usual_disk_bytes: Some(10 << 30),
    is_complete: true,
    ..UNKNOWN
};

/// Its JSON is that of the drafts; text is what all its clients read.
const ROCCI_1: Dialect =
    Dialect { name: DialectName::Rocci1, renderings: TEXT_ALONE, sizes_of_choice: false, ..UNKNOWN };

const ROCCI_2: Dialect = Dialect { name: DialectName::Rocci2, busy: Busy::Waiting, sizes_of_choice: false, ..UNKNOWN };

/// OpenStack's flavours are its sizes; a machine cannot do without one.
const OOI: Dialect = Dialect { name: DialectName::Ooi, renderings: TEXT_ALONE, sizes_of_choice: false, ..UNKNOWN };

/// Its JSON is a dialect that nobody else reads. It keeps whatever attribute it is given.
const PYSSF: Dialect = Dialect { name: DialectName::Pyssf, renderings: TEXT_ALONE, keeps_link_titles: true, ..UNKNOWN };

const EROCCI: Dialect = Dialect { name: DialectName::Erocci, ..UNKNOWN };

impl Dialect {
    /// The habits of a server of this name.
    pub(crate) fn of(name: DialectName) -> Self {
        match name {
            DialectName::Tombolo => TOMBOLO,
            DialectName::Rocci1 => ROCCI_1,
            DialectName::Rocci2 => ROCCI_2,
            DialectName::Ooi => OOI,
            DialectName::Pyssf => PYSSF,
            DialectName::Erocci => EROCCI,
            DialectName::Unknown => UNKNOWN,
        }
    }

    /// The habits of the server that calls itself so in its `Server` field.
    pub(crate) fn of_server(field: &str) -> Self {
        let field = field.to_ascii_lowercase();
        let starts = |product: &str| field.split_ascii_whitespace().any(|token| token.starts_with(product));
        let name = if starts("tombolo/") {
            DialectName::Tombolo
        } else if starts("rocci-server/2") {
            DialectName::Rocci2
        } else if starts("rocci-server/") {
            DialectName::Rocci1
        } else if starts("ooi/") {
            DialectName::Ooi
        } else if starts("pyssf") {
            DialectName::Pyssf
        } else if starts("erocci") {
            DialectName::Erocci
        } else {
            DialectName::Unknown
        };
        Self::of(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_product() {
        for (field, name) in [
            ("tombolo/0.1.0 OCCI/1.2 OCCI/1.1 OCCI-CRTP/1.1", DialectName::Tombolo),
            ("rOCCI-server/2.0.4 OCCI/1.1 OCCI-CRTP/1.0 OCCI/1.2 OCCI-CRTP/1.1", DialectName::Rocci2),
            ("Apache/2.4 rOCCI-server/1.1.9 (linux) OCCI/1.1", DialectName::Rocci1),
            ("ooi/1.2.0 OCCI/1.1 OCCI/1.2", DialectName::Ooi),
            ("pyssf OCCI/1.1", DialectName::Pyssf),
            ("nginx/1.26", DialectName::Unknown),
            ("", DialectName::Unknown),
        ] {
            assert_eq!(Dialect::of_server(field).name, name, "{field}");
        }
    }
}
