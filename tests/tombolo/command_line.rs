//! The command line: teaches, answers in JSON where a script would want it, and fails in one line.

use std::{fs, process::Command};

use crate::server::Home;

fn failure(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    assert!(!output.status.success(), "tombolo {arguments:?} must fail");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.trim().lines().count(), 1, "{errors}");
    errors
}

#[test]
fn help_teaches() {
    let home = Home::simulated();
    let help = home.must(&["--help"]);
    for word in ["serve", "node", "catalog", "token", "doctor", "curl", "--data-dir", "TOMBOLO_DATA_DIR"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(home.must(&["token", "create", "--help"]).contains("X-Auth-Token"));
    assert!(home.must(&["node", "--help"]).contains("[[site]]"));
}

#[test]
fn the_doctor_says_what_this_host_can_do() {
    let mut home = Home::new("");
    home.set_environment("PATH", "/nonexistent");
    let findings: serde_json::Value = serde_json::from_str(&home.must(&["doctor", "--json"])).unwrap();
    let subjects: Vec<&str> =
        findings.as_array().unwrap().iter().map(|finding| finding["subject"].as_str().unwrap()).collect();
    assert!(subjects.contains(&"image formats") && subjects.contains(&"HTTP port"), "{subjects:?}");
    let shown = home.must(&["doctor"]);
    assert!(shown.contains("MISSING") && shown.contains("qemu-system-x86"), "{shown}");
}

#[test]
fn qemu_doctor_names_the_accelerator() {
    let home = Home::new("");
    let shown = home.must(&["doctor"]);
    assert!(shown.contains("accelerator") && !shown.contains("MISSING"), "{shown}");
}

#[test]
fn appliances_are_published_listed_and_withdrawn() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let listed: serde_json::Value = serde_json::from_str(&home.must(&["catalog", "list", "--json"])).unwrap();
    assert_eq!(listed[0]["name"], "blank");
    assert_eq!(listed[0]["image"].as_str().unwrap().len(), 64);
    assert!(home.must(&["catalog", "list"]).contains("blank"));
    home.must(&["catalog", "withdraw", "blank"]);
    assert_eq!(home.must(&["catalog", "list"]), "");
    assert!(failure(&home, &["catalog", "withdraw", "blank"]).contains("blank"));
}

#[test]
fn a_qcow2_is_the_same_image_as_the_raw_one() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let (raw, qcow2) = (home.path("blank.raw"), home.path("blank.qcow2"));
    let converted =
        Command::new("qemu-img").args(["convert", "-c", "-O", "qcow2"]).arg(raw).arg(&qcow2).status().unwrap();
    assert!(converted.success());
    home.publish("compressed", &qcow2);
    let listed: serde_json::Value = serde_json::from_str(&home.must(&["catalog", "list", "--json"])).unwrap();
    assert_eq!(listed[0]["image"], listed[1]["image"]);
}

#[test]
fn what_cannot_be_published_is_refused_in_one_line() {
    let home = Home::simulated();
    let publish = |file: &str, name: &str, title: &str| {
        failure(&home, &["catalog", "publish", file, "--name", name, "--title", title])
    };
    assert!(publish("/nonexistent.raw", "x", "X").contains("/nonexistent.raw"));
    let hostile = home.path("hostile.qcow2");
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw"])
        .arg(&hostile)
        .arg("1M")
        .status()
        .unwrap();
    assert!(made.success());
    assert!(publish(hostile.to_str().unwrap(), "x", "X").contains("backing"));
    let image = home.path("image.raw");
    fs::write(&image, [1; 512]).unwrap();
    let image = image.to_str().unwrap();
    assert!(publish(image, "Bad Name", "X").contains("Bad Name"));
    assert!(publish(image, "x", "one, two").contains("title"));
    home.must(&["catalog", "publish", image, "--name", "x", "--title", "X", "--label", "1"]);
    let twice = ["catalog", "publish", image, "--name", "x", "--title", "X", "--label", "1"];
    assert!(failure(&home, &twice).contains("--label"));
}

#[test]
fn mistakes_are_answered_in_one_line() {
    let home = Home::new("lisen = 1\n");
    let output = home.run(&["serve"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains("lisen"), "{errors}");
    let home = Home::simulated();
    assert!(failure(&home, &["token", "create", "--user", "a b", "--project", "p"]).contains("user name"));
    assert!(failure(&home, &["serve", "--listen", "0.0.0.0:0"]).contains("TLS proxy"));
}

#[test]
fn nothing_under_way_is_an_empty_list() {
    let home = Home::simulated();
    assert_eq!(home.must(&["saga", "list", "--json"]), "[]");
}

#[test]
fn ctrl_c_while_publishing_leaves_nothing() {
    let home = Home::simulated();
    let image = home.path("vast.raw");
    // Holes that take minutes to read.
    fs::File::create(&image).unwrap().set_len(1 << 40).unwrap();
    let mut publishing = home
        .command(&["catalog", "publish", image.to_str().unwrap(), "--name", "vast", "--title", "Vast"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let images = home.data_dir().join("images");
    let begun = || fs::read_dir(&images).is_ok_and(|mut entries| entries.next().is_some());
    while !begun() {
        assert!(publishing.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_raw(publishing.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = publishing.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("cancelled"));
    assert!(!begun());
    assert_eq!(home.must(&["catalog", "list"]), "");
}
