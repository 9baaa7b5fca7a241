//! A real browser, ended with the test: Debian's Chromium, as `tests/rigs/provider/browser.mjs` drives it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::provider::{Person, rig};

/// A window of a person who has never been here.
pub struct Browser {
    child: Child,
    pub runs_scripts: bool,
    pipes: Option<Arc<Mutex<Pipes>>>,
}

type Pipes = (ChildStdin, BufReader<ChildStdout>);

/// What a step has led to.
#[derive(Debug, Clone)]
pub struct Seen {
    pub url: String,
    pub text: String,
    /// Of the last answer, where the step has asked for one itself.
    pub status: Option<u64>,
}

impl Seen {
    fn of(done: &Value) -> Self {
        let text = |name: &str| done[name].as_str().unwrap().to_owned();
        Self { url: text("url"), text: text("text"), status: done["status"].as_u64() }
    }
}

impl Browser {
    pub fn open() -> Self {
        Self::with(true)
    }

    /// Where no script runs, whoever wants it.
    pub fn without_javascript() -> Self {
        Self::with(false)
    }

    fn with(runs_scripts: bool) -> Self {
        let javascript = if runs_scripts { "on" } else { "off" };
        let mut child = rig("browser.mjs").env("TOMBOLO_TEST_JAVASCRIPT", javascript).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, runs_scripts, pipes: Some(Arc::new(Mutex::new((input, BufReader::new(output))))) }
    }

    /// Runs `tests/rigs/provider/steps/STEP.mjs` in the window; a step that fails fails the test.
    pub async fn step(&self, step: &str, given: Value) -> Value {
        let line = json!({ "step": step, "with": given }).to_string();
        let pipes = Arc::clone(self.pipes.as_ref().unwrap());
        let asking = tokio::task::spawn_blocking(move || {
            let (input, output) = &mut *pipes.lock().unwrap();
            writeln!(input, "{line}").unwrap();
            let mut answer = String::new();
            output.read_line(&mut answer).unwrap();
            answer
        });
        let answer = asking.await.unwrap();
        assert!(!answer.is_empty(), "the browser ended in the step {step}");
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer.get("failed").is_none(), "the step {step} failed: {answer:#}");
        answer["done"].take()
    }

    pub async fn visit(&self, url: &str) -> Seen {
        Seen::of(&self.step("visit", json!({ "url": url })).await)
    }

    /// Asks for an address with the cookies of the browser, beside its window.
    pub async fn get(&self, url: &str) -> Seen {
        Seen::of(&self.step("get", json!({ "url": url })).await)
    }

    /// What is there now.
    pub async fn look(&self) -> Seen {
        Seen::of(&self.step("look", json!({})).await)
    }

    pub async fn reload(&self) -> Seen {
        Seen::of(&self.step("reload", json!({})).await)
    }

    /// Presses the back button.
    pub async fn go_back(&self) -> Seen {
        Seen::of(&self.step("go_back", json!({})).await)
    }

    /// Presses the button of that name, and waits for the page that this leads to.
    pub async fn press(&self, button: &str) -> Seen {
        Seen::of(&self.step("press", json!({ "button": button })).await)
    }

    pub async fn follow(&self, link: &str) -> Seen {
        Seen::of(&self.step("press", json!({ "link": link })).await)
    }

    /// Fills in fields, named by their labels.
    pub async fn fill(&self, fields: Value) {
        self.step("fill", json!({ "fields": fields })).await;
    }

    /// At the provider's login page: the right password, and consent if asked.
    pub async fn sign_in_at_provider(&self, person: Person) -> Seen {
        let given = json!({ "user": person.user, "passwords": [person.password] });
        Seen::of(&self.step("sign_in_at_provider", given).await)
    }

    /// Another person, without the cookies of the last one.
    pub async fn new_person(&self) {
        self.step("new_person", json!({})).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its input ends, so it closes Chromium and ends by itself; killed, it would leave Chromium behind. While a
        // step still goes on, in a test that was given up, that happens when this process ends.
        if let Some(pipes) = self.pipes.take().and_then(Arc::into_inner) {
            drop(pipes);
            let _ = self.child.wait();
        }
    }
}
