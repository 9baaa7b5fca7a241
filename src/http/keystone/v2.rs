use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::{
    Asked, asked, catalogue,
    fault::Fault,
    issue::{Token, exchange},
};
use crate::store::live_member::OwnProject;

/// `POST tokens`.
pub async fn issue(asked: &Asked<'_>, body: &[u8]) -> Result<HttpResponse, Fault> {
    let (shown, scope) = asked::v2(body)?;
    let token = exchange(asked, &shown, &scope).await?;
    Ok(super::json(&mut HttpResponse::Ok(), &json!({ "access": access(&token, &asked.base) })))
}

/// `GET tenants`: where the asker can get a token for.
pub async fn tenants(asked: &Asked<'_>) -> Result<HttpResponse, Fault> {
    let known = asked.asker().await?;
    let tenants: Vec<Value> = asked.gate.projects(&known).await?.iter().map(tenant).collect();
    Ok(super::json(&mut HttpResponse::Ok(), &json!({ "tenants": tenants, "tenants_links": [] })))
}

fn tenant(project: &OwnProject) -> Value {
    json!({ "id": project.id.0.simple().to_string(), "name": project.name, "description": "", "enabled": true })
}

fn access(token: &Token, base: &str) -> Value {
    let roles: Vec<Value> = token.roles().into_iter().map(|name| json!({ "name": name })).collect();
    let mut shown = json!({
        "id": token.text,
        "issued_at": token.token.issued_at().to_string(),
        "expires": token.token.expires_at().to_string(),
        "audit_ids": [token.token.id.simple().to_string()],
    });
    if let Some(project) = &token.project {
        shown["tenant"] = tenant(project);
    }
    json!({
        "token": shown,
        "user": {
            "id": token.known.user.0.simple().to_string(),
            "name": token.known.user_name,
            "username": token.known.user_name,
            "roles": roles,
            "roles_links": [],
        },
        "serviceCatalog": catalogue::v2(base),
        "metadata": { "is_admin": 0, "roles": token.roles() },
    })
}
