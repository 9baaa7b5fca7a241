//! Archives and directories with the description of a machine and its disks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use disk_image::{ExtentKind, ImageFormat, Opening};
use tempfile::TempDir;

use super::{
    assert_refused, fact,
    flavours::{bare, draft, virtualbox, vmware},
    open, packed, run, tar,
};
use crate::{
    qemu::{convert, qemu_img},
    sample::{SIZE, assert_shows, file, noise, raw},
};

/// A directory with a disk of [`SIZE`] bytes in several formats.
struct Shelf {
    directory: TempDir,
    content: Vec<u8>,
}

impl Shelf {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let source = raw(&directory);
        let content = fs::read(&source).unwrap();
        convert(&source, &directory.path().join("disk.qcow2"), &["-c"], "cluster_size=65536");
        Self { directory, content }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        file(&self.directory, name, content.as_ref())
    }

    fn vmdk(&self, subformat: &str) {
        let names = [self.path().join("sample.raw"), self.path().join("disk.vmdk")];
        let [source, target] = names.each_ref().map(|path| path.to_str().unwrap());
        let options = format!("subformat={subformat}");
        qemu_img(["convert", "-f", "raw", "-O", "vmdk", "-o", &options, source, target]);
    }

    /// `x.mf` for these files.
    fn manifest(&self, program: &str, algorithm: &str, names: &[&str]) {
        let sum = |name: &&str| {
            let said = String::from_utf8(run(self.path(), program, [*name])).unwrap();
            format!("{algorithm}({name})= {}\n", said.split(' ').next().unwrap())
        };
        self.put("x.mf", names.iter().map(sum).collect::<String>());
    }
}

const ONE_FILE: &str = r#"<File ovf:id="f" ovf:href="disk.qcow2"/>"#;
const ONE_DISK: &str = r#"<Disk ovf:diskId="d" ovf:fileRef="f"/>"#;

#[test]
fn stream_optimized_disks_of_all_flavours() {
    let shelf = Shelf::new();
    shelf.vmdk("streamOptimized");
    for text in [
        vmware(&[("disk.vmdk", 5)]),
        virtualbox(1, "disk.vmdk", SIZE),
        virtualbox(2, "disk.vmdk", SIZE),
        draft("disk.vmdk"),
    ] {
        shelf.put("x.ovf", text);
        for format in ["--format=ustar", "--format=gnu", "--format=pax"] {
            let view = open(&tar(shelf.path(), &[format], &["x.ovf", "disk.vmdk"]));
            assert_shows(&*view, &shelf.content);
            assert_eq!(view.format(), ImageFormat::Vmdk);
        }
    }
}

#[test]
fn a_disk_of_any_format() {
    let shelf = Shelf::new();
    shelf.put("x.ovf", virtualbox(1, "disk.qcow2", SIZE));
    let view = open(&tar(shelf.path(), &[], &["x.ovf", "disk.qcow2"]));
    assert_shows(&*view, &shelf.content);
    assert_eq!(view.warnings(), Vec::<String>::new());
    let names: Vec<_> = view.facts().iter().map(|fact| fact.name).collect();
    assert_eq!(names[..3], ["container", "machine", "disk"]);
    assert_eq!(fact(&*view, "machine").as_deref(), Some("box"));

    shelf.put("x.ovf", virtualbox(2, "sample.raw", SIZE));
    let view = open(&tar(shelf.path(), &[], &["x.ovf", "sample.raw"]));
    assert_shows(&*view, &shelf.content);
    assert_eq!(view.format(), ImageFormat::Raw);
    let declared = Opening::new().declared(Some(ImageFormat::Qcow2)).open(&shelf.path().join("packed.ova")).err();
    assert!(declared.unwrap().to_string().contains("declared as qcow2"));
}

