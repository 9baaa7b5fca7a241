//! Archives and descriptions that no honest program makes: refused in words, with little memory.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    assert_refused,
    flavours::{bare, virtualbox},
    open, refusal, run, tar,
};
use crate::sample::{file, patch};

/// A directory with a description and its raw disk.
struct Parcel(TempDir);

impl Parcel {
    fn new() -> Self {
        let parcel = Self(TempDir::new().unwrap());
        parcel.put("x.ovf", virtualbox(1, "disk.raw", 4096));
        parcel.put("disk.raw", [7; 4096]);
        parcel
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        file(&self.0, name, content.as_ref())
    }

    fn packed(&self) -> PathBuf {
        tar(self.path(), &[], &["x.ovf", "disk.raw"])
    }
}

/// A header with a right checksum.
fn header(name: &str, kind: u8, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

#[test]
fn what_would_lead_out_of_the_directory() {
    let parcel = Parcel::new();
    open(&parcel.packed());
    symlink("/etc/passwd", parcel.path().join("link")).unwrap();
    fs::hard_link(parcel.path().join("disk.raw"), parcel.path().join("second")).unwrap();
    run(parcel.path(), "mkfifo", ["pipe"]);
    for (names, words) in [
        (&["x.ovf", "disk.raw", "link"][..], r#"the member "link" at byte"#),
        (&["x.ovf", "disk.raw", "link"], "is a symbolic link"),
        (&["x.ovf", "disk.raw", "second"], "is a hard link"),
        (&["x.ovf", "disk.raw", "pipe"], "is a named pipe"),
        (&["x.ovf", "disk.raw", "-P", "/etc/hostname"], "begins at the root"),
        (&["x.ovf", "disk.raw", "-P", "--transform=s,disk,../disk,"], "leads out of the archive"),
        (&["x.ovf", "disk.raw", "--transform=s,disk.raw,a\\\\\\\\b,"], "backslash"),
        (&["x.ovf", "disk.raw", "disk.raw", "--hard-dereference"], "is there twice"),
    ] {
        for format in ["--format=gnu", "--format=pax", "--format=ustar"] {
            assert_refused(&tar(parcel.path(), &[format], names), words);
        }
    }
    for (kind, words) in [(b'3', "a device"), (b'4', "a device"), (b'M', "continuation"), (b'?', "unknown kind")] {
        let bytes = [header("device", kind, 0).as_bytes(), &[0; 1024][..]].concat();
        assert_refused(&parcel.put("made.ova", bytes), words);
    }
}

#[test]
fn sparse_members() {
    let parcel = Parcel::new();
    fs::File::create(parcel.path().join("disk.raw")).unwrap().set_len(1 << 40).unwrap();
    for format in [
        &["--format=gnu"][..],
        &["--format=pax"],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
    ] {
        let options: Vec<_> = format.iter().copied().chain(["-S"]).collect();
        assert_refused(&tar(parcel.path(), &options, &["x.ovf", "disk.raw"]), "sparse file");
    }
}

#[test]
fn headers_that_lie() {
    let parcel = Parcel::new();
    let path = parcel.packed();
    patch(&path, 10, b"y");
    assert_refused(&path, "the header at byte 0 is damaged: its checksum is wrong");
    for size in [513, 1 << 33, 1 << 62, u64::MAX - 511, u64::MAX] {
        let bytes = [header("disk.raw", b'0', size).as_bytes(), &[0; 512][..]].concat();
        assert_refused(&parcel.put("made.ova", bytes), "cut off");
    }
    let long = header("x", b'x', (1 << 20) + 1);
    let bytes = [&long.as_bytes()[..], &vec![b'1'; 2 << 20]].concat();
    assert_refused(&parcel.put("made.ova", bytes), "says 1048577 bytes of the next member");
    for (kind, content, words) in [
        (b'x', "14 size=99999\n", "cut off"),
        (b'x', "30 size=99999999999999999999\n", "a record that is none"),
        (b'x', "29 size=99999999999999999999\n", "a size that is no number"),
        (b'x', "999 path=a\n", "a record that is none"),
        (b'x', "12 path=/ab\n", "begins at the root"),
        (b'x', "12 path=../\n", "leads out"),
        (b'g', "10 path=a\n", "gives all members one name"),
        (b'g', "10 size=1\n", "gives all members one name"),
        (b'L', "/etc/passwd\0", "control character"),
        (b'K', "/etc/passwd\0", "a symbolic link"),
    ] {
        let words = if kind == b'L' { "begins at the root" } else { words };
        let mut block = content.as_bytes().to_vec();
        block.resize(512, 0);
        let said = header("said", kind, content.len() as u64);
        let bytes =
            [said.as_bytes(), &block[..], header("disk.raw", b'0', 512).as_bytes(), &[1; 512], &[0; 1024]].concat();
        assert_refused(&parcel.put("made.ova", bytes), words);
        let alone = [said.as_bytes(), &block[..], &[0; 1024]].concat();
        assert!(!refusal(&parcel.put("made.ova", alone)).is_empty(), "it speaks of nothing");
    }
}

#[test]
fn more_than_any_machine_has() {
    let parcel = Parcel::new();
    let members = |count: usize, kind: u8| -> Vec<u8> {
        (0..count).flat_map(|i| *header(&format!("member-{i}"), kind, 0).as_bytes()).collect()
    };
    assert_refused(&parcel.put("made.ova", members(1025, b'0')), "more than 1024 members");
    assert_refused(&parcel.put("made.ova", members(10_000, b'5')), "more than 1024 members");
    assert_refused(&parcel.put("made.ova", members(10_000, b'L')), "more than 1024 members");
}

#[test]
fn an_archive_that_was_cut_off() {
    let parcel = Parcel::new();
    let whole = fs::read(parcel.packed()).unwrap();
    let description = fs::metadata(parcel.path().join("x.ovf")).unwrap().len() as usize;
    let end = 512 + description.next_multiple_of(512) + 512 + 4096;
    for length in (300..end).step_by(101).chain(end - 3..end) {
        let refusal = refusal(&parcel.put("cut.ova", &whole[..length]));
        // Between two members nothing is missing but the disk.
        assert!(refusal.contains("cut off") || refusal.contains("is not there"), "cut to {length}: {refusal}");
    }
    for length in [end, end + 511, end + 512, end + 1024] {
        open(&parcel.put("cut.ova", &whole[..length]));
    }
}

#[test]
fn descriptions_that_lead_elsewhere() {
    let parcel = Parcel::new();
    parcel.put("secret", "secret");
    let disk = r#"<Disk ovf:diskId="d" ovf:fileRef="f"/>"#;
    for href in [
        "../disk.raw",
        "/etc/passwd",
        "http://127.0.0.1/disk.raw",
        "file:///etc/passwd",
        "a/b",
        "%2e%2e%2fdisk.raw",
        "",
    ] {
        parcel.put("x.ovf", bare(&format!(r#"<File ovf:id="f" ovf:href="{href}"/>"#), disk));
        assert_refused(&parcel.packed(), "is no plain name of a file beside the OVF");
    }
    parcel.put("x.ovf", bare(r#"<File ovf:id="f" ovf:href="other.raw"/>"#, disk));
    assert_refused(&parcel.packed(), "is not there");
    let reference = r#"<File ovf:id="f" ovf:href="disk.raw"/>"#;
    for (files, disks, words) in [
        (reference, r#"<Disk ovf:diskId="d" ovf:fileRef="f" ovf:parentRef="e"/>"#, "parentRef"),
        (reference, r#"<Disk ovf:diskId="d" ovf:fileRef="g"/>"#, "that it does not name"),
        (reference, r#"<Disk ovf:fileRef="f"/>"#, "without diskId"),
        (reference, "", "describes no disk"),
        (r#"<File ovf:href="disk.raw"/>"#, disk, "without id"),
        (&reference.repeat(2), disk, "two files of the id"),
        (reference, &disk.repeat(2), "two disks of the diskId"),
    ] {
        parcel.put("x.ovf", bare(files, disks));
        assert_refused(&parcel.packed(), words);
    }
    parcel.put("y.ovf", "");
    assert_refused(&tar(parcel.path(), &[], &["x.ovf", "y.ovf", "disk.raw"]), "two descriptions");
}

#[test]
fn descriptions_that_cost_too_much() {
    let parcel = Parcel::new();
    let entities: String = (1..20).map(|i| format!("<!ENTITY a{i} '&a{};&a{};'>", i - 1, i - 1)).collect();
    let namespaces: String = (0..30_000).map(|i| format!("<a xmlns:b{i}='{i}'>")).collect();
    let attributes: String = (0..90_000).map(|i| format!(" a{i}=''")).collect();
    for (text, words) in [
        (format!("<!DOCTYPE a [<!ENTITY a0 'ha'>{entities}]><Envelope>&a19;</Envelope>"), "document type"),
        (
            "<!DOCTYPE Envelope [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><Envelope>&a;</Envelope>".into(),
            "document type",
        ),
        ("<!DOCTYPE Envelope SYSTEM 'http://127.0.0.1/a.dtd'><Envelope/>".into(), "document type"),
        (format!("<Envelope>{}", "<a>".repeat(300_000)), "deep"),
        (format!("<Envelope>{namespaces}"), "deep"),
        (format!("<Envelope{attributes}/>"), "attributes"),
        (format!("<Envelope>{}</Envelope>", "<a/>".repeat(200_000)), "nodes limit"),
        (format!("<Envelope>{}</Envelope>", " ".repeat(1 << 20)), "more than 1048576"),
        ("<Envelope>&a;</Envelope>".into(), "no well-formed XML"),
        ("<Envelope>".into(), "no well-formed XML"),
        ("<Other/>".into(), "instead of <Envelope>"),
        ("\0\0\0\0".into(), "no well-formed XML"),
        (String::new(), "no well-formed XML"),
    ] {
        parcel.put("x.ovf", text);
        assert_refused(&parcel.packed(), words);
    }
    let files: String = (0..1100).map(|i| format!("<File ovf:id=\"{i}\" ovf:href=\"{i}\"/>")).collect();
    parcel.put("x.ovf", bare(&files, ""));
    assert_refused(&parcel.packed(), "more than 1024 files");
    let disks: String = (0..300).map(|i| format!("<Disk ovf:diskId=\"{i}\"/>")).collect();
    parcel.put("x.ovf", bare("", &disks));
    assert_refused(&parcel.packed(), "more than 256 disks");
}

#[test]
fn a_refusal_is_a_line_that_a_terminal_may_show() {
    let parcel = Parcel::new();
    for (text, words) in [
        ("<Envelope>&\u{1b}[2J;</Envelope>".into(), "no well-formed XML"),
        ("<Envelope a\u{7}='1'/>".into(), "no well-formed XML"),
        (format!("<{}/>", "Long".repeat(200_000)), "LongLong"),
    ] {
        parcel.put("x.ovf", text);
        let refusal = refusal(&parcel.packed());
        assert!(refusal.contains(words) && refusal.len() < 1200, "{} bytes: {refusal:.200}", refusal.len());
        assert!(!refusal.chars().any(char::is_control), "{refusal:?}");
    }
}
