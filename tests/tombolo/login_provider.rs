//! What happens at the provider while people are signed in here: somebody leaves a group or the school, keys change, the
//! provider is away, it ends sessions.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    browser::Browser,
    provider::{ANNA, BEN, CARL, Provider},
    school::{School, provider_table},
};

#[tokio::test]
async fn a48_browser_who_leaves_a_group_has_no_rights_by_it_a_minute_later() {
    let school = School::open().await;
    let browser = Browser::open();
    school.sign_in(&browser, ANNA).await;
    let of_class = school.make_token(&browser, "class-3b", "class").await;
    let of_staff = school.make_token(&browser, "staff-room", "staff").await;
    assert_eq!(school.status(&of_class).await, StatusCode::OK);

    school.provider.change_person("anna", &json!({ "groups": ["teachers"] })).await;
    let refused = school.sees_die(&of_class).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.body);
    assert_eq!(school.status(&of_staff).await, StatusCode::OK, "the other group is still hers");
    let account = browser.visit(&school.url("/account")).await;
    assert!(account.text.contains("staff-room") && !account.text.contains("member"), "{}", account.text);

    // And back again: what the provider says counts, in both directions.
    school.provider.change_person("anna", &json!({ "groups": ["teachers", "class-3b"] })).await;
    let revived = async {
        while school.status(&of_class).await != StatusCode::OK {
            school.status(&of_staff).await;
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), revived).await.expect("the group counts again");
}

#[tokio::test]
async fn a48_browser_whom_the_provider_disables_is_out_a_minute_later() {
    let school = School::open().await;
    let browser = Browser::open();
    school.sign_in(&browser, BEN).await;
    let token = school.make_token(&browser, "class-3b", "script").await;
    school.provider.change_person("ben", &json!({ "disabled": true })).await;
    assert_eq!(school.sees_die(&token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.visit(&school.url("/account")).await.url, school.url("/login"), "the session has ended, too");
    assert_eq!(school.ask_database("SELECT count(*) FROM sessions"), "0");
    let told = school.home.must(&["events", "list", "--json"]);
    assert!(told.contains("login.ended"), "{told}");
}

/// F32: keys change, and the old ones are gone at once.
#[tokio::test]
async fn f32_browser_keys_of_the_provider_change() {
    let school = School::open().await;
    let browser = Browser::open();
    school.sign_in(&browser, ANNA).await;
    let token = school.make_token(&browser, "class-3b", "script").await;
    let asked_before = school.provider.requests("/jwks").await;
    let begun = std::time::Instant::now();
    school.provider.rotate_keys(true).await;
    // Her provider is asked again, and answers with what is signed by a new key; and somebody else signs in by it. How
    // often keys are asked for is bounded, so this may have to wait.
    browser.new_person().await;
    let signs_in = async {
        loop {
            browser.visit(&school.url("/login")).await;
            let mut seen = browser.press("Sign in with Our school").await;
            if seen.url.starts_with(&school.provider.issuer) {
                seen = browser.sign_in_at_provider(BEN).await;
            }
            if seen.url == school.url("/account") {
                break;
            }
            assert!(seen.text.contains("cannot be believed"), "{}", seen.text);
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), signs_in).await.expect("ben signs in by the new keys");
    assert_eq!(school.status(&token).await, StatusCode::OK, "whoever was in stays in:\n{}", school.server.log());
    let asked = school.provider.requests("/jwks").await - asked_before;
    assert!((1..=begun.elapsed().as_secs() / 30 + 2).contains(&asked), "keys were asked for {asked} times");
}

/// F31: sessions and tokens outlive a provider that is away; nobody new comes in, and the login page says why.
#[tokio::test]
async fn f31_browser_the_provider_is_away() {
    let mut school = School::open().await;
    let browser = Browser::open();
    school.sign_in(&browser, ANNA).await;
    let token = school.make_token(&browser, "class-3b", "script").await;
    school.provider.set_away(true).await;
    school.uses_until_logged(&token, "a provider cannot be asked").await;
    assert!(browser.visit(&school.url("/account")).await.text.contains("Anna Teacher"));

    // A server that has never reached the provider: cookies do not know ports, so this is the same browser's server.
    let address = school.server.base.clone();
    school.server.interrupt();
    school.server = school.home.serve();
    assert_ne!(school.server.base, address);
    assert!(browser.visit(&school.url("/account")).await.text.contains("Anna Teacher"));
    assert_eq!(school.status(&token).await, StatusCode::OK);
    browser.new_person().await;
    browser.visit(&school.url("/login")).await;
    let told = browser.press("Sign in with Our school").await;
    assert!(told.text.contains("Our school does not answer at present"), "{}", told.text);
    assert!(told.text.contains("Sign in with Our school"), "and one can try again: {}", told.text);

    school.provider.set_away(false).await;
    school.provider.knows_tombolo_at(&school.server.base, "school").await;
    let comes_back = async {
        loop {
            if browser.press("Sign in with Our school").await.url.starts_with(&school.provider.issuer) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), comes_back).await.expect("the provider is found again");
    assert_eq!(browser.sign_in_at_provider(BEN).await.url, school.url("/account"));
}

/// Whoever signs out at the provider is out here; programs go on where the provider gives a word that outlives the
/// session.
#[tokio::test]
async fn browser_the_provider_ends_a_session() {
    let school = School::with("prompt = \"consent\"", "").await;
    let (browser, bens) = (Browser::open(), Browser::open());
    school.sign_in(&browser, ANNA).await;
    school.sign_in(&bens, BEN).await;
    let token = school.make_token(&browser, "class-3b", "script").await;
    let told = school.provider.end_sessions("anna").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["outcome"], "taken", "{told:?}\n{}", school.provider.log());
    assert_eq!(browser.visit(&school.url("/account")).await.url, school.url("/login"));
    assert!(bens.visit(&school.url("/account")).await.text.contains("Ben Pupil"), "his session is another one");
    let asked = school.provider.requests("/me").await;
    let goes_on = async {
        while school.provider.requests("/me").await == asked {
            assert_eq!(school.status(&token).await, StatusCode::OK);
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), goes_on).await.expect("the provider is asked again");
    assert_eq!(school.status(&token).await, StatusCode::OK, "{}", school.server.log());
}

