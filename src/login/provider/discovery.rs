use serde::Deserialize;
use url::Url;

use super::{address::AddressRule, web::AskError};

/// A discovery document is not longer, in bytes.
pub(super) const LONGEST_DOCUMENT: usize = 256 << 10;

/// What a provider says about itself, as far as we use it. All addresses were checked.
#[derive(Debug)]
pub(super) struct Discovery {
    pub authorization: Url,
    pub token: Url,
    pub keys: Url,
    pub userinfo: Option<Url>,
    pub introspection: Option<Url>,
    pub end_session: Option<Url>,
    /// Whether each answer to a sign-in names its issuer (RFC 9207).
    pub names_issuer: bool,
    /// Whether it offers to stay in touch when the person has gone.
    pub offers_offline_access: bool,
    /// Whether the client's secret goes into the body rather than into a header.
    pub secret_in_body: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    scopes_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
}

/// Where the document of an issuer lies.
pub(super) fn address_of(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

impl Discovery {
    /// Reads a document that must be of this issuer.
    pub fn read(document: &[u8], issuer: &str, rule: &AddressRule) -> Result<Self, AskError> {
        // What serde says of a value may quote it, and is not needed: the document can be looked at.
        let document: Document = serde_json::from_slice(document).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            AskError::Unfit(format!("its discovery document lacks what is required ({place})"))
        })?;
        if document.issuer != issuer {
            let said = super::error::quote(&document.issuer);
            let problem = format!("its discovery document is of the issuer {said:?}, not of {issuer:?}");
            return Err(AskError::Unfit(problem));
        }
        if document.code_challenge_methods_supported.is_some_and(|methods| !methods.iter().any(|m| m == "S256")) {
            return Err(AskError::Unfit("it does not support PKCE with S256".to_owned()));
        }
        let check = |name: &str, address: &str| {
            rule.check(address).map_err(|problem| AskError::Unfit(format!("its {name} cannot be used: {problem}")))
        };
        let optional = |name: &str, address: Option<String>| address.map(|address| check(name, &address)).transpose();
        let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
        let offers = |method: &str| methods.iter().any(|offered| offered == method);
        Ok(Self {
            authorization: check("authorization_endpoint", &document.authorization_endpoint)?,
            token: check("token_endpoint", &document.token_endpoint)?,
            keys: check("jwks_uri", &document.jwks_uri)?,
            userinfo: optional("userinfo_endpoint", document.userinfo_endpoint)?,
            introspection: optional("introspection_endpoint", document.introspection_endpoint)?,
            end_session: optional("end_session_endpoint", document.end_session_endpoint)?,
            names_issuer: document.authorization_response_iss_parameter_supported,
            offers_offline_access: document.scopes_supported.iter().any(|scope| scope == "offline_access"),
            secret_in_body: offers("client_secret_post") && !offers("client_secret_basic"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl FnOnce(&mut Value)) -> Result<Discovery, AskError> {
        let mut document = json!({
            "issuer": "https://id.example",
            "authorization_endpoint": "https://id.example/auth",
            "token_endpoint": "https://id.example/token",
            "jwks_uri": "https://id.example/jwks",
        });
        change(&mut document);
        let rule = AddressRule::of_issuer("https://id.example", false).unwrap();
        Discovery::read(document.to_string().as_bytes(), "https://id.example", &rule)
    }

    #[test]
    fn a_document_with_what_is_required_is_read() {
        let discovery = read(|_| ()).unwrap();
        assert!(!discovery.names_issuer && !discovery.secret_in_body && discovery.userinfo.is_none());
        let post_only = read(|d| d["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"])).unwrap();
        assert!(post_only.secret_in_body);
    }

    #[test]
    fn a5_a_document_of_another_issuer_is_refused() {
        for issuer in ["https://id.example/", "https://evil.example", "HTTPS://id.example", ""] {
            assert!(read(|d| d["issuer"] = json!(issuer)).is_err(), "{issuer}");
        }
    }

    #[test]
    fn a11_a_provider_with_plain_pkce_only_is_refused() {
        assert!(read(|d| d["code_challenge_methods_supported"] = json!(["plain"])).is_err());
        assert!(read(|d| d["code_challenge_methods_supported"] = json!(["plain", "S256"])).is_ok());
    }

    #[test]
    fn what_is_missing_or_leads_into_the_clear_is_refused() {
        for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(read(|d| drop(d.as_object_mut().unwrap().remove(name))).is_err(), "{name}");
        }
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
            for address in ["http://id.example/x", "http://127.0.0.1/", "http://169.254.169.254/", "file:///etc/passwd"]
            {
                assert!(read(|d| d[name] = json!(address)).is_err(), "{name} {address}");
            }
        }
    }
}
