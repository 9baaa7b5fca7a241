//! What providers gave us and the database keeps: sealed, so that who reads the database has nothing.

use super::secret::{Secret, SecretError};

/// What proves to a provider that a session was begun there.
pub const ID_TOKEN: &str = "id token of a session";
/// What a provider is asked again with.
pub const REFRESH_TOKEN: &str = "refresh token of a user";

/// For the database.
///
/// # Errors
/// The system gives no random bytes, or it is too long.
pub fn seal(secret: &Secret, label: &str, token: &str) -> Result<String, SecretError> {
    secret.seal(label, token.as_bytes())
}

/// From the database; `None` when the server's secret has changed since.
pub fn open(secret: &Secret, label: &str, sealed: &str) -> Option<String> {
    String::from_utf8(secret.open(label, sealed)?).ok()
}
