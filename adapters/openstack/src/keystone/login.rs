//! What is sent to Keystone to get a token (Identity API v3, "Authentication and token management").

use serde_json::{Value, json};

use crate::{CredentialName, Credentials, Domain, Named};

/// The body of `POST /v3/auth/tokens` for these credentials; `None` for those that come in by another door first.
pub(super) fn body(credentials: &Credentials, project: Option<&Named>) -> Option<Value> {
    match credentials {
        Credentials::Password { user, password } => {
            let mut user = named(user);
            user["password"] = password.reveal().into();
            let identity = json!({ "methods": ["password"], "password": { "user": user } });
            Some(scoped(&identity, project))
        }
        Credentials::ApplicationCredential { credential, secret } => {
            let mut credential = match credential {
                CredentialName::Id { id } => json!({ "id": id }),
                CredentialName::Name { name, user } => json!({ "name": name, "user": named(user) }),
            };
            credential["secret"] = secret.reveal().into();
            let identity = json!({ "methods": ["application_credential"], "application_credential": credential });
            // It is bound to its project; Keystone refuses any other scope beside it.
            Some(json!({ "auth": { "identity": identity } }))
        }
        Credentials::OidcAccessToken { .. } => None,
    }
}

/// The body that exchanges a token without a scope for one of the project.
pub(super) fn exchange(unscoped: &str, project: Option<&Named>) -> Value {
    scoped(&json!({ "methods": ["token"], "token": { "id": unscoped } }), project)
}

fn scoped(identity: &Value, project: Option<&Named>) -> Value {
    match project {
        Some(project) => json!({ "auth": { "identity": identity, "scope": { "project": named(project) } } }),
        None => json!({ "auth": { "identity": identity } }),
    }
}

fn named(named: &Named) -> Value {
    match named {
        Named::Id { id } => json!({ "id": id }),
        Named::Name { name, domain: Domain::Id { id } } => json!({ "name": name, "domain": { "id": id } }),
        Named::Name { name, domain: Domain::Name { name: domain } } => {
            json!({ "name": name, "domain": { "name": domain } })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn by_name(name: &str) -> Named {
        Named::Name { name: name.to_owned(), domain: Domain::default() }
    }

    #[test]
    fn a_password_is_sent_for_the_project() {
        let credentials = Credentials::Password { user: by_name("demo"), password: Secret::new("demopw") };
        let recorded = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": "demo", "domain": { "id": "default" }, "password": "demopw" } } },
            "scope": { "project": { "name": "demo", "domain": { "id": "default" } } } } });
        assert_eq!(body(&credentials, Some(&by_name("demo"))), Some(recorded));
    }

    #[test]
    fn an_application_credential_is_sent_without_a_scope() {
        let credential = CredentialName::Name { name: "broker".into(), user: by_name("demo") };
        let credentials = Credentials::ApplicationCredential { credential, secret: Secret::new("s") };
        let sent = body(&credentials, Some(&by_name("demo"))).unwrap();
        assert_eq!(sent["auth"].get("scope"), None);
        let credential = &sent["auth"]["identity"]["application_credential"];
        assert_eq!(
            credential,
            &json!({ "name": "broker", "user": {
            "name": "demo", "domain": { "id": "default" } }, "secret": "s" })
        );
    }
}
