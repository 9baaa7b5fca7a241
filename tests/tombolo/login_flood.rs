//! Strangers who begin to sign in, and never go on: nothing is kept of them.

use std::sync::Arc;

use reqwest::{StatusCode, redirect::Policy};
use tokio::sync::Semaphore;

use crate::{browser::Browser, provider::ANNA, school::School};

/// So many strangers come, each from an address of their own.
const STRANGERS: u32 = 4000;
/// At once.
const CROWD: usize = 32;
/// What the server may take for each of them, in bytes, until what it keeps is full: a place in three limits of 20,000
/// addresses each (an address, a time, and the table's own room). Less than what a sign-in under way would take, which is
/// 600 bytes sealed, with a row or an entry around it.
const KEPT_OF_A_STRANGER: u64 = 600;
/// What any process takes more or less from one second to the next, in bytes.
const UNREST: u64 = 4 << 20;

const TABLES: [&str; 9] = [
    "users",
    "identities",
    "sessions",
    "spent",
    "confirmations",
    "grants",
    "device_requests",
    "authorization_codes",
    "registrations",
];

/// Failed sign-ins are told of in the log of events only as long as they are few: so many in a minute, and how many more
/// there were.
const TOLD_IN_A_MINUTE: u64 = 21;

/// In bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// All of these strangers begin, come back with an answer that is none, and send a logout token that is none.
async fn strangers_come(base: &str, first: u32) {
    let client = crate::client::builder().redirect(Policy::none()).build().unwrap();
    let crowd = Arc::new(Semaphore::new(CROWD));
    let coming: Vec<_> = (first..first + STRANGERS)
        .map(|number| {
            let (client, crowd, base) = (client.clone(), Arc::clone(&crowd), base.to_owned());
            tokio::spawn(async move {
                let _place = crowd.acquire_owned().await.unwrap();
                let from = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
                let begun = client.get(format!("{base}/login/start?provider=school&next=/account"));
                let begun = begun.header("X-Forwarded-For", &from).send().await.unwrap();
                assert_eq!(begun.status(), StatusCode::SEE_OTHER);
                let cookies = begun.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
                let cookie = cookies.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ");
                assert!(cookie.contains("__Host-tombolo-login="), "{cookie}");
                let back = client.get(format!("{base}/login/callback/school?code=guess&state=guess"));
                let back = back.header("X-Forwarded-For", &from).header("Cookie", cookie).send().await.unwrap();
                assert_eq!(back.status(), StatusCode::BAD_REQUEST);
                let logout = client.post(format!("{base}/login/backchannel/school")).header("X-Forwarded-For", &from);
                let logout = logout.header("Content-Type", "application/x-www-form-urlencoded");
                let logout = logout.body(format!("logout_token=guess{number}")).send().await.unwrap();
                assert_eq!(logout.status(), StatusCode::BAD_REQUEST);
            })
        })
        .collect();
    for stranger in coming {
        stranger.await.unwrap();
    }
}

#[tokio::test]
async fn a13_nothing_is_kept_of_thousands_who_begin_to_sign_in() {
    let school = School::with("", "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n").await;
    let rows = || TABLES.map(|table| school.ask_database(&format!("SELECT count(*) FROM {table}")));
    let before = rows();
    let begun = std::time::Instant::now();
    // The first ones fill what is made once: connections, threads, tables' first rooms.
    strangers_come(&school.server.base, 0).await;
    let warm = resident(school.server.pid());
    strangers_come(&school.server.base, STRANGERS).await;
    let grown = resident(school.server.pid()).saturating_sub(warm);
    println!("{STRANGERS} strangers more took {} KiB more", grown >> 10);
    assert_eq!(rows(), before, "rows of {TABLES:?}");
    let told: u64 = school.ask_database("SELECT count(*) FROM events").parse().unwrap();
    let most = (begun.elapsed().as_secs() / 60 + 1) * TOLD_IN_A_MINUTE;
    assert!((1..=most).contains(&told), "{told} events; {most} are allowed");
    assert!(
        grown <= UNREST + u64::from(STRANGERS) * KEPT_OF_A_STRANGER,
        "{STRANGERS} strangers took {grown} bytes more"
    );
    assert!(school.provider.requests("/.well-known/openid-configuration").await <= 2, "and the provider has its rest");
    assert_eq!(school.provider.requests("/token").await, 0);
}

/// What is not kept cannot be lost: who was at the provider while the server was started anew comes in all the same.
#[tokio::test]
async fn a13_browser_a_sign_in_outlives_the_server_that_began_it() {
    let mut school = School::open().await;
    let browser = Browser::open();
    browser.visit(&school.url("/login")).await;
    browser.press("Sign in with Our school").await;
    let base = school.server.base.clone();
    school.server.kill();
    school.server = school.home.serve_at(&base);
    let account = browser.sign_in_at_provider(ANNA).await;
    assert_eq!(account.url, school.url("/account"), "{}", account.text);
}
