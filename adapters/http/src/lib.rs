//! HTTP as adapters speak it.
//!
//! Every call has a deadline and every answer a largest size; redirects are not followed, since a credential must not
//! follow them; the request id of the broker's own caller travels along. An answer of the service is an
//! [`Answer`], whatever its status: what it means only the adapter knows. What is no answer is a
//! [`BackendError::Unreachable`](backend::BackendError::Unreachable): the effect may or may not have happened.

mod answer;
mod caller;
mod options;
mod trust;

pub use answer::{Answer, Download};
pub use caller::{Caller, Mode, builder};
pub use options::{Options, OptionsError};
pub use reqwest::{Body, Method, RequestBuilder, StatusCode, header};
pub use url::Url;

/// What a stranger says, quoted in bounds: at most 200 characters, the ones that do not print as blanks.
#[must_use]
pub fn quoted(text: &str) -> String {
    const MOST_CHARACTERS: usize = 200;
    text.chars().take(MOST_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
