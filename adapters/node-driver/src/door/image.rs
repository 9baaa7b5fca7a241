//! Requests about images.

use std::path::PathBuf;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, Data, Json, Path, Payload, Query, ServiceConfig},
};
use disk_image::ContentDigest;

use super::{Guard, answers::Answer};
use crate::{
    Driver, NodeError,
    wire::{ImageLink, ImageSize, KnownSize, PACKED_IMAGE, RemovedImages},
};

pub(super) fn all(config: &mut ServiceConfig) {
    config
        .route("/images/unused", web::delete().to(remove_unused))
        .route("/images/{digest}", web::get().to(show))
        .route("/images/{digest}", web::put().to(provide))
        .route("/images/{digest}", web::delete().to(delete));
}

async fn remove_unused(driver: Data<Driver>) -> Result<Json<RemovedImages>, Answer> {
    Ok(Json(RemovedImages { removed: driver.remove_unused_images().await? }))
}

async fn delete(driver: Data<Driver>, digest: Path<ContentDigest>) -> Result<HttpResponse, Answer> {
    driver.delete_image(*digest).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn show(
    driver: Data<Driver>,
    digest: Path<ContentDigest>,
    known: Query<KnownSize>,
) -> Result<HttpResponse, Answer> {
    let unknown = || NodeError::UnknownImage(*digest);
    match known.size {
        Some(size) if driver.has_image(&digest, size) => Ok(HttpResponse::NoContent().finish()),
        Some(_) => Err(unknown().into()),
        None => Ok(HttpResponse::Ok().json(driver.image(&digest).ok_or_else(unknown)?)),
    }
}

/// Takes the image's bytes, or, from a caller on this host, the name of a file that holds them.
async fn provide(
    driver: Data<Driver>,
    guard: Data<Guard>,
    digest: Path<ContentDigest>,
    size: Query<ImageSize>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Answer> {
    let (digest, size) = (*digest, size.size);
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match (kind, guard.get_ref()) {
        (PACKED_IMAGE, _) => {
            driver.receive_image(digest, size, body).await?;
        }
        ("application/json", Guard::Host) => {
            let text = body.to_bytes_limited(64 << 10).await;
            let text = text.map_err(|_| Answer::refused("the body is too long"))?;
            let text = text.map_err(|error| Answer::refused(error.to_string()))?;
            let wanted: ImageLink =
                serde_json::from_slice(&text).map_err(|error| Answer::refused(error.to_string()))?;
            let path = PathBuf::from(wanted.link);
            if !path.is_absolute() {
                return Err(Answer::refused("the link must be an absolute path"));
            }
            driver.link_image(digest, size, path).await?;
        }
        ("application/json", Guard::Token(_)) => {
            return Err(Answer::refused("files of the node are linked for callers on the node itself only"));
        }
        _ => return Err(Answer::refused(format!("an image comes as {PACKED_IMAGE}, or as a link in JSON"))),
    }
    Ok(HttpResponse::NoContent().finish())
}
