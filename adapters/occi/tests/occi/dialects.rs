//! Simulators of servers in the field, as our notes on them have it (sections 7 and 9): what they answer is constructed,
//! not recorded.

use backend::{
    Architecture, Backend, BackendError, Capability, IntentTag, MachineJoins, MachineSpec, MachineState, StopMethod,
    Verdict,
};
use disk_image::ContentDigest;
use occi_adapter::{Authorization, OcciBackend, OcciOptions, Secret};
use uuid::Uuid;

use crate::door::{Answer, Door, Request};

const TAG: &str = "019e0000-0000-7000-8000-000000000007";
const INFRASTRUCTURE: &str = "http://schemas.ogf.org/occi/infrastructure";

/// The kinds that every server has, as lines.
fn kinds(storage_location: &str) -> String {
    let i = INFRASTRUCTURE;
    format!(
        "Category: compute; scheme=\"{i}#\"; class=\"kind\"; title=\"compute resource\"; \
         rel=\"http://schemas.ogf.org/occi/core#resource\"; location=\"/compute/\"; \
         actions=\"{i}/compute/action#start {i}/compute/action#stop {i}/compute/action#restart\"\n\
         Category: storage; scheme=\"{i}#\"; class=\"kind\"; location=\"{storage_location}\"; \
         actions=\"{i}/storage/action#online {i}/storage/action#offline\"\n\
         Category: storagelink; scheme=\"{i}#\"; class=\"kind\"; location=\"/storagelink/\"\n\
         Category: network; scheme=\"{i}#\"; class=\"kind\"; location=\"/network/\"\n\
         Category: networkinterface; scheme=\"{i}#\"; class=\"kind\"; location=\"/networklink/\"\n\
         Category: os_tpl; scheme=\"{i}#\"; class=\"mixin\"; location=\"/os_tpl/\"\n\
         Category: resource_tpl; scheme=\"{i}#\"; class=\"mixin\"; location=\"/resource_tpl/\"\n"
    )
}

fn template(scheme: &str) -> String {
    format!(
        "Category: debian; scheme=\"{scheme}\"; class=\"mixin\"; rel=\"{INFRASTRUCTURE}#os_tpl\"; location=\"/os/debian/\"\n"
    )
}

fn image() -> ContentDigest {
    ContentDigest::from_bytes([7; 32])
}

fn options(door: &Door) -> OcciOptions {
    let mut options = OcciOptions::new(door.base.parse().unwrap());
    options.images.insert(image().to_string(), "debian".into());
    options
}

fn backend(options: OcciOptions) -> OcciBackend {
    OcciBackend::new(options).unwrap()
}

fn tag() -> IntentTag {
    TAG.parse().unwrap()
}

fn spec() -> MachineSpec {
    MachineSpec {
        tag: tag(),
        name: "desk".into(),
        hostname: None,
        cores: 1,
        memory_mib: 512,
        disk_bytes: 512,
        architecture: Architecture::X86_64,
        image: image(),
        ssh_keys: Vec::new(),
        user_data: None,
        joins: MachineJoins::default(),
    }
}

fn text(body: impl Into<Vec<u8>>) -> Answer {
    Answer::new(200, "text/plain; charset=utf-8", body)
}

