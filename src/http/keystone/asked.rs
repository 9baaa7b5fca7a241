//! What clients send to get a token, in either version. What is not known is passed over, as Keystone does: clients send
//! more than is looked at.

use serde::Deserialize;
use uuid::Uuid;

use super::fault::Fault;
use crate::login::Credentials;

/// What is shown for a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// The credentials, as at any door.
    pub credentials: Option<String>,
    /// Whose they must be.
    pub whose: Whose,
    /// In which way they were given.
    pub method: &'static str,
}

/// Whose credentials must be.
#[derive(Debug, PartialEq, Eq)]
pub enum Whose {
    /// Nobody was named.
    Anybodys,
    /// The user of this name.
    Named(String),
    /// The user of this id.
    WithId(Uuid),
    /// The app token of this id.
    TokenWithId(Uuid),
    /// Of nobody there is: what was named has no form of ours.
    Nobodys,
}

/// Where the token is to act.
#[derive(Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing was said.
    Unsaid,
    /// Nowhere yet.
    Nowhere,
    /// In this project, by name or id.
    Project(String),
}

impl Shown {
    /// The credentials as the gate takes them.
    pub fn credentials(&self) -> Option<Credentials> {
        let secret = self.credentials.as_deref()?;
        match &self.whose {
            Whose::Named(user) => Credentials::named(user, secret),
            Whose::Nobodys => None,
            Whose::Anybodys | Whose::WithId(_) | Whose::TokenWithId(_) => Credentials::bare(secret),
        }
    }
}

fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

fn malformed(error: &serde_json::Error) -> Fault {
    Fault::Malformed(format!("the body is not a request for a token: {error}"))
}

#[derive(Deserialize)]
struct V2 {
    auth: V2Auth,
}

