//! Secrets of every sort go through success and failure, at the most talkative log level; none of them is anywhere
//! afterwards.

use std::{io::Write, process::Stdio};

use reqwest::header;

use crate::{
    postgres::{self, Postgres},
    server::{Answer, Home, SIMULATED_SITE, Server},
};

const CLIENT_SECRET: &str = "canary-client-0fd1";
const METRICS_TOKEN: &str = "canary-metrics-77a0";
const PASSWORD: &str = "canary password 5be2 horse";
const WRONG_PASSWORD: &str = "canary wrong 91c4 horse";
/// What a stranger presents somewhere, none of which fits.
const PRESENTED: [&str; 9] = [
    "canary-bearer-1a",
    "canary-basic-2b",
    "canary-xauth-3c",
    "canary-code-4d",
    "canary-state-5e",
    "canary-verifier-6f",
    "canary-refresh-70",
    "canary-cookie-81",
    "canary-sealed-92",
];
const ID_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOiJpZC10b2tlbiJ9.canaryidtoken";
const LINK: &str = "canary-link-a3b4c5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f0";

/// A browser that keeps its cookies and remembers what it was shown.
struct Browser<'a> {
    server: &'a Server,
    /// Follows no redirect: each answer counts.
    client: reqwest::Client,
    cookies: Vec<(String, String)>,
    seen: String,
}

