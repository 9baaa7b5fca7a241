//! The tester against servers that are wrong: a check that passes there cannot fail anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod server;

use std::{collections::BTreeSet, time::Duration};

use occi_check::{CheckError, Credentials, Options, Report, Selection, report::Verdict};
use server::{Behaviour, serve};

/// What is skipped unless the mode, the credentials or a claim of the server ask for it.
const SKIPPED: [u16; 5] = [6, 75, 76, 77, 301];

async fn tested(behaviour: Behaviour) -> Report {
    let options = Options {
        patience: Duration::from_millis(300),
        timeout: Duration::from_secs(5),
        destructive: true,
        ..Options::new(&serve(behaviour).await).unwrap()
    };
    occi_check::check(&options).await.unwrap()
}

fn ended(report: &Report, is_so: impl Fn(&Verdict) -> bool) -> BTreeSet<u16> {
    report.results.iter().filter(|result| is_so(&result.verdict)).map(|result| result.number).collect()
}

fn passed(report: &Report) -> BTreeSet<u16> {
    ended(report, |verdict| *verdict == Verdict::Passed)
}

#[tokio::test]
async fn a_server_that_fails_always_passes_nothing() {
    let report = tested(Behaviour::FailsAlways).await;
    assert!(report.results.len() > 250, "{} checks ran", report.results.len());
    assert_eq!(passed(&report), BTreeSet::new());
    let skipped = ended(&report, |verdict| matches!(verdict, Verdict::Skipped { .. }));
    let odd: Vec<_> = skipped.iter().filter(|number| !SKIPPED.contains(number)).collect();
    assert!(odd.is_empty(), "these look at nothing: {odd:?}\n{}", report.text());
    assert!(!report.is_conformant());
}

#[tokio::test]
async fn a_server_that_agrees_to_everything_passes_only_what_its_query_interface_is_worth() {
    let report = tested(Behaviour::AgreesAlways).await;
    let odd: Vec<_> = passed(&report).into_iter().filter(|number| !LISTED_ONLY.contains(number)).collect();
    assert!(odd.is_empty(), "these believe an empty answer: {odd:?}\n{}", report.text());
}

/// Rules of the query interface in text, which that server has; and C-127, which allows 200.
const LISTED_ONLY: [u16; 19] = [1, 3, 4, 5, 8, 9, 10, 28, 127, 283, 284, 285, 286, 287, 290, 291, 302, 303, 308];

#[tokio::test]
async fn what_is_no_occi_server_cannot_be_tested() {
    for behaviour in [Behaviour::IsSomethingElse, Behaviour::Hangs] {
        let options = Options { timeout: Duration::from_millis(300), ..Options::new(&serve(behaviour).await).unwrap() };
        assert!(matches!(occi_check::check(&options).await, Err(CheckError::Untestable { .. })), "{behaviour:?}");
    }
}

#[tokio::test]
async fn secrets_are_in_no_report() {
    let mut selection = Selection::default();
    selection.add_numbers("C-001,C-053").unwrap();
    let options = Options {
        credentials: Credentials::Bearer("s3cr3t-token".to_owned()),
        selection,
        ..Options::new(&serve(Behaviour::RepeatsRequests).await).unwrap()
    };
    let report = occi_check::check(&options).await.unwrap();
    for text in [report.text(), report.json(), report.html()] {
        assert!(!text.contains("s3cr3t-token"), "{text}");
    }
    assert!(report.json().contains("(not shown)"), "the server repeated it, and the report says nothing of it");
}

#[tokio::test]
async fn what_a_server_says_is_no_markup() {
    let mut selection = Selection::default();
    selection.add_numbers("C-001..C-004").unwrap();
    let options = Options { selection, ..Options::new(&serve(Behaviour::Injects).await).unwrap() };
    let report = occi_check::check(&options).await.unwrap();
    assert!(report.html().contains("&lt;script&gt;"), "{}", report.html());
    assert!(!report.html().contains("<script>"));
    assert!(!report.text().contains('\u{1b}'));
}
