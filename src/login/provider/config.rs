use std::{fmt, path::PathBuf};

use serde::Deserialize;

use super::algorithm::SigningAlgorithm;

/// A provider of identities, as `[[login.provider]]` in the configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// In addresses: lower-case letters, digits and hyphens.
    pub name: String,
    /// For people who choose where to sign in; the name when empty.
    #[serde(default)]
    pub title: String,
    /// The provider as it names itself, to the letter. Its discovery document is found below.
    pub issuer: String,
    /// How the provider knows us.
    pub client_id: String,
    /// What proves it; a client without any is a public one.
    #[serde(default)]
    pub client_secret: Option<ClientSecretText>,
    /// A file with what proves it, instead.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for. When not given: `openid profile email`, and `offline_access` where the provider offers it.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The `prompt` of the request, as `consent` or `select_account`, where a provider needs one.
    #[serde(default)]
    pub prompt: Option<String>,
    /// Sign-ins at the provider that are older are not taken, in seconds.
    #[serde(default)]
    pub max_age: Option<u32>,
    /// Whom a bearer token may be made for, besides our client.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// How the provider may sign.
    #[serde(default = "SigningAlgorithm::usual")]
    pub signing_algorithms: Vec<SigningAlgorithm>,
    /// Whether `http` is taken for an issuer on this very host; for trying things out.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether the provider's access tokens open our doors.
    #[serde(default = "yes")]
    pub bearer: bool,
    /// Whether the provider is asked about access tokens that only it can read; for one provider at most.
    #[serde(default)]
    pub introspection: bool,
    /// Whether the provider is asked for what its tokens do not say of a person.
    #[serde(default = "yes")]
    pub userinfo: bool,
    /// Whether the provider may end sessions.
    #[serde(default = "yes")]
    pub back_channel_logout: bool,
}

fn yes() -> bool {
    true
}

/// What proves to a provider that we are its client.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ClientSecretText(String);

impl ClientSecretText {
    /// The secret itself, for the provider's eyes only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClientSecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

// It must not reach a log by way of {:?}.
impl fmt::Debug for ClientSecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecretText")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "name = 'school'\nissuer = 'https://id.school.example'\nclient_id = 'tombolo'\n";

    #[test]
    fn three_lines_are_a_provider() {
        let config: ProviderConfig = toml::from_str(LEAST).unwrap();
        assert_eq!(config.scopes, None);
        assert_eq!(config.signing_algorithms, SigningAlgorithm::usual());
        assert!(config.back_channel_logout && config.bearer && !config.allow_http);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(toml::from_str::<ProviderConfig>(&format!("{LEAST}colour = 'red'")).is_err());
    }

    #[test]
    fn a1_a2_no_configuration_allows_unsigned_tokens_or_shared_keys() {
        for algorithm in ["none", "HS256", "HS384", "HS512", "RS1", "rs256"] {
            let text = format!("{LEAST}signing_algorithms = ['{algorithm}']");
            assert!(toml::from_str::<ProviderConfig>(&text).is_err(), "{algorithm}");
        }
        assert!(toml::from_str::<ProviderConfig>(&format!("{LEAST}signing_algorithms = ['RS256']")).is_ok());
    }

    #[test]
    fn the_client_secret_is_not_in_the_debug_form() {
        let config: ProviderConfig = toml::from_str(&format!("{LEAST}client_secret = 'canary'")).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
        assert_eq!(config.client_secret.unwrap().reveal(), "canary");
    }
}
