use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use backend::BackendError;
use std::fmt;

use crate::{
    NodeError,
    wire::{Failure, FailureKind},
};

/// A failure on its way out.
#[derive(Debug)]
pub(super) struct Answer(Failure);

impl From<NodeError> for Answer {
    fn from(error: NodeError) -> Self {
        Self(BackendError::from(&error).into())
    }
}

impl Answer {
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self(Failure { kind: FailureKind::Refused, message: message.into() })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl ResponseError for Answer {
    fn status_code(&self) -> StatusCode {
        match self.0.kind {
            FailureKind::Unauthorized => StatusCode::UNAUTHORIZED,
            FailureKind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            FailureKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            FailureKind::NotFound => StatusCode::NOT_FOUND,
            FailureKind::Conflict => StatusCode::CONFLICT,
            FailureKind::Capacity => StatusCode::INSUFFICIENT_STORAGE,
            FailureKind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            FailureKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(&self.0)
    }
}
