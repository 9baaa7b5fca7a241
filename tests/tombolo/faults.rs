//! Things that are missing, taken, full or broken: each a clear answer, and nothing half made left behind.

use std::{fs, os::unix::fs::PermissionsExt};

use reqwest::StatusCode;

use crate::{
    machine::{LOCAL_NODE, machine_directories, qemu_processes},
    server::{Answer, Home, KIND_LINE},
};

/// A program that stands in for a QEMU: a simulator of broken ones.
fn broken_qemu(home: &Home, behaviour: &str) -> String {
    let path = home.path("qemu-simulator");
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in --version|help) echo 'QEMU emulator version 9.9.9'; exit;; esac; done\n\
         {behaviour}\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{LOCAL_NODE}qemu = \"{}\"\n", path.display())
}

fn reconfigure(home: &Home, configuration: &str) {
    fs::write(home.path("tombolo.toml"), configuration).unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (one, two) = (Home::simulated(), Home::simulated());
    let server = one.serve();
    let address = server.base.strip_prefix("http://").unwrap();
    let output = two.run(&["serve", "--listen", address]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(errors.contains(address) && errors.contains("--listen"), "{errors}");
}

#[tokio::test]
async fn a_second_server_on_one_data_directory_is_refused() {
    let home = Home::simulated();
    let server = home.serve();
    let errors = home.try_serve().err().expect("the second server is refused");
    assert!(errors.contains(&format!("process {}", server.pid())) && errors.contains("--data-dir"), "{errors}");
    server.kill();
    home.serve();
}

#[tokio::test]
async fn without_qemu_the_server_runs_and_says_what_is_missing() {
    let mut home = Home::new(LOCAL_NODE);
    home.set_environment("PATH", "/nonexistent");
    home.publish_blank("blank");
    let server = home.serve().with_token(&home.token("ann", "p"));
    let answer = server.post("/compute/", KIND_LINE).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    assert!(answer.body.contains("apt-get install qemu-system-x86"), "{}", answer.body);
    assert_eq!(answer.header("retry-after"), "10");
    assert_eq!(server.get("/compute/").await.body, "");
}

#[tokio::test]
async fn a_qemu_that_dies_at_its_start_leaves_its_words_and_nothing_else() {
    let home = Home::new("");
    let configuration = broken_qemu(&home, "echo 'could not find a moon' >&2; exit 1");
    reconfigure(&home, &configuration);
    home.publish_blank("blank");
    let server = home.serve().with_token(&home.token("ann", "p"));
    let location = server.create("blank", "").await;
    let entity = server.arrive(&location, "error").await;
    let message = entity["attributes"]["occi.compute.state.message"].as_str().unwrap();
    assert!(message.contains("could not find a moon"), "{message}");
    assert!(machine_directories(&home.data_dir()).is_empty());
    assert!(qemu_processes(&home.data_dir()).is_empty());
    let started = server.act(&location, "start").await;
    assert_eq!(started.status, StatusCode::BAD_REQUEST, "{}", started.body);
    assert_eq!(server.delete(&location).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_node_without_disk_space_says_so_and_keeps_nothing() {
    let mut home = Home::new(LOCAL_NODE);
    home.publish_blank("blank");
    home.on_small_disk("node", "8m");
    let server = home.serve().with_token(&home.token("ann", "p"));
    let answer = server.post("/compute/", KIND_LINE).await;
    // Either placement knows already, or the machine ends in error: both say why.
    let said = if answer.status == StatusCode::CREATED {
        let entity = server.arrive(&answer.header("location"), "error").await;
        entity["attributes"]["occi.compute.state.message"].to_string()
    } else {
        assert!(matches!(answer.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_REQUEST), "{}", answer.body);
        answer.body
    };
    assert!(said.contains("space") || said.contains("disk"), "{said}");
    assert!(qemu_processes(&home.data_dir()).is_empty());
}

#[test]
fn publishing_on_a_full_disk_says_so_and_keeps_nothing() {
    let mut home = Home::simulated();
    let image = home.path("image.raw");
    fs::write(&image, vec![7; 4 << 20]).unwrap();
    home.must(&["catalog", "list"]);
    home.on_small_disk("images", "1m");
    let output = home.run_then(
        &["catalog", "publish", image.to_str().unwrap(), "--name", "large", "--title", "Too large"],
        "find images -type f | sed 's/^/LEFT /'",
    );
    let errors = String::from_utf8(output.stderr).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(errors.to_lowercase().contains("no space"), "{errors}");
    assert!(!printed.contains("LEFT"), "{printed}");
    assert_eq!(home.must(&["catalog", "list"]), "");
}

#[tokio::test]
async fn requests_that_are_no_http_or_too_large_are_refused() {
    let home = Home::simulated();
    let server = home.serve().with_token(&home.token("ann", "p"));
    let many = server.request("POST", "/compute/").header("Content-Type", "text/plain");
    let attributes: String = (0..20_000).map(|n| format!("X-OCCI-Attribute: com.example.a{n}=1\n")).collect();
    let answer = Answer::of(many.body(format!("{KIND_LINE}\n{attributes}")).send().await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let depth = server.request("POST", "/compute/").header("Content-Type", "application/occi+json");
    let answer = Answer::of(depth.body("[".repeat(100_000)).send().await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let binary = server.request("POST", "/compute/").header("Content-Type", "text/plain");
    let answer = Answer::of(binary.body(vec![0xff, 0x00, 0xfe]).send().await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_appliance_whose_image_is_lost_is_an_error_that_says_so() {
    let home = Home::simulated();
    home.publish_blank("blank");
    for file in fs::read_dir(home.data_dir().join("images")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "raw") {
            fs::remove_file(path).unwrap();
        }
    }
    let server = home.serve().with_token(&home.token("ann", "p"));
    let location = server.create("blank", "").await;
    let entity = server.arrive(&location, "error").await;
    assert!(entity["attributes"]["occi.compute.state.message"].as_str().unwrap().contains("publish it again"));
}