#[derive(Deserialize)]
struct V2Auth {
    #[serde(rename = "passwordCredentials")]
    password: Option<V2Password>,
    token: Option<Id>,
    #[serde(rename = "tenantName")]
    tenant_name: Option<String>,
    #[serde(rename = "tenantId")]
    tenant_id: Option<String>,
    voms: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct V2Password {
    username: Option<String>,
    #[serde(rename = "userId")]
    user_id: Option<String>,
    password: String,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// A request of the second version.
pub fn v2(body: &[u8]) -> Result<(Shown, Scope), Fault> {
    let V2 { auth } = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let scope = match [auth.tenant_id, auth.tenant_name].into_iter().flatten().find(|tenant| !tenant.is_empty()) {
        Some(tenant) => Scope::Project(tenant),
        None => Scope::Unsaid,
    };
    let shown = match (auth.password, auth.token, auth.voms) {
        (Some(password), ..) => Shown {
            whose: whose(password.username, password.user_id.as_deref()),
            credentials: Some(password.password),
            method: "password",
        },
        (None, Some(token), _) => Shown { whose: Whose::Anybodys, credentials: Some(token.id), method: "token" },
        (None, None, Some(_)) => {
            let words = "certificates of a virtual organisation (VOMS) are not taken here; use a user name and an app \
                         token, or an access token of your provider";
            return Err(Fault::Forbidden(words.into()));
        }
        (None, None, None) => return Err(Fault::Malformed("auth needs passwordCredentials or token".into())),
    };
    Ok((shown, scope))
}

fn whose(name: Option<String>, user_id: Option<&str>) -> Whose {
    match (name, user_id) {
        (Some(name), _) => Whose::Named(name),
        (None, Some(user)) => id(user).map_or(Whose::Nobodys, Whose::WithId),
        (None, None) => Whose::Nobodys,
    }
}

#[derive(Deserialize)]
struct V3 {
    auth: V3Auth,
}

#[derive(Deserialize)]
struct V3Auth {
    identity: Identity,
    scope: Option<V3Scope>,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Option<Password>,
    token: Option<Id>,
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct Password {
    user: PasswordUser,
}

#[derive(Deserialize)]
struct PasswordUser {
    id: Option<String>,
    name: Option<String>,
    password: String,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    id: Option<String>,
    secret: String,
    user: Option<NamedUser>,
}

#[derive(Deserialize)]
struct NamedUser {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum V3Scope {
    Word(String),
    Of(ScopeOf),
}

#[derive(Deserialize)]
struct ScopeOf {
    project: Option<ScopeProject>,
    domain: Option<serde::de::IgnoredAny>,
    system: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ScopeProject {
    id: Option<String>,
    name: Option<String>,
}

/// A request of the third version.
pub fn v3(body: &[u8]) -> Result<(Shown, Scope), Fault> {
    let V3 { auth } = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let identity = auth.identity;
    let [method] = identity.methods.as_slice() else {
        return Err(Fault::Malformed("identity.methods must name one method: one is enough here".into()));
    };
    let missing = |what: &str| Fault::Malformed(format!("identity.{what} is missing"));
    let shown = match method.as_str() {
        "password" => {
            let user = identity.password.ok_or_else(|| missing("password"))?.user;
            let whose = whose(user.name, user.id.as_deref());
            Shown { whose, credentials: Some(user.password), method: "password" }
        }
        "token" => {
            let token = identity.token.ok_or_else(|| missing("token"))?;
            Shown { whose: Whose::Anybodys, credentials: Some(token.id), method: "token" }
        }
        "application_credential" => {
            application_credential(identity.application_credential.ok_or_else(|| missing("application_credential"))?)
        }
        other => {
            let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
            let words = format!("the method {other:?} is not taken; there are password, token, application_credential");
            return Err(Fault::Malformed(words));
        }
    };
    let scope = match auth.scope {
        None => Scope::Unsaid,
        Some(V3Scope::Word(word)) if word == "unscoped" => Scope::Nowhere,
        Some(V3Scope::Word(_)) => return Err(Fault::Malformed("scope is a project, or \"unscoped\"".into())),
        Some(V3Scope::Of(of)) => match (of.project, of.domain, of.system) {
            (Some(project), None, None) => {
                let named = [project.id, project.name].into_iter().flatten().find(|name| !name.is_empty());
                Scope::Project(named.ok_or_else(|| Fault::Malformed("scope.project needs id or name".into()))?)
            }
            (None, None, None) => Scope::Unsaid,
            _ => return Err(Fault::Forbidden("tokens act in projects only, not in domains or the system".into())),
        },
    };
    Ok((shown, scope))
}

/// An app token in two parts: its id, and its secret half. The whole token may stand for the secret.
fn application_credential(given: ApplicationCredential) -> Shown {
    const METHOD: &str = "application_credential";
    let Some(named) = given.id else {
        let user = given.user.map_or(Whose::Nobodys, |user| whose(user.name, user.id.as_deref()));
        return Shown { whose: user, credentials: Some(given.secret), method: METHOD };
    };
    let Some(token) = id(&named) else {
        return Shown { whose: Whose::Nobodys, credentials: None, method: METHOD };
    };
    let is_whole = given.secret.parse::<crate::login::AppToken>().is_ok();
    let whole = if is_whole { given.secret } else { format!("tombolo_{}_{}", token.simple(), given.secret) };
    Shown { whose: Whose::TokenWithId(token), credentials: Some(whole), method: METHOD }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &serde_json::Value) -> Result<(Shown, Scope), Fault> {
        v3(body.to_string().as_bytes())
    }

    #[test]
    fn the_ways_to_show_something() {
        let (shown, scope) = v2(json!({"auth": {"passwordCredentials": {"username": "ann", "password": "t"},
            "tenantName": "class-3b"}})
        .to_string()
        .as_bytes())
        .unwrap();
        assert_eq!((shown.whose, scope), (Whose::Named("ann".into()), Scope::Project("class-3b".into())));
        let token = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "t"}}, "scope": "unscoped"}});
        let (shown, scope) = read(&token).unwrap();
        assert_eq!((shown.credentials.as_deref(), scope), (Some("t"), Scope::Nowhere));
        let one = Uuid::now_v7();
        let parts = json!({"auth": {"identity": {"methods": ["application_credential"],
            "application_credential": {"id": one.simple().to_string(), "secret": "s"}}}});
        let (shown, _) = read(&parts).unwrap();
        assert_eq!(shown.credentials, Some(format!("tombolo_{}_s", one.simple())));
        assert_eq!(shown.whose, Whose::TokenWithId(one));
    }

    #[test]
    fn what_is_no_request_is_refused_in_words() {
        let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        for body in ["", "{}", "[]", "{\"auth\": {}}", "{\"auth\": {\"identity\": {\"methods\": []}}}", &nested] {
            assert!(matches!(v3(body.as_bytes()), Err(Fault::Malformed(_))), "{body:.60}");
            assert!(matches!(v2(body.as_bytes()), Err(Fault::Malformed(_))), "{body:.60}");
        }
        let of = |identity: serde_json::Value, scope: serde_json::Value| {
            read(&json!({"auth": {"identity": identity, "scope": scope}})).unwrap_err()
        };
        let token = json!({"methods": ["token"], "token": {"id": "t"}});
        assert!(matches!(of(json!({"methods": ["totp"]}), json!(null)), Fault::Malformed(_)));
        assert!(matches!(of(json!({"methods": ["token", "password"]}), json!(null)), Fault::Malformed(_)));
        assert!(matches!(of(json!({"methods": ["password"]}), json!(null)), Fault::Malformed(_)));
        assert!(matches!(of(token.clone(), json!({"system": {"all": true}})), Fault::Forbidden(_)));
        assert!(matches!(of(token.clone(), json!({"domain": {"id": "default"}})), Fault::Forbidden(_)));
        assert!(matches!(of(token, json!({"project": {}})), Fault::Malformed(_)));
        let voms = v2(br#"{"auth": {"voms": true}}"#).unwrap_err();
        assert!(matches!(voms, Fault::Forbidden(_)));
    }

    #[test]
    fn an_id_that_is_none_belongs_to_nobody() {
        let body = json!({"auth": {"identity": {"methods": ["password"], "password":
            {"user": {"id": "../admin", "password": "t"}}}}});
        assert!(read(&body).unwrap().0.credentials().is_none());
        let body = json!({"auth": {"identity": {"methods": ["application_credential"],
            "application_credential": {"id": "x", "secret": "s"}}}});
        assert!(read(&body).unwrap().0.credentials().is_none());
    }
}
