//! What a typical creation costs to read, and an entity to render: `cargo bench -p occi-schema`.
//!
//! Five categories and ten attributes, in three renderings. The limit is ten microseconds for each parse; each line
//! ends with the figure's ratio to it.
#![allow(clippy::expect_used, reason = "a benchmark ends where it cannot go on")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use occi_schema::{
    AttributeName, CategoryId, EntityView, Limits, MediaType, Mode, Model, Value, parse, render, well_known,
};

const LIMIT: Duration = Duration::from_micros(10);
/// Rounds, of which the median counts: short ones, so that few are interrupted on a busy machine.
const ROUNDS: usize = 301;
const CALLS_PER_ROUND: u32 = 100;

const CATEGORIES: [(&str, &str, &str); 5] = [
    ("http://schemas.ogf.org/occi/infrastructure#", "compute", "kind"),
    ("http://occi.tombolo.local/occi/infrastructure/os_tpl#", "debian-12", "mixin"),
    ("http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#", "small", "mixin"),
    ("http://schemas.ogf.org/occi/infrastructure/credentials#", "ssh_key", "mixin"),
    ("http://schemas.ogf.org/occi/infrastructure/compute#", "user_data", "mixin"),
];

fn attributes() -> BTreeMap<AttributeName, Value> {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx1Y2t5bHVja3lsdWNreWx1Y2t5bHVja3lsdWNreWx1 alice@example.org";
    let pairs: [(&str, Value); 10] = [
        ("occi.core.title", Value::from("web server of class 7b")),
        ("occi.core.summary", Value::from("for the \"digital history\" project")),
        ("occi.compute.architecture", Value::from("x64")),
        ("occi.compute.cores", Value::Integer(2)),
        ("occi.compute.hostname", Value::from("web-7b.school.example")),
        ("occi.compute.memory", Value::Float(4.0)),
        ("occi.compute.share", Value::Integer(100)),
        ("occi.compute.speed", Value::Float(2.4)),
        ("occi.credentials.ssh.publickey", Value::from(key)),
        ("occi.compute.userdata", Value::from("I2Nsb3VkLWNvbmZpZwpwYWNrYWdlczoKICAtIG5naW54Cg==")),
    ];
    pairs.into_iter().map(|(name, value)| (AttributeName::new(name).expect("a name"), value)).collect()
}

/// The median time of a call, and the best: the median of a busy machine tells more about the others on it.
fn measure(mut call: impl FnMut()) -> [Duration; 2] {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS_PER_ROUND).for_each(|_| call());
            start.elapsed() / CALLS_PER_ROUND
        })
        .collect();
    rounds.sort_unstable();
    [ROUNDS / 2, 0].map(|place| rounds.get(place).copied().unwrap_or_default())
}

fn print(what: &str, [median, best]: [Duration; 2]) {
    let ratio = |time: Duration| time.as_secs_f64() / LIMIT.as_secs_f64();
    let (of_median, of_best) = (ratio(median), ratio(best));
    let (median, best) = (median.as_nanos(), best.as_nanos());
    println!("{what:<24} median {median:>6} ns, {of_median:.2} of the limit; best {best:>6} ns, {of_best:.2}");
}

fn main() {
    let ids: Vec<CategoryId> =
        CATEGORIES.iter().map(|(scheme, term, _)| CategoryId::new(scheme, term).expect("an identifier")).collect();
    let (kind, mixins) = ids.split_first().expect("a kind");
    let attributes = attributes();
    let actions = [well_known::START.clone()];
    let view = EntityView {
        id: "urn:uuid:5f3a6f0c-6f63-4e52-9a51-0f6f2f1d6f10",
        kind,
        mixins,
        attributes: &attributes,
        links: Vec::new(),
        actions: &actions,
        location: "/compute/5f3a6f0c-6f63-4e52-9a51-0f6f2f1d6f10",
    };
    let limits = Limits::default();
    println!("five categories, ten attributes; limit {} ns per parse", LIMIT.as_nanos());
    let mut model = Model::standard();
    let family = well_known::OS_TPL.clone();
    let template =
        occi_schema::Mixin::template(mixins[0].clone(), "Debian 12", family, well_known::COMPUTE.clone(), "/os/d/");
    model.add_mixin(template).expect("a new mixin");
    for (name, media) in
        [("text/plain", MediaType::TextPlain), ("text/occi", MediaType::TextOcci), ("JSON", MediaType::Json)]
    {
        let rendered = render::entity(media, &view, "http://localhost");
        let headers: Vec<(&str, &str)> = rendered.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let read = || parse::entity(media, &headers, &rendered.body, &limits).expect("our own rendering");
        let request = read();
        assert_eq!((request.categories.len(), request.attributes.len() >= 10), (5, true), "a typical creation");
        print(&format!("parse {name}"), measure(|| drop(black_box(read()))));
        print(
            &format!("resolve {name}"),
            measure(|| drop(black_box(model.resolve_new(&request, None, Mode::Interop).expect("a creation")))),
        );
    }
    for (name, media) in [
        ("text/plain", MediaType::TextPlain),
        ("text/occi", MediaType::TextOcci),
        ("JSON", MediaType::Json),
        ("JSON of rOCCI 4", MediaType::LegacyJson),
        ("text/uri-list", MediaType::UriList),
    ] {
        let time = measure(|| drop(black_box(render::entity(media, &view, "http://localhost"))));
        print(&format!("render {name}"), time);
    }
}
