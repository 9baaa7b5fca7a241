//! What is shown that cannot be made by a command: a browser's session, and an access token of a real provider.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

/// For whom the provider's access tokens are made.
pub const AUDIENCE: &str = "https://tombolo.example/";

/// npm's `oidc-provider`, as the tests run it.
pub struct Provider {
    child: Child,
    pub issuer: String,
    control: String,
}

impl Provider {
    /// Starts one, and installs it first if it is missing.
    pub fn start() -> Self {
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/rigs/provider/run");
        let mut child = Command::new(run)
            .arg("provider.mjs")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the provider of the tests");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let said: Value =
            serde_json::from_str(&line).expect("the provider starts: tests/rigs/provider/run provider.mjs");
        let text = |name: &str| said[name].as_str().expect("its addresses").to_owned();
        Self { child, issuer: text("issuer"), control: text("control") }
    }

    /// An access token in the form of a JWT, for somebody in a class.
    pub fn access_token(&self) -> String {
        let asked = json!({ "user": "ben", "client": "script", "resource": AUDIENCE }).to_string();
        let address = self.control.trim_start_matches("http://");
        let answer = ask(address, "POST", "/access-token", "Content-Type: application/json\r\n", &asked);
        let answer: Value = serde_json::from_str(answer.body()).expect("an access token");
        answer["access_token"].as_str().expect("an access token").to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Uses a one-time link as a browser does, and answers the cookie of the session.
pub fn session_by(address: &str, link: &str) -> String {
    let path = &link[link.find("/login/link/").expect("a link")..];
    let page = ask(address, "GET", path, "", "");
    let visit = page.cookie("__Host-tombolo-visit");
    let form_token = page.between("name=\"form_token\" value=\"", "\"");
    let fields =
        format!("Cookie: {visit}\r\nOrigin: http://{address}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    ask(address, "POST", path, &fields, &format!("form_token={form_token}")).cookie("__Host-tombolo-session")
}

/// The status of the answer to somebody who shows this.
pub fn status(address: &str, path: &str, proof: &str) -> String {
    ask(address, "GET", path, proof, "").between(" ", " ").to_owned()
}

struct Answer(String);

impl Answer {
    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn between(&self, before: &str, after: &str) -> &str {
        let rest = self.0.split_once(before).unwrap_or_else(|| panic!("no {before} in {}", self.0)).1;
        rest.split(after).next().unwrap_or_default()
    }

    fn cookie(&self, name: &str) -> String {
        format!("{name}={}", self.between(&format!("{name}="), ";"))
    }
}

/// One request on a connection of its own, to somebody whose answers are not chunked.
fn ask(address: &str, method: &str, path: &str, fields: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{fields}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).expect("a request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    Answer(answer)
}
