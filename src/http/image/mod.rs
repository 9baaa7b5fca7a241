//! `/images/{digest}.{format}`: stored images as files of any format, whole or by ranges of bytes.

mod announced;
mod precondition;
mod range;

use std::net::{IpAddr, Ipv4Addr};

use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    http::{
        Method, StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use disk_image::{ContentDigest, ImageFormat};
use futures_util::StreamExt;
use occi_schema::MediaType;

use self::{announced::Announced, precondition::Precondition, range::Wanted};
use super::{
    Addresses, address::base_of, challenge, limit::neighbourhood, not_allowed, occi::Failure, plain, principal,
};
use crate::{
    broker::Broker,
    shelf::{self, Fetcher},
};

/// The paths, for the server.
pub fn routes(server: &mut web::ServiceConfig) {
    server
        .service(web::resource(format!("{}/{{file}}", shelf::PATH)).to(door))
        // Nothing else is there, whatever a path looks like once its slashes are counted.
        .service(web::resource(["/{before:/+}images/{below:.*}", "/images/{below:.*}"]).to(nowhere));
}

async fn nowhere() -> HttpResponse {
    plain(StatusCode::NOT_FOUND, "there is nothing; an image is at /images/DIGEST.FORMAT\n")
}

async fn door(request: HttpRequest, broker: web::Data<Broker>, file: web::Path<String>) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    let Some((digest, format)) = named(&file) else { return nowhere().await };
    match serve(&request, &broker, digest, format).await {
        Ok(response) => response,
        Err(failure) => {
            let mut response = failure.response(MediaType::TextPlain, broker.mode());
            challenge::put(&mut response, &request, &base_of(&request));
            response
        }
    }
}

async fn serve(
    request: &HttpRequest,
    broker: &Broker,
    digest: ContentDigest,
    format: ImageFormat,
) -> Result<HttpResponse, Failure> {
    // Who may not have it does not learn whether it is there.
    let fetcher = fetcher(request, broker, digest, format).await?;
    // Before the image is looked at, which may be work as well.
    let place = broker.admit_fetch(fetcher)?;
    let rendered = broker.rendered(digest, format).await?;
    let length = rendered.length();
    let tag = format!("\"{}\"", rendered.validator());
    let headers = request.headers();
    let reads = *request.method() == Method::GET;
    match Precondition::of(headers, &tag) {
        Precondition::Holds => {}
        Precondition::Fails => return Ok(tagged(StatusCode::PRECONDITION_FAILED, &tag).finish()),
        Precondition::NotModified => return Ok(tagged(StatusCode::NOT_MODIFIED, &tag).finish()),
    }
    // A range has a meaning for GET alone (RFC 9110 section 14.2).
    let wanted =
        if reads && precondition::if_range_holds(headers, &tag) { Wanted::of(headers, length) } else { Wanted::Whole };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..length),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let mut response = tagged(StatusCode::RANGE_NOT_SATISFIABLE, &tag);
            return Ok(response.insert_header((header::CONTENT_RANGE, format!("bytes */{length}"))).finish());
        }
    };
    let mut response = tagged(status, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (range.start, range.end - 1);
        response.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}")));
    }
    response
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{digest}.{format}\"")));
    if !reads {
        return Ok(response.body(Announced(length)));
    }
    let size = range.end - range.start;
    // The place is held as long as the body is.
    let bytes = shelf::read(rendered, range).map(move |chunk| {
        let _place = &place;
        chunk
    });
    Ok(response.body(SizedStream::new(size, bytes)))
}

/// As whom the client fetches, by the ticket in the URL or else by what else it shows.
async fn fetcher(
    request: &HttpRequest,
    broker: &Broker,
    digest: ContentDigest,
    format: ImageFormat,
) -> Result<Fetcher, Failure> {
    if let Some(ticket) = ticket(request.query_string()) {
        let addresses = request.app_data::<web::Data<Addresses>>();
        let from = addresses.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addresses| addresses.client(request));
        return Ok(broker.fetcher_by_ticket(ticket, digest, format, neighbourhood(from))?);
    }
    let principal = principal::of(request).await?.ok_or(Failure::Unauthenticated)?;
    Ok(broker.fetcher_by_principal(&principal, digest).await?)
}

/// A ticket has no character that a query would write otherwise.
fn ticket(query: &str) -> Option<&str> {
    query.split('&').find_map(|field| field.strip_prefix("ticket="))
}

fn named(file: &str) -> Option<(ContentDigest, ImageFormat)> {
    let (digest, format) = file.split_once('.')?;
    let format = ImageFormat::ALL.into_iter().find(|known| known.name() == format)?;
    Some((digest.parse().ok()?, format))
}

fn tagged(status: StatusCode, tag: &str) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, tag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        // The address may be a credential, and what is there is for whom it was given to; a proxy that changed the bytes
        // would give another file the same tag.
        .insert_header((header::CACHE_CONTROL, "private, no-transform"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        // A proxy would otherwise gather gigabytes for a client that is slower than this server.
        .insert_header(("X-Accel-Buffering", "no"));
    response
}

/// The field's value, if it is there once; several are one list (RFC 9110 section 5.3).
fn joined(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_digest_and_a_format() {
        let digest = "ab".repeat(32);
        let format = |file: String| named(&file).map(|(_, format)| format);
        for known in ImageFormat::ALL {
            assert_eq!(format(format!("{digest}.{known}")), Some(known));
        }
        for odd in ["", ".raw", "raw", &digest, &format!("{digest}."), &format!("{digest}.vpc")] {
            assert_eq!(format(odd.to_owned()), None, "{odd}");
        }
        for odd in ["RAW", "raw.gz", "raw/", "raw "] {
            assert_eq!(format(format!("{digest}.{odd}")), None, "{odd}");
        }
        assert_eq!(format(format!("{}.raw", "AB".repeat(32))), None, "an image has one name");
    }

    #[test]
    fn the_ticket_is_one_field_of_the_query() {
        assert_eq!(ticket("ticket=x"), Some("x"));
        assert_eq!(ticket("a=b&ticket=x&c"), Some("x"));
        assert_eq!(ticket("a=ticket=x"), None);
        assert_eq!(ticket(""), None);
    }
}
