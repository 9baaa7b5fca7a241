//! Links: inline and on their own, seen from both ends, gone with either.

use reqwest::StatusCode;

use crate::server::{Answer, Home, KIND_LINE, OS_TPL_SCHEME, Server};

const NETWORK: &str = "http://schemas.ogf.org/occi/infrastructure#network";
const STORAGE: &str = "http://schemas.ogf.org/occi/infrastructure#storage";

fn ready() -> (Home, Server) {
    let home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    (home, server)
}

fn path(location: &str) -> String {
    format!("/{}", location.splitn(4, '/').last().unwrap())
}

async fn network(server: &Server) -> String {
    let ip = "Category: ipnetwork; scheme=\"http://schemas.ogf.org/occi/infrastructure/network#\"; class=\"mixin\"\n\
              X-OCCI-Attribute: occi.network.address=\"10.7.0.0/24\", occi.network.gateway=\"10.7.0.1\"";
    let location = server.make("network", ip).await;
    server.arrive(&location, "inactive").await;
    location
}

#[tokio::test]
async fn c_109_a_compute_is_created_with_its_links() {
    let (_home, server) = ready();
    let network = network(&server).await;
    let storage = server.make("storage", "X-OCCI-Attribute: occi.storage.size=1.0").await;
    let interface = "http://schemas.ogf.org/occi/infrastructure#networkinterface \
                     http://schemas.ogf.org/occi/infrastructure/networkinterface#ipnetworkinterface";
    let links = format!(
        "Link: <{}>; rel=\"{NETWORK}\"; category=\"{interface}\"; \
         occi.networkinterface.mac=\"02:11:22:33:44:55\"; occi.networkinterface.address=\"10.7.0.9\"\n\
         Link: <{}>; rel=\"{STORAGE}\"; self=\"/storagelink/im-1\"; category=\"http://schemas.ogf.org/occi/infrastructure#storagelink\"; \
         occi.core.target=\"/storage/x\"; occi.core.source=\"/compute/im-1\"; occi.core.id=\"im-1\";",
        path(&network),
        path(&storage),
    );
    let compute = server.create("blank", &links).await;
    let entity = server.arrive(&compute, "active").await;
    let links = entity["links"].as_array().unwrap();
    assert_eq!(links.len(), 2, "{entity:#}");
    for link in links {
        let kind = link["kind"].as_str().unwrap().rsplit('#').next().unwrap();
        let location = format!("/{kind}/{}", link["id"].as_str().unwrap().trim_start_matches("urn:uuid:"));
        let joined = server.arrive(&location, "active").await;
        let attributes = &joined["attributes"];
        assert_eq!(joined["source"]["location"], path(&compute));
        if kind == "networkinterface" {
            assert_eq!(attributes["occi.networkinterface.mac"], "02:11:22:33:44:55");
            assert_eq!(attributes["occi.networkinterface.address"], "10.7.0.9");
            assert_eq!(attributes["occi.networkinterface.gateway"], "10.7.0.1");
            assert_eq!(attributes["occi.networkinterface.allocation"], "static");
            assert!(attributes["occi.networkinterface.interface"].as_str().unwrap().starts_with("eth"));
            assert_eq!(joined["target"]["kind"], NETWORK);
        } else {
            assert!(attributes["occi.storagelink.deviceid"].as_str().unwrap().starts_with("/dev/"));
        }
    }
    server.arrive(&storage, "online").await;
    let text = server.get(&compute).await.body;
    assert!(text.contains(&format!("Link: <{}>; rel=\"{STORAGE}\"; self=\"/storagelink/", path(&storage))), "{text}");
    assert!(!server.get(&network).await.body.contains("self="), "C-133: incoming links are not shown");

    let in_use = server.act_as(&storage, "storage", "offline", "").await;
    assert_eq!(in_use.status, StatusCode::CONFLICT, "{}", in_use.body);
    assert_eq!(server.delete(&compute).await.status, StatusCode::OK);
    for collection in ["/networkinterface/", "/storagelink/", "/compute/"] {
        assert_eq!(server.get(collection).await.body, "", "C-175 {collection}");
    }
    assert_eq!(server.delete(&network).await.status, StatusCode::OK);
    let mut left = server.act_as(&storage, "storage", "offline", "").await;
    while left.status == StatusCode::CONFLICT {
        left = server.act_as(&storage, "storage", "offline", "").await;
    }
    assert_eq!(left.status, StatusCode::OK, "the volume stays: {}", left.body);
}

