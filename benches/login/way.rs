//! The ways of asking.

/// By what a request says who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// Not at all.
    Anonymous,
    /// An app token as `Authorization: Bearer`.
    Bearer,
    /// User and app token as `Authorization: Basic`.
    Basic,
    /// An app token as `X-Auth-Token`.
    AuthToken,
    /// A browser's session, by its cookie.
    Session,
    /// A JWT of a real provider as `Authorization: Bearer`.
    Jwt,
}

impl Way {
    pub const ALL: [Self; 6] = [Self::Anonymous, Self::Bearer, Self::Basic, Self::AuthToken, Self::Session, Self::Jwt];

    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Bearer => "app token, Bearer",
            Self::Basic => "app token, Basic",
            Self::AuthToken => "app token, X-Auth-Token",
            Self::Session => "session, cookie",
            Self::Jwt => "provider's JWT, Bearer",
        }
    }
}
