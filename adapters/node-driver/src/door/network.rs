//! Requests about networks.

use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Path, Query, ServiceConfig},
};
use backend::{IntentTag, Interface, InterfaceSpec, MachineId, Network, NetworkId, NetworkSpec};
use serde_json::Value;

use super::answers::Answer;
use crate::{
    Driver,
    wire::{Selection, Up},
};

pub(super) fn all(config: &mut ServiceConfig) {
    config
        .route("/networks", web::get().to(list))
        .route("/networks", web::post().to(create))
        .route("/networks/{id}", web::get().to(show))
        .route("/networks/{id}", web::put().to(change))
        .route("/networks/{id}", web::delete().to(delete))
        .route("/networks/{id}/up", web::post().to(set_up))
        .route("/machines/{id}/interfaces", web::post().to(plug))
        .route("/machines/{id}/interfaces/{tag}", web::delete().to(unplug));
}

async fn list(driver: Data<Driver>, selection: Query<Selection>) -> Result<Json<Vec<Network>>, Answer> {
    Ok(Json(match selection.tag {
        Some(tag) => driver.find_network_by_tag(tag).await.into_iter().collect(),
        None => driver.networks().await?,
    }))
}

async fn create(driver: Data<Driver>, wanted: Json<NetworkSpec>) -> Result<Json<Network>, Answer> {
    Ok(Json(driver.create_network(wanted.into_inner()).await?))
}

async fn show(driver: Data<Driver>, id: Path<NetworkId>) -> Result<Json<Network>, Answer> {
    Ok(Json(driver.network(&id).await?))
}

async fn change(driver: Data<Driver>, id: Path<NetworkId>, wanted: Json<NetworkSpec>) -> Result<HttpResponse, Answer> {
    driver.change_network(&id, wanted.into_inner()).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn delete(driver: Data<Driver>, id: Path<NetworkId>) -> Result<HttpResponse, Answer> {
    driver.delete_network(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn set_up(driver: Data<Driver>, id: Path<NetworkId>, wanted: Json<Up>) -> Result<HttpResponse, Answer> {
    driver.set_network_up(&id, wanted.up).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn plug(
    driver: Data<Driver>,
    machine: Path<MachineId>,
    wanted: Json<InterfaceSpec>,
) -> Result<Json<Interface>, Answer> {
    Ok(Json(driver.plug(&machine, wanted.into_inner()).await?))
}

async fn unplug(driver: Data<Driver>, place: Path<(MachineId, IntentTag)>) -> Result<HttpResponse, Answer> {
    let (machine, tag) = place.into_inner();
    driver.unplug(&machine, tag).await?;
    Ok(HttpResponse::NoContent().finish())
}
