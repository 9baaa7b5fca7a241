//! `/appliance` as OpenNebula's marketplace driver asks for it, and marketplaces as a source.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Answer, Home, SIMULATED_SITE, Server};

const DRIVER: &str = "OpenNebula 7.4.0 (Market Driver)";

fn market() -> Home {
    Home::new(&format!("[marketplace]\nserve = true\nname = \"Our School\"\n{SIMULATED_SITE}"))
}

/// What the driver gets there.
async fn ask(server: &Server, path: &str) -> Answer {
    let request = server.request("GET", path).header("User-Agent", DRIVER);
    let request = request.header("Accept", "*/*").header("Accept-Encoding", "gzip;q=1.0,deflate,identity");
    Answer::of(request.send().await.unwrap()).await
}

/// The list, as soon as it has so many entries.
async fn list(server: &Server, count: usize) -> Vec<Value> {
    for _ in 0..400 {
        let answer = ask(server, "//appliance").await;
        assert_eq!((answer.status, answer.header("cache-control").as_str()), (StatusCode::OK, "no-cache"));
        let list: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(list["sEcho"], 1);
        let list = list["appliances"].as_array().unwrap().clone();
        if list.len() == count {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{count} appliances were expected: {}", server.log());
}

fn must(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_stock_opennebula_lists_shows_and_fetches() {
    let home = market();
    home.publish_blank("debian");
    home.publish_blank("alpine");
    let server = home.serve();
    let apps = list(&server, 2).await;
    assert_eq!(apps, list(&server, 2).await);
    let names: Vec<_> = apps.iter().map(|app| app["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpine - Our School", "debian - Our School"]);
    for app in &apps {
        let id = app["_id"]["$oid"].as_str().unwrap();
        for path in [format!("/appliance/{id}"), format!("//appliance/{id}")] {
            let shown: Value = serde_json::from_str(&ask(&server, &path).await.body).unwrap();
            assert_eq!(shown, *app);
        }
        let template: Value = serde_json::from_str(app["opennebula_template"].as_str().unwrap()).unwrap();
        assert!(template["MEMORY"].is_string() && template["CPU"].is_string());
        let file = &app["files"][0];
        assert_eq!((&file["format"], &file["size"]), (&json!("qcow2"), &json!(1 << 20)));

        // The driver's source, and what its downloader does with it.
        let source = format!("{}//appliance/{id}/download/0", server.base);
        let told = ask(&server, &source).await;
        assert_eq!(told.status, StatusCode::FOUND);
        assert_eq!(told.header("opennebula-appmarket-size"), (1 << 20).to_string());
        assert!(told.header("location").starts_with(&format!("{}/images/", server.base)));
        let fetched = home.path("fetched.qcow2");
        let to = fetched.to_str().unwrap();
        must("curl", &["-fsS", "-k", "-L", "--retry", "3", "--retry-delay", "3", "-o", to, &source]);
        assert!(must("md5sum", &[to]).starts_with(file["md5"].as_str().unwrap()));
        assert!(must("sha256sum", &[to]).starts_with(file["checksum"]["sha256"].as_str().unwrap()));
        let raw = home.path(&format!("{}.raw", names_of(app)));
        must("qemu-img", &["compare", "-f", "qcow2", "-F", "raw", to, raw.to_str().unwrap()]);
        must("curl", &["-fsS", "-L", "-o", to, file["url"].as_str().unwrap()]);
    }
    for (path, status) in [
        ("/appliance/0123456789ab0123456789ab", 404),
        ("/appliance/0123456789ab0123456789ab/download/0", 404),
        (&format!("/appliance/{}/download/1", apps[0]["_id"]["$oid"].as_str().unwrap()), 404),
    ] {
        assert_eq!(ask(&server, path).await.status, status, "{path}");
    }
    assert_eq!(server.post("/appliance", "x").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

fn names_of(app: &Value) -> &str {
    app["name"].as_str().unwrap().split(' ').next().unwrap()
}

#[tokio::test]
async fn a_new_version_is_noticed_and_a_withdrawn_one_is_gone() {
    let home = market();
    home.publish_blank("debian");
    let server = home.serve();
    let before = list(&server, 1).await;
    // The same image with other words: nothing but the version would tell OpenNebula.
    let again = home.path("debian.raw");
    let label = ["--label", "2"];
    home.must(
        &[&["catalog", "publish", again.to_str().unwrap(), "--name", "debian", "--title", "Other words"], &label[..]]
            .concat(),
    );
    let mut after = list(&server, 1).await;
    for _ in 0..200 {
        if after != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        after = list(&server, 1).await;
    }
    assert_eq!((&after[0]["_id"], &after[0]["name"]), (&before[0]["_id"], &before[0]["name"]));
    assert_ne!(after[0]["version"], before[0]["version"]);
    home.must(&["catalog", "withdraw", "debian"]);
    assert!(list(&server, 0).await.is_empty());
}

#[tokio::test]
async fn nothing_is_served_unless_it_is_wanted() {
    let home = Home::simulated();
    home.publish_blank("debian");
    let server = home.serve();
    for path in ["/appliance", "//appliance", "/appliance/0123456789ab0123456789ab/download/0"] {
        assert_eq!(ask(&server, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn one_broker_imports_from_another() {
    let home = market();
    home.publish_blank("debian");
    let server = home.serve();
    list(&server, 1).await;
    let other = Home::simulated();
    let refused = other.run(&["catalog", "import", &server.base, "--list"]);
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && errors.contains("--allow-private"), "{errors}");

    let shown = other.must(&["catalog", "import", &server.base, "--list", "--allow-private"]);
    assert!(shown.starts_with("debian - Our School  "), "{shown}");
    let name = ["catalog", "import", &server.base, "debian - Our School", "--as", "copy", "--allow-private", "--json"];
    let imported: Value = serde_json::from_str(&other.must(&name)).unwrap();
    let theirs: Value = serde_json::from_str(&home.must(&["catalog", "list", "--json"])).unwrap();
    assert_eq!(imported["image"], theirs[0]["image"]);
    assert!(other.must(&["catalog", "list"]).starts_with("copy  "));
    assert!(left_in(&other.data_dir()).iter().all(|name| !name.starts_with("download-")));
}

fn left_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A marketplace of one appliance, which says of it what it likes.
fn liar(file: Vec<u8>, said: impl Fn(&str) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let url = format!("{base}/file");
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = [0; 4096];
            let count = connection.read(&mut head).unwrap();
            let body = if head[..count].starts_with(b"GET /file ") {
                file.clone()
            } else {
                json!({ "appliances": [{ "_id": { "$oid": "a" }, "name": "lie", "files": [said(&url)] }] })
                    .to_string()
                    .into_bytes()
            };
            let _ = write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = connection.write_all(&body);
        }
    });
    base
}

#[tokio::test]
async fn a27_an_appliance_must_be_what_its_marketplace_says() {
    let home = Home::simulated();
    let disk = vec![7_u8; 1 << 20];
    let path = home.path("disk.raw");
    std::fs::write(&path, &disk).unwrap();
    let md5 = must("md5sum", &[path.to_str().unwrap()])[..32].to_owned();
    let huge = home.path("huge.qcow2");
    must("qemu-img", &["create", "-q", "-f", "qcow2", huge.to_str().unwrap(), "50G"]);
    let huge_md5 = must("md5sum", &[huge.to_str().unwrap()])[..32].to_owned();
    let import = |base: &str, more: &[&str]| {
        let mut arguments = vec!["catalog", "import", base, "lie", "--allow-private"];
        arguments.extend(more);
        let output = home.run(&arguments);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let refused = |base: &str, words: &str| {
        let (succeeded, errors) = import(base, &[]);
        assert!(!succeeded && errors.contains(words), "{words}: {errors}");
    };
    let wrong = "ab".repeat(16);
    refused(&liar(disk.clone(), move |url| json!({ "url": url, "md5": wrong })), "changed on the way");
    refused(&liar(disk.clone(), |url| json!({ "url": url })), "--unverified");
    let long = vec![7_u8; 70 << 20];
    let said = md5.clone();
    refused(&liar(long, move |url| json!({ "url": url, "md5": said, "size": 512 })), "longer than");
    let said = huge_md5.clone();
    let bytes = std::fs::read(&huge).unwrap();
    refused(&liar(bytes.clone(), move |url| json!({ "url": url, "md5": said, "size": 1 << 20 })), "says at most");
    let said = huge_md5;
    let base = liar(bytes, move |url| json!({ "url": url, "md5": said }));
    let (succeeded, errors) = import(&base, &["--largest", "1"]);
    assert!(!succeeded && errors.contains("--largest"), "{errors}");
    assert!(home.must(&["catalog", "list"]).is_empty());

    let honest = liar(disk, move |url| json!({ "url": url, "md5": md5, "size": 1 << 20 }));
    let (succeeded, errors) = import(&honest, &[]);
    assert!(succeeded, "{errors}");
    assert!(home.must(&["catalog", "list"]).starts_with("lie  "));
}
