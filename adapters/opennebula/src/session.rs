use tokio::sync::Mutex;

/// Who calls, as every call says anew: `user:secret`.
pub(crate) struct Session {
    user: String,
    secret: String,
    /// Where calls are made with login tokens: the present one.
    token: Option<Mutex<Option<String>>>,
}

/// For how long a login token is asked, in seconds. The service keeps few of them for a user, so a new one is only
/// asked for when this one is not accepted any more.
pub(crate) const TOKEN_HOLDS: i32 = 12 * 3600;

impl Session {
    pub(crate) fn new(user: &str, secret: &str, login_tokens: bool) -> Self {
        let token = login_tokens.then(Mutex::default);
        Self { user: user.to_owned(), secret: secret.to_owned(), token }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// With the secret that was configured.
    pub(crate) fn with_secret(&self) -> String {
        format!("{}:{}", self.user, self.secret)
    }

    /// With this token.
    pub(crate) fn with_token(&self, token: &str) -> String {
        format!("{}:{token}", self.user)
    }

    /// The place of the token, where tokens are used.
    pub(crate) fn token(&self) -> Option<&Mutex<Option<String>>> {
        self.token.as_ref()
    }
}
