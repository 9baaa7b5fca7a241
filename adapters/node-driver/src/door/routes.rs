use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web::{self, Data, Json, JsonConfig, Path, PathConfig, Query, QueryConfig, ServiceConfig},
};
use backend::{Description, Machine, MachineId, MachineSize, Quota};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::{Guard, answers::Answer, image, network, packing::packed, volume};
use crate::{
    Driver, NodeError,
    wire::{DISK_SIZE, NewMachine, PACKED_IMAGE, Restart, Save, Selection, Stop, Suspend},
};

/// Room for the largest user data in base64, and keys.
const MOST_JSON_BYTES: usize = 4 << 20;

pub(super) fn all(config: &mut ServiceConfig) {
    let refused = |problem: String| actix_web::Error::from(Answer::refused(problem));
    config
        .app_data(JsonConfig::default().limit(MOST_JSON_BYTES).error_handler(move |e, _| refused(e.to_string())))
        .app_data(PathConfig::default().error_handler(move |e, _| refused(e.to_string())))
        .app_data(QueryConfig::default().error_handler(move |e, _| refused(e.to_string())))
        .route("/description", web::get().to(describe))
        .route("/quota", web::get().to(quota))
        .route("/machines", web::get().to(list))
        .route("/machines", web::post().to(create))
        .route("/machines/{id}", web::get().to(show))
        .route("/machines/{id}", web::delete().to(delete))
        .route("/machines/{id}/start", web::post().to(start))
        .route("/machines/{id}/stop", web::post().to(stop))
        .route("/machines/{id}/restart", web::post().to(restart))
        .route("/machines/{id}/suspend", web::post().to(suspend))
        .route("/machines/{id}/resize", web::post().to(resize))
        .route("/machines/{id}/save", web::post().to(save))
        .configure(volume::all)
        .configure(network::all)
        .configure(image::all);
}

/// Lets in who may come in.
pub(super) async fn admit(
    guard: Data<Guard>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Guard::Token(token) = guard.get_ref() {
        let given = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        // The time taken tells no more than the token's length.
        if !bool::from(given.ct_eq(token.as_bytes())) {
            let unauthorized = HttpResponse::Unauthorized().insert_header((header::WWW_AUTHENTICATE, "Bearer")).json(
                crate::wire::Failure {
                    kind: crate::wire::FailureKind::Unauthorized,
                    message: "the node wants its token: Authorization: Bearer …".into(),
                },
            );
            return Ok(request.into_response(unauthorized).map_into_right_body());
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}

async fn describe(driver: Data<Driver>) -> Json<Description> {
    Json(driver.describe().await)
}

async fn quota(driver: Data<Driver>) -> Result<Json<Quota>, Answer> {
    Ok(Json(driver.quota().await?))
}

async fn list(driver: Data<Driver>, selection: Query<Selection>) -> Json<Vec<Machine>> {
    Json(match selection.tag {
        Some(tag) => driver.find_by_tag(tag).await.into_iter().collect(),
        None => driver.machines(),
    })
}

async fn create(driver: Data<Driver>, wanted: Json<NewMachine>) -> Result<Json<Machine>, Answer> {
    let spec = wanted
        .into_inner()
        .try_into()
        .map_err(|error: crate::wire::InvalidUserData| Answer::refused(error.to_string()))?;
    Ok(Json(driver.create(spec).await?))
}

async fn show(driver: Data<Driver>, id: Path<MachineId>) -> Result<Json<Machine>, Answer> {
    Ok(Json(driver.machine(&id)?))
}

async fn delete(driver: Data<Driver>, id: Path<MachineId>) -> Result<HttpResponse, Answer> {
    driver.delete(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn start(driver: Data<Driver>, id: Path<MachineId>) -> Result<HttpResponse, Answer> {
    driver.start(&id).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn stop(driver: Data<Driver>, id: Path<MachineId>, how: Json<Stop>) -> Result<HttpResponse, Answer> {
    driver.stop(&id, how.method).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn restart(driver: Data<Driver>, id: Path<MachineId>, how: Json<Restart>) -> Result<HttpResponse, Answer> {
    driver.restart(&id, how.method).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn suspend(driver: Data<Driver>, id: Path<MachineId>, how: Json<Suspend>) -> Result<HttpResponse, Answer> {
    driver.suspend(&id, how.method).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

async fn resize(driver: Data<Driver>, id: Path<MachineId>, size: Json<MachineSize>) -> Result<HttpResponse, Answer> {
    driver.resize(&id, &size).await?;
    Ok(HttpResponse::Accepted().json(Value::Null))
}

/// Answers when the copy is complete, and sends it then.
async fn save(driver: Data<Driver>, id: Path<MachineId>, how: Json<Save>) -> Result<HttpResponse, Answer> {
    let saved = driver.save(&id, how.method).await?;
    let bytes = packed(saved.bytes).map_err(|error| NodeError::Internal(format!("no compression: {error}")))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, PACKED_IMAGE))
        .insert_header((DISK_SIZE, saved.size.to_string()))
        .streaming(bytes))
}
