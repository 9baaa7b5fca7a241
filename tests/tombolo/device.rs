//! Terminals and programs get a token of the person who lets them in, and nothing otherwise: `tombolo login` with a
//! code and with a browser on the same computer, and whoever tries to get one without a person.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStderr, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    person::{Page, Person, Terminal, form},
    server::Home,
};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-and-more";

/// `tombolo` of a person, on a computer with or without a screen.
fn tombolo(home: &Home, screen: bool, arguments: &[&str]) -> Command {
    let mut command = home.command(arguments);
    command.env("XDG_CONFIG_HOME", home.path("config")).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    if screen {
        command.env("DISPLAY", ":7");
    }
    command
}

fn must(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A `tombolo login` that waits, and what it says.
struct Waiting {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStderr>>,
}

impl Waiting {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    fn says(&mut self, start: &str) -> String {
        let mut seen = Vec::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
            seen.push(line);
        }
        panic!("no {start:?} in {seen:#?}");
    }

    fn end(mut self) -> (bool, String) {
        let status = self.child.wait().unwrap();
        let rest: Vec<_> = self.lines.map(Result::unwrap).collect();
        (status.success(), rest.join("\n"))
    }
}

async fn status_with(base: &str, token: &str) -> StatusCode {
    crate::client::client().get(format!("{base}/compute/")).bearer_auth(token).send().await.unwrap().status()
}

