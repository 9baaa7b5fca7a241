//! Storages: made, on- and offline, grown, copied, deleted.

use reqwest::StatusCode;

use crate::server::{Home, Server};

fn ready() -> (Home, Server) {
    let home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    (home, server)
}

#[tokio::test]
async fn c_242_a_storage_goes_on_and_off() {
    let (_home, server) = ready();
    let location = server.make("storage", "X-OCCI-Attribute: occi.storage.size=2.5").await;
    let made = server.arrive(&location, "offline").await;
    assert_eq!(made["attributes"]["occi.storage.size"], 2.5);
    let act = async |action: &str, more: &str| server.act_as(&location, "storage", action, more).await.status;
    assert_eq!(act("offline", "").await, StatusCode::BAD_REQUEST, "it is");
    assert_eq!(act("online", "").await, StatusCode::OK);
    server.arrive(&location, "online").await;
    for action in ["backup", "snapshot"] {
        assert_eq!(act(action, "").await, StatusCode::OK);
        server.arrive(&location, "online").await;
    }
    assert_eq!(act("resize", "X-OCCI-Attribute: size=20.0").await, StatusCode::OK);
    assert_eq!(server.arrive(&location, "online").await["attributes"]["occi.storage.size"], 20.0);
    assert_eq!(act("resize", "X-OCCI-Attribute: size=1.0").await, StatusCode::BAD_REQUEST, "never smaller");
    assert_eq!(act("resize", "").await, StatusCode::BAD_REQUEST);

    let grown = server.post(&location, "X-OCCI-Attribute: occi.storage.size=30.0").await;
    assert_eq!(grown.status, StatusCode::OK, "{}", grown.body);
    assert_eq!(server.arrive(&location, "online").await["attributes"]["occi.storage.size"], 30.0);
    assert_eq!(server.delete(&location).await.status, StatusCode::OK);
    assert_eq!(server.get(&location).await.status, StatusCode::GONE);
    assert_eq!(server.get("/storage/").await.body, "");
}

#[tokio::test]
async fn bad_storages_are_refused() {
    let (_home, server) = ready();
    let kind = "Category: storage; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
    for (more, reason) in [
        ("", "occi.storage.size"),
        ("X-OCCI-Attribute: occi.storage.size=0", "occi.storage.size"),
        ("X-OCCI-Attribute: occi.storage.size=-1", "occi.storage.size"),
        ("X-OCCI-Attribute: occi.storage.size=60000", "site lab: volume"),
    ] {
        let answer = server.post("/storage/", &format!("{kind}\n{more}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{more}: {}", answer.body);
        assert!(answer.body.contains(reason), "{more}: {}", answer.body);
    }
    let os_tpl = "Category: os_tpl; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"mixin\"";
    let answer = server.post("/storage/", &format!("{kind}\n{os_tpl}\nX-OCCI-Attribute: occi.storage.size=1")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "C-104: {}", answer.body);
    assert_eq!(server.get("/storage/").await.body, "", "nothing was created");
}
