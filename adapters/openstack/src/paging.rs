//! Lists that come page by page, each read object by object.

use std::collections::HashSet;

use backend::{BackendError, Listing};
use backend_http::Answer;
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::call::Call;

/// How many objects are asked for at a time.
const PAGE: u32 = 500;
/// A list has no more pages, and no more objects in all.
const MOST_PAGES: usize = 1000;
const MOST_OBJECTS: usize = 200_000;

/// Reads a list whose objects stand under `key`. Each page is handed on and freed before the next one is asked for.
///
/// A link to the next page is taken for its query alone: behind proxies its host is often wrong, and a credential
/// goes to no host that an answer names.
///
/// # Errors
/// What the service says; [`BackendError::Failed`] for a list that is none, or has no end.
pub(crate) async fn each_page<T: DeserializeOwned + Send>(
    call: Call<'_>,
    key: &str,
    mut take: impl FnMut(Listing<T>) + Send,
) -> Result<(), BackendError> {
    let mut call = call.query("limit", PAGE.to_string());
    let mut seen = HashSet::new();
    let mut objects = 0;
    for _ in 0..MOST_PAGES {
        let answer = call.clone().send().await?;
        let listing = page::<T>(&answer, key)
            .map_err(|why| BackendError::Failed(format!("{}: the answer is no list: {why}", call.about())))?;
        objects += listing.objects.len() + listing.unreadable_count();
        if objects > MOST_OBJECTS {
            return Err(BackendError::Failed(format!("{}: more than {MOST_OBJECTS} objects", call.about())));
        }
        take(listing);
        let Some(next) = next_query(&answer, key) else { return Ok(()) };
        if !seen.insert(next.clone()) {
            return Err(BackendError::Failed(format!("{}: the pages go in a circle", call.about())));
        }
        call = call.with_query(next);
    }
    Err(BackendError::Failed(format!("{}: more than {MOST_PAGES} pages", call.about())))
}

/// The whole list at once, for what there are few of.
pub(crate) async fn all<T: DeserializeOwned + Send>(call: Call<'_>, key: &str) -> Result<Vec<T>, BackendError> {
    let mut objects = Vec::new();
    each_page(call, key, |mut listing: Listing<T>| objects.append(&mut listing.objects)).await?;
    Ok(objects)
}

fn page<T: DeserializeOwned>(answer: &Answer, key: &str) -> Result<Listing<T>, String> {
    let array = member(&answer.body, key).ok_or_else(|| format!("there is no {key:?}"))?;
    Listing::from_json(array).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    rel: String,
    #[serde(default)]
    href: String,
}

/// The query of the link to the next page: Nova, Cinder and Neutron have `servers_links`, Glance has `next`.
fn next_query(answer: &Answer, key: &str) -> Option<Vec<(String, String)>> {
    let links = member(&answer.body, &format!("{key}_links"))
        .and_then(|links| serde_json::from_slice::<Vec<Link>>(links).ok())
        .unwrap_or_default();
    let href = links.into_iter().find(|link| link.rel == "next").map(|link| link.href);
    let href = href.or_else(|| serde_json::from_slice(member(&answer.body, "next")?).ok())?;
    let base = Url::parse("http://relative.invalid/").ok()?;
    let query: Vec<(String, String)> = base.join(&href).ok()?.query_pairs().into_owned().collect();
    query.iter().any(|(name, _)| name == "marker").then_some(query)
}

/// The value of an object's member, found by brackets and quotes alone, so that nonsense inside of one of a list's
/// objects does not cost the list.
fn member<'a>(text: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut begun = 0;
    let mut last_text: &[u8] = b"";
    let mut value_from: Option<usize> = None;
    for (place, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                if quoted {
                    begun = place + 1;
                } else if depth == 1 && value_from.is_none() {
                    last_text = text.get(begun..place)?;
                }
            }
            _ if quoted => {}
            b':' if depth == 1 && value_from.is_none() && last_text == key.as_bytes() => value_from = Some(place + 1),
            b',' if depth == 1 => {
                if let Some(from) = value_from {
                    return text.get(from..place).map(<[u8]>::trim_ascii);
                }
                last_text = b"";
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let from = value_from?;
                    return text.get(from..place).map(<[u8]>::trim_ascii);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_whatever_stands_in_it() {
        let text = br#" { "next": null, "servers_links":[{"rel":"next","href":"/x?marker=1"}],
            "a\"servers": 1, "nested": {"servers": 2}, "servers": [ {"x": NaN}, {"y": "\u00zz ]}"} ] } "#;
        assert_eq!(member(text, "servers").unwrap(), br#"[ {"x": NaN}, {"y": "\u00zz ]}"} ]"#);
        assert_eq!(member(text, "next").unwrap(), b"null");
        assert_eq!(member(text, "servers_links").unwrap(), br#"[{"rel":"next","href":"/x?marker=1"}]"#);
        assert_eq!(member(text, "images"), None);
        for broken in [&b""[..], b"{", b"[]", b"}", b"{\"servers\": [", b"nothing"] {
            assert_eq!(member(broken, "servers"), None);
        }
    }

    #[test]
    fn bad_utf_8_in_one_object_costs_that_one() {
        let mut text = b"{\"servers\": [{\"id\": \"".to_vec();
        text.extend([0xff, 0xfe]);
        text.extend(b"\"}, {\"id\": \"good\"}, {\"id\": NaN}]}");
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        let listing = Listing::<Named>::from_json(member(&text, "servers").unwrap()).unwrap();
        assert_eq!(listing.objects.iter().map(|named| named.id.as_str()).collect::<Vec<_>>(), ["good"]);
        assert_eq!(listing.unreadable_count(), 2);
    }
}
