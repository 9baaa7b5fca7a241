//! `tombolo occi check` against our own server, and its list against `docs/occi-conformance.md`.

use std::collections::BTreeSet;

use occi_check::{Credentials, Level, Options, report::Verdict};

use crate::server::Home;

const DOCUMENT: &str = include_str!("../../docs/occi-conformance.md");
const LAST_RULE: u16 = 323;

/// Numbers in the first column of the table below this heading.
fn listed(heading: &str) -> BTreeSet<u16> {
    let (_, after) = DOCUMENT.split_once(heading).unwrap_or_else(|| panic!("{heading:?} is missing"));
    let section = after.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| C-"));
    rows.map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn every_rule_is_a_check_or_has_a_reason_not_to_be() {
    let checks: BTreeSet<u16> =
        occi_check::sections().iter().flat_map(|section| section.checks()).map(|check| check.number).collect();
    let reasons = listed("## Rules that are no checks");
    assert!(checks.is_disjoint(&reasons), "{:?} are both", checks.intersection(&reasons));
    let missing: Vec<_> =
        (1..=LAST_RULE).filter(|number| !checks.contains(number) && !reasons.contains(number)).collect();
    assert!(missing.is_empty(), "neither a check nor a reason: {missing:?}");
    assert!(checks.iter().chain(&reasons).all(|number| (1..=LAST_RULE).contains(number)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_every_rule_that_it_must() {
    let home = Home::simulated();
    home.publish_blank("blank");
    home.publish_blank("other");
    let token = home.token("ann", "p");
    let server = home.serve();
    let options = Options {
        credentials: Credentials::Basic { user: "ann".to_owned(), password: token.clone() },
        destructive: true,
        ..Options::new(&server.base).unwrap()
    };
    let report = occi_check::check(&options).await.unwrap();
    assert!(!report.json().contains(&token), "the report holds the secret");
    assert!(report.results.len() > 300, "only {} checks ran", report.results.len());

    let exceptions = listed("## Rules that Tombolo breaks");
    let is_asked = |level: Level| matches!(level, Level::Must | Level::Interop);
    let mut broken = BTreeSet::new();
    let mut words = String::new();
    for result in report.results.iter().filter(|result| is_asked(result.level)) {
        if let Verdict::Failed { reason } = &result.verdict {
            broken.insert(result.number);
            words += &format!("{} {}: {reason}\n", result.name(), result.rule);
        }
    }
    assert_eq!(broken, exceptions, "{words}\n{}", report.summary());
    // OCCI has no way to remove the template that `save` made.
    let odd: Vec<_> = report.left_behind.iter().filter(|line| !line.contains("/os_tpl#snap-")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}