/// Sends a form as programs do, without a browser.
async fn ask(base: &str, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let request = crate::client::client().post(format!("{base}{path}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form(fields));
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

fn error(answer: &(u16, Value)) -> &str {
    answer.1["error"].as_str().unwrap_or_default()
}

async fn choose(person: &mut Person, page: &Page, place: &str, more: &[(&str, &str)]) -> Page {
    let (token, project) = (page.form_token(), page.between("<option value=\"", "\""));
    let mut fields = vec![("form_token", token.as_str()), ("project", &project), ("days", "7")];
    fields.extend_from_slice(more);
    person.post(place, &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_let_in_by_a_code_and_signs_out() {
    let home = Home::simulated();
    let server = Terminal::serve(&home);
    let base = server.base.clone();
    let mut waiting = Waiting::start(tombolo(&home, false, &["login", &base]));
    assert_eq!(waiting.says("Open"), format!("{base}/device"));
    let code = waiting.says("Enter");
    let mut admin = Person::administrator(&server).await;
    // Who is not signed in is led there, and back.
    let stranger = Person::at(&base).get(&format!("/device?user_code={code}")).await;
    assert_eq!(stranger.status, 303);
    assert!(stranger.location.starts_with("/login?next=%2Fdevice%3Fuser_code%3D"), "{}", stranger.location);

    let page = admin.get(&format!("/device?user_code={}", code.to_lowercase())).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for shown in [code.as_str(), "tombolo on ", "127.0.0.1", "ago", "started this yourself"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    let fields = [("user_code", code.as_str()), ("read", "yes"), ("manage", "yes"), ("decision", "approve")];
    let done = choose(&mut admin, &page, "/device", &fields).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let (succeeded, said) = waiting.end();
    assert!(
        succeeded && said.contains("signed in") && said.contains("as admin: read in the project default"),
        "{said}"
    );

    let file = home.path("config/tombolo/logins.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let token = must(tombolo(&home, false, &["login", "token", &base]));
    assert_eq!(status_with(&base, &token).await, StatusCode::OK);
    let listed = must(tombolo(&home, false, &["login", "list"]));
    assert!(listed.contains(&base) && !listed.contains(&token), "{listed}");
    let account = admin.get("/account").await;
    assert!(account.body.contains("tombolo on "), "it is on the account page: {}", account.body);
    assert!(!String::from_utf8_lossy(&home.run(&["events", "list"]).stdout).contains(&token));

    must(tombolo(&home, false, &["logout"]));
    assert_eq!(status_with(&base, &token).await, StatusCode::UNAUTHORIZED);
    assert!(!tombolo(&home, false, &["login", "token", &base]).output().unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_the_same_computer_is_let_in_by_a_browser() {
    let home = Home::simulated();
    let server = Terminal::serve(&home);
    let base = server.base.clone();
    let mut admin = Person::administrator(&server).await;
    let mut waiting = Waiting::start(tombolo(&home, true, &["login", &base, "--no-browser"]));
    let address = waiting.says("Open");
    let path = address.strip_prefix(&base).unwrap();
    let page = admin.get(path).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let asked = page.between("name=\"asked\" value=\"", "\"");
    let fields = [("asked", asked.as_str()), ("read", "yes"), ("operate", "yes"), ("decision", "approve")];
    let led = choose(&mut admin, &page, "/login/authorize", &fields).await;
    assert_eq!(led.status, 200, "{}", led.body);
    let back = led.between("content=\"0; url=", "\"");
    assert!(back.starts_with("http://127.0.0.1:") && back.contains("iss="), "{back}");
    // Whatever else comes to the socket is not taken.
    let port = back.split(['/', ':']).nth(4).unwrap().to_owned();
    assert_eq!(admin.get(&format!("http://127.0.0.1:{port}/?code=x&state=y")).await.status, 404);
    assert_eq!(admin.get(&back).await.status, 200);
    let (succeeded, said) = waiting.end();
    assert!(succeeded && said.contains("read operate in the project default"), "{said}");
    let token = must(tombolo(&home, false, &["login", "token"]));
    assert_eq!(status_with(&base, &token).await, StatusCode::OK);

    // A new one takes the place of the former, which opens nothing any more.
    let mut waiting = Waiting::start(tombolo(&home, true, &["login", &base, "--no-browser"]));
    let address = waiting.says("Open");
    let page = admin.get(address.strip_prefix(&base).unwrap()).await;
    let asked = page.between("name=\"asked\" value=\"", "\"");
    let led = choose(&mut admin, &page, "/login/authorize", &[("asked", &asked), ("decision", "deny")]).await;
    admin.get(&led.between("content=\"0; url=", "\"")).await;
    let (succeeded, said) = waiting.end();
    assert!(!succeeded && said.contains("access_denied"), "{said}");
    assert_eq!(status_with(&base, &token).await, StatusCode::OK, "a refusal changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_a_terminal_gets_nothing_without_a_person() {
    let home = Home::simulated();
    let server = Terminal::serve(&home);
    let base = server.base.clone();
    let begin = async || {
        let (status, opening) = ask(&base, "/login/device", &[("client_id", "a test"), ("scope", "read")]).await;
        assert_eq!(status, 200, "{opening}");
        opening
    };
    let poll = async |opening: &Value| {
        let code = opening["device_code"].as_str().unwrap();
        ask(&base, "/login/token", &[("grant_type", DEVICE_GRANT), ("device_code", code), ("client_id", "a test")])
            .await
    };
    let opening = begin().await;
    assert!(opening["expires_in"].as_u64().unwrap() <= 600);
    let code = opening["user_code"].as_str().unwrap().to_owned();
    assert!(code.len() == 9 && !code.contains(['A', 'E', 'I', 'O', 'U', '0', '1']), "{code}");

    assert_eq!(error(&poll(&opening).await), "authorization_pending");
    for _ in 0..20 {
        let answer = poll(&opening).await;
        assert_eq!((answer.0, error(&answer)), (400, "slow_down"), "{}", answer.1);
    }
    for wrong in ["", "x", &"A".repeat(43)] {
        let answer = ask(&base, "/login/token", &[("grant_type", DEVICE_GRANT), ("device_code", wrong)]).await;
        assert!(matches!(error(&answer), "invalid_grant" | "invalid_request"), "{}", answer.1);
    }

    // The person says no: the terminal hears so, and nobody changes it any more.
    let mut admin = Person::administrator(&server).await;
    let page = admin.get(&format!("/device?user_code={code}")).await;
    let fields = [("user_code", code.as_str()), ("read", "yes"), ("decision", "deny")];
    // Another site cannot say yes or no in their name.
    let forged = admin.post("/device", &[("form_token", "x"), ("user_code", &code), ("decision", "approve")]).await;
    assert_eq!(forged.status, 403);
    assert_eq!(choose(&mut admin, &page, "/device", &fields).await.status, 200);
    let again = [("user_code", code.as_str()), ("read", "yes"), ("decision", "approve")];
    assert_eq!(choose(&mut admin, &page, "/device", &again).await.status, 404);
    let mut answer = poll(&opening).await;
    while error(&answer) == "slow_down" {
        answer = poll(&opening).await;
    }
    assert_eq!(error(&answer), "access_denied");

    // Somebody who tries codes is stopped, and a class that enters its own is not.
    let mut tried = 0;
    let stopped = loop {
        tried += 1;
        let page = admin.get(&format!("/device?user_code=BBBB-{}", ["BBBB", "CCCC", "DDDD"][tried % 3])).await;
        if page.status != 404 || tried > 50 {
            break page.status;
        }
    };
    assert_eq!(stopped, 429);
    assert!(tried <= 12, "{tried} codes were tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_a_program_gets_nothing_without_what_it_asked_with() {
    let home = Home::simulated();
    let server = Terminal::serve(&home);
    let base = server.base.clone();
    let mut admin = Person::administrator(&server).await;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let good = [
        ("response_type", "code"),
        ("client_id", "a test"),
        ("redirect_uri", "http://127.0.0.1:4711/"),
        ("state", "s1"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("scope", "read operate"),
    ];
    let with = |name: &str, value: &'static str| {
        let changed = good.map(|(known, usual)| (known, if known == name { value } else { usual }));
        format!("/login/authorize?{}", form(&changed))
    };
    // Nothing is sent to a place that is not this computer; what is wrong otherwise is told there.
    for place in ["", "https://evil.example/", "http://127.0.0.1:4711@evil.example/", "http://localhost:4711/", "//x"] {
        let page = admin.get(&with("redirect_uri", place)).await;
        assert_eq!((page.status, page.location.as_str()), (400, ""), "{place}");
    }
    for (name, value, expected) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("client_id", "", "invalid_request"),
        ("scope", "everything", "invalid_scope"),
    ] {
        let page = admin.get(&with(name, value)).await;
        assert_eq!(page.status, 303, "{name}={value}");
        let expected = format!("http://127.0.0.1:4711/?error={expected}&");
        assert!(page.location.starts_with(&expected), "{name}={value}: {}", page.location);
        assert!(page.location.contains("state=s1&iss="), "{}", page.location);
    }
    let code = async |admin: &mut Person| {
        let page = admin.get(&with("state", "s1")).await;
        let asked = page.between("name=\"asked\" value=\"", "\"");
        let fields = [("asked", asked.as_str()), ("read", "yes"), ("decision", "approve")];
        let led = choose(admin, &page, "/login/authorize", &fields).await;
        led.between("?code=", "&")
    };
    let exchange = async |code: &str, changed: (&str, &str)| {
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", "http://127.0.0.1:4711/"),
            ("client_id", "a test"),
            ("code_verifier", VERIFIER),
        ];
        let fields = usual.map(|(name, value)| (name, if name == changed.0 { changed.1 } else { value }));
        ask(&base, "/login/token", &fields).await
    };
    for changed in [
        ("redirect_uri", "http://127.0.0.1:4712/"),
        ("client_id", "another"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-and-less"),
        ("code_verifier", "short"),
    ] {
        let code = code(&mut admin).await;
        assert_eq!(error(&exchange(&code, changed).await), "invalid_grant", "{changed:?}");
        let answer = exchange(&code, ("", "")).await;
        assert_eq!(error(&answer), "invalid_grant", "a code that was tried is void: {changed:?}");
    }
    // The control: with everything right there is a token, once.
    let code = code(&mut admin).await;
    let (status, granted) = exchange(&code, ("", "")).await;
    assert_eq!((status, &granted["scope"], &granted["project"]), (200, &"read".into(), &"default".into()), "{granted}");
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(status_with(&base, token).await, StatusCode::OK);
    assert_eq!(error(&exchange(&code, ("", "")).await), "invalid_grant");
    for unknown in [("grant_type", "password"), ("grant_type", "refresh_token")] {
        assert_eq!(error(&exchange(&code, unknown).await), "unsupported_grant_type");
    }
    let twice = "grant_type=authorization_code&grant_type=authorization_code&code=x";
    let request = crate::client::client().post(format!("{base}/login/token")).body(twice);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_tells_programs_where_to_ask() {
    let home = Home::simulated();
    let server = home.serve();
    let metadata = server.get("/.well-known/oauth-authorization-server").await;
    let metadata: Value = serde_json::from_str(&metadata.body).unwrap();
    assert_eq!(metadata["issuer"], server.base);
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(metadata["device_authorization_endpoint"], format!("{}/login/device", server.base));
    // A server that calls itself otherwise is not signed in at.
    let other = server.base.replace("127.0.0.1", "localhost");
    let output = tombolo(&home, false, &["login", &format!("{other}/x")]).output().unwrap();
    assert!(!output.status.success());
    let output = tombolo(&home, false, &["login", "http://cloud.example"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("https://"), "never in the clear over the network");
}
