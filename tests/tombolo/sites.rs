//! Sites: written down as data, reloaded, shown, checked; what they cannot do is said at once.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use reqwest::StatusCode;
use serde_json::Value;

use crate::server::{Answer, Home, KIND_LINE, SIMULATED_SITE, Server};

const ZONE_SCHEME: &str = "http://occi.tombolo.local/occi/infrastructure/availability_zone#";
const SITE_SCHEME: &str = "http://occi.tombolo.local/occi/site#";
const SIMULATOR: &str = "adapter = { kind = 'simulator', boot_milliseconds = 5 }\n";
const CANARY: &str = "canary-site-secret-58af";

fn write(home: &Home, file: &str, text: &str) -> PathBuf {
    let path = home.path("sites.d").join(file);
    std::fs::create_dir_all(home.path("sites.d")).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// A file that only its owner may read.
fn keep_secret(home: &Home, file: &str, secret: &str) {
    let path = write(home, file, secret);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A site that is not there, with a secret in a file.
fn silent_site(home: &Home) {
    keep_secret(home, "silent.secret", &format!("{CANARY}\n"));
    let node = "adapter = { kind = 'node', url = 'http://127.0.0.1:9', token = { file = 'silent.secret' } }\n";
    write(home, "silent.toml", node);
}

async fn json(server: &Server, path: &str) -> Value {
    let answer = server.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Waits until the condition holds.
async fn until(what: &str, server: &Server, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: it never came; {}", server.log());
}

fn zone(site: &str) -> String {
    format!("Category: {site}; scheme=\"{ZONE_SCHEME}\"; class=\"mixin\"")
}

async fn has_zone(server: &Server, site: &str) -> bool {
    server.get("/-/").await.body.contains(&zone(site))
}

fn reload(server: &Server) {
    let pid = rustix::process::Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
}

#[tokio::test]
async fn a_file_is_a_site_as_long_as_it_is_there() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    assert!(has_zone(&server, "lab").await && !has_zone(&server, "annex").await);

    // A new file is found without anybody saying so.
    let file = write(&home, "annex.toml", SIMULATOR);
    until("the new zone", &server, async || has_zone(&server, "annex").await).await;
    let machine = server.create("blank", &zone("annex")).await;
    let shown = server.arrive(&machine, "active").await;
    assert_eq!(shown["attributes"]["org.tombolo.compute.site"], "annex");
    let at_lab = server.create("blank", &zone("lab")).await;
    server.arrive(&at_lab, "active").await;

    // A wrong file costs nobody anything, not even the site that it was before.
    std::fs::write(&file, format!("adapter = {{ kind = 'simulator', token = '{CANARY}'")).unwrap();
    write(&home, "odd.toml", &format!("adapter = {{ kind = 'simulater', token = '{CANARY}' }}"));
    reload(&server);
    until("words about odd", &server, async || server.log().contains("site odd: ")).await;
    assert!(server.log().contains("site annex: ") && server.log().contains("simulater"), "{}", server.log());
    assert!(has_zone(&server, "annex").await && !has_zone(&server, "odd").await);
    assert_eq!(server.act(&machine, "stop").await.status, StatusCode::OK);
    server.arrive(&machine, "inactive").await;

    // Without its file a site takes nothing new, and what is there stays.
    std::fs::remove_file(&file).unwrap();
    reload(&server);
    until("the zone's end", &server, async || !has_zone(&server, "annex").await).await;
    let body = format!("{KIND_LINE}\n{}\n", zone("annex"));
    assert!(!server.post("/compute/", &body).await.status.is_success());
    let shown = server.entity(&machine).await;
    assert_eq!(shown["attributes"]["occi.compute.state"], "inactive");
    assert_eq!(shown["attributes"]["occi.compute.state.message"], "site annex is not configured any more");
    let refused = server.act(&machine, "start").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
    assert!(refused.body.contains("site annex is not configured any more"), "{}", refused.body);
    assert_eq!(server.act(&at_lab, "stop").await.status, StatusCode::OK);
    server.arrive(&at_lab, "inactive").await;
    assert!(!server.log().contains(CANARY));
}

#[tokio::test]
async fn a_site_that_changes_is_reached_anew() {
    let home = Home::simulated();
    write(&home, "annex.toml", SIMULATOR);
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    let suspends = async |site: &str| {
        let shown = json(&server, &format!("/sites/{site}")).await;
        shown["capabilities"].as_array().unwrap().contains(&Value::from("suspend"))
    };
    assert!(suspends("annex").await && suspends("lab").await);
    write(&home, "annex.toml", "adapter = { kind = 'simulator', without = ['suspend'] }\n");
    reload(&server);
    until("the other annex", &server, async || {
        json(&server, "/sites/annex").await["reachable"] == true && !suspends("annex").await
    })
    .await;
    assert!(suspends("lab").await);
    // What the query interface says of it has changed as well.
    let about = async || {
        let request = server.request("GET", "/-/").header("Accept", "application/occi+json");
        let model: Value = serde_json::from_str(&Answer::of(request.send().await.unwrap()).await.body).unwrap();
        let mixins = model["mixins"].as_array().unwrap().clone();
        mixins.into_iter().find(|mixin| mixin["scheme"] == SITE_SCHEME && mixin["term"] == "annex").unwrap()
    };
    let words = about().await["attributes"]["org.tombolo.site.capabilities"]["default"].as_str().unwrap().to_owned();
    assert!(words.contains("hibernate") && !words.contains("suspend"), "{words}");
}

#[tokio::test]
async fn sites_are_shown_to_members_and_their_ways_to_operators() {
    let home = Home::simulated();
    silent_site(&home);
    let (ann, ben) = (home.token("ann", "physics"), home.token("ben", "chemistry"));
    home.must(&["project", "grant", "--user", "ben", "--role", "federation-admin"]);
    let cid = home.token("cid", "physics");
    home.must(&["project", "grant", "--user", "cid", "--role", "site-admin", "--site", "lab"]);
    let mut server = home.serve();
    for path in ["/sites", "/sites/", "/sites/lab"] {
        let stranger = server.get(path).await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(!stranger.body.contains("simulator"), "{}", stranger.body);
    }
    let by_stranger = server.get("/-/").await.body;
    assert!(by_stranger.contains(&zone("lab")) && !by_stranger.contains(SITE_SCHEME), "{by_stranger}");

    server = server.with_token(&ann);
    let all = json(&server, "/sites").await;
    let names: Vec<_> = all.as_array().unwrap().iter().map(|site| site["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lab", "silent"]);
    let lab = json(&server, "/sites/lab").await;
    assert_eq!(lab, all[0]);
    assert_eq!((&lab["reachable"], &lab["software"]), (&Value::from(true), &Value::from("simulator")));
    assert_eq!(lab["limits"]["cores"], 64);
    assert_eq!(lab["zone"], format!("{ZONE_SCHEME}lab"));
    assert_eq!(lab["about"], format!("{SITE_SCHEME}lab"));
    assert!(lab["cannot"].as_array().unwrap().contains(&Value::from("fetch an image from a URL")), "{lab}");
    let silent = &all[1];
    assert_eq!((&silent["reachable"], &silent["software"]), (&Value::from(false), &Value::Null));
    assert!(!all.to_string().contains("127.0.0.1:9") && lab.get("operation").is_none(), "{all}");
    assert_eq!(server.get("/sites/nowhere").await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.request("POST", "/sites").send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let by_member = server.get("/-/").await.body;
    assert!(by_member.contains(&format!("Category: lab; scheme=\"{SITE_SCHEME}\"; class=\"mixin\"")), "{by_member}");
    assert!(by_member.contains("org.tombolo.site.software{immutable}"), "{by_member}");

    // It says what a site is; nothing carries it.
    let carried = format!("{KIND_LINE}\nCategory: lab; scheme=\"{SITE_SCHEME}\"; class=\"mixin\"\n");
    let refused = server.post("/compute/", &carried).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    assert!(refused.body.contains(&format!("{ZONE_SCHEME}lab")), "{}", refused.body);

    server = server.with_token(&cid);
    let all = json(&server, "/sites").await;
    assert_eq!(all[0]["operation"]["breaker"]["state"], "closed", "{all}");
    assert!(all[1].get("operation").is_none(), "somebody else looks after that one: {all}");

    server = server.with_token(&ben);
    let silent = json(&server, "/sites/silent").await;
    let operation = &silent["operation"];
    assert_eq!(operation["adapter"]["url"], "http://127.0.0.1:9");
    assert_eq!(operation["adapter"]["token"]["file"], "silent.secret");
    assert!(operation["error"].as_str().unwrap().contains("cannot be reached"), "{silent}");
    assert!(operation["origin"].as_str().unwrap().ends_with("silent.toml"), "{silent}");
    assert!(!silent.to_string().contains(CANARY) && !server.log().contains(CANARY));
}

#[tokio::test]
async fn what_a_site_cannot_do_is_said_at_once() {
    let home = Home::new(
        "[[site]]\nname = \"lab\"\n[site.adapter]\nkind = \"simulator\"\nboot_milliseconds = 5\n\
         without = [\"suspend\", \"hibernate\", \"save_hot\", \"resize\", \"volume_offline\", \"volume_backup\", \
         \"network_down\", \"network_readdress\", \"vlan_of_choice\", \"mac_of_choice\", \"user_data\"]\n",
    );
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    let machine = server.create("blank", "").await;
    let shown = server.arrive(&machine, "active").await;
    let actions = shown["actions"].to_string();
    assert!(actions.contains("#stop") && !actions.contains("#suspend"), "what it cannot is no way: {actions}");
    let refused = async |answer: Answer, status: StatusCode, deed: &str| {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(&format!("site lab (simulator) cannot {deed}")), "{}", answer.body);
    };
    let impossible = StatusCode::NOT_IMPLEMENTED;
    refused(server.act(&machine, "suspend").await, impossible, "suspend a machine in memory").await;
    let hot = server.act_as(&machine, "compute", "save", "X-OCCI-Attribute: method=\"hot\"").await;
    refused(hot, impossible, "save the disk of a running machine").await;
    let resized = server.post(&machine, "X-OCCI-Attribute: occi.compute.cores=2").await;
    refused(resized, impossible, "resize a machine").await;
    assert_eq!(server.entity(&machine).await["attributes"]["occi.compute.cores"], 1);
    // Nobody has chosen how, and it can in another way.
    assert_eq!(server.act(&machine, "save").await.status, StatusCode::OK);
    server.arrive(&machine, "active").await;

    let volume = server.make("storage", "X-OCCI-Attribute: occi.storage.size=1.0").await;
    server.arrive(&volume, "offline").await;
    assert_eq!(server.act_as(&volume, "storage", "online", "").await.status, StatusCode::OK);
    server.arrive(&volume, "online").await;
    refused(server.act_as(&volume, "storage", "offline", "").await, impossible, "take a volume out of use").await;
    refused(server.act_as(&volume, "storage", "backup", "").await, impossible, "back up a volume").await;

    // A wish can be left out: it is the request that is wrong, not the verb.
    let wrong = StatusCode::BAD_REQUEST;
    let kind = "Category: network; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
    let vlan = server.post("/network/", &format!("{kind}\nX-OCCI-Attribute: occi.network.vlan=42\n")).await;
    refused(vlan, wrong, "give a network a VLAN of choice").await;
    let user_data = "Category: user_data; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute#\"; \
                     class=\"mixin\"\nX-OCCI-Attribute: occi.compute.userdata=\"IyEvYmluL3NoCg==\"\n";
    refused(server.post("/compute/", &format!("{KIND_LINE}\n{user_data}")).await, wrong, "hand user data").await;
    let network = server.make("network", "").await;
    server.arrive(&network, "inactive").await;
    assert_eq!(server.act_as(&network, "network", "up", "").await.status, StatusCode::OK);
    server.arrive(&network, "active").await;
    refused(server.act_as(&network, "network", "down", "").await, impossible, "switch a network off").await;
    let link = format!(
        "Category: networkinterface; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"\n\
         X-OCCI-Attribute: occi.core.source=\"{machine}\", occi.core.target=\"{network}\", \
         occi.networkinterface.mac=\"02:00:00:00:00:07\"\n"
    );
    refused(server.post("/networkinterface/", &link).await, wrong, "give an interface an Ethernet address").await;
}

#[tokio::test]
async fn a_machine_is_as_large_as_the_size_that_holds_it() {
    let size = |id: &str, cores: u32, memory: u32| {
        format!("{{ id = '{id}', name = '{id}', size = {{ cores = {cores}, memory_mib = {memory}, disk_bytes = 0 }} }}")
    };
    let sizes = format!("sizes = [{}, {}]", size("s", 1, 1536), size("l", 4, 4096));
    let home = Home::new(&format!(
        "[[site]]\nname = \"lab\"\n[site.adapter]\nkind = \"simulator\"\nboot_milliseconds = 5\n{sizes}\n"
    ));
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    let machine = server.create("blank", "X-OCCI-Attribute: occi.compute.memory=1.0").await;
    let shown = server.arrive(&machine, "active").await;
    let sized = |shown: &Value| {
        let of = |name: &str| shown["attributes"][format!("occi.compute.{name}")].as_f64().unwrap();
        (of("cores"), of("memory"))
    };
    assert_eq!(sized(&shown), (1.0, 1.5));
    let quota: Value = json(&server, "/quota").await;
    assert_eq!(quota["project"]["used"]["memory_mib"], 1536, "what it has is what counts: {quota}");
    assert_eq!(server.post(&machine, "X-OCCI-Attribute: occi.compute.cores=3").await.status, StatusCode::OK);
    assert_eq!(sized(&server.arrive(&machine, "active").await), (4.0, 4.0));
    let refused = server.post(&machine, "X-OCCI-Attribute: occi.compute.cores=5").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    assert!(refused.body.contains("none of its 2 sizes holds 5 cores"), "{}", refused.body);
    let refused = server.post("/compute/", &format!("{KIND_LINE}\nX-OCCI-Attribute: occi.compute.cores=5\n")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    assert!(refused.body.contains("none of its 2 sizes holds 5 cores"), "{}", refused.body);
}

#[test]
fn sites_are_checked_without_a_server() {
    let home = Home::new(&format!("{SIMULATED_SITE}\n[log]\nformat = \"text\"\n"));
    silent_site(&home);
    write(&home, "torn.toml", &format!("adapter = {{ kind = 'node', token = '{CANARY}'"));
    write(&home, "open.toml", "adapter = { kind = 'node', url = 'http://127.0.0.1:9', token = { file = 'open.txt' } }");
    let open = write(&home, "open.txt", CANARY);
    std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o644)).unwrap();

    let listed = home.must(&["site", "list"]);
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("lab").contains("simulator") && line("lab").ends_with("ok"), "{listed}");
    assert!(line("silent").contains("sites.d/silent.toml") && line("silent").ends_with("ok"), "{listed}");
    assert!(line("torn").contains("REFUSED: line 1"), "{listed}");
    assert!(line("open").contains("chmod o-rwx"), "{listed}");

    let check = |arguments: &[&str]| {
        let output = home.run(&[&["site", "check"], arguments].concat());
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains(CANARY), "{said}");
        (output.status.code(), said)
    };
    let (status, said) = check(&["lab"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("standard life cycle") && said.contains("reachable"), "{said}");
    let (status, said) = check(&["silent"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("BAD") && said.contains("cannot be reached"), "{said}");
    for refused in ["torn", "open"] {
        let (status, said) = check(&[refused]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("BAD       configuration"), "{said}");
    }
    let (status, said) = check(&["--json"]);
    assert_eq!(status, Some(2));
    let all: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 4, "{said}");
    assert_eq!(all[0]["findings"][0]["verdict"], "good", "{said}");
    let (status, said) = check(&["nowhere"]);
    assert!(status != Some(0) && said.contains("there is no site nowhere"), "{said}");

    let limited = "adapter = { kind = 'simulator', without = ['suspend', 'hibernate'] }";
    write(&home, "limited.toml", limited);
    assert_eq!(check(&["limited"]).0, Some(0));
    let (status, said) = check(&["limited", "--strict"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("doubtful") && said.contains("cannot suspend a machine in memory"), "{said}");

    let shown = home.must(&["site", "show", "silent"]);
    assert!(shown.contains("http://127.0.0.1:9") && shown.contains("silent.secret"), "{shown}");
    let shown: Value = serde_json::from_str(&home.must(&["site", "show", "limited", "--json"])).unwrap();
    assert_eq!(shown["description"]["software"], "simulator");
    for arguments in [["site", "show", "silent"].as_slice(), &["site", "list", "--json"], &["site", "show", "open"]] {
        let output = home.run(arguments);
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8(said).unwrap().contains(CANARY), "{arguments:?}");
    }
}

#[test]
fn a_mistake_in_the_main_file_ends_the_start() {
    let home = Home::new("[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\", boot = 5 }\n");
    let words = home.try_serve().err().unwrap();
    assert!(words.contains("site lab: adapter: unknown field `boot`") && words.contains("tombolo.toml"), "{words}");
}
