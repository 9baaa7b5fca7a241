//! A person with a browser: in, about, and out again.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    provider::ANNA,
    school::School,
    server::{Answer, KIND_LINE},
};

/// Nothing runs in this page, and everybody can use it.
async fn is_plain_and_usable(browser: &Browser, page: &str) {
    // What looks for hindrances is a script itself.
    let found = browser.step("inspect", json!({ "accessibility": browser.runs_scripts })).await;
    for what in ["scripts", "refused", "hindrances"] {
        assert_eq!(found[what], json!([]), "{what} of {page}");
    }
}

async fn signs_in_and_out(school: School, browser: Browser) {
    school.home.publish_blank("blank");
    // Whoever wants their account is led to the page for signing in.
    let login = browser.visit(&school.url("/account")).await;
    assert_eq!(login.url, school.url("/login"));
    is_plain_and_usable(&browser, "the login page").await;

    browser.press("Sign in with Our school").await;
    let given = json!({ "user": ANNA.user, "passwords": ["guess", ANNA.password] });
    let led = browser.step("sign_in_at_provider", given).await;
    assert_eq!(led["refusals"], json!(["User name or password is wrong."]));
    assert_eq!(led["asked"], true, "consent");
    let account = browser.look().await;
    assert_eq!(account.url, school.url("/account"));
    for words in ["anna", "Anna Teacher", "class-3b", "staff-room", "manager", "no limit", "You have no tokens."] {
        assert!(account.text.contains(words), "{words}: {}", account.text);
    }
    is_plain_and_usable(&browser, "the account page").await;

    // A token is shown once, and opens the OCCI door.
    let token = school.make_token(&browser, "class-3b", "My laptop").await;
    is_plain_and_usable(&browser, "the page with the new token").await;
    let account = browser.follow("I have copied it: back to your account").await;
    let secret = token.rsplit('_').next().unwrap();
    assert!(account.text.contains("My laptop") && !account.text.contains(secret), "{}", account.text);
    assert!(!browser.reload().await.text.contains(secret));
    let body = format!("{KIND_LINE}\nCategory: blank; scheme=\"{}\"; class=\"mixin\"\n", crate::server::OS_TPL_SCHEME);
    let request = school.server.request("POST", "/compute/").bearer_auth(&token);
    let made = Answer::of(request.header("Content-Type", "text/plain").body(body).send().await.unwrap()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let basic = school.server.request("GET", "/compute/").basic_auth("anna", Some(&token)).send().await.unwrap();
    let listed = Answer::of(basic).await;
    assert!(listed.body.contains("/compute/"), "{}", listed.body);

    // What was made counts on the account page, and the browser's session opens the same door.
    let account = browser.visit(&school.url("/account")).await;
    let machines = account.text.lines().find(|line| line.starts_with("class-3b\tmachines"));
    assert!(machines.is_some_and(|line| line.starts_with("class-3b\tmachines\t1\t")), "{}", account.text);
    browser.press("Choose class-3b").await;
    let seen = browser.get(&made.header("location")).await;
    assert_eq!(seen.status, Some(200), "{}", seen.text);

    // Out: here, and at the provider.
    browser.visit(&school.url("/account")).await;
    browser.press("Sign out").await;
    browser.step("wait_for", json!({ "address": school.provider.issuer })).await;
    let left = browser.press("Yes, sign me out").await;
    assert_eq!(left.url, school.url("/login"), "{}", left.text);
    let cookies = browser.step("cookies", json!({ "url": school.server.base })).await;
    let holds_session = |cookie: &Value| cookie["name"] == "__Host-tombolo-session";
    assert!(!cookies.as_array().unwrap().iter().any(holds_session), "{cookies}");
    for step in ["back", "back again", "reload", "visit"] {
        let seen = match step {
            "reload" => browser.reload().await,
            "visit" => browser.visit(&school.url("/account")).await,
            _ => browser.go_back().await,
        };
        assert!(!seen.text.contains("Anna Teacher") && !seen.text.contains("My laptop"), "{step}: {}", seen.text);
    }
    let refused = browser.get(&made.header("location")).await;
    assert_eq!(refused.status, Some(401), "{}", refused.text);
    browser.visit(&school.url("/login")).await;
    let asked = browser.press("Sign in with Our school").await;
    assert!(asked.url.starts_with(&school.provider.issuer) && asked.text.contains("Password"), "{}", asked.text);
    assert_eq!(school.ask_database("SELECT count(*) FROM sessions"), "0");

    let log = school.server.log();
    for words in [secret, ANNA.password] {
        assert!(!log.contains(words), "{words} in the log");
    }
    school.home.must(&["events", "verify"]);
}

#[tokio::test]
async fn browser_anna_signs_in_and_out() {
    signs_in_and_out(School::open().await, Browser::open()).await;
}

/// The same where nothing can run in the browser at all, and on the other database.
#[tokio::test]
async fn browser_anna_signs_in_and_out_without_javascript_on_postgresql() {
    signs_in_and_out(School::on_postgres().await, Browser::without_javascript()).await;
}

/// If somebody found a way to put text into a page of ours, it would not run: the control to the checks above.
#[tokio::test]
async fn a42_browser_what_is_slipped_into_a_page_does_not_run() {
    let school = School::open().await;
    let browser = Browser::open();
    browser.visit(&school.url("/login")).await;
    assert_eq!(browser.step("slip_in_script", json!({})).await, false);
    let found = browser.step("inspect", json!({ "accessibility": false })).await;
    assert_eq!(found["scripts"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["refused"].as_array().unwrap().len(), 2, "{found}");

    browser.visit(&format!("{}/nowhere", school.provider.issuer)).await;
    assert_eq!(browser.step("slip_in_script", json!({})).await, true, "where nothing forbids it, it has an effect");
}
