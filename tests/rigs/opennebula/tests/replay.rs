//! Every recorded exchange that is simulated, replayed in the recorded order, and each answer compared with the
//! recorded one: outcome, code, text, types of the values; of documents every element, how its text is written, and the
//! order of elements. What is not compared, and why, stands in `recordings/left-out.tsv`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use opennebula_simulator::{Delays, DriverAction, NewApp, Settings, Simulator};
use support::{Value, call, int, orders, parse, post, shape, text, yes_or_no};

const PASSWORD: &str = "****";

struct Exchange {
    method: String,
    case: String,
    request: String,
    answer: String,
}

fn recorded() -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/exchanges.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    lines
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let part = |name: &str| value[name].as_str().unwrap().to_owned();
            Exchange { method: part("method"), case: part("case"), request: part("request"), answer: part("answer") }
        })
        .collect()
}

/// What is not compared: by method and case, then either `all` or a prefix of paths.
fn left_out() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/left-out.tsv");
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let mut columns = line.split('\t');
        let (exchange, what, why) = (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        assert!(!why.is_empty(), "{exchange} is left out without a reason");
        table.entry(exchange.into()).or_default().push(what.into());
    }
    table
}

/// What happened between the recorded exchanges, and what was blanked in them.
async fn before(simulator: &Simulator, exchange: &Exchange, request: &mut String) {
    let name = format!("{}.{}", exchange.method, exchange.case);
    match name.as_str() {
        "one.vm.info.err_auth_bad_password" => *request = request.replace("oneadmin:****", "oneadmin:wrong"),
        "one.vm.info.err_auth_revoked_token" | "one.vm.info.err_auth_expired_token" => {
            *request = request.replace(":****", ":gone");
        }
        "one.user.login.ok_revoke" => {
            // The token was blanked; no token revokes all.
            *request = request.replacen("<value><string>****</string></value>", "<value><string></string></value>", 1);
        }
        "one.datastore.allocate.ok_image_ds" => {
            let values = [text("dummy-host-2"), text("dummy"), text("dummy"), int(100)];
            admin(simulator, "one.host.allocate", &values).await;
        }
        "one.datastore.allocate.ok_fs_ds" => {
            let template = "NAME=\"dummy_files\"\nDS_MAD=\"dummy\"\nTM_MAD=\"dummy\"\nTYPE=\"FILE_DS\"\n";
            admin(simulator, "one.datastore.allocate", &[text(template), int(100)]).await;
        }
        "one.image.rename.ok" => {
            admin(simulator, "one.image.enable", &[int(1), yes_or_no(true)]).await;
            admin(simulator, "one.image.persistent", &[int(1), yes_or_no(false)]).await;
        }
        "one.vm.info.ok_pending_sched_message" => {
            let template =
                "NAME=\"unschedulable\"\nCPU=\"1\"\nMEMORY=\"64\"\nSCHED_REQUIREMENTS=\"NAME=\\\"nosuch\\\"\"\n";
            admin(simulator, "one.vm.allocate", &[text(template), yes_or_no(false)]).await;
        }
        "one.vm.info.ok_boot_failure" => {
            simulator.fail_driver(DriverAction::Deploy);
            let template =
                "NAME=\"fails\"\nCPU=\"0.1\"\nMEMORY=\"32\"\nSCHED_REQUIREMENTS=\"CLUSTER_ID=\\\"100\\\"\"\n";
            admin(simulator, "one.vm.allocate", &[text(template), yes_or_no(false)]).await;
        }
        "one.vm.info.ok_boot" => {
            let template = "NAME=\"slow\"\nCPU=\"0.1\"\nMEMORY=\"32\"\nSCHED_REQUIREMENTS=\"ID=0\"\n";
            let id = admin(simulator, "one.vm.allocate", &[text(template), yes_or_no(false)]).await;
            assert!(simulator.step(id) && simulator.step(id));
        }
        "one.vm.action.err_locked" => {
            admin(simulator, "one.vm.lock", &[int(2), int(1), yes_or_no(false)]).await;
        }
        "one.vm.disksnapshotcreate.ok_poweroff" => {
            admin(simulator, "one.vm.unlock", &[int(2)]).await;
            admin(simulator, "one.vm.action", &[text("poweroff"), int(0)]).await;
        }
        "one.vm.lock.ok" => {
            admin(simulator, "one.vm.chown", &[int(0), int(0), int(0)]).await;
        }
        "one.user.info.ok_with_quota" => {
            let values = [text("alice"), text(""), int(3600), int(-1)];
            call(simulator.address(), "alice:****", "one.user.login", &values.each_ref().map(String::as_str))
                .await
                .ok();
        }
        "one.vm.attachnic.err_quota_network" => {
            admin(simulator, "one.user.quota", &[int(2), text("NETWORK=[ID=\"0\",LEASES=\"1\"]")]).await;
        }
        // The recorded daemon had made an image of a backup in between.
        "one.image.info.ok_from_app" => *request = request.replace("<int>10</int>", "<int>9</int>"),
        "one.marketpool.info.ok" => {
            let app = NewApp {
                name: "Lab tiny image".into(),
                source: format!("http://{}/none", simulator.address()),
                md5: "a83177d67aac0f76310c0f6370b839c2".into(),
                format: "raw".into(),
                megabytes: 4,
            };
            simulator.add_marketplace("labmarket", &[app]);
        }
        _ => {}
    }
    // These saw something that lasts only for a while.
    const PASSING: [&str; 11] = [
        "one.host.allocate.err_name_taken",
        "one.vn.info.ok_lock_create",
        "one.vn.add_ar.err_or_ok_while_lock_create",
        "one.vm.info.ok_pending",
        "one.image.info.locked_or_ready",
        "one.host.info.ok_init",
        "one.vm.info.ok_boot",
        "one.vm.action.err_wrong_state_boot",
        "one.vm.attach.err_wrong_state",
        "one.vm.action.err_terminate_hard_during_boot",
        "one.vm.recover.ok_delete_during_boot",
    ];
    if !PASSING.contains(&name.as_str()) {
        settled(simulator).await;
    }
}

