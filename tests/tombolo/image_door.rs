//! `/images/{digest}.{format}`: stored images as files of any format, by ranges, for members and for tickets.

use std::{os::unix::fs::FileExt, path::Path, process::Command, time::Duration};

use reqwest::{StatusCode, header};

use crate::server::{Answer, Home, SIMULATED_SITE, Server};

const FORMATS: [(&str, &str); 6] =
    [("raw", "raw"), ("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vhd", "vpc"), ("vhdx", "vhdx"), ("vdi", "vdi")];

/// A disk of which a third is holes.
fn publish(home: &Home, name: &str, length: u64) -> String {
    let path = home.path(&format!("{name}.raw"));
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(length).unwrap();
    for block in (0..length / 65_536).filter(|block| block % 3 != 1) {
        let bytes: Vec<u8> = (0..65_536_u64).map(|i| ((block * 31 + i * i) % 251) as u8).collect();
        file.write_all_at(&bytes, block * 65_536).unwrap();
    }
    home.publish(name, &path);
    digest(home, name)
}

fn digest(home: &Home, name: &str) -> String {
    let list: serde_json::Value = serde_json::from_str(&home.must(&["catalog", "list", "--json"])).unwrap();
    let found = list.as_array().unwrap().iter().find(|appliance| appliance["name"] == name).unwrap();
    found["image"].as_str().unwrap().to_owned()
}

