//! A Tombolo whose people sign in at a real provider, with a real browser.

use std::{process::Command, time::Duration};

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    browser::{Browser, Seen},
    postgres::Postgres,
    provider::{CLIENT_ID, CLIENT_SECRET, Person, Provider},
    server::{Answer, Home, SIMULATED_SITE, Server},
};

/// Teachers look after the staff room; each class has a project; who is neither may ask. Providers are asked again as
/// soon as can be.
const RULES: &str = r#"
[login]
confirm_seconds = 5
registration = "approval"

[[login.mapping]]
provider = "school"
claim = "groups"
equals = "teachers"
project = "staff-room"
role = "manager"
create_projects = true

[[login.mapping]]
provider = "school"
claim = "groups"
matches = "class-(?<class>[0-9][a-z])"
project = "class-{class}"
role = "member"
create_projects = true
"#;

/// How long something may take that is promised within a minute.
const A_MINUTE: Duration = Duration::from_secs(60);

pub struct School {
    pub server: Server,
    pub home: Home,
    pub provider: Provider,
    pub postgres: Option<Postgres>,
}

/// How the configuration names a provider.
pub fn provider_table(name: &str, title: &str, provider: &Provider, more: &str) -> String {
    format!(
        "\n[[login.provider]]\nname = \"{name}\"\ntitle = \"{title}\"\nissuer = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
         client_secret = \"{CLIENT_SECRET}\"\nallow_http = true\n{more}\n",
        provider.issuer
    )
}

impl School {
    pub async fn open() -> Self {
        Self::with("", "").await
    }

    /// With more in the provider's table, and more after it.
    pub async fn with(of_provider: &str, more: &str) -> Self {
        Self::on(None, of_provider, more).await
    }

    pub async fn on_postgres() -> Self {
        Self::on(Some(Postgres::start()), "", "").await
    }

    async fn on(postgres: Option<Postgres>, of_provider: &str, more: &str) -> Self {
        let provider = Provider::start();
        let table = provider_table("school", "Our school", &provider, of_provider);
        let mut home = Home::new(&format!("{SIMULATED_SITE}{RULES}{table}{more}"));
        if let Some(postgres) = &postgres {
            home.set_environment("TOMBOLO_DATABASE", &postgres.address());
        }
        let server = home.serve();
        provider.knows_tombolo_at(&server.base, "school").await;
        Self { server, home, provider, postgres }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.base)
    }

    /// From the login page to the account page.
    pub async fn sign_in(&self, browser: &Browser, person: Person) -> Seen {
        browser.visit(&self.url("/login")).await;
        browser.press("Sign in with Our school").await;
        let account = browser.sign_in_at_provider(person).await;
        assert_eq!(account.url, self.url("/account"), "{}\n{}", account.text, self.server.log());
        account
    }

    /// Makes a token for the project on the account page, and answers it.
    pub async fn make_token(&self, browser: &Browser, project: &str, name: &str) -> String {
        browser.visit(&self.url("/account")).await;
        browser
            .fill(json!({
                "What it is for, in your words": name, "Project": project, "For how many days": "7",
            }))
            .await;
        let shown = browser.press("Make the token").await;
        assert!(shown.text.contains("Your new token"), "{}", shown.text);
        let token = shown.text.split_whitespace().find(|word| word.starts_with("tombolo_"));
        token.unwrap_or_else(|| panic!("no token: {}", shown.text)).to_owned()
    }

    pub async fn status(&self, token: &str) -> StatusCode {
        self.server.request("GET", "/compute/").bearer_auth(token).send().await.unwrap().status()
    }

    /// Uses the token until it opens nothing, which is promised to be so within a minute.
    pub async fn sees_die(&self, token: &str) -> Answer {
        let dies = async {
            loop {
                let request = self.server.request("GET", "/compute/").bearer_auth(token);
                let answer = Answer::of(request.send().await.unwrap()).await;
                if answer.status != StatusCode::OK {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        let died = tokio::time::timeout(A_MINUTE, dies).await;
        died.unwrap_or_else(|_| panic!("the token lives on:\n{}", self.server.log()))
    }

    /// Uses the token until the server has written these words into its log.
    pub async fn uses_until_logged(&self, token: &str, words: &str) {
        let logged = async {
            while !self.server.log().contains(words) {
                assert_eq!(self.status(token).await, StatusCode::OK);
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        let logged = tokio::time::timeout(A_MINUTE, logged).await;
        logged.unwrap_or_else(|_| panic!("{words:?} was never logged:\n{}", self.server.log()));
    }

    /// What a question to the database answers.
    pub fn ask_database(&self, statement: &str) -> String {
        if let Some(postgres) = &self.postgres {
            return postgres.run(statement);
        }
        let database = self.home.data_dir().join("tombolo.sqlite");
        let output =
            Command::new("sqlite3").arg("-cmd").arg(".timeout 10000").arg(database).arg(statement).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