#[test]
fn names_in_subdirectories_and_long_or_odd_names() {
    let shelf = Shelf::new();
    shelf.put("x.ovf", virtualbox(1, "disk.qcow2", SIZE));
    for names in [["./x.ovf", "./disk.qcow2"], ["disk.qcow2", "x.ovf"]] {
        let view = open(&tar(shelf.path(), &[], &names));
        assert_shows(&*view, &shelf.content);
        assert_eq!(view.warnings().len(), usize::from(names[0] == "disk.qcow2"), "the order is warned of");
    }
    let long = format!("{} with spaces.qcow2", "long".repeat(40));
    fs::create_dir(shelf.path().join("inner")).unwrap();
    fs::copy(shelf.path().join("disk.qcow2"), shelf.path().join("inner").join(&long)).unwrap();
    for href in [long.clone(), long.replace(' ', "%20")] {
        shelf.put("inner/x.ovf", virtualbox(1, &href, SIZE));
        for format in ["--format=gnu", "--format=pax"] {
            assert_shows(&*open(&tar(shelf.path(), &[format], &["inner"])), &shelf.content);
        }
    }
}

#[test]
fn one_of_several_disks_is_chosen() {
    let shelf = Shelf::new();
    let second = noise(9, 5120);
    shelf.put("second.raw", &second);
    shelf.put("x.ovf", vmware(&[("disk.qcow2", 5), ("second.raw", 1)]));
    let path = tar(shelf.path(), &[], &["x.ovf", "disk.qcow2", "second.raw"]);
    assert_refused(&path, r#"describes 2 disks: say which one is meant: ["disk.qcow2", "second.raw"]"#);
    for (name, content) in [("disk.qcow2", &shelf.content), ("second.raw", &second), ("vmdisk1", &second)] {
        let view = Opening::new().disk(Some(name)).open(&path).unwrap();
        assert_shows(&*view, content);
        assert!(view.warnings().concat().contains("the OVF says that the disk has"), "{:?}", view.warnings());
    }
    let error = Opening::new().disk(Some("x.ovf")).open(&path).err().unwrap().to_string();
    assert!(error.contains(r#"no disk "x.ovf", but ["disk.qcow2""#), "{error}");
}

#[test]
fn a_disk_without_a_file_is_empty() {
    let shelf = Shelf::new();
    let disk = r#"<Disk ovf:diskId="d" ovf:capacity="3" ovf:capacityAllocationUnits="byte * 2^40"/>"#;
    shelf.put("x.ovf", bare("", disk));
    let view = open(&tar(shelf.path(), &[], &["x.ovf"]));
    assert_eq!((view.size(), view.format()), (3 << 40, ImageFormat::Raw));
    let extent = view.extent_at(4096).unwrap().unwrap();
    assert_eq!((extent.kind, extent.length), (ExtentKind::Absent, (3 << 40) - 4096));
    let mut bytes = [1; 512];
    view.read_at((3 << 40) - 512, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 512]);
    view.read_at((3 << 40) - 511, &mut bytes).unwrap_err();
    shelf.put("x.ovf", bare("", r#"<Disk ovf:diskId="d" ovf:capacity="${size}"/>"#));
    assert_refused(&tar(shelf.path(), &[], &["x.ovf"]), "has no file and no size");
}

#[test]
fn compressed_and_cut_disks() {
    let shelf = Shelf::new();
    let gzip = fs::read(packed(&shelf.path().join("disk.qcow2"), &["gzip"])).unwrap();
    shelf.put("disk.qcow2.gz", &gzip);
    let length = gzip.len();
    for href in ["disk.qcow2.gz", "parts"] {
        let mut names = vec!["x.ovf".to_owned()];
        let chunk = if href == "parts" {
            for (number, part) in gzip.chunks(length / 3).enumerate() {
                names.push(format!("parts.{number:09}"));
                shelf.put(&names[number + 1], part);
            }
            format!("ovf:chunkSize=\"{}\"", length / 3)
        } else {
            names.push(href.to_owned());
            String::new()
        };
        let reference = format!(r#"<File ovf:id="f" ovf:href="{href}" ovf:compression="gzip" {chunk}/>"#);
        shelf.put("x.ovf", bare(&reference, ONE_DISK));
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let path = tar(shelf.path(), &[], &names);
        let view = open(&path);
        assert_shows(&*view, &shelf.content);
        assert_eq!(fact(&*view, "compressed-with").as_deref(), Some("gzip"));
        // All of it compressed once more.
        assert_shows(&*open(&packed(&path, &["xz", "-1"])), &shelf.content);
    }
    let reference =
        format!(r#"<File ovf:id="f" ovf:href="parts" ovf:size="{length}" ovf:chunkSize="{}"/>"#, length / 3);
    shelf.put("x.ovf", bare(&reference, ONE_DISK));
    assert_refused(&tar(shelf.path(), &[], &["x.ovf", "parts.000000000", "parts.000000001"]), "some are missing");
    assert_refused(&tar(shelf.path(), &[], &["x.ovf", "parts.000000001", "parts.000000002"]), "is not there");
    let swapped = ["--transform=s/parts.000000003/parts.000000001/", "x.ovf", "parts.000000000", "parts.000000003"];
    assert_refused(&tar(shelf.path(), &[], &swapped), "some are missing");
}

#[test]
fn a_manifest_is_held_against_the_files() {
    let shelf = Shelf::new();
    shelf.put("x.ovf", bare(ONE_FILE, ONE_DISK));
    let all = ["x.ovf", "disk.qcow2"];
    for (program, algorithm) in [("sha256sum", "SHA256"), ("sha512sum", "SHA512")] {
        shelf.manifest(program, algorithm, &all);
        let good = open(&tar(shelf.path(), &[], &["x.ovf", "x.mf", "disk.qcow2"]));
        assert_eq!(fact(&*good, "manifest").as_deref(), Some(algorithm));
        assert_eq!((good.warnings(), good.damage(9).unwrap()), (Vec::new(), Vec::new()));
        assert_shows(&*good, &shelf.content);
    }
    let text = fs::read_to_string(shelf.path().join("x.mf")).unwrap();
    for (line, file) in ["x.ovf", "disk.qcow2"].into_iter().enumerate() {
        let wrong: String =
            text.lines()
                .enumerate()
                .map(|(number, content)| {
                    if number == line {
                        format!("SHA512({file})= {}\n", "0".repeat(128))
                    } else {
                        format!("{content}\n")
                    }
                })
                .collect();
        shelf.put("x.mf", wrong);
        let path = tar(shelf.path(), &[], &["x.ovf", "x.mf", "disk.qcow2"]);
        assert_refused(&path, &format!("for {file:?}, which has"));
    }
    shelf.manifest("sha1sum", "SHA1", &all);
    shelf.put("x.cert", "SHA1(x.mf)= 00");
    let old = open(&tar(shelf.path(), &[], &["x.ovf", "x.mf", "x.cert", "disk.qcow2"]));
    assert_eq!(fact(&*old, "manifest").as_deref(), Some("SHA1 (not verified)"));
    assert_eq!(fact(&*old, "certificate").as_deref(), Some("x.cert (not verified)"));
    shelf.manifest("sha256sum", "SHA256", &["x.ovf"]);
    let without = open(&tar(shelf.path(), &[], &["x.ovf", "x.mf", "disk.qcow2"]));
    assert_eq!(without.warnings(), ["the manifest does not have the disk's file"]);
}

#[test]
fn a_large_disk_is_held_against_the_manifest_when_asked() {
    let shelf = Shelf::new();
    let large = fs::File::create(shelf.path().join("disk.raw")).unwrap();
    large.set_len((64 << 20) + 512).unwrap();
    shelf.put("x.ovf", bare(r#"<File ovf:id="f" ovf:href="disk.raw"/>"#, ONE_DISK));
    shelf.manifest("sha256sum", "SHA256", &["x.ovf"]);
    let text = fs::read_to_string(shelf.path().join("x.mf")).unwrap();
    shelf.put("x.mf", format!("{text}SHA256(disk.raw)= {}\n", "a".repeat(64)));
    let view = open(&tar(shelf.path(), &[], &["x.ovf", "x.mf", "disk.raw"]));
    let damage = view.damage(9).unwrap();
    assert!(damage.len() == 1 && damage[0].contains("the manifest has SHA256 aaaa"), "{damage:?}");
    assert!(view.damage(0).unwrap().is_empty());
}

#[test]
fn a_description_with_its_files_beside_it() {
    let shelf = Shelf::new();
    let path = shelf.put("x.ovf", vmware(&[("disk.qcow2", 5)]));
    assert_refused(&path, "files beside the OVF were not allowed");
    let opening = || Opening::new().with_files_beside_it();
    assert_shows(&*opening().open(&path).unwrap(), &shelf.content);
    shelf.manifest("sha256sum", "SHA256", &["x.ovf", "disk.qcow2"]);
    assert_eq!(fact(&*opening().open(&path).unwrap(), "manifest").as_deref(), Some("SHA256"));
    shelf.put("x.ovf", vmware(&[("disk.qcow2", 6)]));
    let error = opening().open(&path).err().unwrap().to_string();
    assert!(error.contains("for \"x.ovf\", which has"), "{error}");

    fs::remove_file(shelf.path().join("x.mf")).unwrap();
    fs::rename(shelf.path().join("disk.qcow2"), shelf.path().join("elsewhere")).unwrap();
    let error = opening().open(&path).err().unwrap().to_string();
    assert!(error.contains("is not there; put it beside the OVF"), "{error}");
    std::os::unix::fs::symlink("elsewhere", shelf.path().join("disk.qcow2")).unwrap();
    assert!(opening().open(&path).is_err(), "a link is not followed");
}

#[test]
fn an_archive_of_disks_alone() {
    let shelf = Shelf::new();
    shelf.put("readme.txt", "words");
    for names in [&["readme.txt", "disk.qcow2"][..], &["sample.raw", "readme.txt"], &["sample.raw"]] {
        let path = tar(shelf.path(), &[], names);
        let view = open(&path);
        assert_shows(&*view, &shelf.content);
        assert_eq!(fact(&*view, "container").as_deref(), Some("tar"));
        assert_shows(&*open(&packed(&path, &["gzip", "-1"])), &shelf.content);
    }
    fs::copy(shelf.path().join("disk.qcow2"), shelf.path().join("other.qcow2")).unwrap();
    let path = tar(shelf.path(), &[], &["disk.qcow2", "other.qcow2", "sample.raw"]);
    assert_refused(&path, r#"2 files that may be meant; say which: ["disk.qcow2", "other.qcow2"]"#);
    for name in ["other.qcow2", "sample.raw"] {
        assert_shows(&*Opening::new().disk(Some(name)).open(&path).unwrap(), &shelf.content);
    }
    assert!(Opening::new().disk(Some("nothing")).open(&path).is_err());
    shelf.put("other.txt", "more words");
    assert_refused(&tar(shelf.path(), &[], &["readme.txt", "other.txt"]), "2 files that may be meant");
}

#[test]
fn a_disk_in_parts_within_an_archive() {
    let shelf = Shelf::new();
    for subformat in ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"] {
        shelf.vmdk(subformat);
        let names = fs::read_dir(shelf.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let parts: Vec<_> = names.filter(|name| name.ends_with(".vmdk")).collect();
        assert!(parts.len() >= 2, "{parts:?}");
        let names: Vec<_> = parts.iter().map(String::as_str).collect();
        assert_shows(&*open(&tar(shelf.path(), &[], &names)), &shelf.content);
        for part in parts {
            fs::remove_file(shelf.path().join(part)).unwrap();
        }
    }
}
