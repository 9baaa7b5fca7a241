use std::{collections::HashMap, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::{StatusCode, header},
    web,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{Asked, CLIENT_ID, CLIENT_SECRET, State, World, signer::sha256};

type Form = HashMap<String, String>;

pub(super) fn run(listener: TcpListener, world: Arc<World>) -> ServerHandle {
    let world = web::Data::from(world);
    let server = HttpServer::new(move || {
        let app = App::new().app_data(world.clone()).app_data(web::PayloadConfig::new(1 << 20));
        app.default_service(web::to(answer))
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(0).listen(listener).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    handle
}

async fn answer(request: HttpRequest, body: web::Bytes, world: web::Data<World>) -> HttpResponse {
    let mut state = world.state();
    state.requests.push(request.path().to_owned());
    if let Some(status) = state.script.outage {
        let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap());
        return answer.insert_header((header::LOCATION, "http://127.0.0.1:1/")).body("<h1>no</h1>");
    }
    let form: Form = url::form_urlencoded::parse(&body).into_owned().collect();
    match request.path() {
        "/.well-known/openid-configuration" => json(discovery(&world, &state)),
        "/jwks" => json(keys(&state)),
        "/token" if !is_client(&request) => error("invalid_client", "who are you?"),
        "/token" => token(&world, &mut state, &form),
        "/userinfo" => userinfo(&request, &state),
        "/introspect" if !is_client(&request) => HttpResponse::Unauthorized().finish(),
        "/introspect" => json(introspection(&world, &state, &form)),
        _ => HttpResponse::NotFound().finish(),
    }
}

fn json(value: Value) -> HttpResponse {
    HttpResponse::Ok().json(value)
}

fn error(code: &str, words: &str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({"error": code, "error_description": words}))
}

fn is_client(request: &HttpRequest) -> bool {
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    request.headers().get(header::AUTHORIZATION).is_some_and(|sent| *sent == *expected)
}

fn discovery(world: &World, state: &State) -> Value {
    let issuer = &world.issuer;
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "end_session_endpoint": format!("{issuer}/end?lang=en"),
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "offline_access"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
    });
    (state.script.discovery)(&mut document);
    document
}

fn keys(state: &State) -> Value {
    let mut document = json!({"keys": state.signers.iter().map(|signer| signer.public()).collect::<Vec<_>>()});
    (state.script.keys)(&mut document);
    document
}

fn token(world: &World, state: &mut State, form: &Form) -> HttpResponse {
    if let Some((code, words)) = &state.script.token_error {
        return error(code, words);
    }
    let sent = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (nonce, code) = match sent("grant_type") {
        "authorization_code" => {
            // It counts once, whatever comes with it.
            let Some(asked) = state.codes.remove(sent("code")) else {
                return error("invalid_grant", "the code was used");
            };
            if !is_answer(&asked, sent("code_verifier"), sent("redirect_uri")) {
                return error("invalid_grant", "the code is another's");
            }
            (asked.nonce, Some(sent("code").to_owned()))
        }
        "refresh_token" => {
            let Some(at) = state.refresh_tokens.iter().position(|known| known == sent("refresh_token")) else {
                return error("invalid_grant", "the refresh token was used");
            };
            state.refresh_tokens.remove(at);
            (None, None)
        }
        _ => return error("unsupported_grant_type", "what?"),
    };
    let (access, refresh) = (state.new_name("access"), state.new_name("refresh"));
    state.access_tokens.push(access.clone());
    state.refresh_tokens.push(refresh.clone());
    let mut claims = world.id_claims(&state.script, nonce.as_deref());
    claims["at_hash"] = json!(state.signer().half_hash(&access));
    if let Some(code) = code {
        claims["c_hash"] = json!(state.signer().half_hash(&code));
    }
    (state.script.id_token)(&mut claims);
    let mut answer = json!({
        "access_token": access, "token_type": "Bearer", "expires_in": super::LASTS, "refresh_token": refresh,
        "id_token": state.signed(&state.script.signing, &claims),
    });
    (state.script.token_answer)(&mut answer);
    json(answer)
}

fn is_answer(asked: &Asked, verifier: &str, redirect: &str) -> bool {
    URL_SAFE_NO_PAD.encode(sha256(verifier)) == asked.challenge && redirect == asked.redirect
}

fn userinfo(request: &HttpRequest, state: &State) -> HttpResponse {
    let script = &state.script;
    if script.userinfo_status != 200 {
        return HttpResponse::build(StatusCode::from_u16(script.userinfo_status).unwrap()).finish();
    }
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|sent| sent.to_str().ok()).unwrap_or_default();
    let token = sent.strip_prefix("Bearer ").unwrap_or_default();
    if !state.access_tokens.iter().any(|known| known == token) && !token.contains('.') {
        return HttpResponse::Unauthorized().finish();
    }
    let mut said = Value::Object(World::userinfo(script));
    (script.userinfo)(&mut said);
    if let Some(signing) = &script.userinfo_signing {
        return HttpResponse::Ok().content_type("application/jwt").body(state.signed(signing, &said));
    }
    json(said)
}

fn introspection(world: &World, state: &State, form: &Form) -> Value {
    let now = world.clock.now();
    let mut said = json!({"active": false});
    if form.get("token").is_some_and(|token| state.access_tokens.contains(token)) {
        said = json!({
            "active": true, "iss": world.issuer, "sub": state.script.subject, "client_id": CLIENT_ID,
            "scope": "openid", "token_type": "Bearer", "exp": now + super::LASTS, "iat": now,
        });
        (state.script.introspection)(&mut said);
    }
    said
}
