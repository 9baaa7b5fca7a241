//! Answers that nobody should believe (F45).

use std::sync::Arc;

use backend::suite::Violation;

use super::trial::{Trial, ensure};
use crate::{Answer, Fault, Times};

/// One object of a list cannot be read: the others can.
pub(super) async fn one_malformed_object(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F45 one malformed object";
    trial.report.begin(CHECK);
    let Some(spoil) = trial.habits.spoil.clone() else {
        trial.report.lacks(format!("{CHECK}: nobody knows how an object looks there"));
        return Ok(());
    };
    let mut tags = Vec::new();
    for _ in 0..2 {
        let wanted = trial.machine_spec();
        trial.ask(CHECK, trial.backend().create(&wanted)).await?;
        tags.push(wanted.tag);
    }
    let before = trial.ask(CHECK, trial.backend().machines()).await?;
    let spoil = Arc::clone(&spoil);
    trial.proxy.order(trial.habits.list.clone(), Fault::body(move |body| spoil(body)), Times::Always);
    let listing = trial.ask(CHECK, trial.backend().machines()).await?;
    trial.heal().await?;
    let (all, left) = (before.objects.len(), listing.objects.len());
    ensure(CHECK, left + 1 == all, format!("of {all} machines {left} are listed"))?;
    let noted = listing.unreadable_count() == before.unreadable_count() + 1;
    ensure(CHECK, noted, format!("{} are noted as unreadable", listing.unreadable_count()))?;
    for tag in tags {
        trial.delete(CHECK, tag).await?;
    }
    Ok(())
}

/// What is no list is never taken for an empty one, which would mean that everything is gone.
pub(super) async fn no_list_at_all(trial: &mut Trial<'_>) -> Result<(), Violation> {
    const CHECK: &str = "F45 answers that are no list";
    trial.report.begin(CHECK);
    for (what, answer) in answers() {
        trial.proxy.order(trial.habits.list.clone(), Fault::Refuse(answer), Times::Always);
        let answer = trial.answer(CHECK, trial.backend().machines()).await?;
        trial.heal().await?;
        let believed = answer.is_ok_and(|listing| listing.unreadable_count() == 0);
        ensure(CHECK, !believed, format!("{what} is taken for a list"))?;
    }
    trial.proxy.order(trial.habits.list.clone(), Fault::Truncate(1), Times::Always);
    let cut = trial.answer(CHECK, trial.backend().machines()).await?;
    trial.heal().await?;
    ensure(CHECK, cut.is_err(), "a list that ends after one byte is taken for a list")?;
    trial.ask(CHECK, trial.backend().machines()).await.map(drop)
}

fn answers() -> Vec<(&'static str, Answer)> {
    let json = |body: Vec<u8>| Answer::new(200, "application/json", body);
    let xml = |body: Vec<u8>| Answer::new(200, "text/xml", body);
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE b [<!ENTITY a \"aaaaaaaaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
        <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]><methodResponse><params><param>\
        <value><string>&d;</string></value></param></params></methodResponse>";
    vec![
        ("nothing", json(Vec::new())),
        ("a page for people", Answer::new(200, "text/html", "<html><body>It works!</body></html>")),
        ("a number", json(b"7".to_vec())),
        ("null", json(b"null".to_vec())),
        ("an object with something else", json(b"{\"error\": {\"code\": 500, \"message\": \"no\"}}".to_vec())),
        ("brackets without end", json(vec![b'['; 200_000])),
        ("objects without end", json(b"{\"a\":".repeat(100_000))),
        ("64 MiB of blanks", json(vec![b' '; 64 << 20])),
        ("bytes that are no UTF-8", json(vec![0xff; 4096])),
        ("entities of entities", xml(bomb.as_bytes().to_vec())),
        ("elements without end", xml(b"<value>".repeat(100_000))),
    ]
}
