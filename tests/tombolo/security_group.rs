//! Security groups and the machines that have them.

use reqwest::StatusCode;
use serde_json::json;

use crate::server::{Answer, Home};

#[tokio::test]
async fn a_group_is_made_changed_and_given_to_a_machine() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    let create = async |rules: serde_json::Value| {
        let kind = "http://schemas.ogf.org/occi/infrastructure#securitygroup";
        let body = json!({"kind": kind, "attributes": {"occi.securitygroup.rules": rules}});
        let request = server.request("POST", "/securitygroup/").header("Content-Type", "application/occi+json");
        Answer::of(request.body(body.to_string()).send().await.unwrap()).await
    };
    for wrong in [json!("x"), json!([{"type": "inbound"}]), json!([{"type": "in", "protocol": "tcp"}]), json!([7])] {
        assert_eq!(create(wrong.clone()).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let ssh = json!([{"type": "inbound", "protocol": "tcp", "port": "22", "range": "10.0.0.0/8"}]);
    let created = create(ssh.clone()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let group = created.header("location");
    assert_eq!(server.arrive(&group, "active").await["attributes"]["occi.securitygroup.rules"], ssh);

    let compute = server.create("blank", "").await;
    let ends = format!("X-OCCI-Attribute: occi.core.source=\"{compute}\", occi.core.target=\"{group}\"");
    let link = server.make("securitygrouplink", &ends).await;
    server.arrive(&link, "active").await;
    let kind = "Category: securitygrouplink; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
    let second = server.post("/securitygrouplink/", &format!("{kind}\n{ends}")).await;
    assert_eq!(second.status, StatusCode::CONFLICT, "once is enough");

    let open = json!({"attributes": {"occi.securitygroup.rules": [{"type": "outbound", "protocol": "all"}]}});
    let request = server.request("POST", &group).header("Content-Type", "application/occi+json");
    let changed = Answer::of(request.body(open.to_string()).send().await.unwrap()).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    server.arrive(&group, "active").await;
    assert_eq!(server.delete(&group).await.status, StatusCode::OK);
    assert_eq!(server.get(&link).await.status, StatusCode::GONE, "the link goes with its target");
    assert_eq!(server.get(&compute).await.status, StatusCode::OK);
}
