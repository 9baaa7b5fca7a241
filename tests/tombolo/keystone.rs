//! OpenStack's way in: a 401 names our Keystone, which gives a token for an app token, and that token opens the doors
//! for as long as what it was got for.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Answer, Home, Server};

async fn send(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    let mut request = server.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.header("Content-Type", "application/json").body(body.to_string());
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    send(server, "POST", path, &[], Some(body)).await
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

fn password(user: &str, token: &str) -> Value {
    json!({"auth": {"identity": {"methods": ["password"], "password":
        {"user": {"name": user, "domain": {"id": "default"}, "password": token}}}}})
}

async fn opens(server: &Server, token: &str) -> StatusCode {
    send(server, "GET", "/compute/", &[("X-Auth-Token", token)], None).await.status
}

/// What rOCCI 4 and 5 and jOCCI do, request by request.
#[tokio::test]
async fn a_client_that_knows_only_keystone_finds_its_way_in() {
    let home = Home::simulated();
    let token = home.token("ann", "class-3b");
    let server = home.serve();
    let rocci = ("User-Agent", "rOCCI-core/4.3.4 rOCCI-api/4.3.7 OCCI/1.1 ruby-x86_64-linux/2.3.1p112");
    // Wrong credentials are refused where clients try them.
    let refused = send(&server, "GET", "/-/", &[rocci, ("X-Auth-Token", "wrong")], None).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let ways = refused.headers("www-authenticate");
    let uri = ways[0].strip_prefix("Keystone uri='").and_then(|rest| rest.strip_suffix('\'')).unwrap().to_owned();
    assert_eq!((ways.len(), uri.as_str()), (1, format!("{}/keystone/v2.0", server.base).as_str()));

    let version = json_of(&server.get(&uri).await);
    assert_eq!(version["version"]["id"], "v2.0");
    let itself = version["version"]["links"][0]["href"].as_str().unwrap().trim_end_matches('/').to_owned();
    let credentials = json!({"passwordCredentials": {"username": "ann", "password": token}});
    let unscoped = json_of(&post(&server, &format!("{itself}/tokens"), &json!({"auth": credentials})).await);
    let unscoped = unscoped["access"]["token"]["id"].as_str().unwrap();
    let tenants = send(&server, "GET", &format!("{itself}/tenants"), &[("X-Auth-Token", unscoped)], None).await;
    assert_eq!(json_of(&tenants)["tenants"][0]["name"], "class-3b");
    let mut named = json!({"auth": credentials});
    named["auth"]["tenantName"] = json!("class-3b");
    let answer = post(&server, &format!("{itself}/tokens"), &named).await;
    assert_eq!(answer.status, StatusCode::OK);
    let access = &json_of(&answer)["access"];
    assert_eq!((&access["user"]["name"], &access["token"]["tenant"]["name"]), (&json!("ann"), &json!("class-3b")));
    let occi = access["serviceCatalog"].as_array().unwrap().iter().find(|service| service["type"] == "occi").unwrap();
    assert_eq!(occi["endpoints"][0]["publicURL"], format!("{}/", server.base));
    assert_eq!(opens(&server, access["token"]["id"].as_str().unwrap()).await, StatusCode::OK);

    named["auth"]["tenantName"] = json!("another");
    let refused = post(&server, &format!("{itself}/tokens"), &named).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "an app token has one project");
}

