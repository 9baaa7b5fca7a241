use thiserror::Error;

use super::web::AskError;
use crate::login::{identity::ClaimsError, secret::SecretError};

/// What others say is repeated no longer, in characters.
const LONGEST_QUOTE: usize = 200;

/// Why somebody is not signed in, or not believed. No token, code or secret is ever in it.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// There is none of that name.
    #[error("there is no provider {provider:?}; choose one on the login page")]
    Unknown {
        /// As asked for, shortened.
        provider: String,
    },
    /// The configuration makes no sense.
    #[error("the provider {provider:?} is not configured well: {problem}")]
    Misconfigured {
        /// Its name.
        provider: String,
        /// What to change.
        problem: String,
    },
    /// It cannot be asked now.
    #[error("the provider {provider:?} cannot be asked for {what} now ({reason}); try again in a moment")]
    Away {
        /// Its name.
        provider: String,
        /// What it was to give.
        what: &'static str,
        /// What happened.
        reason: String,
    },
    /// What it says is against the protocol.
    #[error("the provider {provider:?} does not speak OpenID Connect as it must: {problem}; tell its administrator")]
    Unfit {
        /// Its name.
        provider: String,
        /// What is wrong.
        problem: String,
    },
    /// It said no.
    #[error("the provider {provider:?} refused: {error}{}", described(description))]
    Refused {
        /// Its name.
        provider: String,
        /// Its code for the reason.
        error: String,
        /// Its words, if it had any.
        description: Option<String>,
    },
    /// An answer that does not belong to a sign-in that this browser began here.
    #[error("this is no answer to a sign-in that was begun here in this browser: {problem}; sign in again")]
    Unrequested {
        /// What does not fit.
        problem: &'static str,
    },
    /// A token that is not believed.
    #[error("the {what} of the provider {provider:?} is not believed: {problem}")]
    Untrusted {
        /// Its name.
        provider: String,
        /// Which token.
        what: &'static str,
        /// Why.
        problem: String,
    },
    /// A token that cannot be checked: there may be a new key that we may not ask for yet.
    #[error(
        "the {what} of the provider {provider:?} is signed with a key that it does not publish; try again in a moment"
    )]
    UnknownKey {
        /// Its name.
        provider: String,
        /// Which token.
        what: &'static str,
    },
    /// More claims than anybody's.
    #[error("what the provider {provider:?} says about this person is not taken: {source}")]
    Claims {
        /// Its name.
        provider: String,
        /// Why.
        source: ClaimsError,
    },
    /// Too much is asked at once.
    #[error("too many tokens are to be checked at the provider {provider:?} at once; try again in a moment")]
    Busy {
        /// Its name.
        provider: String,
    },
    /// Nothing could be sealed.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl ProviderError {
    pub(super) fn asked(provider: &str, error: AskError) -> Self {
        let provider = provider.to_owned();
        match error {
            AskError::Away { what, reason } => Self::Away { provider, what, reason },
            AskError::Unfit(problem) => Self::Unfit { provider, problem },
        }
    }

    /// Whether it may be different in a moment, with the same request.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Busy { .. } | Self::UnknownKey { .. })
    }
}

fn described(description: &Option<String>) -> String {
    description.as_ref().map(|words| format!(" ({words})")).unwrap_or_default()
}

/// Somebody else's words: what is printable of them, shortened.
pub(super) fn quote(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_QUOTE).collect()
}