impl Browser<'_> {
    async fn send(&mut self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let url = format!("{}{path}", self.server.base);
        let mut request = self.client.request(method.parse().unwrap(), url).header("Origin", &self.server.base);
        request = request.header(header::COOKIE, cookies.join("; "));
        if !form.is_empty() {
            request = request.header("Content-Type", "application/x-www-form-urlencoded").body(body.join("&"));
        }
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let answer = Answer::of(response).await;
        self.seen.push_str(&answer.body);
        answer
    }

    async fn form_token(&mut self, path: &str) -> String {
        let page = self.send("GET", path, &[]).await.body;
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap_or_else(|| panic!("{path}: {page}"));
        rest.split_once('"').unwrap().0.to_owned()
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn give_password(home: &Home) {
    let mut command = home.command(&["user", "password", "ann"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && !String::from_utf8_lossy(&told).contains("canary"), "{told:?}");
}

/// Presents what fits nowhere, everywhere; answers all that was said about it.
async fn strangers(server: &Server) -> String {
    let [bearer, basic, x_auth, code, state, verifier, refresh, cookie, sealed] = PRESENTED;
    let mut told = String::new();
    let ask = async |request: reqwest::RequestBuilder| {
        let answer = Answer::of(request.send().await.unwrap()).await;
        // The provider is away, and what only it knows cannot be found out.
        let is_away = answer.status.as_u16() == 503;
        let is_refused = answer.status.is_client_error() || answer.status.is_redirection();
        assert!(is_away || is_refused, "{}: {}", answer.status, answer.body);
        answer.body
    };
    let get = |path: &str| server.request("GET", path);
    told += &ask(get("/compute/").bearer_auth(bearer)).await;
    told += &ask(get("/compute/").basic_auth("ann", Some(basic))).await;
    told += &ask(get("/compute/").header("X-Auth-Token", x_auth)).await;
    told += &ask(get("/metrics").bearer_auth(bearer)).await;
    told += &ask(get(&format!("/login/link/{LINK}")).header("Accept", "text/html")).await;
    told += &ask(get(&format!("/login/callback/school?code={code}&state={state}"))).await;
    let held = format!("__Host-tombolo-login={sealed}; __Host-tombolo-session={cookie}; tombolo-session={cookie}");
    let callback = format!("/login/callback/school?code={code}&state={state}&error=access_denied");
    told += &ask(get(&callback).header(header::COOKIE, &held)).await;
    let post = |path: &str, body: String| {
        let typed = server.request("POST", path).header("Content-Type", "application/x-www-form-urlencoded");
        typed.header("Origin", &server.base).body(body)
    };
    told += &ask(post("/login/backchannel/school", format!("logout_token={ID_TOKEN}"))).await;
    let exchange =
        format!("grant_type=authorization_code&code={code}&code_verifier={verifier}&client_id=x&redirect_uri=x");
    told += &ask(post("/login/token", exchange)).await;
    told += &ask(post("/login/token", format!("grant_type=refresh_token&refresh_token={refresh}"))).await;
    let keystone = serde_json::json!({ "auth": { "passwordCredentials": { "username": "ann", "password": basic } } });
    let request = server.request("POST", "/keystone/v2.0/tokens").header("Content-Type", "application/json");
    told += &ask(request.body(keystone.to_string())).await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a47_no_secret_is_in_the_log_in_an_error_or_in_an_event() {
    let postgres = tokio::task::block_in_place(Postgres::start);
    let provider = format!(
        "[[login.provider]]\nname = \"school\"\nissuer = \"http://127.0.0.1:9\"\nallow_http = true\n\
         client_id = \"us\"\nclient_secret = \"{CLIENT_SECRET}\"\n[metrics]\ntoken = \"{METRICS_TOKEN}\"\n"
    );
    let mut home = Home::new(&format!("{SIMULATED_SITE}{provider}"));
    home.set_environment("TOMBOLO_DATABASE", &postgres.address());
    home.set_environment("TOMBOLO_LOG", "trace");
    // Commands would log on their standard error, which is looked at where it matters.
    let token = home.must(&["token", "create", "--user", "ann", "--project", "one"]);
    give_password(&home);
    let invitation = home.must(&["invitation", "create", "--project", "one"]);
    let link = home.must(&["user", "link", "--user", "ann"]);
    let key = std::fs::read_to_string(home.data_dir().join("login.key")).unwrap_or_default();

    let server = home.serve();
    let key = if key.is_empty() { std::fs::read_to_string(home.data_dir().join("login.key")).unwrap() } else { key };
    let mut told = strangers(&server).await;
    let client = crate::client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut browser = Browser { server: &server, client, cookies: Vec::new(), seen: String::new() };
    for (password, fits) in [(WRONG_PASSWORD, false), (PASSWORD, true)] {
        let form_token = browser.form_token("/login").await;
        let form = [("form_token", form_token.as_str()), ("user", "ann"), ("password", password)];
        let answer = browser.send("POST", "/login/local", &form).await;
        assert_eq!(answer.status.as_u16(), if fits { 303 } else { 401 }, "{}", answer.body);
    }
    let cookies: Vec<String> = browser.cookies.iter().map(|(_, value)| value.clone()).collect();
    assert!(!cookies.is_empty());
    let page = browser.send("GET", "/account", &[]).await;
    assert!(page.status.is_success() && page.body.contains("ann"), "{}", page.body);
    for path in [&invitation, &link] {
        let path = format!("/{}", path.splitn(4, '/').nth(3).unwrap());
        browser.send("GET", &path, &[]).await;
    }
    told += &browser.seen;
    let metrics = server.request("GET", "/metrics").bearer_auth(METRICS_TOKEN).send().await.unwrap();
    assert!(metrics.status().is_success());
    let made = server.request("GET", "/compute/").bearer_auth(&token).send().await.unwrap();
    assert!(made.status().is_success());
    let log = server.log();
    for _ in 0..100 {
        if home.must(&["events", "list", "--json"]).contains("login.succeeded") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let events = home.must(&["events", "list", "--json"]);
    let last = |text: &str| text.rsplit('/').next().unwrap().to_owned();
    let token_secret = token.splitn(3, '_').nth(2).unwrap().to_owned();
    let mut secrets: Vec<String> = PRESENTED.iter().map(ToString::to_string).collect();
    secrets.extend([CLIENT_SECRET, METRICS_TOKEN, PASSWORD, WRONG_PASSWORD, ID_TOKEN, LINK].map(String::from));
    secrets.extend([encoded(PASSWORD), encoded(WRONG_PASSWORD), encoded(postgres::PASSWORD)]);
    secrets.extend([postgres::PASSWORD.to_owned(), token_secret, last(&invitation), last(&link)]);
    secrets.push(key.trim().to_owned());
    secrets.extend(cookies);
    assert!(log.contains("TRACE") && events.contains("login.failed"), "it is not silence that is looked at");
    for secret in secrets {
        assert!(secret.len() >= 10, "{secret:?}");
        for (place, text) in [("log", &log), ("events", &events)] {
            if let Some(at) = text.find(&secret) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                panic!("{secret} is in the {place}: {}", &text[from..text.floor_char_boundary(at + 100)]);
            }
        }
        // The forms of pages carry what their sender has sent to open them; nothing else comes back.
        let shown_on_purpose = secret == last(&invitation) || secret == last(&link) || secret == LINK;
        assert!(shown_on_purpose || !told.contains(&secret), "{secret} was answered: {told}");
    }
}
