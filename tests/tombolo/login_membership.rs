//! People whom no rule gives anything come in by an invitation, or by asking.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    browser::Browser,
    provider::{ANNA, CARL},
    school::School,
};

async fn is_usable(browser: &Browser, page: &str) {
    let found = browser.step("inspect", json!({})).await;
    for what in ["scripts", "refused", "hindrances"] {
        assert_eq!(found[what], json!([]), "{what} of {page}");
    }
}

#[tokio::test]
async fn browser_somebody_is_invited() {
    let school = School::open().await;
    let (annas, carls) = (Browser::open(), Browser::open());
    school.sign_in(&annas, ANNA).await;
    annas.follow("Requests").await;
    is_usable(&annas, "the page for requests and invitations").await;
    annas.fill(json!({ "For whom, in your words": "the caretaker" })).await;
    let made = annas.press("Make the invitation").await;
    let link = made.text.split_whitespace().find(|word| word.contains("/invitation/")).unwrap().to_owned();
    is_usable(&annas, "the page with the link").await;

    let invited = carls.visit(&link).await;
    for words in ["staff-room", "member", "the caretaker", "Sign in first"] {
        assert!(invited.text.contains(words), "{words}: {}", invited.text);
    }
    carls.press("Sign in").await;
    carls.press("Sign in with Our school").await;
    let back = carls.sign_in_at_provider(CARL).await;
    assert_eq!(back.url, link, "{}", back.text);
    is_usable(&carls, "the invitation").await;
    carls.press("Join staff-room").await;
    let token = school.make_token(&carls, "staff-room", "mine").await;
    assert_eq!(school.status(&token).await, StatusCode::OK);

    // It was for one.
    let other = Browser::open();
    let used = other.visit(&link).await;
    assert!(!used.text.contains("You are invited"), "{}", used.text);
    // What somebody was given by a person stays when the provider is asked again.
    let asked = school.provider.requests("/me").await;
    let asked_again = async {
        while school.provider.requests("/me").await == asked {
            assert_eq!(school.status(&token).await, StatusCode::OK);
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), asked_again).await.expect("the provider is asked again");
    assert_eq!(school.status(&token).await, StatusCode::OK);
}

#[tokio::test]
async fn browser_somebody_asks_to_be_let_in() {
    let school = School::open().await;
    let (annas, carls) = (Browser::open(), Browser::open());
    school.sign_in(&annas, ANNA).await;
    school.sign_in(&carls, CARL).await;
    carls.follow("ask to be let in").await;
    is_usable(&carls, "the page for asking").await;
    carls
        .fill(json!({
            "Project, if you know its name": "staff-room",
            "Who you are, and what you want to do": "I am <b>the caretaker</b> & need a printer.",
        }))
        .await;
    let sent = carls.press("Send the request").await;
    assert!(sent.text.contains("You have asked"), "{}", sent.text);
    let asked = annas.visit(&school.url("/registrations")).await;
    for words in ["carl", "Carl Stranger", "I am <b>the caretaker</b> & need a printer."] {
        assert!(asked.text.contains(words), "{words}: {}", asked.text);
    }
    is_usable(&annas, "the page with a request").await;
    let decided = annas.press("Let in carl").await;
    assert!(decided.text.contains("Nobody asks at present."), "{}", decided.text);
    let account = carls.visit(&school.url("/account")).await;
    assert!(account.text.contains("staff-room") && account.text.contains("Make a token"), "{}", account.text);
}
