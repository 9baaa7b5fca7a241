//! Users, projects, roles, limits and what is told of them, by the command line and over OCCI.

use reqwest::StatusCode;
use serde_json::Value;

use crate::server::{Answer, Home, KIND_LINE, SIMULATED_SITE, Server};

const NETWORK: &str = "Category: network; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn refused(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    assert!(!output.status.success(), "tombolo {arguments:?} succeeded");
    String::from_utf8(output.stderr).unwrap()
}

/// What `events list` tells of this kind, the newest last.
fn events(home: &Home, kind: &str) -> Vec<Value> {
    let listed = json(&home.must(&["events", "list", "--json"]));
    listed.as_array().unwrap().iter().filter(|event| event["kind"] == kind).cloned().collect()
}

/// Waits until there are so many events of this kind.
async fn arrived(home: &Home, kind: &str, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        let told = events(home, kind);
        if told.len() == count {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{count} {kind} were expected: {:?}", events(home, kind));
}

async fn ask(server: &Server, method: &str, path: &str, token: &str, body: &str) -> Answer {
    let request = server.request(method, path).bearer_auth(token).header("Content-Type", "text/plain");
    Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
}

#[tokio::test]
async fn a33_nothing_of_another_project_is_there_whatever_it_is_asked_for() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let (ann, bob) = (home.token("ann", "one"), home.token("bob", "two"));
    let server = home.serve().with_token(&ann);
    let machine = server.create("blank", "").await;
    server.arrive(&machine, "active").await;
    let network = server.make("network", "").await;
    let deleted = server.make("network", "").await;
    assert_eq!(server.delete(&deleted).await.status, StatusCode::OK);
    let mixin = "Category: mine; scheme=\"http://example.org/tags#\"; class=\"mixin\"; location=\"/mine/\"\n";
    assert_eq!(server.post("/-/", mixin).await.status, StatusCode::OK);
    let base = server.base.clone();
    let path = |location: &str| location.strip_prefix(&base).unwrap_or(location).to_owned();
    let own_id = machine.rsplit_once('/').unwrap().1.to_owned();
    let random = "019e0000-0000-7000-8000-000000000000";
    let others = [
        path(&machine),
        path(&network),
        path(&deleted),
        // What there is as something else.
        format!("/network/{own_id}"),
        format!("/compute/{random}"),
        format!("/storage/{own_id}"),
        format!("/networkinterface/{own_id}"),
    ];
    let server = server.with_token(&bob);
    let scheme = "http://schemas.ogf.org/occi/infrastructure/compute/action#";
    let stop = format!("Category: stop; scheme=\"{scheme}\"; class=\"action\"\n");
    let title = format!("{KIND_LINE}\nX-OCCI-Attribute: occi.core.title=\"mine now\"\n");
    let mut told = Vec::new();
    for other in &others {
        for (method, path, body) in [
            ("GET", other.clone(), ""),
            ("HEAD", other.clone(), ""),
            ("DELETE", other.clone(), ""),
            ("POST", other.clone(), title.as_str()),
            ("POST", format!("{other}?action=stop"), stop.as_str()),
        ] {
            let request = server.request(method, &path).header("Content-Type", "text/plain").body(body.to_owned());
            let answer = Answer::of(request.send().await.unwrap()).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.body);
            let shape = answer.body.replace(&own_id, "ID").replace(other.rsplit_once('/').unwrap().1, "ID");
            told.push((method, path.contains("action"), shape));
        }
    }
    // Whether it is somebody else's, was deleted or never was, the words are the same.
    for (method, acts, shape) in &told {
        let first = told.iter().find(|(other, other_acts, _)| (other, other_acts) == (method, acts)).unwrap();
        assert_eq!(shape.split("there is no").count(), first.2.split("there is no").count(), "{shape:?}");
    }
    // A link to it, from a machine of one's own.
    let body = format!(
        "Category: networkinterface; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"\n\
         X-OCCI-Attribute: occi.core.source=\"{}\"\nX-OCCI-Attribute: occi.core.target=\"{}\"\n",
        path(&machine),
        path(&network)
    );
    let link = server.post("/networkinterface/", &body).await;
    assert!([StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST].contains(&link.status), "{}", link.body);
    let own = server.make("network", "").await;
    let tagged = format!("X-OCCI-Location: {}\n", path(&machine));
    assert_eq!(server.post("/mine/", &tagged).await.status, StatusCode::NOT_FOUND, "nor is their mixin");
    for list in ["/compute/", "/network/", "/"] {
        let body = server.get(list).await.body;
        assert!(!body.contains(&own_id) && !body.contains(&path(&network)), "{body}");
    }
    assert!(server.get("/network/").await.body.contains(&path(&own)));
    assert!(!server.get("/-/").await.body.contains("example.org/tags"));
    let told = server.request("GET", "/events?after=0").send();
    let told = tokio::time::timeout(std::time::Duration::from_secs(3), async { told.await.unwrap().text().await });
    if let Ok(Ok(told)) = told.await {
        assert!(!told.contains(&own_id), "{told}");
    }
    let server = server.with_token(&ann);
    assert_eq!(server.get(&machine).await.status, StatusCode::OK, "and nobody has touched it");
    assert!(!server.get(&machine).await.body.contains("mine now"));
}

