use actix_web::{HttpResponse, http::Method};
use serde_json::{Value, json};

use super::{
    Asked, PATH,
    asked::{self, Scope},
    catalogue,
    fault::Fault,
    issue::{Token, exchange, scoped},
};
use crate::{
    login::{Credentials, Proof, gate::Known},
    store::{Timestamp, live_member::OwnProject, spent},
};

/// What rOCCI calls the provider, whichever it is.
const ANY_PROVIDER: &str = "egi.eu";

/// `POST auth/tokens`.
pub async fn issue(asked: &Asked<'_>, body: &[u8]) -> Result<HttpResponse, Fault> {
    let (shown, scope) = asked::v3(body)?;
    Ok(created(&exchange(asked, &shown, &scope).await?, &asked.base))
}

/// `OS-FEDERATION/…/auth`: a token without a project yet, for a provider's access token.
pub async fn federated(asked: &Asked<'_>, provider: &str) -> Result<HttpResponse, Fault> {
    let known = asked.known(Credentials::from_headers(asked.header("authorization"), None)).await?;
    // Whose token it is says the token itself; the path must not say otherwise.
    if let Proof::Provider(name) = &known.by
        && name != provider
        && provider != ANY_PROVIDER
    {
        return Err(Fault::Unauthenticated);
    }
    Ok(created(&scoped(asked, known, &Scope::Nowhere, "mapped").await?, &asked.base))
}

/// `GET` and `HEAD auth/tokens`: what the token in `X-Subject-Token` stands for.
pub async fn validate(asked: &Asked<'_>) -> Result<HttpResponse, Fault> {
    let (subject, text) = subject(asked).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header(("X-Subject-Token", text.clone()));
    if asked.request.method() == Method::HEAD {
        return Ok(response.insert_header(("Cache-Control", "no-store")).finish());
    }
    let Some(token) = subject.keystone.clone() else { return Err(Fault::NotFound) };
    let project = asked.gate.projects(&subject).await?.into_iter().find(|own| Some(own.id) == token.project());
    let token = Token { token, text, known: subject, project, method: "token" };
    Ok(super::json(&mut response, &json!({ "token": shown(&token, &asked.base) })))
}

/// `DELETE auth/tokens`: the token in `X-Subject-Token` is void from now on.
pub async fn revoke(asked: &Asked<'_>) -> Result<HttpResponse, Fault> {
    let (subject, _) = subject(asked).await?;
    let Some(token) = subject.keystone else { return Err(Fault::NotFound) };
    let (key, until) = (token.spent_key(), token.expires_at());
    // By then it is void without being remembered, by any clock.
    let until = until.plus(std::time::Duration::from_secs(300));
    asked.gate.db().write(move |connection| spent::spend(connection, &key, until)).await?;
    tracing::info!(user = subject.user_name, token = %token.id, "a Keystone token was revoked");
    Ok(HttpResponse::NoContent().insert_header(("Cache-Control", "no-store")).finish())
}

/// The Keystone token that is spoken of. One sees one's own, and nobody else's.
async fn subject(asked: &Asked<'_>) -> Result<(Known, String), Fault> {
    let asker = asked.asker().await?;
    let text = asked.header("x-subject-token").ok_or_else(|| Fault::Malformed("X-Subject-Token is missing".into()))?;
    let credentials = Credentials::bare(text.trim()).ok_or(Fault::NotFound)?;
    let subject = asked.gate.known(&credentials).await?;
    let subject = subject.filter(|subject| subject.user == asker.user && subject.keystone.is_some());
    subject.map(|subject| (subject, text.trim().to_owned())).ok_or(Fault::NotFound)
}

/// `GET auth/projects`: where the asker can get a token for.
pub async fn projects(asked: &Asked<'_>) -> Result<HttpResponse, Fault> {
    let known = asked.asker().await?;
    let projects: Vec<Value> = asked.gate.projects(&known).await?.iter().map(|own| project(own, &asked.base)).collect();
    let links = links(&asked.base, "auth/projects");
    Ok(super::json(&mut HttpResponse::Ok(), &json!({ "projects": projects, "links": links })))
}

/// `GET auth/catalog`.
pub async fn catalogue(asked: &Asked<'_>) -> Result<HttpResponse, Fault> {
    asked.asker().await?;
    let links = links(&asked.base, "auth/catalog");
    Ok(super::json(&mut HttpResponse::Ok(), &json!({ "catalog": catalogue::v3(&asked.base), "links": links })))
}

fn links(base: &str, path: &str) -> Value {
    json!({ "self": format!("{base}{PATH}/v3/{path}"), "previous": null, "next": null })
}

fn project(own: &OwnProject, base: &str) -> Value {
    let id = own.id.0.simple().to_string();
    json!({
        "id": id, "name": own.name, "description": "", "enabled": true, "is_domain": false,
        "domain_id": "default", "parent_id": "default", "tags": [],
        "links": { "self": format!("{base}{PATH}/v3/projects/{id}") },
    })
}

fn created(token: &Token, base: &str) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response.insert_header(("X-Subject-Token", token.text.clone()));
    super::json(&mut response, &json!({ "token": shown(token, base) }))
}

/// There is one domain, for what has to be in one.
fn domain() -> Value {
    json!({ "id": "default", "name": "Default" })
}

fn shown(token: &Token, base: &str) -> Value {
    let mut shown = json!({
        "methods": [token.method],
        "user": {
            "id": token.known.user.0.simple().to_string(),
            "name": token.known.user_name,
            "domain": domain(),
            "password_expires_at": null,
        },
        "audit_ids": [token.token.id.simple().to_string()],
        "issued_at": precise(token.token.issued_at()),
        "expires_at": precise(token.token.expires_at()),
    });
    if let Some(project) = &token.project {
        let id = project.id.0.simple().to_string();
        shown["project"] = json!({ "id": id, "name": project.name, "domain": domain() });
        shown["is_domain"] = json!(false);
        shown["roles"] = token.roles().into_iter().map(|name| json!({ "id": name, "name": name })).collect();
        shown["catalog"] = catalogue::v3(base);
    }
    shown
}

/// With a fraction of seconds: some clients read nothing else.
fn precise(at: Timestamp) -> String {
    let text = at.to_string();
    text.strip_suffix('Z').map_or(text.clone(), |seconds| format!("{seconds}.000000Z"))
}
