//! Requests about volumes.

use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Path, Query, ServiceConfig},
};
use backend::{Attachment, AttachmentSpec, IntentTag, MachineId, Volume, VolumeId, VolumeSpec};
use serde_json::Value;

use super::answers::Answer;
use crate::{
    Driver,
    wire::{NewCopy, Online, Selection, VolumeSize},
};

pub(super) fn all(config: &mut ServiceConfig) {
    config
        .route("/volumes", web::get().to(list))
        .route("/volumes", web::post().to(create))
        .route("/volumes/{id}", web::get().to(show))
        .route("/volumes/{id}", web::delete().to(delete))
        .route("/volumes/{id}/online", web::post().to(set_online))
        .route("/volumes/{id}/resize", web::post().to(resize))
        .route("/volumes/{id}/copies", web::post().to(copy))
        .route("/machines/{id}/volumes", web::post().to(attach))
        .route("/machines/{id}/volumes/{tag}", web::delete().to(detach));
}

async fn list(driver: Data<Driver>, selection: Query<Selection>) -> Result<Json<Vec<Volume>>, Answer> {
    Ok(Json(match selection.tag {
        Some(tag) => driver.find_volume_by_tag(tag).await.into_iter().collect(),
        None => driver.volumes().await?,
    }))
}

async fn create(driver: Data<Driver>, wanted: Json<VolumeSpec>) -> Result<Json<Volume>, Answer> {
    Ok(Json(driver.create_volume(wanted.into_inner()).await?))
}

async fn show(driver: Data<Driver>, id: Path<VolumeId>) -> Result<Json<Volume>, Answer> {
    Ok(Json(driver.volume(&id).await?))
}

async fn delete(driver: Data<Driver>, id: Path<VolumeId>) -> Result<HttpResponse, Answer> {
    driver.delete_volume(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn set_online(driver: Data<Driver>, id: Path<VolumeId>, wanted: Json<Online>) -> Result<HttpResponse, Answer> {
    driver.set_volume_online(&id, wanted.online).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn resize(driver: Data<Driver>, id: Path<VolumeId>, wanted: Json<VolumeSize>) -> Result<HttpResponse, Answer> {
    driver.resize_volume(&id, wanted.size_bytes).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn copy(driver: Data<Driver>, id: Path<VolumeId>, wanted: Json<NewCopy>) -> Result<HttpResponse, Answer> {
    driver.copy_volume(&id, wanted.purpose, wanted.tag).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn attach(
    driver: Data<Driver>,
    machine: Path<MachineId>,
    wanted: Json<AttachmentSpec>,
) -> Result<Json<Attachment>, Answer> {
    Ok(Json(driver.attach(&machine, wanted.into_inner()).await?))
}

async fn detach(driver: Data<Driver>, place: Path<(MachineId, IntentTag)>) -> Result<HttpResponse, Answer> {
    let (machine, tag) = place.into_inner();
    driver.detach(&machine, tag).await?;
    Ok(HttpResponse::NoContent().finish())
}
