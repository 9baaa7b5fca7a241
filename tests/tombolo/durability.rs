//! What was accepted happens, and once, whatever becomes of the server. Against a real QEMU: machines outlive the
//! server, which no simulator in its memory could show.

use reqwest::StatusCode;
use tokio::time::{Duration, sleep};

use crate::{
    machine::{LOCAL_NODE, eventually, machine_directories, qemu_processes, rows},
    server::Home,
};

fn home() -> (Home, String) {
    let home = Home::new(LOCAL_NODE);
    home.publish_blank("blank");
    let token = home.token("ann", "p");
    (home, token)
}

#[tokio::test]
async fn qemu_machine_is_made_once_although_the_server_is_killed_on_the_way() {
    // From "just accepted" to "QEMU is starting"; where exactly each lands depends on the machine.
    for delay in [0, 60, 150, 300, 700] {
        let (home, token) = home();
        let server = home.serve().with_token(&token);
        let location = server.create("blank", "").await;
        let path = location.strip_prefix(&server.base).unwrap().to_owned();
        sleep(Duration::from_millis(delay)).await;
        server.kill();

        let server = home.serve().with_token(&token);
        server.arrive(&path, "active").await;
        assert_eq!(qemu_processes(&home.data_dir()).len(), 1, "killed after {delay} ms");
        assert_eq!(machine_directories(&home.data_dir()).len(), 1, "killed after {delay} ms");
        assert_eq!(server.delete(&path).await.status, StatusCode::OK);
        eventually("removal", || rows(&home, "entities") == "0").await;
        assert!(qemu_processes(&home.data_dir()).is_empty());
        assert!(machine_directories(&home.data_dir()).is_empty());
    }
}

#[tokio::test]
async fn qemu_machine_is_made_although_ctrl_c_ends_the_server_on_the_way() {
    let (home, token) = home();
    let server = home.serve().with_token(&token);
    let location = server.create("blank", "").await;
    let path = location.strip_prefix(&server.base).unwrap().to_owned();
    assert!(server.interrupt().success(), "Ctrl-C is a clean end");

    let server = home.serve().with_token(&token);
    server.arrive(&path, "active").await;
    assert_eq!(qemu_processes(&home.data_dir()).len(), 1);
    server.delete(&path).await;
    eventually("removal", || rows(&home, "entities") == "0" && qemu_processes(&home.data_dir()).is_empty()).await;
}

#[tokio::test]
async fn qemu_machine_outlives_the_server_and_is_found_again() {
    let (home, token) = home();
    let server = home.serve().with_token(&token);
    let location = server.create("blank", "").await;
    let path = location.strip_prefix(&server.base).unwrap().to_owned();
    server.arrive(&path, "active").await;
    let before = qemu_processes(&home.data_dir());
    assert!(server.interrupt().success());
    assert_eq!(qemu_processes(&home.data_dir()), before, "the machine goes on");

    let server = home.serve().with_token(&token);
    server.arrive(&path, "active").await;
    assert_eq!(qemu_processes(&home.data_dir()), before, "it is the same process");
    let stop = "Category: stop; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"; \
                class=\"action\"\nX-OCCI-Attribute: method=\"poweroff\"";
    assert_eq!(server.post(&format!("{path}?action=stop"), stop).await.status, StatusCode::OK);
    server.arrive(&path, "inactive").await;
    assert!(qemu_processes(&home.data_dir()).is_empty());
    server.delete(&path).await;
    eventually("removal", || rows(&home, "entities") == "0").await;
}

#[tokio::test]
async fn qemu_machine_that_is_deleted_while_it_is_made_leaves_nothing() {
    for delay in [0, 100, 400] {
        let (home, token) = home();
        let server = home.serve().with_token(&token);
        let location = server.create("blank", "").await;
        sleep(Duration::from_millis(delay)).await;
        assert_eq!(server.delete(&location).await.status, StatusCode::OK);
        assert_eq!(server.get(&location).await.status, StatusCode::GONE);
        eventually("removal", || {
            rows(&home, "entities") == "0"
                && qemu_processes(&home.data_dir()).is_empty()
                && machine_directories(&home.data_dir()).is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn qemu_process_that_is_killed_is_noticed() {
    let (home, token) = home();
    let server = home.serve().with_token(&token);
    let location = server.create("blank", "").await;
    server.arrive(&location, "active").await;
    let pid = rustix::process::Pid::from_raw(qemu_processes(&home.data_dir())[0].try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let entity = server.arrive(&location, "error").await;
    assert!(entity["attributes"]["occi.compute.state.message"].as_str().is_some_and(|message| !message.is_empty()));
    server.delete(&location).await;
    eventually("removal", || rows(&home, "entities") == "0" && machine_directories(&home.data_dir()).is_empty()).await;
}

#[tokio::test]
async fn qemu_machine_runs_on_a_node_elsewhere() {
    let node = Home::new(LOCAL_NODE);
    let secret = "sixteen characters at least";
    let mut driver = node
        .command(&["node", "--listen", "127.0.0.1:0", "--token", secret])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(driver.stdout.take().unwrap()), &mut line).unwrap();
    let url = line.trim().strip_prefix("node reachable at ").unwrap().to_owned();

    let site = |token: &str| {
        format!("[[site]]\nname = \"lab\"\nadapter = {{ kind = \"node\", url = \"{url}\", token = \"{token}\" }}\n")
    };
    let home = Home::new(&site(secret));
    home.publish_blank("blank");
    let token = home.token("ann", "p");
    let server = home.serve().with_token(&token);
    let location = server.create("blank", "").await;
    server.arrive(&location, "active").await;
    assert_eq!(qemu_processes(&node.data_dir()).len(), 1);
    assert!(!home.data_dir().join("node").exists(), "nothing runs at the broker");
    server.delete(&location).await;
    eventually("removal", || rows(&home, "entities") == "0" && qemu_processes(&node.data_dir()).is_empty()).await;

    let stranger = Home::new(&site("another token, just as long"));
    stranger.publish_blank("blank");
    let refused = stranger.serve().with_token(&stranger.token("ann", "p"));
    let answer = refused.post("/compute/", crate::server::KIND_LINE).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);

    driver.kill().unwrap();
    driver.wait().unwrap();
    // Found out at the next look at the site; until then a create is accepted and waits.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let answer = server.post("/compute/", crate::server::KIND_LINE).await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(!answer.header("retry-after").is_empty());
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a silent site is noticed");
        sleep(Duration::from_millis(100)).await;
    }
}