fn qemu_img(arguments: &[&str]) -> String {
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    assert!(output.status.success(), "qemu-img {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

struct Fetched {
    status: StatusCode,
    headers: header::HeaderMap,
    bytes: Vec<u8>,
}

impl Fetched {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

async fn fetch(server: &Server, path: &str, fields: &[(&str, &str)]) -> Fetched {
    let mut request = server.request("GET", path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Fetched { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
}

#[tokio::test]
async fn an_image_is_a_file_of_every_format_whole_and_in_parts() {
    let home = Home::simulated();
    let image = publish(&home, "disk", 9 << 20);
    let server = home.serve().with_token(&home.token("ann", "school"));
    let mut tags = Vec::new();
    for (format, name) in FORMATS {
        let path = format!("/images/{image}.{format}");
        let whole = fetch(&server, &path, &[]).await;
        assert_eq!((whole.status, whole.header("accept-ranges")), (StatusCode::OK, "bytes"), "{format}");
        assert_eq!(whole.header("content-type"), "application/octet-stream");
        assert_eq!(whole.header("content-length"), whole.bytes.len().to_string());
        let file = home.path(&format!("fetched.{format}"));
        std::fs::write(&file, &whole.bytes).unwrap();
        let original = home.path("disk.raw");
        let files = [file.to_str().unwrap(), original.to_str().unwrap()];
        qemu_img(&["compare", "-f", name, "-F", "raw", files[0], files[1]]);

        let head = server.request("HEAD", &path).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(head.headers()["content-length"], *whole.header("content-length"));
        assert_eq!(head.headers()["etag"], *whole.header("etag"));
        assert!(head.bytes().await.unwrap().is_empty());

        // In parts of an odd length, as a download that is taken up again and again.
        let mut parts = Vec::new();
        while parts.len() < whole.bytes.len() {
            let range = format!("bytes={}-{}", parts.len(), parts.len() + 1_234_566);
            let part = fetch(&server, &path, &[("range", &range), ("if-range", whole.header("etag"))]).await;
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
            let (first, last) = (parts.len(), parts.len() + part.bytes.len() - 1);
            assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{}", whole.bytes.len()));
            parts.extend(part.bytes);
        }
        assert!(parts == whole.bytes, "{format}");
        tags.push(whole.header("etag").to_owned());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), FORMATS.len());
    assert!(tags.iter().all(|tag| tag.starts_with('"')), "strong: {tags:?}");
}

#[tokio::test]
async fn conditions_and_odd_ranges_are_answered_as_the_standard_says() {
    let home = Home::simulated();
    let image = publish(&home, "disk", 1 << 20);
    let server = home.serve().with_token(&home.token("ann", "school"));
    let path = format!("/images/{image}.raw");
    let tag = fetch(&server, &path, &[]).await.header("etag").to_owned();
    let of = async |fields: &[(&str, &str)]| {
        let fetched = fetch(&server, &path, fields).await;
        (fetched.status.as_u16(), fetched.bytes.len(), fetched.header("content-range").to_owned())
    };
    let length = 1 << 20;
    assert_eq!(of(&[("if-none-match", &tag)]).await, (304, 0, String::new()));
    assert_eq!(of(&[("if-match", "\"other\"")]).await, (412, 0, String::new()));
    assert_eq!(of(&[("range", "bytes=-1")]).await, (206, 1, format!("bytes {}-{}/{length}", length - 1, length - 1)));
    assert_eq!(of(&[("range", "bytes=0-9"), ("if-range", "\"other\"")]).await, (200, length, String::new()));
    assert_eq!(of(&[("range", "bytes=0-9,20-29")]).await, (200, length, String::new()));
    assert_eq!(of(&[("range", "bytes=1048576-")]).await, (416, 0, format!("bytes */{length}")));
    assert_eq!(of(&[("range", "bytes=1048575-9999999")]).await.1, 1);
}

#[tokio::test]
async fn who_sees_no_appliance_of_it_sees_no_image() {
    let home = Home::simulated();
    let image = publish(&home, "disk", 1 << 20);
    let server = home.serve();
    let path = format!("/images/{image}.raw");
    let stranger = server.get(&path).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(!stranger.headers("www-authenticate").is_empty());
    for ticket in ["", "x", &"A".repeat(300), &"A".repeat(5000)] {
        let forged = server.get(&format!("{path}?ticket={ticket}")).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "{ticket}");
    }

    let server = server.with_token(&home.token("ann", "school"));
    assert_eq!(server.get(&path).await.status, StatusCode::OK);
    let forged = server.get(&format!("{path}?ticket=x")).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN, "a ticket is what counts where there is one");
    for nothing in [
        format!("/images/{}.raw", "ab".repeat(32)),
        format!("/images/{image}.vpc"),
        format!("/images/{image}"),
        "/images".into(),
        "/images/".into(),
        "/images//".into(),
        format!("//images/{image}.raw"),
        format!("///images/{image}.raw"),
        format!("/images//{image}.raw"),
        format!("/images/{image}.raw/"),
    ] {
        assert_eq!(server.get(&nothing).await.status, StatusCode::NOT_FOUND, "{nothing}");
    }
    let posted = server.post(&path, "x").await;
    assert_eq!((posted.status, posted.header("allow").as_str()), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));

    home.must(&["catalog", "withdraw", "disk"]);
    assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_project_does_not_take_all_the_places() {
    let home = Home::new(&format!("[images]\nfetches_at_once = 1\n{SIMULATED_SITE}"));
    let image = publish(&home, "disk", 64 << 20);
    let (ann, bob) = (home.token("ann", "school"), home.token("bob", "lab"));
    let server = home.serve().with_token(&ann);
    let path = format!("/images/{image}.raw");
    // Its answer has begun and nothing of it is taken: more than any buffer holds.
    let slow = server.request("GET", &path).send().await.unwrap();
    let refused = server.get(&path).await;
    assert_eq!((refused.status, refused.header("retry-after").as_str()), (StatusCode::SERVICE_UNAVAILABLE, "10"));
    let head = server.request("HEAD", &path).header("Authorization", format!("Bearer {bob}"));
    let other = crate::client::client().head(format!("{}{path}", server.base)).bearer_auth(&bob).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK, "others are not concerned");
    drop((slow, head));
    for _ in 0..200 {
        if server.request("HEAD", &path).send().await.unwrap().status() == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a place is free again when its client has gone");
}

/// The URL that a marketplace's client is sent to.
async fn ticketed(server: &Server) -> String {
    for _ in 0..400 {
        let list: serde_json::Value = serde_json::from_str(&server.get("/appliance").await.body).unwrap();
        if let Some(url) = list["appliances"][0]["files"][0]["url"].as_str() {
            let answer = Answer::of(reqwest_without_redirects().get(url).send().await.unwrap()).await;
            assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.body);
            return answer.header("location");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is offered: {}", server.log());
}

fn reqwest_without_redirects() -> reqwest::Client {
    crate::client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn a_ticket_is_for_its_image_and_format_alone_and_is_in_no_log() {
    let mut home = Home::new(&format!("[marketplace]\nserve = true\n{SIMULATED_SITE}"));
    home.set_environment("TOMBOLO_LOG", "trace");
    let image = publish(&home, "disk", 1 << 20);
    let server = home.serve();
    let url = ticketed(&server).await;
    let (place, ticket) = url.split_once("?ticket=").unwrap();
    assert_eq!(place, format!("{}/images/{image}.qcow2", server.base));
    assert_eq!(server.get(&url).await.status, StatusCode::OK);
    let part = fetch(&server, &url, &[("range", "bytes=0-3")]).await;
    assert_eq!((part.status, part.bytes.as_slice()), (StatusCode::PARTIAL_CONTENT, b"QFI\xfb".as_slice()));
    let (first, rest) = ticket.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    for (path, why) in [
        (format!("/images/{image}.raw?ticket={ticket}"), "another format"),
        (format!("/images/{}.qcow2?ticket={ticket}", "ab".repeat(32)), "another image"),
        (format!("/images/{image}.qcow2?ticket={other}{rest}"), "changed"),
        (format!("/images/{image}.qcow2?ticket={}", &ticket[..ticket.len() - 4]), "cut"),
    ] {
        assert_eq!(server.get(&path).await.status, StatusCode::FORBIDDEN, "{why}");
    }
    let log = server.log();
    assert!(log.contains(&image) && !log.contains(ticket) && !log.contains("ticket="), "{log}");

    // Where qemu has its driver for addresses, which is a package of its own, it is a judge of ranges too.
    let original = home.path("disk.raw");
    let arguments = ["compare", "-f", "qcow2", "-F", "raw", &url, original.to_str().unwrap()];
    let judged = Command::new("qemu-img").args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&judged.stderr).into_owned();
    assert!(
        judged.status.success() || words.contains("Unable to load module") || words.contains("Unknown protocol"),
        "{words}"
    );
    let fetched = home.path("by-curl.qcow2");
    by_curl_twice(&url, &fetched);
    qemu_img(&[
        "compare",
        "-f",
        "qcow2",
        "-F",
        "raw",
        fetched.to_str().unwrap(),
        home.path("disk.raw").to_str().unwrap(),
    ]);
}

/// Takes some of it first, and the rest in a second run that goes on where the first has ended.
fn by_curl_twice(url: &str, to: &Path) {
    let curl = |arguments: &[&str]| {
        let status = Command::new("curl").args(["-fsS", "-o", to.to_str().unwrap()]).args(arguments).arg(url).status();
        assert!(status.unwrap().success());
    };
    curl(&["-r", "0-99999"]);
    assert_eq!(std::fs::metadata(to).unwrap().len(), 100_000);
    curl(&["-C", "-"]);
}

#[tokio::test]
async fn sites_may_call_this_server_by_the_name_that_they_are_told() {
    let url = "[images]\nurl = \"https://images.example:8443\"\n";
    let site = SIMULATED_SITE.replace("adapter", "image_url = \"https://near.example\"\nadapter");
    let home = Home::new(&format!("{url}{site}"));
    let image = publish(&home, "disk", 1 << 20);
    let server = home.serve().with_token(&home.token("ann", "school"));
    let called = async |host: &str| {
        let request = server.request("HEAD", &format!("/images/{image}.raw")).header("Host", host);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(called("images.example:8443").await, 200);
    assert_eq!(called("near.example").await, 200);
    assert_eq!(called("images.example").await, 421);
}