/// A call of oneadmin that was not recorded, and gives a number.
async fn admin(simulator: &Simulator, method: &str, values: &[String]) -> i32 {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let answer = call(simulator.address(), &format!("oneadmin:{PASSWORD}"), method, &values).await;
    answer.ok().number()
}

/// Lets everything planned happen, and waits for the bytes of images.
async fn settled(simulator: &Simulator) {
    simulator.settle();
    let admin = format!("oneadmin:{PASSWORD}");
    for _ in 0..2_000 {
        let images = call(simulator.address(), &admin, "one.imagepool.info", &[&int(-2), &int(-1), &int(-1)]).await;
        if !images.ok().text().contains("<STATE>4</STATE>") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("an image stays locked");
}

fn numbers_hidden(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            if !out.ends_with('#') {
                out.push('#');
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn compare(recorded: &Value, simulated: &Value, left_out: &[String]) -> Vec<String> {
    let mut differences = Vec::new();
    match (recorded, simulated) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                differences.extend(compare(a, b, left_out));
            }
        }
        (Value::Text(a), Value::Text(b)) if a.starts_with('<') && b.starts_with('<') => {
            differences.extend(compare_documents(a, b, left_out));
        }
        (Value::Text(a), Value::Text(b)) if a.starts_with('[') => {
            if numbers_hidden(a) != numbers_hidden(b) {
                differences.push(format!("text: recorded {a:?}, simulated {b:?}"));
            }
        }
        (Value::Text(_), Value::Text(_))
        | (Value::Integer(_), Value::Integer(_))
        | (Value::Long(_), Value::Long(_)) => {}
        (Value::Boolean(a), Value::Boolean(b)) if a == b => {}
        (Value::Fault(a, said), Value::Fault(b, says)) if a == b && said == says => {}
        _ => differences.push(format!("recorded {recorded:?}, simulated {simulated:?}")),
    }
    differences
}

fn compare_documents(recorded: &str, simulated: &str, left_out: &[String]) -> Vec<String> {
    let hidden = |path: &str| left_out.iter().any(|prefix| path.starts_with(prefix.as_str()));
    let (a, b) = (shape(recorded), shape(simulated));
    let mut differences = Vec::new();
    for (path, form) in a.iter().filter(|(path, _)| !hidden(path)) {
        match b.get(path) {
            None => differences.push(format!("missing {path}")),
            Some(other) if other != form && form != "nothing" && other != "nothing" => {
                differences.push(format!("{path}: recorded {form}, simulated {other}"));
            }
            _ => {}
        }
    }
    differences.extend(b.keys().filter(|p| !a.contains_key(*p) && !hidden(p)).map(|p| format!("surplus {p}")));
    let (a, b) = (orders(recorded), orders(simulated));
    for (path, first, second) in a.iter().filter(|(path, ..)| !hidden(path)) {
        let reversed = (path.clone(), second.clone(), first.clone());
        if b.contains(&reversed) && !a.contains(&reversed) {
            differences.push(format!("order in {path}: recorded {first} before {second}"));
        }
    }
    differences
}

#[tokio::test]
async fn recorded_exchanges_are_answered_alike() {
    let directory = tempfile::tempdir().unwrap();
    // Nothing happens but what is let happen.
    let long = Duration::from_secs(3600);
    let delays = Delays { race: long, step: long, placement: long, image: long, network: long, host: long };
    let settings = Settings { password: PASSWORD.into(), delays, ..Settings::default() };
    let simulator = Simulator::start(settings, directory.path()).await.unwrap();
    let table = left_out();
    let (mut compared, mut failures) = (0, Vec::new());
    for exchange in recorded() {
        let name = format!("{}.{}", exchange.method, exchange.case);
        let mut request = exchange.request.clone();
        before(&simulator, &exchange, &mut request).await;
        let answer = parse(&post(simulator.address(), &request).await);
        let left_out = table.get(&name).cloned().unwrap_or_default();
        if left_out.iter().any(|w| w == "all") {
            continue;
        }
        compared += 1;
        let differences = compare(&parse(&exchange.answer), &answer, &left_out);
        failures.extend(differences.iter().map(|d| format!("{name}: {d}")));
    }
    assert!(failures.is_empty(), "{} of {compared} differ:\n{}", failures.len(), failures.join("\n"));
    assert!(compared > 250, "only {compared} exchanges were compared");
}
