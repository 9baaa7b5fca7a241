//! The rig of provider and browser by itself, with a program that is not Tombolo: what it offers is really there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use crate::{
    browser::Browser,
    provider::{ANNA, CLIENT_ID, CLIENT_SECRET, Provider},
};

/// A program that trusts the provider: it takes what it is sent, and says hello.
pub struct Program {
    pub base: String,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Program {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut request = vec![0; 1 << 16];
                    let mut length = 0;
                    while !whole(&request[..length]) {
                        match stream.read(&mut request[length..]).await {
                            Ok(read) if read > 0 => length += read,
                            _ => return,
                        }
                    }
                    let _ = sender.send(String::from_utf8_lossy(&request[..length]).into_owned());
                    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\
                        Set-Cookie: __Host-seen=yes; Secure; HttpOnly; SameSite=Lax; Path=/\r\n\
                        Connection: close\r\n\r\nHello there.";
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { base, requests }
    }

    /// The next request that is for the path.
    pub async fn next(&mut self, path: &str) -> String {
        loop {
            let request = self.requests.recv().await.unwrap();
            if request.split(' ').nth(1).is_some_and(|target| target.starts_with(path)) {
                return request;
            }
        }
    }
}

/// Whether these bytes are a request with its whole body.
fn whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.is_none_or(|length| body.len() >= length.trim().parse::<usize>().unwrap())
}

/// The claims of a JWT, whoever signed it.
fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// A field of an answer in the form of a query.
pub fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let at = text.find(&format!("{name}=")).unwrap() + name.len() + 1;
    text[at..].split(['&', ' ', '\r', '\n']).next().unwrap()
}

pub async fn ask(provider: &Provider, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let body = form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let request = crate::client::client()
        .post(format!("{}{path}", provider.issuer))
        .basic_auth(CLIENT_ID, Some(CLIENT_SECRET))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn userinfo(provider: &Provider, token: &str) -> Value {
    let request = crate::client::client().get(format!("{}/me", provider.issuer)).bearer_auth(token);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_person_signs_in_with_a_browser_and_is_signed_out_by_the_provider() {
    let provider = Provider::start();
    let mut program = Program::start().await;
    provider.knows_tombolo_at(&program.base, "school").await;
    let verifier = "a verifier of the code that nobody guesses, really".replace([' ', ','], "-");
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let callback = format!("{}/login/callback/school", program.base);
    let url = format!(
        "{}/auth?response_type=code&client_id={CLIENT_ID}&redirect_uri={callback}&scope=openid+profile+email\
         &state=s1&nonce=n1&code_challenge={challenge}&code_challenge_method=S256",
        provider.issuer
    );

    let browser = Browser::open();
    assert!(browser.visit(&url).await.text.contains("to go on to Tombolo"));
    let given = json!({ "user": ANNA.user, "passwords": ["guess", ANNA.password] });
    let led = browser.step("sign_in_at_provider", given).await;
    assert_eq!(led["refusals"], json!(["User name or password is wrong."]));
    assert_eq!(led["asked"], true);
    assert_eq!(led["text"], "Hello there.");
    let cookies = browser.step("cookies", json!({ "url": program.base })).await;
    assert_eq!(cookies[0]["name"], "__Host-seen", "cookies for https alone work on loopback: {cookies}");

    let request = program.next("/login/callback/school").await;
    assert_eq!(field(&request, "state"), "s1");
    let code = field(&request, "code");
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &callback),
        ("code_verifier", &verifier),
    ];
    let (status, tokens) = ask(&provider, "/token", &exchange).await;
    assert_eq!(status, 200, "{tokens}");
    let id_token = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id_token["sub"], &id_token["nonce"]), (&json!("anna"), &json!("n1")));
    let known = userinfo(&provider, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(known["groups"], json!(["teachers", "class-3b"]));

    // Groups, keys and absence change while the session lives.
    provider.change_person("anna", &json!({ "groups": ["class-3b"] })).await;
    provider.rotate_keys(false).await;
    provider.set_away(true).await;
    assert!(crate::client::client().get(&provider.issuer).send().await.is_err_and(|error| error.is_connect()));
    provider.set_away(false).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let (status, renewed) = ask(&provider, "/token", &refresh).await;
    assert_eq!(status, 200, "{renewed}");
    assert_eq!(userinfo(&provider, renewed["access_token"].as_str().unwrap()).await["groups"], json!(["class-3b"]));

    let told = provider.end_sessions("anna").await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["outcome"], &told[0]["sid"]), (&json!("taken"), &id_token["sid"]), "{}", provider.log());
    let request = program.next("/login/backchannel/school").await;
    let logout = claims(field(&request, "logout_token"));
    assert_eq!((&logout["sub"], &logout["sid"]), (&json!("anna"), &id_token["sid"]));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", renewed["refresh_token"].as_str().unwrap())];
    let (status, refused) = ask(&provider, "/token", &refresh).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
    assert!(browser.visit(&url).await.text.contains("Password"), "and the browser has to sign in anew");
}

#[tokio::test]
async fn the_provider_issues_access_tokens_of_both_forms() {
    let provider = Provider::start();
    let opaque = provider.access_token("ben", "script", None).await;
    let (_, active) = ask(&provider, "/token/introspection", &[("token", &opaque)]).await;
    assert_eq!((&active["active"], &active["sub"]), (&json!(true), &json!("ben")));
    let jwt = claims(&provider.access_token("ben", "script", Some("https://tombolo.example/")).await);
    assert_eq!((&jwt["aud"], &jwt["groups"]), (&json!("https://tombolo.example/"), &json!(["class-3b"])));

    provider.change_person("ben", &json!({ "disabled": true })).await;
    let about = userinfo(&provider, &opaque).await;
    assert_eq!(about["error"], "invalid_token", "{about}");
    assert_eq!(provider.requests("/me").await, 1);
}
