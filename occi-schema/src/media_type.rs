//! The renderings' media types and how client and server agree on one (section 2.4).

use thiserror::Error;

use crate::identifier::excerpt;

/// Most entries of an `Accept` or `Content-Type` list that are read.
const ENTRIES: usize = 64;

/// A rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `text/plain`, and its alias `text/occi+plain`: one rendering per line of the body.
    TextPlain,
    /// `text/occi`: the same renderings in header fields.
    TextOcci,
    /// `text/uri-list`: locations only.
    UriList,
    /// `application/occi+json`.
    Json,
    /// `application/occi+json` as the drafts before GFD.226 had it, and rOCCI 4 still has (section 4.9). Never
    /// negotiated: see [`MediaType::with_legacy_json`].
    LegacyJson,
}

/// What the answer will show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Locations of entities: listings, and the answers to creations and deletions.
    Listing,
    /// One entity.
    Single,
    /// The query interface.
    Query,
}

/// No rendering suits the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAcceptable {
    /// Answer 406.
    #[error(
        "none of the media types in `Accept: {0}` is offered here: ask for text/plain, text/occi, text/uri-list or \
         application/occi+json"
    )]
    Unsupported(String),
    /// Answer 400: the client takes nothing but `text/uri-list`, and this is not a listing.
    #[error("text/uri-list renders listings only: ask for text/plain, text/occi or application/occi+json here")]
    NotAListing,
}

impl NotAcceptable {
    /// The HTTP status of the refusal.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unsupported(_) => 406,
            Self::NotAListing => 400,
        }
    }
}

/// The request is in no media type that is read here: answer 406 (A-03; HTTP itself would say 415).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("requests of type `{0}` are not read here: send text/plain, text/occi, text/uri-list or application/occi+json")]
pub struct UnsupportedMediaType(String);

impl MediaType {
    /// All that can be negotiated, the most preferred first.
    pub const ALL: [Self; 4] = [Self::TextPlain, Self::TextOcci, Self::Json, Self::UriList];

    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::TextPlain => "text/plain; charset=utf-8",
            Self::TextOcci => "text/occi",
            Self::UriList => "text/uri-list",
            Self::Json | Self::LegacyJson => "application/occi+json",
        }
    }

    /// The same, with the JSON of rOCCI 4 in place of the standard's where that is `configured`.
    ///
    /// Requests are read in both shapes then, answers have the older one. Both have the same `Content-Type`.
    #[must_use]
    pub fn with_legacy_json(self, configured: bool) -> Self {
        if self == Self::Json && configured { Self::LegacyJson } else { self }
    }

    /// Chooses the rendering of an answer; several `Accept` fields are to be joined with commas first.
    ///
    /// Without `Accept`, and for `*/*`, it is text/plain. The highest quality wins, then the earlier entry.
    ///
    /// # Errors
    /// [`NotAcceptable`], which knows whether the status is 406 or 400.
    pub fn negotiate(accept: Option<&str>, purpose: Purpose) -> Result<Self, NotAcceptable> {
        let accept = accept.unwrap_or_default();
        let ranges: Vec<Range> = entries(accept).filter_map(Range::parse).collect();
        if ranges.is_empty() && accept.trim().is_empty() {
            return Ok(Self::TextPlain);
        }
        let mut best: Option<(u16, usize, Self)> = None;
        let mut listing_was_asked = false;
        for media in Self::ALL {
            let Some((quality, place)) = preference(&ranges, media) else { continue };
            if media == Self::UriList && purpose != Purpose::Listing {
                listing_was_asked = true;
                continue;
            }
            // Between the two text renderings the order says nothing: a tester lists text/occi first, and reads
            // only bodies (occi-tent).
            let is_lesser = |best| best == Self::TextPlain && media == Self::TextOcci;
            if best.is_none_or(|(best_quality, best_place, best)| {
                quality > best_quality || (quality == best_quality && place < best_place && !is_lesser(best))
            }) {
                best = Some((quality, place, media));
            }
        }
        match best {
            Some((_, _, media)) => Ok(media),
            None if listing_was_asked => Err(NotAcceptable::NotAListing),
            None => Err(NotAcceptable::Unsupported(excerpt(accept))),
        }
    }

    /// The rendering of a request: the first entry of `Content-Type` that is known here, parameters ignored.
    ///
    /// Without the field, a request with a body is text/plain and one without is text/occi.
    ///
    /// # Errors
    /// The field names nothing that is read here.
    pub fn of_request(content_type: Option<&str>, body_is_empty: bool) -> Result<Self, UnsupportedMediaType> {
        match content_type.map(str::trim) {
            None | Some("") => Ok(if body_is_empty { Self::TextOcci } else { Self::TextPlain }),
            // curl adds this by itself to every `-d`: its user has said nothing.
            Some(form) if form.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
                Ok(if body_is_empty { Self::TextOcci } else { Self::TextPlain })
            }
            Some(list) => entries(list)
                .find_map(|entry| Self::from_name(entry.split(';').next().unwrap_or_default().trim()))
                .ok_or_else(|| UnsupportedMediaType(excerpt(list))),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name {
            _ if is("text/plain") || is("text/occi+plain") => Some(Self::TextPlain),
            _ if is("text/occi") => Some(Self::TextOcci),
            _ if is("text/uri-list") => Some(Self::UriList),
            // Several clients say what it is instead of what it is called.
            _ if is("application/occi+json") || is("application/json") => Some(Self::Json),
            _ => None,
        }
    }
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).take(ENTRIES)
}

