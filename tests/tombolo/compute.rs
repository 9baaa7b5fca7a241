//! `/compute/` over a simulated site.

use reqwest::StatusCode;

use crate::server::{Answer, COMPUTE, Home, KIND_LINE, OS_TPL_SCHEME, SIZE_SCHEME, Server};

fn ready() -> (Home, Server) {
    let home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "p");
    let server = home.serve().with_token(&token);
    (home, server)
}

fn small() -> String {
    format!("Category: small; scheme=\"{SIZE_SCHEME}\"; class=\"mixin\"")
}

#[tokio::test]
async fn a_compute_lives_from_create_to_delete() {
    let (_home, server) = ready();
    let more = format!("{}\nX-OCCI-Attribute: occi.core.title=\"one\"", small());
    let body = format!("{KIND_LINE}\nCategory: blank; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"\n{more}\n");
    let created = server.post("/compute/", &body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let location = created.header("location");
    assert_eq!(created.body.trim(), format!("X-OCCI-Location: {location}"));

    let entity = server.arrive(&location, "active").await;
    assert_eq!(entity["kind"], COMPUTE);
    assert_eq!(entity["attributes"]["occi.core.title"], "one");
    assert_eq!(entity["attributes"]["occi.compute.cores"], 1);
    assert_eq!(entity["attributes"]["occi.compute.memory"], 1.0);
    assert_eq!(entity["attributes"]["org.tombolo.compute.site"], "lab");
    assert_eq!(entity["mixins"][0], format!("{OS_TPL_SCHEME}blank"));
    assert!(server.get("/compute/").await.body.contains(&location));
    assert!(server.get("/mixin/os_tpl/blank/").await.body.contains(&location));

    assert_eq!(server.act(&location, "stop").await.status, StatusCode::OK);
    let stopped = server.arrive(&location, "inactive").await;
    assert_eq!(
        stopped["actions"],
        serde_json::json!(["http://schemas.ogf.org/occi/infrastructure/compute/action#start"])
    );
    assert_eq!(server.act(&location, "start").await.status, StatusCode::OK);
    server.arrive(&location, "active").await;
    assert_eq!(server.act(&location, "restart").await.status, StatusCode::OK);
    server.arrive(&location, "active").await;

    assert_eq!(server.delete(&location).await.status, StatusCode::OK);
    assert_eq!(server.get(&location).await.status, StatusCode::GONE);
    assert_eq!(server.get("/compute/").await.body, "");
    assert_eq!(server.delete(&location).await.status, StatusCode::GONE);
    let never = format!("{}/compute/019e0000-0000-7000-8000-000000000000", server.base);
    assert_eq!(server.get(&never).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn all_renderings_create_and_show() {
    let (_home, server) = ready();
    let json = format!(
        "{{\"kind\":\"{COMPUTE}\",\"mixins\":[\"{OS_TPL_SCHEME}blank\"],\"title\":\"from json\",\
          \"attributes\":{{\"occi.compute.cores\":2}}}}"
    );
    let request = server.request("POST", "/compute/").header("Content-Type", "application/occi+json");
    let request = request.header("Accept", "application/occi+json").body(json);
    let created = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    assert_eq!(created.body, format!("[\"{}\"]", created.header("location")));

    let request = server.request("POST", "/compute/").header("Content-Type", "text/occi");
    let request = request.header("Category", format!("{}, blank; scheme=\"{OS_TPL_SCHEME}\"", &KIND_LINE[10..]));
    let request = request.header("X-OCCI-Attribute", "occi.core.title=\"from headers\", occi.compute.cores=2");
    let from_headers = Answer::of(request.header("Accept", "text/occi").send().await.unwrap()).await;
    assert_eq!(from_headers.status, StatusCode::CREATED, "{}", from_headers.body);
    assert_eq!(from_headers.body, "OK");

    for location in [created.header("location"), from_headers.header("location")] {
        assert_eq!(server.arrive(&location, "active").await["attributes"]["occi.compute.cores"], 2);
        let plain = server.get(&location).await;
        assert!(plain.body.starts_with("Category: compute; scheme="), "{}", plain.body);
        assert!(plain.body.contains("X-OCCI-Attribute: occi.compute.cores=2\n"), "{}", plain.body);
        assert!(plain.body.contains("?action=stop>; rel="), "{}", plain.body);
        let request = server.request("GET", &location).header("Accept", "text/occi");
        let headers = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(headers.body, "OK");
        assert!(headers.header("category").starts_with("compute; scheme="));
        let request = server.request("GET", &location).header("Accept", "text/uri-list");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
    let request = server.request("GET", "/compute/").header("Accept", "text/uri-list");
    let list = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(list.body.lines().count(), 2);
    assert!(list.body.lines().all(|line| line.starts_with(&server.base)), "{}", list.body);
    let everything = server.request("GET", "/").header("Accept", "application/occi+json");
    let everything: serde_json::Value =
        serde_json::from_str(&Answer::of(everything.send().await.unwrap()).await.body).unwrap();
    assert_eq!(everything["resources"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_whole_class_is_created_by_one_request_or_not_at_all() {
    let (_home, server) = ready();
    let desk = |number: usize| serde_json::json!({"kind": COMPUTE, "title": format!("desk {number}")});
    let post = async |resources: Vec<serde_json::Value>| {
        let request = server.request("POST", "/compute/").header("Content-Type", "application/occi+json");
        let body = serde_json::json!({"resources": resources}).to_string();
        Answer::of(request.header("Accept", "application/occi+json").body(body).send().await.unwrap()).await
    };
    let created = post((1..=30).map(desk).collect()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let locations: Vec<String> = serde_json::from_str(&created.body).unwrap();
    assert_eq!(locations.len(), 30);
    for location in &locations {
        server.arrive(location, "active").await;
    }
    let mut one_is_wrong: Vec<_> = (1..=3).map(desk).collect();
    one_is_wrong[2]["attributes"] = serde_json::json!({"occi.compute.cores": 0});
    assert_eq!(post(one_is_wrong).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post((0..101).map(desk).collect()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(Vec::new()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/compute/").await.body.lines().count(), 30);
}

#[tokio::test]
async fn an_availability_zone_is_a_site() {
    let site = |name: &str| format!("[[site]]\nname = \"{name}\"\nadapter = {{ kind = \"simulator\" }}\n");
    let home = Home::new(&[site("lab"), site("room-2")].concat());
    home.publish_blank("blank");
    let server = home.serve().with_token(&home.token("ann", "p"));
    let zone = "room-2; scheme=\"http://occi.tombolo.local/occi/infrastructure/availability_zone#\"; class=\"mixin\"";
    assert!(server.get("/-/").await.body.contains(&format!("Category: {zone}; title=\"Site room-2\"; rel=")));
    let location = server.create("blank", &format!("Category: {zone}")).await;
    let entity = server.arrive(&location, "active").await;
    assert_eq!(entity["attributes"]["org.tombolo.compute.site"], "room-2");
    assert_eq!(server.get("/mixin/availability_zone/room-2/").await.body.lines().count(), 1);
    assert_eq!(server.get("/mixin/availability_zone/lab/").await.body, "");
}

#[tokio::test]
async fn the_template_overrides_and_defaults_fill() {
    let (_home, server) = ready();
    let large =
        format!("Category: large; scheme=\"{SIZE_SCHEME}\"; class=\"mixin\"\nX-OCCI-Attribute: occi.compute.cores=1");
    let location = server.create("blank", &large).await;
    assert_eq!(server.entity(&location).await["attributes"]["occi.compute.cores"], 4);
    let bare = server.post("/compute/", KIND_LINE).await;
    assert_eq!(bare.status, StatusCode::CREATED, "the default appliance and size: {}", bare.body);
    let entity = server.entity(&bare.header("location")).await;
    assert_eq!(entity["attributes"]["occi.compute.memory"], 1.0);
    assert_eq!(entity["mixins"][0], format!("{OS_TPL_SCHEME}blank"));
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_reason_and_leave_nothing() {
    let (_home, server) = ready();
    let os_tpl = format!("Category: blank; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"");
    let with = |lines: &str| format!("{KIND_LINE}\n{os_tpl}\n{lines}");
    for (body, reason) in [
        (String::new(), "kind"),
        ("Category compute".into(), "line 1"),
        ("Category: compute; scheme=\"unfinished".into(), "line 1"),
        (with("Banana: yes"), "line 3"),
        (with("X-OCCI-Attribute: occi.compute.cores=\"abc\""), "occi.compute.cores"),
        (with("X-OCCI-Attribute: occi.compute.cores=0"), "occi.compute.cores"),
        (with("X-OCCI-Attribute: occi.compute.memory=-1"), "occi.compute.memory"),
        (with("X-OCCI-Attribute: occi.compute.architecture=\"sparc\""), "occi.compute.architecture"),
        (with("X-OCCI-Attribute: com.example.nope=1"), "com.example.nope"),
        (with("Category: ssh_key; scheme=\"http://schemas.ogf.org/occi/infrastructure/credentials#\""), "publickey"),
        (
            with(
                "Category: ssh_key; scheme=\"http://schemas.ogf.org/occi/infrastructure/credentials#\"\n\
                 X-OCCI-Attribute: occi.credentials.ssh.publickey=\"not a key\"",
            ),
            "publickey",
        ),
        (format!("Category: banana; scheme=\"http://example.com/#\"\n{KIND_LINE}"), "banana"),
        (format!("{KIND_LINE}\nCategory: unknown; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\""), "unknown"),
        (with(&format!("{}\n{}", small(), small().replace("small", "large"))), "resource_tpl"),
        ("Category: entity; scheme=\"http://schemas.ogf.org/occi/core#\"; class=\"kind\"".into(), "entity"),
        (with("X-OCCI-Attribute: occi.compute.memory=60000"), "site lab: memory"),
        (with("X-OCCI-Attribute: occi.compute.cores=999"), "site lab: cores"),
        (with("Link: </network/1>; rel=\"http://schemas.ogf.org/occi/infrastructure#network\""), "/network/1"),
    ] {
        let answer = server.post("/compute/", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}\n{}", answer.body);
        assert!(answer.body.contains(reason), "{body}\nwants {reason:?} in {:?}", answer.body);
        assert_eq!(answer.body.trim().lines().count(), 1, "one line: {}", answer.body);
    }
    let answer = Answer::of(
        server.request("POST", "/compute/").header("Content-Type", "application/x-foo").body("x").send().await.unwrap(),
    )
    .await;
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
    let answer = server.post("/compute/", &"x".repeat(3 << 20)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.get("/compute/").await.body, "", "nothing was created");
}

#[tokio::test]
async fn actions_fit_the_state() {
    let (_home, server) = ready();
    let location = server.create("blank", "").await;
    server.arrive(&location, "active").await;
    let started = server.act(&location, "start").await;
    assert_eq!(started.status, StatusCode::BAD_REQUEST, "{}", started.body);
    assert_eq!(server.act(&location, "fly").await.status, StatusCode::BAD_REQUEST);
    let mismatch = "Category: stop; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"";
    assert_eq!(server.post(&format!("{location}?action=start"), mismatch).await.status, StatusCode::BAD_REQUEST);
    let method = |method: &str| format!("{mismatch}; class=\"action\"\nX-OCCI-Attribute: method=\"{method}\"");
    let stop = format!("{location}?action=stop");
    assert_eq!(server.post(&stop, &method("gently")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.post(&stop, &method("poweroff")).await.status, StatusCode::OK);
    server.arrive(&location, "inactive").await;
}

#[tokio::test]
async fn methods_and_paths_without_meaning_are_refused() {
    let (_home, server) = ready();
    let location = server.create("blank", "").await;
    let patch = Answer::of(server.request("PATCH", "/compute/").send().await.unwrap()).await;
    assert_eq!(patch.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(patch.header("allow").contains("POST"));
    assert_eq!(server.get("/compute").await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/compute/../compute/x").await.status, StatusCode::NOT_FOUND);
    let id = location.rsplit('/').next().unwrap();
    assert_eq!(server.get(&format!("/network/{id}")).await.status, StatusCode::NOT_FOUND, "of another kind");
    assert_eq!(server.get(&format!("//compute//{id}")).await.status, StatusCode::OK);
    assert_eq!(server.get(&format!("/compute/urn:uuid:{id}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn c_168_a_machine_gets_another_size() {
    let (_home, server) = ready();
    let location = server.create("blank", &small()).await;
    server.arrive(&location, "active").await;
    let large = format!("Category: large; scheme=\"{SIZE_SCHEME}\"; class=\"mixin\"");
    let resized = server.post(&location, &large).await;
    assert_eq!(resized.status, StatusCode::OK, "{}", resized.body);
    assert!(resized.body.contains("occi.compute.cores=4") && resized.body.contains("occi.compute.memory=4.0"));
    assert!(!resized.body.contains("Category: small;"), "{}", resized.body);
    let busy = server.post(&location, "X-OCCI-Attribute: occi.core.title=\"meanwhile\"").await;
    assert_eq!(busy.status, StatusCode::OK, "a title is no business of the machine: {}", busy.body);
    let entity = server.arrive(&location, "active").await;
    assert_eq!(entity["attributes"]["occi.compute.ephemeral_storage.size"], 40.0);

    let by_hand = server.post(&location, "X-OCCI-Attribute: occi.compute.cores=2").await;
    assert_eq!(by_hand.status, StatusCode::CONFLICT, "the template decides (A-33): {}", by_hand.body);
    let too_large = server.create("blank", "X-OCCI-Attribute: occi.compute.cores=2").await;
    server.arrive(&too_large, "active").await;
    assert_eq!(server.post(&too_large, "X-OCCI-Attribute: occi.compute.cores=3").await.status, StatusCode::OK);
    server.arrive(&too_large, "active").await;
    assert_eq!(server.post(&too_large, "X-OCCI-Attribute: occi.compute.cores=99").await.status, StatusCode::OK);
    // The site refuses, and the compute is what it was.
    let mut entity = server.entity(&too_large).await;
    for _ in 0..1000 {
        let said = entity["attributes"]["occi.compute.state.message"].as_str().unwrap_or_default();
        if said.contains("failed") {
            break;
        }
        let on_its_way = ["resized", "its turn", "being undone"].iter().any(|words| said.contains(words));
        assert!(on_its_way, "{entity:#}");
        entity = server.entity(&too_large).await;
    }
    assert!(entity["attributes"]["occi.compute.state.message"].as_str().unwrap().contains("failed"), "{entity:#}");
    assert_eq!(entity["attributes"]["occi.compute.cores"], 3);
    let other = "X-OCCI-Attribute: occi.compute.architecture=\"x86\"";
    assert_eq!(server.post(&too_large, other).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn c_238_a_machine_is_suspended_and_goes_on() {
    let (_home, server) = ready();
    let location = server.create("blank", "").await;
    server.arrive(&location, "active").await;
    for method in ["suspend", "hibernate"] {
        let parameter = format!("X-OCCI-Attribute: method=\"{method}\"");
        let asked = server.act_as(&location, "compute", "suspend", &parameter).await;
        assert_eq!(asked.status, StatusCode::OK);
        let frozen = server.arrive(&location, "suspended").await;
        assert_eq!(frozen["actions"].as_array().unwrap().len(), 1, "{frozen:#}");
        assert_eq!(server.act(&location, "start").await.status, StatusCode::OK);
        server.arrive(&location, "active").await;
    }
}

#[tokio::test]
async fn c_240_a_saved_machine_is_a_template_of_its_project_alone() {
    let (home, server) = ready();
    let location = server.create("blank", "").await;
    server.arrive(&location, "active").await;
    let parameters = "X-OCCI-Attribute: method=\"hot\", name=\"snap1\"";
    let saved = server.act_as(&location, "compute", "save", parameters).await;
    assert_eq!(saved.status, StatusCode::OK, "{}", saved.body);
    let term = saved.body.trim_start_matches("Category: ").split(';').next().unwrap().to_owned();
    assert!(saved.body.contains("rel=\"http://schemas.ogf.org/occi/infrastructure#os_tpl\""), "{}", saved.body);
    let listed = server.get("/-/").await.body;
    assert!(listed.contains(&format!("Category: {term};")) && listed.contains("title=\"snap1\""), "{listed}");
    let copy = server.create(&term, "").await;
    server.arrive(&copy, "active").await;

    let stranger = server.with_token(&home.token("mallory", "elsewhere"));
    assert!(!stranger.get("/-/").await.body.contains(&term));
    let mine = format!("Category: {term}; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"");
    let take_back =
        |server: &Server| server.request("DELETE", "/-/").header("Content-Type", "text/plain").body(mine.clone());
    assert_eq!(take_back(&stranger).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let stolen = format!("{KIND_LINE}\nCategory: {term}; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"");
    assert_eq!(stranger.post("/compute/", &stolen).await.status, StatusCode::BAD_REQUEST);
    let owner = stranger.with_token(&home.token("ann", "p"));
    let taken = Answer::of(take_back(&owner).send().await.unwrap()).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    assert!(!owner.get("/-/").await.body.contains(&term));
    assert_eq!(owner.get(&copy).await.status, StatusCode::OK, "what was made of it goes on");
}

#[tokio::test]
async fn a_start_on_the_way_is_no_error() {
    let home = Home::new("[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\", boot_milliseconds = 1500 }\n");
    home.publish_blank("blank");
    let token = home.token("ann", "physics");
    let server = home.serve().with_token(&token);
    let location = server.create("blank", "").await;
    let shown = server.get(&location).await;
    assert!(shown.body.contains("?action=start>"), "{}", shown.body);
    assert_eq!(server.act(&location, "start").await.status, StatusCode::OK);
    assert_eq!(server.act(&location, "stop").await.status, StatusCode::BAD_REQUEST);
    server.arrive(&location, "active").await;
    assert_eq!(server.act(&location, "start").await.status, StatusCode::BAD_REQUEST, "C-234");
}

#[tokio::test]
async fn c_122_a_client_may_choose_the_id() {
    let (_home, server) = ready();
    let path = "/compute/0f8c2d6e-5b1a-4c3e-9d7f-112233445566";
    let put = async |path: &str| {
        let request = server.request("PUT", path).header("Content-Type", "text/plain").body(KIND_LINE);
        Answer::of(request.send().await.unwrap()).await
    };
    let created = put(path).await;
    assert_eq!((created.status, created.header("location")), (StatusCode::CREATED, format!("{}{path}", server.base)));
    assert_eq!(server.get(path).await.status, StatusCode::OK);
    assert_eq!(put(path).await.status, StatusCode::OK, "now it replaces");
    assert_eq!(server.delete(path).await.status, StatusCode::OK);
    assert_eq!(put(path).await.status, StatusCode::GONE, "an id is used once");
    assert_eq!(put("/network/0f8c2d6e-5b1a-4c3e-9d7f-112233445567").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(put("/compute/mine").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn c_321_an_entity_tag_guards_an_update() {
    let (_home, server) = ready();
    let location = server.create("blank", "").await;
    server.arrive(&location, "active").await;
    let tag = server.get(&location).await.header("etag");
    assert!(tag.starts_with("W/"), "{tag}");
    let conditional = async |method: &str, field: &str, body: &'static str| {
        let request = server.request(method, &location).header(field, &tag).header("Content-Type", "text/plain");
        request.body(body).send().await.unwrap().status()
    };
    assert_eq!(conditional("GET", "If-None-Match", "").await, StatusCode::NOT_MODIFIED);
    let title = "X-OCCI-Attribute: occi.core.title=\"one\"";
    assert_eq!(conditional("POST", "If-Match", title).await, StatusCode::OK);
    assert_eq!(conditional("POST", "If-Match", title).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(conditional("DELETE", "If-Match", "").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(conditional("GET", "If-None-Match", "").await, StatusCode::OK);
}

#[tokio::test]
async fn a_title_can_be_changed_and_replaced_away() {
    let (_home, server) = ready();
    let location = server.create("blank", "X-OCCI-Attribute: occi.core.title=\"old\", occi.compute.cores=2").await;
    server.arrive(&location, "active").await;
    let updated = server.post(&location, "X-OCCI-Attribute: occi.core.title=\"new\", occi.core.summary=\"s\"").await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.body);
    assert!(updated.body.contains("occi.core.title=\"new\""), "{}", updated.body);
    let state = server.post(&location, "X-OCCI-Attribute: occi.compute.state=\"suspended\"").await;
    assert_eq!(state.status, StatusCode::FORBIDDEN, "{}", state.body);
    let userdata = "Category: user_data; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute#\"\n\
                    X-OCCI-Attribute: occi.compute.userdata=\"eA==\"";
    assert_eq!(server.post(&location, userdata).await.status, StatusCode::FORBIDDEN, "given once, at creation");

    let put = |body: String| server.request("PUT", &location).header("Content-Type", "text/plain").body(body).send();
    let replaced = put(format!("{KIND_LINE}\nX-OCCI-Attribute: occi.core.title=\"last\"")).await.unwrap();
    let replaced = Answer::of(replaced).await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.body);
    assert!(replaced.body.contains("\"last\"") && !replaced.body.contains("occi.core.summary"), "{}", replaced.body);
    assert!(replaced.body.contains("occi.compute.cores=2"), "the machine is as it was ordered: {}", replaced.body);
    let link = format!("{KIND_LINE}\nLink: </network/1>; rel=\"http://schemas.ogf.org/occi/infrastructure#network\"");
    assert_eq!(put(link).await.unwrap().status(), StatusCode::BAD_REQUEST);
    let other = "Category: entity; scheme=\"http://schemas.ogf.org/occi/core#\"; class=\"kind\"".to_owned();
    assert_eq!(put(other).await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let (_home, server) = ready();
    let mut locations = Vec::new();
    for number in 1..=5 {
        let title = format!("X-OCCI-Attribute: occi.core.title=\"desk {number}\"");
        locations.push(server.create("blank", &title).await);
    }
    let page = async |query: &str| server.get(&format!("/compute/?{query}")).await;
    assert_eq!(
        page("page=1&number=2").await.body,
        format!("X-OCCI-Location: {}\nX-OCCI-Location: {}", locations[0], locations[1])
    );
    assert_eq!(page("page=3;number=2").await.body, format!("X-OCCI-Location: {}", locations[4]));
    let past = page("page=9&number=2").await;
    assert_eq!((past.status, past.body.as_str()), (StatusCode::OK, ""));
    for wrong in ["page=0&number=2", "page=1", "number=2", "page=x&number=1"] {
        assert_eq!(page(wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(page("page=1&number=1000000").await.status, StatusCode::PAYLOAD_TOO_LARGE);

    let filtered = async |filter: &str| {
        let request = server.request("GET", "/compute/").header("X-OCCI-Attribute", filter);
        Answer::of(request.header("Content-Type", "text/occi").send().await.unwrap()).await
    };
    assert_eq!(filtered("occi.core.title=\"desk 3\"").await.body, format!("X-OCCI-Location: {}", locations[2]));
    assert_eq!(filtered("occi.core.title=\"desk 9\"").await.body, "");
    assert_eq!(filtered("com.example.nope=\"x\"").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_action_on_a_collection_is_for_all_or_none() {
    let (_home, server) = ready();
    let locations = [server.create("blank", "").await, server.create("blank", "").await];
    for location in &locations {
        server.arrive(location, "active").await;
    }
    assert_eq!(server.act("/compute/", "stop").await.status, StatusCode::OK);
    for location in &locations {
        server.arrive(location, "inactive").await;
    }
    assert_eq!(server.act(&locations[0], "start").await.status, StatusCode::OK);
    server.arrive(&locations[0], "active").await;
    assert_eq!(server.act("/compute/", "stop").await.status, StatusCode::BAD_REQUEST, "one is stopped already");
    assert_eq!(server.entity(&locations[0]).await["attributes"]["occi.compute.state"], "active");
}

#[tokio::test]
async fn all_computes_of_the_project_go_at_once() {
    let (_home, server) = ready();
    for _ in 0..3 {
        server.create("blank", "").await;
    }
    assert_eq!(server.get("/compute/").await.body.lines().count(), 3);
    assert_eq!(server.delete("/compute/").await.status, StatusCode::OK);
    assert_eq!(server.get("/compute/").await.body, "");
}
