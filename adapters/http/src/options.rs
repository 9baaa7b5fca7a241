use std::{fmt, path::PathBuf, time::Duration};

use url::Url;

/// How a service is called.
#[derive(Clone)]
pub struct Options {
    /// Who is called, for people, in messages: `OpenStack at https://cloud.example:5000`.
    pub name: String,
    /// Certificates, in PEM, of authorities that are trusted beside the system's own.
    pub authorities: Option<PathBuf>,
    /// A forward proxy; none when there is none, whatever the environment says.
    pub proxy: Option<Url>,
    /// Until a connection stands.
    pub connect: Duration,
    /// For how long a connection that nobody uses is kept; zero closes each after its answer, for services that
    /// cannot do otherwise.
    pub idle: Duration,
    /// The longest answer that is taken into memory, in bytes.
    pub longest_answer: usize,
    /// How many calls are under way at the same time.
    pub most_at_once: usize,
}

impl Options {
    /// What suits most services.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            authorities: None,
            proxy: None,
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            longest_answer: 16 << 20,
            most_at_once: 32,
        }
    }
}

// A proxy's address may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("authorities", &self.authorities)
            .field("has_proxy", &self.proxy.is_some())
            .finish_non_exhaustive()
    }
}

/// Why nobody can be called that way, in words for whoever wrote the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionsError(pub(crate) String);

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OptionsError {}
