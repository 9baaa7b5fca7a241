//! On whose behalf the driver works, in its log and in its answers.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};
use backend::request::{self, RequestId};
use tracing::Instrument;
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static(request::HEADER);

/// Works under the id that the caller gave, or one of our own where there is none that could be one. All that is logged
/// meanwhile carries it, and so does the answer.
pub(super) async fn name(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let given = request.headers().get(HEADER).and_then(|id| id.to_str().ok()?.parse::<RequestId>().ok());
    let id = given.map_or_else(|| Uuid::now_v7().to_string(), String::from);
    let span = tracing::info_span!("request", %id, method = %request.method(), path = request.path());
    let mut answer = next.call(request).instrument(span).await?;
    if let Ok(value) = HeaderValue::try_from(id) {
        answer.headers_mut().insert(HEADER, value);
    }
    Ok(answer)
}
