//! Where a server listens, and for whom.

use crate::server::{Home, SIMULATED_SITE};

#[tokio::test]
async fn nobody_listens_to_the_network_in_the_clear() {
    let home = Home::simulated();
    let refused = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(words.contains("in the clear") && words.contains("[tls]"), "{words}");
}

#[tokio::test]
async fn nobody_listens_to_the_network_while_nobody_can_sign_in() {
    let home = Home::new(&format!("[http]\nbehind_tls_proxy = true\n{SIMULATED_SITE}"));
    let refused = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(words.contains("nobody could sign in") && words.contains("tombolo user password"), "{words}");
}

#[tokio::test]
async fn the_administrators_link_is_not_printed_where_nobody_reads_it() {
    let home = Home::simulated();
    let server = home.serve();
    assert_eq!(server.get("/login").await.status, 200);
    let log = std::fs::read_to_string(home.path("serve.log")).unwrap();
    assert!(!log.contains("/login/link/"), "{log}");
}
