//! What an answer that is no success means.

use backend::BackendError;
use backend_http::{Answer, StatusCode, quoted};
use serde_json::Value;

/// What a service says of its refusal.
pub(crate) struct Reason {
    /// In words, bounded and printable.
    pub(crate) words: String,
    /// Neutron's name for it: `OverQuota`, `IpAddressAlreadyAllocated`.
    pub(crate) kind: String,
}

/// The words of a refusal, wherever the service has put them.
pub(crate) fn reason(answer: &Answer) -> Reason {
    let status = answer.status;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let word = |object: &Value, key: &str| object.get(key).and_then(Value::as_str).map(quoted);
    // Nova and Cinder wrap a message in the name of the fault, Neutron and Keystone in one name for all, Placement in
    // a list.
    let inner = body.as_object().and_then(|object| object.values().next()).cloned().unwrap_or_default();
    let inner = inner.get(0).cloned().unwrap_or(inner);
    let said = word(&inner, "message").or_else(|| word(&inner, "detail")).or_else(|| word(&body, "message"));
    // Glance answers a page for people; without body there is the status.
    let words = said.or_else(|| body.is_null().then(|| page(answer)).flatten()).unwrap_or_else(|| status.to_string());
    Reason { words, kind: word(&inner, "type").unwrap_or_default() }
}

/// The text of a page, without its marks.
fn page(answer: &Answer) -> Option<String> {
    let text = String::from_utf8_lossy(answer.body.get(..2048).unwrap_or(&answer.body)).into_owned();
    let body = text.split_once("<body>").map_or(text.as_str(), |(_, body)| body);
    let mut plain = String::new();
    let mut inside = false;
    for character in body.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                plain.push(' ');
            }
            _ if inside => {}
            _ => plain.push(character),
        }
    }
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    (!words.is_empty()).then(|| quoted(&words))
}

/// What the broker should make of it. `about` is the object: `machine 8c0e…`.
pub(crate) fn of(answer: &Answer, about: &str, is_change: bool) -> BackendError {
    let Reason { words, kind } = reason(answer);
    let said = format!("{about}: {words}");
    let no_room = kind == "OverQuota" || kind == "IpAddressGenerationFailure" || is_quota(&words);
    match answer.status {
        StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST
            if no_room =>
        {
            BackendError::Capacity(said)
        }
        StatusCode::UNAUTHORIZED => BackendError::Unauthorized(said),
        StatusCode::NOT_FOUND | StatusCode::GONE => BackendError::NotFound(said),
        StatusCode::CONFLICT => BackendError::Conflict(said),
        StatusCode::NOT_ACCEPTABLE | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            BackendError::Unsupported(format!("do that to {said}"))
        }
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => {
            let wait = answer.retry_after().map_or_else(String::new, |seconds| format!(", for {seconds} s"));
            BackendError::Unreachable(format!("{said}; it asks us to wait{wait}"))
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            BackendError::Unreachable(said)
        }
        // It may have happened all the same.
        status if status.is_server_error() && is_change => BackendError::Unreachable(said),
        status if status.is_server_error() => BackendError::Failed(said),
        status if status.is_client_error() => BackendError::Refused(said),
        status => BackendError::Failed(format!("{said} (status {status} was not expected)")),
    }
}

fn is_quota(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("quota") && words.contains("exceed")
}