#[tokio::test]
async fn c_247_a_link_is_made_on_its_own_and_goes_on_its_own() {
    let (_home, server) = ready();
    let network = network(&server).await;
    let compute = server.create("blank", "").await;
    let ends = format!("X-OCCI-Attribute: occi.core.source=\"{}\", occi.core.target=\"{network}\"", path(&compute));
    let link = server.make("networkinterface", &ends).await;
    server.arrive(&link, "active").await;
    assert!(server.get(&compute).await.body.contains(&format!("self=\"{}\"", path(&link))));
    assert!(server.get("/").await.body.contains(&link));

    let mac = "X-OCCI-Attribute: occi.networkinterface.mac=\"02:aa:bb:cc:dd:ee\"";
    let changed = server.post(&link, mac).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    let joined = server.arrive(&link, "active").await;
    assert_eq!(joined["attributes"]["occi.networkinterface.mac"], "02:aa:bb:cc:dd:ee");
    let line = format!("Link: <{}>; rel=\"{NETWORK}\"", path(&network));
    assert_eq!(server.post(&link, &line).await.status, StatusCode::BAD_REQUEST, "C-157");

    let second = server.post(&compute, &line).await;
    assert_eq!(second.status, StatusCode::OK, "C-156: {}", second.body);
    assert_eq!(second.body.matches("self=\"/networkinterface/").count(), 2, "{}", second.body);
    assert_eq!(server.delete(&link).await.status, StatusCode::OK);
    assert_eq!(server.get(&compute).await.body.matches("self=\"/networkinterface/").count(), 1, "C-176");
    assert_eq!(server.delete(&network).await.status, StatusCode::OK);
    assert!(!server.get(&compute).await.body.contains("self="), "C-178: links to what is gone are gone");
    assert_eq!(server.get(&compute).await.status, StatusCode::OK);
}

#[tokio::test]
async fn links_that_lead_nowhere_are_refused() {
    let (home, server) = ready();
    let network = network(&server).await;
    let storage = server.make("storage", "X-OCCI-Attribute: occi.storage.size=1.0").await;
    let compute = server.create("blank", "").await;
    let kind = "Category: networkinterface; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
    let ends = |source: &str, target: &str| {
        format!("{kind}\nX-OCCI-Attribute: occi.core.source=\"{source}\", occi.core.target=\"{target}\"")
    };
    let nobody = "/network/0f8c2d6e-5b1a-4c3e-9d7f-112233445566";
    for body in [
        kind.to_owned(),
        format!("{kind}\nX-OCCI-Attribute: occi.core.source=\"{compute}\""),
        ends(&compute, nobody),
        ends(nobody, &network),
        ends(&compute, &storage),
        ends(&network, &compute),
        ends(&compute, &compute),
        ends(&compute, "http://elsewhere.example/network/1"),
        ends("http://elsewhere.example/compute/1", &network),
        ends(&compute, "/network/../network/x"),
    ] {
        let answer = server.post("/networkinterface/", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}\n{}", answer.body);
    }
    let inline = format!(
        "{KIND_LINE}\nCategory: blank; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"\nLink: <{nobody}>; rel=\"{NETWORK}\""
    );
    assert_eq!(server.post("/compute/", &inline).await.status, StatusCode::BAD_REQUEST, "C-112");
    assert_eq!(server.get("/compute/").await.body, format!("X-OCCI-Location: {compute}"), "nothing is left behind");

    let first = format!("X-OCCI-Attribute: occi.core.source=\"{compute}\", occi.core.target=\"{storage}\"");
    server.make("storagelink", &first).await;
    let twice = "Category: storagelink; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
    assert_eq!(server.post("/storagelink/", &format!("{twice}\n{first}")).await.status, StatusCode::CONFLICT);

    // A33: nobody links to what is not theirs, nor learns whether it is there.
    let stranger = server.with_token(&home.token("mallory", "elsewhere"));
    let own = stranger.create("blank", "").await;
    let stolen = stranger.post("/networkinterface/", &ends(&own, &network)).await;
    assert_eq!(stolen.status, StatusCode::BAD_REQUEST, "{}", stolen.body);
    for (method, path) in [("GET", &network), ("DELETE", &storage), ("GET", &compute)] {
        let answer = Answer::of(stranger.request(method, path).send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
}

#[tokio::test]
async fn links_outlive_the_server() {
    let (home, server) = ready();
    let token = home.token("ann", "physics");
    let network = network(&server).await;
    let line = format!("Link: <{}>; rel=\"{NETWORK}\"", path(&network));
    let compute = server.create("blank", &line).await;
    let (base, before) = (server.base.clone(), server.entity(&compute).await);
    server.kill();
    let server = home.serve().with_token(&token);
    let here = |location: &str| location.replace(&base, &server.base);
    let after = server.entity(&here(&compute)).await;
    assert_eq!(after["links"][0]["id"], before["links"][0]["id"], "{after:#}");
    assert_eq!(server.delete("/").await.status, StatusCode::OK);
    assert_eq!(server.get("/").await.body, "");
}
