//! Parsing of a typical create: five categories and ten attributes.

use std::hint::black_box;

use occi_schema::{Limits, MediaType, parse};
use serde_json::json;

use crate::{
    process,
    report::{Report, Wanted, median, number},
};

const ROUNDS: usize = 9;
const REPETITIONS: u32 = 5_000;

const CATEGORIES: [(&str, &str, &str); 5] = [
    ("compute", "http://schemas.ogf.org/occi/infrastructure#", "kind"),
    ("ubuntu-24", "http://occi.tombolo.local/occi/infrastructure/os_tpl#", "mixin"),
    ("small", "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#", "mixin"),
    ("ssh_key", "http://schemas.ogf.org/occi/infrastructure/credentials#", "mixin"),
    ("user_data", "http://schemas.ogf.org/occi/infrastructure/compute#", "mixin"),
];

/// Names and values as text renders them; JSON writes numbers and strings alike.
const ATTRIBUTES: [(&str, &str); 10] = [
    ("occi.core.title", "\"Desk 7 of class 3b\""),
    ("occi.core.summary", "\"For the robotics course, until summer\""),
    ("occi.compute.architecture", "\"x64\""),
    ("occi.compute.cores", "2"),
    ("occi.compute.memory", "4.5"),
    ("occi.compute.share", "100"),
    ("occi.compute.hostname", "\"desk-7.school.example\""),
    ("occi.compute.ephemeral_storage.size", "20.0"),
    (
        "occi.credentials.ssh.publickey",
        "\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtQ0h3vHkX1Zq4mVw3n0n9pJ8m0m3aFz0m0m3aFz0m0 ann@school\"",
    ),
    ("occi.compute.userdata", "\"I2Nsb3VkLWNvbmZpZwpwYWNrYWdlczogW2dpdCwgdmltXQo=\""),
];

/// Name, rendering, header fields, body.
type Case<'a> = (&'a str, MediaType, &'a [(&'a str, &'a str)], &'a str);

pub fn measure(report: &mut Report) {
    let categories: Vec<String> = CATEGORIES
        .iter()
        .map(|(term, scheme, class)| format!("{term}; scheme=\"{scheme}\"; class=\"{class}\""))
        .collect();
    let attributes: Vec<String> = ATTRIBUTES.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields: Vec<(&str, &str)> = categories
        .iter()
        .map(|value| ("Category", value.as_str()))
        .chain(attributes.iter().map(|value| ("X-OCCI-Attribute", value.as_str())))
        .collect();
    let text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let identifiers: Vec<String> =
        CATEGORIES[1..].iter().map(|(term, scheme, _)| format!("\"{scheme}{term}\"")).collect();
    let members: Vec<String> = ATTRIBUTES.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let document = format!(
        "{{\"kind\":\"{}{}\",\"mixins\":[{}],\"attributes\":{{{}}}}}",
        CATEGORIES[0].1,
        CATEGORIES[0].0,
        identifiers.join(","),
        members.join(",")
    );
    let cases: [Case<'_>; 3] = [
        ("text/plain", MediaType::TextPlain, &[], &text),
        ("text/occi", MediaType::TextOcci, &fields, ""),
        ("application/occi+json", MediaType::Json, &[], &document),
    ];
    report.line("parsing of a create with five categories and ten attributes:".into());
    let mut slowest: f64 = 0.0;
    let mut details = Vec::new();
    for (name, media, headers, body) in cases {
        let microseconds = time(media, headers, body.as_bytes());
        report.line(format!("  {name:<22} {} µs", number(microseconds)));
        slowest = slowest.max(microseconds);
        details.push(json!({ "media": name, "microseconds": microseconds }));
    }
    report.detail("parse", &details.into());
    report.goal("parsing of a typical create", "µs", Wanted::AtMost(10.0), Some(slowest));
}

fn time(media: MediaType, headers: &[(&str, &str)], body: &[u8]) -> f64 {
    let limits = Limits::default();
    let parse = || parse::entity(media, black_box(headers), black_box(body), &limits).expect("a request that is right");
    let request = parse();
    assert_eq!((request.categories.len(), request.attributes.len()), (5, 10), "all of it is parsed");
    let rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = process::own_time();
            for _ in 0..REPETITIONS {
                black_box(parse());
            }
            (process::own_time() - begin).as_secs_f64() * 1.0e6 / f64::from(REPETITIONS)
        })
        .collect();
    median(&rounds)
}