enum Pattern {
    Everything,
    Family(&'static str),
    Exactly(MediaType),
}

struct Range {
    pattern: Option<Pattern>,
    /// In thousandths.
    quality: u16,
}

impl Range {
    /// `None` where the quality is no number: such an entry is as good as absent.
    fn parse(entry: &str) -> Option<Self> {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut quality = 1000;
        for parameter in parts {
            if let Some(text) = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) {
                let number: f64 = text.trim().parse().ok()?;
                if !(0.0..=1.0).contains(&number) {
                    return None;
                }
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
                let thousandths = (number * 1000.0).round() as u16;
                quality = thousandths;
            }
        }
        let pattern = match name {
            "*/*" | "*" => Some(Pattern::Everything),
            _ if name.eq_ignore_ascii_case("text/*") => Some(Pattern::Family("text")),
            _ if name.eq_ignore_ascii_case("application/*") => Some(Pattern::Family("application")),
            _ => MediaType::from_name(name).map(Pattern::Exactly),
        };
        Some(Self { pattern, quality })
    }

    /// How closely the range names a media type; `None` where it does not.
    fn closeness(&self, media: MediaType) -> Option<u8> {
        match self.pattern.as_ref()? {
            Pattern::Exactly(named) => (*named == media).then_some(2),
            Pattern::Family(family) => media.content_type().starts_with(family).then_some(1),
            Pattern::Everything => Some(0),
        }
    }
}

/// Quality and place of the range that speaks most closely about `media`, unless it forbids it.
fn preference(ranges: &[Range], media: MediaType) -> Option<(u16, usize)> {
    ranges
        .iter()
        .enumerate()
        .filter_map(|(place, range)| Some((range.closeness(media)?, place, range.quality)))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .filter(|(_, _, quality)| *quality > 0)
        .map(|(_, place, quality)| (quality, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(accept: &str) -> Result<MediaType, u16> {
        MediaType::negotiate(Some(accept), Purpose::Single).map_err(|refusal| refusal.status())
    }

    #[test]
    fn c_053_c_054_plain_text_is_the_default() {
        assert_eq!(MediaType::negotiate(None, Purpose::Listing), Ok(MediaType::TextPlain));
        for accept in ["", " ", "*/*", "text/*", "text/plain;q=0.5, */*;q=0.5"] {
            assert_eq!(single(accept), Ok(MediaType::TextPlain), "{accept}");
        }
    }

    #[test]
    fn c_055_to_c_057_every_rendering_can_be_asked_for() {
        assert_eq!(single("text/occi"), Ok(MediaType::TextOcci));
        assert_eq!(single("Text/OCCI+plain"), Ok(MediaType::TextPlain));
        assert_eq!(single("application/occi+json"), Ok(MediaType::Json));
        assert_eq!(single("application/*"), Ok(MediaType::Json));
    }

    #[test]
    fn c_058_unknown_types_are_406() {
        for accept in ["image/png", "text/html, image/*", "text/plain;q=0", "text/plain;q=7", ",,,", "x"] {
            assert_eq!(single(accept), Err(406), "{accept}");
        }
    }

    #[test]
    fn c_019_c_059_uri_lists_are_for_listings() {
        assert_eq!(single("text/uri-list"), Err(400));
        assert_eq!(MediaType::negotiate(Some("text/uri-list"), Purpose::Query), Err(NotAcceptable::NotAListing));
        assert_eq!(MediaType::negotiate(Some("text/uri-list"), Purpose::Listing), Ok(MediaType::UriList));
        assert_eq!(single("text/uri-list, text/plain;q=0.1"), Ok(MediaType::TextPlain));
    }

    #[test]
    fn c_060_c_061_quality_then_order() {
        assert_eq!(single("text/plain;q=0.1, application/occi+json"), Ok(MediaType::Json));
        assert_eq!(single("text/plain,text/occi"), Ok(MediaType::TextPlain));
        assert_eq!(single("text/occi,text/plain"), Ok(MediaType::TextPlain), "between these two the order is nothing");
        assert_eq!(single("text/occi,text/plain;q=0.9"), Ok(MediaType::TextOcci));
        assert_eq!(single("application/occi+json,text/plain"), Ok(MediaType::Json));
        assert_eq!(single("text/plain,text/occi;q=0.2"), Ok(MediaType::TextPlain));
        assert_eq!(single("*/*, text/plain;q=0"), Ok(MediaType::TextOcci));
    }

    #[test]
    fn c_065_to_c_067_types_of_requests() {
        let of = |text: &str| MediaType::of_request(Some(text), false);
        assert_eq!(of("text/plain,text/occi"), Ok(MediaType::TextPlain));
        assert_eq!(of("text/plain; charset=utf-8"), Ok(MediaType::TextPlain));
        assert_eq!(of("application/x-foo, text/occi"), Ok(MediaType::TextOcci));
        assert!(of("application/x-foo").is_err());
        assert_eq!(MediaType::of_request(None, true), Ok(MediaType::TextOcci));
        assert_eq!(MediaType::of_request(None, false), Ok(MediaType::TextPlain));
    }
}