/// ooi: Keystone's tokens, no answer in JSON that we want, 204 for what is empty, states without messages.
async fn ooi(token: &'static str) -> Door {
    Door::open(move |request: &Request| {
        let server = "ooi/1.2.0 OCCI/1.1 OCCI/1.2";
        if request.path == "/v2.0/tokens" {
            let known =
                request.body.contains("\"password\":\"secret\"") && request.body.contains("\"tenantName\":\"vo\"");
            return match known {
                true => {
                    Answer::new(200, "application/json", format!("{{\"access\":{{\"token\":{{\"id\":\"{token}\"}}}}}}"))
                }
                false => Answer::new(401, "application/json", "{}"),
            };
        }
        if request.header("x-auth-token") != token {
            let pointer = format!("Keystone uri='http://{}/v2.0'", request.header("host"));
            return Answer::new(401, "text/plain", "who are you")
                .with("www-authenticate", &pointer)
                .with("server", server);
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/-/") => text(kinds("/storage/") + &template("http://schemas.openstack.org/template/os#")),
            ("GET", "/compute/") => Answer::new(204, "text/plain", ""),
            ("POST", "/compute/") => {
                Answer::new(201, "text/plain", "X-OCCI-Location: http://elsewhere.example/compute/vm-1\n")
            }
            ("GET", "/compute/vm-1") => text(format!(
                "Category: compute; scheme=\"{INFRASTRUCTURE}#\"; class=\"kind\"\n\
                 X-OCCI-Attribute: occi.core.id=\"vm-1\"\n\
                 X-OCCI-Attribute: occi.core.title=\"desk [tombolo:{TAG}]\"\n\
                 X-OCCI-Attribute: occi.compute.state=\"active\"\n\
                 X-OCCI-Attribute: occi.compute.memory=2.0\n\
                 X-OCCI-Attribute: occi.compute.cores=1\n\
                 X-OCCI-Attribute: org.openstack.compute.console.vnc=None and nothing\n\
                 Link: </network/9>; rel=\"{INFRASTRUCTURE}#network\"; self=\"/networklink/vm-1_9_1\"; \
                 category=\"{INFRASTRUCTURE}#networkinterface\"; occi.networkinterface.address=\"192.0.2.9\"\n"
            )),
            ("POST", "/compute/vm-1?action=stop") => Answer::new(204, "text/plain", ""),
            _ => Answer::new(404, "application/json", "{\"code\":404,\"message\":\"no such thing\"}"),
        }
        .with("server", server)
    })
    .await
}

fn keystone(door: &Door, password: &str) -> OcciOptions {
    let mut options = options(door);
    options.auth = Authorization::Keystone {
        user: "ann".into(),
        password: Secret::new(password),
        project: Some("vo".into()),
        domain: "Default".into(),
        uri: None,
    };
    options
}

#[tokio::test]
async fn ooi_is_let_in_by_its_keystone_and_read_in_text() {
    let door = ooi("token-1").await;
    let backend = backend(keystone(&door, "secret"));
    let description = backend.describe().await.unwrap();
    assert_eq!(description.obstacle, None);
    assert!(description.software.starts_with("ooi/1.2.0"), "{description:?}");
    assert!(!description.capabilities.contain(Capability::Suspend), "it offers no suspend");
    // Nobody could tell our links from others' there.
    assert!(backend.volumes().is_none() && backend.networks().is_none());

    let machine = backend.create(&spec()).await.unwrap();
    assert_eq!((machine.id.as_str(), machine.tag, machine.state), ("vm-1", tag(), MachineState::Running));
    assert_eq!(machine.name.as_deref(), Some("desk"), "without the tag");
    assert_eq!(machine.endpoints[0].host, "192.0.2.9");
    backend.stop(&machine.id, StopMethod::PowerOff).await.unwrap();

    let asked = door.asked();
    let create = asked.iter().find(|request| request.method == "POST" && request.path == "/compute/").unwrap();
    assert!(
        create.body.contains("Category: debian; scheme=\"http://schemas.openstack.org/template/os#\""),
        "{create:?}"
    );
    assert!(create.body.contains(&format!("occi.core.title=\"desk [tombolo:{TAG}]\"")), "{create:?}");
    assert_eq!(create.header("content-type"), "text/plain; charset=utf-8");
    let stop = asked.iter().find(|request| request.path.ends_with("action=stop")).unwrap();
    assert!(stop.body.contains("X-OCCI-Attribute: method=\"poweroff\""), "{stop:?}");
    assert_eq!(asked.iter().filter(|request| request.path == "/v2.0/tokens").count(), 1, "one token serves all");
}

#[tokio::test]
async fn a_password_that_opens_nothing_is_told_once() {
    let door = ooi("token-1").await;
    let backend = backend(keystone(&door, "wrong"));
    let outcome = backend.describe().await;
    assert!(matches!(outcome, Err(BackendError::Unauthorized(_))), "{outcome:?}");
    assert_eq!(door.asked().len(), 2, "asked, tried for a token, given up");
    let findings = backend.check().await;
    assert_eq!((findings[0].subject.as_str(), findings[0].verdict), ("credentials", Verdict::Bad));
}

#[tokio::test]
async fn credentials_follow_nobody_elsewhere() {
    let door = Door::open(|_| {
        Answer::new(401, "text/plain", "").with("www-authenticate", "Keystone uri='http://127.0.0.2:9/v2.0'")
    })
    .await;
    let Err(BackendError::Unauthorized(words)) = backend(keystone(&door, "secret")).describe().await else {
        panic!("it must not go there")
    };
    assert!(words.contains("127.0.0.2") && words.contains("auth.uri") && !words.contains("secret"), "{words}");
}

