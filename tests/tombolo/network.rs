//! Networks and reserved addresses.

use reqwest::StatusCode;

use crate::server::{Home, Server};

const IP_NETWORK: &str =
    "Category: ipnetwork; scheme=\"http://schemas.ogf.org/occi/infrastructure/network#\"; class=\"mixin\"";

fn ready() -> (Home, Server) {
    let home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    (home, server)
}

#[tokio::test]
async fn c_241_a_network_goes_up_and_down() {
    let (_home, server) = ready();
    let location = server.make("network", "X-OCCI-Attribute: occi.network.vlan=42, occi.network.label=\"lab\"").await;
    server.arrive(&location, "inactive").await;
    for (action, state) in [("up", "active"), ("down", "inactive")] {
        assert_eq!(server.act_as(&location, "network", action, "").await.status, StatusCode::OK);
        server.arrive(&location, state).await;
    }
    assert_eq!(server.act_as(&location, "network", "down", "").await.status, StatusCode::BAD_REQUEST);
    let changed = server.post(&location, "X-OCCI-Attribute: occi.network.vlan=43").await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(server.arrive(&location, "inactive").await["attributes"]["occi.network.vlan"], 43);
    assert_eq!(server.delete(&location).await.status, StatusCode::OK);
    assert_eq!(server.get(&location).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn an_ip_network_has_addresses() {
    let (_home, server) = ready();
    let subnet = "X-OCCI-Attribute: occi.network.address=\"192.168.7.0/24\", occi.network.gateway=\"192.168.7.1\", \
                  occi.network.allocation=\"dynamic\"";
    let location = server.make("network", &format!("{IP_NETWORK}\n{subnet}")).await;
    let made = server.arrive(&location, "inactive").await;
    assert_eq!(made["attributes"]["occi.network.gateway"], "192.168.7.1");
    let members = server.get("/mixin/ipnetwork/").await;
    assert!(members.body.contains(&location), "{}", members.body);
    let outside = format!(
        "{IP_NETWORK}\nX-OCCI-Attribute: occi.network.address=\"10.0.0.0/8\", occi.network.gateway=\"9.9.9.9\""
    );
    let kind = "Category: network; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
    assert_eq!(server.post("/network/", &format!("{kind}\n{outside}")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_address_is_reserved_used_and_given_back() {
    let (_home, server) = ready();
    let location = server.make("ipreservation", "").await;
    let reserved = server.arrive(&location, "inactive").await;
    let address = reserved["attributes"]["occi.ipreservation.address"].as_str().unwrap().to_owned();
    assert_eq!(reserved["attributes"]["occi.ipreservation.used"], false);
    assert_eq!(server.act_as(&location, "ipreservation", "up", "").await.status, StatusCode::OK);
    server.arrive(&location, "active").await;

    let compute = server.create("blank", "").await;
    server.arrive(&compute, "active").await;
    let ends = format!("X-OCCI-Attribute: occi.core.source=\"{compute}\", occi.core.target=\"{location}\"");
    let mixin = "Category: ipnetworkinterface; scheme=\"http://schemas.ogf.org/occi/infrastructure/networkinterface#\"";
    let link = server.make("networkinterface", &format!("{mixin}\n{ends}")).await;
    let joined = server.arrive(&link, "active").await;
    assert_eq!(joined["attributes"]["occi.networkinterface.address"], address, "{joined:#}");
    assert_eq!(server.entity(&location).await["attributes"]["occi.ipreservation.used"], true);
    assert_eq!(server.delete(&compute).await.status, StatusCode::OK);
    while server.entity(&location).await["attributes"]["occi.ipreservation.used"] == true {}
    assert_eq!(server.delete(&location).await.status, StatusCode::OK);
}