/// Without `offline_access` the provider's word ends with its session, and so does what was given by it.
#[tokio::test]
async fn browser_a_word_that_ends_with_the_session_takes_tokens_along() {
    let school = School::open().await;
    let browser = Browser::open();
    school.sign_in(&browser, ANNA).await;
    let token = school.make_token(&browser, "class-3b", "script").await;
    school.provider.end_sessions("anna").await;
    assert_eq!(school.sees_die(&token).await.status, StatusCode::UNAUTHORIZED);
    school.sign_in(&browser, ANNA).await;
    assert_eq!(school.status(&token).await, StatusCode::OK, "signed in again, she may again what she might");
}

#[tokio::test]
async fn a5_a19_browser_two_providers_at_once_know_two_people_of_one_name() {
    let ministry = Provider::start();
    let more = provider_table("ministry", "The ministry", &ministry, "");
    let school = School::with("", &more).await;
    ministry.knows_tombolo_at(&school.server.base, "ministry").await;
    // The other one says of its anna whatever it likes: name, address and groups of the school's.
    let browser = Browser::open();
    school.sign_in(&browser, ANNA).await;
    let token = school.make_token(&browser, "class-3b", "script").await;
    let other = Browser::open();
    let login = other.visit(&school.url("/login")).await;
    assert!(login.text.contains("Sign in with Our school") && login.text.contains("Sign in with The ministry"));
    other.press("Sign in with The ministry").await;
    let account = other.sign_in_at_provider(ANNA).await;
    assert_eq!(account.url, school.url("/account"), "{}", account.text);
    assert!(account.text.contains("You are in no project."), "no rule is about the ministry: {}", account.text);
    assert!(!account.text.contains("script"), "{}", account.text);
    assert_eq!(school.ask_database("SELECT count(*) FROM users"), "2");

    // Who is signed out by one is not signed out by the other.
    assert_eq!(ministry.end_sessions("anna").await[0]["outcome"], "taken");
    assert_eq!(other.visit(&school.url("/account")).await.url, school.url("/login"));
    assert!(browser.visit(&school.url("/account")).await.text.contains("script"));
    assert_eq!(school.status(&token).await, StatusCode::OK);
}

#[tokio::test]
async fn browser_who_is_known_to_no_rule_gets_nothing_and_is_told_so() {
    let school = School::open().await;
    let browser = Browser::open();
    let account = school.sign_in(&browser, CARL).await;
    for words in ["You are not let in yet", "no project has taken you in so far", "ask to be let in"] {
        assert!(account.text.contains(words), "{words}: {}", account.text);
    }
    assert!(!account.text.contains("Make the token"), "{}", account.text);
    let refused = browser.get(&school.url("/compute/")).await;
    assert_eq!(refused.status, Some(401), "{}", refused.text);
}

/// Who refuses at the provider is told so by us, kindly, and nobody is signed in.
#[tokio::test]
async fn browser_who_does_not_consent_is_not_signed_in() {
    let school = School::open().await;
    let browser = Browser::open();
    browser.visit(&school.url("/login")).await;
    browser.press("Sign in with Our school").await;
    let given = json!({ "user": ANNA.user, "passwords": [ANNA.password], "consent": "Refuse" });
    let led = browser.step("sign_in_at_provider", given).await;
    let text = led["text"].as_str().unwrap();
    assert!(text.contains("said no") && text.contains("Sign in"), "{text}");
    assert_eq!(browser.visit(&school.url("/account")).await.url, school.url("/login"));
    assert_eq!(school.ask_database("SELECT count(*) FROM sessions"), "0");
}