/// rOCCI-server 1: text for all that ask, `Location` lists in text/occi, action that failed as a bad request.
#[tokio::test]
async fn rocci_1_is_spoken_to_in_text_and_its_locations_are_followed() {
    let door = Door::open(|request: &Request| {
        let server = "rOCCI-server/1.1.9 (linux) OCCI/1.1";
        match (request.method.as_str(), request.path.as_str(), request.header("accept")) {
            ("GET", "/-/", "application/occi+json") => Answer::new(
                200,
                "application/occi+json",
                format!(
                    "{{\"kinds\":[{{\"term\":\"compute\",\"scheme\":\"{INFRASTRUCTURE}#\",\"related\":[],\
                     \"attributes\":{{\"occi\":{{}}}},\"location\":\"/compute/\"}}]}}"
                ),
            ),
            ("GET", "/-/", _) => text(kinds("/storage/") + &template("http://occi.host/occi/infrastructure/os_tpl#")),
            ("GET", "/compute/", _) => text("X-OCCI-Location: http://host:11443/compute/42\n"),
            ("GET", "/compute/42", _) => text(format!(
                "Category: compute;scheme=\"{INFRASTRUCTURE}#\";class=\"kind\";location=\"/compute/\";title=\"x\"\n\
                 X-OCCI-Attribute: occi.core.id=\"42\"\n\
                 X-OCCI-Attribute: occi.core.title=\"desk [tombolo:{TAG}]\"\n\
                 X-OCCI-Attribute: occi.compute.state=\"inactive\"\n"
            )),
            _ => Answer::new(404, "text/plain", "no").with("x-occi-error", "there is none"),
        }
        .with("server", server)
    })
    .await;
    let backend = backend(options(&door));
    let found = backend.find_by_tag(tag()).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.state, found.size), ("42", MachineState::Stopped, None));
    let other = IntentTag(Uuid::from_u128(1));
    assert_eq!(backend.find_by_tag(other).await.unwrap(), None);
    let missing = backend.machine(&"43".parse().unwrap()).await;
    assert_eq!(missing, Err(BackendError::NotFound("/compute/43: there is none".into())));
}

/// pyssf: 406 for renderings that it does not know, every value in quotes, and whatever it is given kept.
#[tokio::test]
async fn pyssf_keeps_what_it_is_given_so_it_has_volumes() {
    let door = Door::open(|request: &Request| {
        match (request.path.as_str(), request.header("accept")) {
            (_, "application/occi+json") => Answer::new(406, "text/html", "<h1>406</h1>"),
            ("/-/", "text/plain") => text(kinds("/storage/") + &template("http://example.com/os#")),
            ("/storage/", _) => text("X-OCCI-Location: /storage/a\nX-OCCI-Location: /storage/b\n"),
            ("/storage/a", _) => text(format!(
                "Category: storage; scheme=\"{INFRASTRUCTURE}#\"; class=\"kind\"\n\
                 X-OCCI-Attribute: occi.core.id=\"a\"\n\
                 X-OCCI-Attribute: occi.core.title=\"disk [tombolo:{TAG}]\"\n\
                 X-OCCI-Attribute: occi.storage.size=\"2.0\"\n\
                 X-OCCI-Attribute: occi.storage.state=\"online\"\n"
            )),
            // Somebody else's.
            ("/storage/b", _) => text(format!(
                "Category: storage; scheme=\"{INFRASTRUCTURE}#\"; class=\"kind\"\nX-OCCI-Attribute: occi.core.id=\"b\"\n"
            )),
            _ => Answer::new(404, "text/plain", ""),
        }
        .with("server", "pyssf OCCI/1.1")
    })
    .await;
    let backend = backend(options(&door));
    backend.describe().await.unwrap();
    let volumes = backend.volumes().unwrap().volumes().await.unwrap();
    assert_eq!(volumes.unreadable_count(), 0);
    assert_eq!(
        volumes.objects.iter().map(|volume| (volume.id.as_str(), volume.size_bytes)).collect::<Vec<_>>(),
        [("a", 2 << 30)]
    );
}

