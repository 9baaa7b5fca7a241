//! `tombolo login`: a token on the command line, through a person with a browser.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStderr, Stdio},
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    provider::{ANNA, BEN},
    school::School,
};

/// A `tombolo login` that waits for a person.
struct Terminal {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Terminal {
    fn run(school: &School, arguments: &[&str]) -> Self {
        let mut command = school.home.command(&["login", &school.server.base]);
        command.args(arguments).env("XDG_CONFIG_HOME", school.home.path("config"));
        // A screen, so that a browser is expected to be there; the test opens the page in its own.
        command.env("DISPLAY", ":99").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, said: Vec::new() }
    }

    /// The rest of the first line that begins so.
    fn line(&mut self, beginning: &str) -> String {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            self.said.push(line.clone());
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
        panic!("{beginning:?} was not said: {:?}", self.said);
    }

    /// Waits for its end, and answers all that it has said.
    fn end(mut self) -> (bool, String) {
        let rest = self.lines.by_ref().map(Result::unwrap).collect::<Vec<_>>();
        self.said.extend(rest);
        (self.child.wait().unwrap().success(), self.said.join("\n"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A subcommand of the person who has signed in.
fn wallet(school: &School, arguments: &[&str]) -> (bool, String, String) {
    let mut command = school.home.command(arguments);
    let output = command.env("XDG_CONFIG_HOME", school.home.path("config")).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn mode(school: &School, below: &str) -> u32 {
    std::fs::metadata(school.home.path(below)).unwrap().permissions().mode() & 0o777
}

async fn is_usable(browser: &Browser, page: &str) {
    let found = browser.step("inspect", json!({})).await;
    for what in ["scripts", "refused", "hindrances"] {
        assert_eq!(found[what], json!([]), "{what} of {page}");
    }
}

/// What the person has got is there, works, and is gone when it is given back.
async fn token_works_and_goes(school: &School) {
    assert_eq!((mode(school, "config/tombolo"), mode(school, "config/tombolo/logins.json")), (0o700, 0o600));
    let (_, listed, _) = wallet(school, &["login", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["url"], school.server.base.as_str());
    assert_eq!((&listed[0]["user"], &listed[0]["project"]), (&json!("anna"), &json!("staff-room")), "{listed}");
    let (_, token, _) = wallet(school, &["login", "token", &school.server.base]);
    assert!(!listed.to_string().contains(&token));
    assert_eq!(school.status(&token).await, StatusCode::OK);
    assert_eq!(wallet(school, &["login", "token"]).1, token, "the only one need not be named");

    // What others can read is not used.
    let file = school.home.path("config/tombolo/logins.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let (good, out, words) = wallet(school, &["login", "token"]);
    assert!(!good && out.is_empty() && words.contains("chmod 600"), "{words}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();

    let (good, _, words) = wallet(school, &["logout"]);
    assert!(good, "{words}");
    assert_eq!(school.status(&token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(wallet(school, &["login", "list"]).1, "");
}

#[tokio::test]
async fn a17_browser_a_terminal_is_let_in_by_a_code() {
    let school = School::open().await;
    let browser = Browser::open();
    let mut terminal = Terminal::run(&school, &["--device", "--no-browser"]);
    let page = terminal.line("Open");
    let code = terminal.line("Enter");
    // Who is not signed in does that first, and comes back.
    browser.visit(&page).await;
    browser.press("Sign in with Our school").await;
    let asks = browser.sign_in_at_provider(ANNA).await;
    assert!(asks.url.starts_with(&page) && asks.text.contains("Enter it here"), "{}", asks.text);
    is_usable(&browser, "the page for the code").await;

    browser.fill(json!({ "Code": "BCDF-BCDF" })).await;
    let unknown = browser.press("Go on").await;
    assert!(unknown.text.contains("No terminal waits with this code"), "{}", unknown.text);
    browser.fill(json!({ "Code": code.to_lowercase() })).await;
    let asked = browser.press("Go on").await;
    for words in ["Only go on if you have started this yourself", &code, "tombolo on", "127.0.0.1", "ago"] {
        assert!(asked.text.contains(words), "{words}: {}", asked.text);
    }
    is_usable(&browser, "the page for the decision").await;
    browser.fill(json!({ "Project": "staff-room" })).await;
    let done = browser.press("Let it in").await;
    assert!(done.text.contains("The terminal is let in"), "{}", done.text);
    is_usable(&browser, "the page after the decision").await;
    let (good, said) = terminal.end();
    assert!(good && said.contains("as anna") && said.contains("staff-room"), "{said}");
    token_works_and_goes(&school).await;

    let again = browser.visit(&format!("{page}?user_code={code}")).await;
    assert!(again.text.contains("No terminal waits with this code"), "a code counts once: {}", again.text);
}

#[tokio::test]
async fn a17_browser_a_terminal_is_refused() {
    let school = School::open().await;
    let browser = Browser::open();
    school.sign_in(&browser, BEN).await;
    let mut terminal = Terminal::run(&school, &["--device", "--no-browser"]);
    let page = terminal.line("Or all at once:");
    let asked = browser.visit(&page).await;
    assert!(asked.text.contains("Let this terminal in?"), "{}", asked.text);
    let done = browser.press("Refuse").await;
    assert!(done.text.contains("The terminal is not let in"), "{}", done.text);
    let (good, said) = terminal.end();
    assert!(!good && said.contains("refused"), "{said}");
    assert_eq!(school.ask_database("SELECT count(*) FROM app_tokens"), "0");
}

#[tokio::test]
async fn browser_a_program_on_the_same_computer_is_let_in() {
    let school = School::open().await;
    let browser = Browser::open();
    let mut terminal = Terminal::run(&school, &["--no-browser"]);
    let page = terminal.line("Open");
    browser.visit(&page).await;
    browser.press("Sign in with Our school").await;
    let asked = browser.sign_in_at_provider(ANNA).await;
    for words in ["Let this program in?", "tombolo on", "http://127.0.0.1:"] {
        assert!(asked.text.contains(words), "{words}: {}", asked.text);
    }
    is_usable(&browser, "the page for the decision").await;
    browser.fill(json!({ "Project": "staff-room" })).await;
    browser.press("Let it in").await;
    let led = browser.step("wait_for", json!({ "address": "http://127.0.0.1:", "text": "You are signed in." })).await;
    assert!(led["text"].as_str().unwrap().contains("go back to your terminal"), "{led}");
    let (good, said) = terminal.end();
    assert!(good && said.contains("as anna"), "{said}");
    token_works_and_goes(&school).await;
}
