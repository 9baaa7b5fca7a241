use openidconnect::{
    RequestTokenError, StandardErrorResponse,
    core::{CoreErrorResponseType, CoreRequestTokenError},
};

use super::web::{AskError, WebError};

const WHAT: &str = "a token";

/// What came instead of tokens.
pub(super) enum TokenAnswer {
    /// The provider's no.
    Refused {
        /// Its code for the reason.
        error: String,
        /// Its words.
        description: Option<String>,
    },
    /// No answer, or none of use.
    Nothing(AskError),
}

/// Says what came instead of tokens, without the answer itself: there may be a token in it.
pub(super) fn of(error: CoreRequestTokenError<WebError>) -> TokenAnswer {
    match error {
        RequestTokenError::ServerResponse(answer) => refused(&answer),
        RequestTokenError::Request(error) => TokenAnswer::Nothing(AskError::of(WHAT, error)),
        RequestTokenError::Parse(error, _) => {
            let place = super::error::quote(&error.path().to_string());
            TokenAnswer::Nothing(AskError::away(WHAT, format!("its answer makes no sense at {place}")))
        }
        RequestTokenError::Other(_) => {
            TokenAnswer::Nothing(AskError::away(WHAT, "its answer is empty or of another kind"))
        }
    }
}

fn refused(answer: &StandardErrorResponse<CoreErrorResponseType>) -> TokenAnswer {
    let error = answer.error().as_ref().to_owned();
    TokenAnswer::Refused { error, description: answer.error_description().cloned() }
}