/// F45: one malformed machine in a list costs itself.
#[tokio::test]
async fn one_malformed_machine_hides_no_other() {
    let door = Door::open(|request: &Request| {
        let i = INFRASTRUCTURE;
        let machine = |index: usize| {
            let tag = Uuid::from_u128(index as u128);
            format!(
                "{{\"kind\":\"{i}#compute\",\"id\":\"urn:uuid:m-{index}\",\"title\":\"m [tombolo:{tag}]\",\"extra\":7,\
                 \"attributes\":{{\"occi.compute.state\":\"active\"}}}}"
            )
        };
        match request.path.as_str() {
            "/-/" => Answer::new(
                200,
                "application/occi+json",
                format!("{{\"kinds\":[{{\"term\":\"compute\",\"scheme\":\"{i}#\",\"location\":\"/compute/\"}},{{\"term\":7}}]}}"),
            ),
            _ => {
                let mut list: Vec<Vec<u8>> = (0..1000).map(|index| machine(index).into_bytes()).collect();
                list[1] = b"{\"kind\":\"x\xff\"}".to_vec();
                list[2] = format!("{{\"kind\":\"{i}#compute\",\"attributes\":{{\"occi.compute.cores\":NaN}}}}").into();
                list[3] = machine(3).replace("m [", &format!("{} [", "x".repeat(5000))).into();
                list[4] = machine(4).replace("m-4", "../m").into();
                let body = [b"{\"resources\":[".to_vec(), list.join(&b","[..]), b"]}".to_vec()].concat();
                Answer::new(200, "application/occi+json", body)
            }
        }
    })
    .await;
    let listing = backend(options(&door)).machines().await.unwrap();
    let bad = listing.unreadable_count();
    assert_eq!((listing.objects.len() + bad, bad), (1000, 3), "{:?}", listing.unreadable);
    // A path in an id is cut to its last part, and nobody is asked for anything else.
    assert!(listing.objects.iter().all(|machine| machine.id.as_str().starts_with('m')));
}

#[tokio::test]
async fn who_finds_itself_behind_a_site_says_so() {
    let own = Uuid::from_u128(5);
    let door = Door::open(move |_| {
        let behind = format!("{},{own}", Uuid::from_u128(6));
        text(kinds("/storage/") + &template("http://example.com/os#")).with("x-tombolo-broker", &behind)
    })
    .await;
    let description = backend(options(&door)).for_broker(own).describe().await.unwrap();
    assert_eq!(description.particulars.brokers, [Uuid::from_u128(6).to_string(), own.to_string()]);
    assert!(description.obstacle.unwrap().contains("circle"));
    assert_eq!(door.asked()[0].header("x-tombolo-trail"), own.to_string());
    let other = backend(options(&door)).for_broker(Uuid::from_u128(9)).describe().await.unwrap();
    assert_eq!(other.obstacle, None);
}

#[tokio::test]
async fn the_trail_goes_on_behind_those_before() {
    let door = Door::open(|_| text("")).await;
    let [first, own] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let trail = backend::request::Trail::default().followed_by(first).unwrap();
    let backend = backend(options(&door)).for_broker(own);
    let asked = backend::request::scope("r-7".parse().unwrap(), backend.describe());
    let _ = backend::request::trail_scope(trail, asked).await;
    let asked = &door.asked()[0];
    assert_eq!(asked.header("x-tombolo-trail"), format!("{first},{own}"));
    assert_eq!(asked.header("x-request-id"), "r-7");
}

#[test]
fn options_are_read_strictly_and_hide_their_secrets() {
    let read = |text: &str| serde_json::from_str::<OcciOptions>(text);
    let whole = read(
        r#"{"endpoint":"https://cloud.example:11443","auth":{"kind":"keystone","user":"ann","password":"canary"},
            "proxy":"http://canary@proxy.example:3128","dialect":"ooi","rendering":"text-plain","zone":"a"}"#,
    )
    .unwrap();
    assert!(!format!("{whole:?}").contains("canary"), "{whole:?}");
    for bad in [
        r#"{"endpoint":"canary"}"#,
        r#"{"endpoint":"http://x","auht":{}}"#,
        r#"{"endpoint":"http://x","dialect":"nobody"}"#,
        r#"{"endpoint":"http://x","auth":{"kind":"basic","user":"u"}}"#,
    ] {
        assert!(!read(bad).unwrap_err().to_string().contains("canary"), "{bad}");
    }
    let with_password = read(r#"{"endpoint":"http://u:p@x"}"#).unwrap();
    assert!(OcciBackend::new(with_password).err().unwrap().to_string().contains("auth"));
}