#[tokio::test]
async fn the_third_version_gives_shows_and_revokes_tokens() {
    let home = Home::simulated();
    let token = home.token("ann", "class-3b");
    let other = home.token("bob", "class-3b");
    let server = home.serve();
    let listed = server.get("/keystone/").await;
    assert_eq!(listed.status, StatusCode::MULTIPLE_CHOICES);
    let ids: Vec<_> =
        json_of(&listed)["versions"]["values"].as_array().unwrap().iter().map(|v| v["id"].clone()).collect();
    assert_eq!(ids, ["v3.14", "v2.0"]);

    let id = token.split('_').nth(1).unwrap();
    let secret = token.splitn(3, '_').nth(2).unwrap();
    let credential = |id: &str, secret: &str| {
        json!({"auth": {"identity": {"methods": ["application_credential"],
            "application_credential": {"id": id, "secret": secret}}}})
    };
    let by_token = |token: &str| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}});
    let mut scoped = password("ann", &token);
    scoped["auth"]["scope"] = json!({"project": {"name": "class-3b", "domain": {"name": "Default"}}});
    let mut given = Vec::new();
    for body in [password("ann", &token), scoped, credential(id, secret), credential(id, &token), by_token(&token)] {
        let answer = post(&server, "/keystone/v3/auth/tokens", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{body}: {}", answer.body);
        let shown = &json_of(&answer)["token"];
        assert_eq!((&shown["project"]["name"], &shown["user"]["name"]), (&json!("class-3b"), &json!("ann")), "{body}");
        assert_eq!(shown["roles"], json!([{"id": "reader", "name": "reader"}, {"id": "member", "name": "member"}]));
        given.push(answer.header("x-subject-token"));
        assert_eq!(opens(&server, &given[given.len() - 1]).await, StatusCode::OK, "{body}");
    }
    // One token for another, of no longer life.
    let answer = post(&server, "/keystone/v3/auth/tokens", &by_token(&given[0])).await;
    let first = send(
        &server,
        "GET",
        "/keystone/v3/auth/tokens",
        &[("X-Auth-Token", &given[0]), ("X-Subject-Token", &given[0])],
        None,
    )
    .await;
    assert_eq!(json_of(&answer)["token"]["expires_at"], json_of(&first)["token"]["expires_at"]);

    for body in [
        password("bob", &token),
        password("ann", "wrong"),
        credential(id, "wrong"),
        credential("wrong", secret),
        credential(other.split('_').nth(1).unwrap(), &token),
        by_token("wrong"),
        by_token(&format!("{}x", given[0])),
    ] {
        let answer = post(&server, "/keystone/v3/auth/tokens", &body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{body}");
        assert!(answer.header("x-subject-token").is_empty());
    }

    let about = async |method: &str, asker: &str, subject: &str| {
        let headers = [("X-Auth-Token", asker), ("X-Subject-Token", subject)];
        send(&server, method, "/keystone/v3/auth/tokens", &headers, None).await.status
    };
    assert_eq!(about("GET", &token, &given[0]).await, StatusCode::OK);
    assert_eq!(about("HEAD", &given[1], &given[0]).await, StatusCode::OK);
    assert_eq!(about("GET", &other, &given[0]).await, StatusCode::NOT_FOUND, "it is somebody else's");
    assert_eq!(about("DELETE", &other, &given[0]).await, StatusCode::NOT_FOUND);
    assert_eq!(about("DELETE", &token, &token).await, StatusCode::NOT_FOUND, "app tokens are revoked elsewhere");
    assert_eq!(opens(&server, &given[0]).await, StatusCode::OK);
    assert_eq!(about("DELETE", &given[0], &given[0]).await, StatusCode::NO_CONTENT);
    assert_eq!(opens(&server, &given[0]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(about("GET", &token, &given[0]).await, StatusCode::NOT_FOUND);
    assert_eq!(opens(&server, &given[1]).await, StatusCode::OK, "others go on");

    let projects = send(&server, "GET", "/keystone/v3/auth/projects", &[("X-Auth-Token", &given[1])], None).await;
    assert_eq!(json_of(&projects)["projects"][0]["name"], "class-3b");
    let catalog = send(&server, "GET", "/keystone/v3/auth/catalog", &[("X-Auth-Token", &given[1])], None).await;
    assert_eq!(json_of(&catalog)["catalog"][0]["type"], "occi");
}

#[tokio::test]
async fn a48_a_keystone_token_dies_with_the_app_token() {
    let home = Home::simulated();
    let made = home.must(&["token", "create", "--user", "ann", "--project", "p", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let server = home.serve();
    let answer = post(&server, "/keystone/v3/auth/tokens", &password("ann", made["token"].as_str().unwrap())).await;
    let token = answer.header("x-subject-token");
    assert_eq!(opens(&server, &token).await, StatusCode::OK);
    // It is no more than what it was got for, and is of no use at another server.
    let elsewhere = Home::simulated();
    elsewhere.token("ann", "p");
    assert_eq!(opens(&elsewhere.serve(), &token).await, StatusCode::UNAUTHORIZED);
    home.must(&["token", "revoke", made["id"].as_str().unwrap()]);
    assert_eq!(opens(&server, &token).await, StatusCode::UNAUTHORIZED);
    let headers = [("X-Auth-Token", token.as_str())];
    let asked = send(&server, "GET", "/keystone/v3/auth/projects", &headers, None).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whatever_is_sent_to_keystone_is_answered_in_its_form() {
    let home = Home::simulated();
    let token = home.token("ann", "p");
    let server = home.serve();
    let deep = format!("{}1{}", "{\"auth\":".repeat(1000), "}".repeat(1000));
    let long = "x".repeat(65 << 10);
    for (body, expected) in [("", 400), ("nonsense", 400), ("[]", 400), (deep.as_str(), 400), (long.as_str(), 413)] {
        for path in ["/keystone/v2.0/tokens", "/keystone/v3/auth/tokens"] {
            let answer = Answer::of(server.request("POST", path).body(body.to_owned()).send().await.unwrap()).await;
            assert_eq!(answer.status.as_u16(), expected, "{path} {body:.40}");
            assert_eq!(json_of(&answer)["error"]["code"], expected, "{path}");
        }
    }
    for (method, path, expected) in [
        ("GET", "/keystone/v3/users", 404),
        ("GET", "/keystone/v4", 404),
        ("GET", "/keystone/v3/auth/tokens/x", 404),
        ("PUT", "/keystone/v3/auth/tokens", 405),
        ("DELETE", "/keystone/", 405),
        ("GET", "/keystone/v2.0/tenants", 401),
        ("GET", "/keystone/v3/auth/tokens", 401),
        ("GET", "/keystone/v3/auth/projects", 401),
        ("GET", "/keystone/v3/OS-FEDERATION/identity_providers/school/protocols/oidc/auth", 401),
    ] {
        let answer = send(&server, method, path, &[], None).await;
        assert_eq!(answer.status.as_u16(), expected, "{method} {path}");
        if expected == 401 {
            assert!(answer.header("www-authenticate").starts_with("Keystone uri="), "{path}");
        }
    }
    assert_eq!(opens(&server, &token).await, StatusCode::OK, "and all goes on");
}

#[tokio::test]
async fn x_project_is_a_project_of_the_asker_or_refused() {
    let home = Home::simulated();
    let (token, _) = (home.token("ann", "one"), home.token("ann", "two"));
    let server = home.serve().with_token(&token);
    let status = async |project: &str| send(&server, "GET", "/compute/", &[("X-Project", project)], None).await;
    assert_eq!(status("one").await.status, StatusCode::OK);
    for project in ["two", "nowhere", "019e0000-0000-7000-8000-000000000000"] {
        let answer = status(project).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{project}");
        assert!(answer.body.contains("one") && !answer.body.contains("two,"), "{}", answer.body);
    }
}