#[tokio::test]
async fn a33_keys_of_repeated_requests_belong_to_their_project() {
    let home = Home::simulated();
    let (ann, bob) = (home.token("ann", "one"), home.token("bob", "two"));
    let server = home.serve();
    let make = async |token: &str| {
        let request = server.request("POST", "/network/").bearer_auth(token).header("Content-Type", "text/plain");
        Answer::of(request.header("Idempotency-Key", "same").body(NETWORK).send().await.unwrap()).await
    };
    let (first, again, other) = (make(&ann).await, make(&ann).await, make(&bob).await);
    assert_eq!(first.header("location"), again.header("location"));
    assert_ne!(first.header("location"), other.header("location"));
    assert_eq!(ask(&server, "GET", &first.header("location"), &bob, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a34_nobody_writes_what_is_the_servers() {
    let home = Home::simulated();
    let (ann, bob) = (home.token("ann", "one"), home.token("bob", "two"));
    let server = home.serve();
    let projects = json(&home.must(&["project", "list", "--json"]));
    let two = projects.as_array().unwrap().iter().find(|project| project["name"] == "two").unwrap();
    for attribute in [
        format!("project=\"{}\"", two["id"].as_str().unwrap()),
        format!("project_id=\"{}\"", two["id"].as_str().unwrap()),
        "owner=\"bob\"".into(),
        "user_id=\"bob\"".into(),
        "occi.core.owner=\"bob\"".into(),
        "quota.machines=1000".into(),
        "occi.network.state=\"active\"".into(),
        "site=\"elsewhere\"".into(),
        "backend_id=\"vm-1\"".into(),
    ] {
        let answer =
            ask(&server, "POST", "/network/", &ann, &format!("{NETWORK}X-OCCI-Attribute: {attribute}\n")).await;
        if answer.status == StatusCode::BAD_REQUEST {
            continue;
        }
        assert_eq!(answer.status, StatusCode::CREATED, "{attribute}: {}", answer.body);
        let location = answer.header("location");
        assert_eq!(ask(&server, "GET", &location, &bob, "").await.status, StatusCode::NOT_FOUND, "{attribute}");
        let shown = ask(&server, "GET", &location, &ann, "").await.body;
        let name = attribute.split_once('=').unwrap().0;
        let is_ours = name == "occi.network.state";
        assert!(is_ours || !shown.contains(&format!("{name}=")), "{shown}");
        assert!(!shown.contains("vm-1") && !shown.contains("elsewhere"), "{shown}");
    }
    let limits = json(&ask(&server, "GET", "/quota", &ann, "").await.body);
    assert_eq!(limits["project"]["limit"]["machines"], Value::Null);
    // Somebody else's id is taken, and a wish for it changes nothing.
    let theirs = ask(&server, "POST", "/network/", &bob, NETWORK).await.header("location");
    let path = theirs.strip_prefix(&server.base).unwrap_or(&theirs);
    let stolen = ask(&server, "PUT", path, &ann, NETWORK).await;
    assert!(stolen.status.is_client_error(), "{}: {}", stolen.status, stolen.body);
    assert_eq!(ask(&server, "GET", &theirs, &bob, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a48_a_token_dies_with_whatever_it_stands_on() {
    let home = Home::simulated();
    let server = home.serve();
    let status = async |token: &str| ask(&server, "GET", "/network/", token, "").await.status;
    let (open, shut) = (StatusCode::OK, StatusCode::UNAUTHORIZED);

    let ann = home.token("ann", "one");
    assert_eq!(status(&ann).await, open);
    home.must(&["user", "disable", "ann"]);
    assert_eq!(status(&ann).await, shut, "its user was shut out");
    home.must(&["user", "enable", "ann"]);
    assert_eq!(status(&ann).await, open);
    home.must(&["project", "revoke", "--user", "ann", "--project", "one"]);
    assert_eq!(status(&ann).await, shut, "its user has no role there any more");
    home.must(&["project", "grant", "--user", "ann", "--project", "one", "--role", "manager"]);
    assert_eq!(status(&ann).await, open);

    // Never more than its owner has, nor than it was made for.
    let reader = home.must(&["token", "create", "--user", "ann", "--project", "one", "--rights", "read"]);
    let refused = ask(&server, "POST", "/network/", &reader, NETWORK).await;
    assert_eq!((refused.status, status(&reader).await), (StatusCode::FORBIDDEN, open));
    assert!(refused.body.contains("needs the right operate"), "{}", refused.body);

    home.must(&["project", "create", "brief"]);
    let brief = home.token("ann", "brief");
    assert_eq!(status(&brief).await, open);
    let network = ask(&server, "POST", "/network/", &brief, NETWORK).await.header("location");
    assert!(crate::people::refused(&home, &["project", "remove", "brief"]).contains("1 entities"));
    assert_eq!(ask(&server, "DELETE", &network, &brief, "").await.status, StatusCode::OK);
    for _ in 0..200 {
        if home.run(&["project", "remove", "brief"]).status.success() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status(&brief).await, shut, "its project is gone");
    home.must(&["events", "verify"]);
}

#[tokio::test]
async fn limits_are_set_shown_and_held() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let ann = home.token("ann", "class");
    let server = home.serve().with_token(&ann);
    home.must(&["quota", "set", "--project", "class", "--machines", "2", "--disk", "100"]);
    home.must(&["quota", "set", "--project", "class", "--user", "ann", "--machines", "1"]);
    server.create("blank", "").await;
    let shown = json(&server.get("/quota").await.body);
    assert_eq!((&shown["project"]["limit"]["machines"], &shown["project"]["left"]["machines"]), (&2.into(), &1.into()));
    assert_eq!((&shown["user"]["used"]["machines"], &shown["user"]["left"]["machines"]), (&1.into(), &0.into()));
    assert_eq!(shown["user"]["limit"]["cores"], Value::Null);
    let body = format!("{KIND_LINE}\n");
    let refused = server.post("/compute/", &body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for words in ["machines for you are limited to 1, 1 are taken and 1 were asked for", "project class", "manager"] {
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    home.must(&["quota", "set", "--project", "class", "--user", "ann", "--machines", "none"]);
    server.create("blank", "").await;
    assert!(server.post("/compute/", &body).await.body.contains("the whole project"));
    let told = json(&home.must(&["quota", "show", "--project", "class", "--json"]));
    assert_eq!((&told[0]["used"]["machines"], &told[0]["left"]["machines"]), (&2.into(), &0.into()));
    assert!(home.must(&["usage"]).contains("limits: 2 machines, 107374182400 bytes of disk; left: 0 machines"));
    home.must(&["quota", "set", "--project", "class", "--unset"]);
    server.create("blank", "").await;
    assert!(crate::people::refused(&home, &["quota", "set", "--project", "class"]).contains("--machines"));
    let changed = arrived(&home, "quota.changed", 4).await;
    assert_eq!(changed[0]["body"]["actor"]["by"], "command line");
}

#[tokio::test]
async fn who_did_what_is_told() {
    let home = Home::simulated();
    let ann = home.token("ann", "one");
    let server = home.serve().with_token(&ann);
    let network = server.make("network", "").await;
    server.arrive(&network, "inactive").await;
    server.act_as(&network, "network", "up", "").await;
    server.arrive(&network, "active").await;
    assert_eq!(server.delete(&network).await.status, StatusCode::OK);
    for kind in ["entity.created", "entity.action", "entity.removal"] {
        let told = arrived(&home, kind, 1).await;
        let actor = &told[0]["body"]["actor"];
        assert_eq!((&actor["user"], &actor["from"]), (&"ann".into(), &"127.0.0.1".into()), "{told:?}");
        assert!(actor["by"].as_str().unwrap().starts_with("token 01"), "{actor}");
    }
    let made = events(&home, "token.created");
    assert_eq!(made[0]["body"]["actor"]["by"], "command line");
    assert!(made[0]["body"]["token_id"].as_str().unwrap().starts_with("01"));
}

#[test]
fn users_and_projects_are_kept_by_the_command_line() {
    let home = Home::simulated();
    home.must(&["user", "create", "ann"]);
    assert!(refused(&home, &["user", "create", "ann"]).contains("already"));
    assert!(refused(&home, &["user", "create", "a b"]).contains("letters"));
    home.must(&["project", "create", "class"]);
    assert!(refused(&home, &["project", "create", "class"]).contains("already"));
    home.must(&["project", "grant", "--user", "ann", "--project", "class"]);
    home.must(&["project", "grant", "--user", "ann", "--role", "federation-admin"]);
    assert!(refused(&home, &["project", "grant", "--user", "bob", "--project", "class"]).contains("no user"));
    assert!(refused(&home, &["project", "grant", "--user", "ann", "--role", "site-admin"]).contains("--site"));
    let members = json(&home.must(&["project", "members", "class", "--json"]));
    assert_eq!((&members[0]["user"], &members[0]["role"]), (&"ann".into(), &"member".into()));
    home.must(&["project", "revoke", "--user", "ann", "--project", "class"]);
    assert_eq!(home.must(&["project", "members", "class"]), "");
    let invitation = json(&home.must(&["invitation", "create", "--project", "class", "--note", "for bob", "--json"]));
    assert!(invitation["link"].as_str().unwrap().contains("/invitation/"));
    assert!(home.must(&["invitation", "list"]).contains("for bob"));
    home.must(&["invitation", "revoke", invitation["id"].as_str().unwrap()]);
    assert_eq!(home.must(&["invitation", "list"]), "");
    assert_eq!(home.must(&["registration", "list"]), "");
    assert!(home.must(&["user", "link", "--user", "ann"]).contains("/login/link/"));
    assert!(refused(&home, &["user", "password", "ann"]).contains("password"), "nothing is no password");
    assert!(home.must(&["user", "list"]).contains("ann  active"));
    let told = events_are_sealed_by_a_server(&home);
    let secret = invitation["link"].as_str().unwrap().rsplit_once('/').unwrap().1;
    assert!(!told.contains(secret), "no secret is in the log");
}

/// The whole log, once a server has given all events their places.
fn events_are_sealed_by_a_server(home: &Home) -> String {
    let server = home.serve();
    for _ in 0..100 {
        if !events(home, "invitation.revoked").is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    drop(server);
    home.must(&["events", "list", "--json"])
}

#[test]
fn a_mapping_is_tried_before_anybody_signs_in() {
    let rules = "[[login.provider]]\nname = \"school\"\nissuer = \"https://id.example\"\nclient_id = \"us\"\n\
                 [[login.mapping]]\nprovider = \"school\"\nclaim = \"groups\"\nmatches = \"class-(?<n>.+)\"\n\
                 project = \"class-{n}\"\ncreate_projects = true\n\
                 [[login.mapping]]\nprovider = \"school\"\nclaim = \"groups\"\nequals = \"staff\"\n\
                 project = \"staff\"\nrole = \"manager\"\n";
    let home = Home::new(&format!("{SIMULATED_SITE}{rules}"));
    let claims = home.path("claims.json");
    std::fs::write(&claims, "{\"groups\": [\"class-3b\", \"staff\"]}").unwrap();
    let test = |more: &[&str]| home.must(&[&["mapping", "test", "--claims", claims.to_str().unwrap()], more].concat());
    let told = test(&[]);
    for words in [
        "gives member of project class-3b: given, and the project is made",
        "gives manager of project staff: not given: there is no such project",
        "because groups has \"staff\"",
        "1 roles in all",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let shown = json(&test(&["--json", "--provider", "school"]));
    assert_eq!(shown["rules"][0]["gives"][0]["outcome"], "given, and the project is made");
    assert_eq!(home.must(&["project", "list"]), "", "nothing is changed");
    std::fs::write(&claims, "[]").unwrap();
    assert!(refused(&home, &["mapping", "test", "--claims", claims.to_str().unwrap()]).contains("one JSON object"));
}
