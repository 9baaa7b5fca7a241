//! Disks of several files, and what a descriptor may not ask for.

use std::fs;

use disk_image::{ExtentKind, ImageError, Opening, open};
use tempfile::TempDir;

use super::convert;
use crate::sample::{assert_shows, file, noise, patch, raw};

/// A text of these extents, and where the line of each begins.
fn text(lines: &[&str]) -> (String, Vec<u64>) {
    let mut text =
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n"
            .to_owned();
    let mut places = Vec::new();
    for line in lines {
        places.push(text.len() as u64);
        text += line;
        text += "\n";
    }
    (text + "\nddb.adapterType = \"ide\"\n", places)
}

struct Disk {
    directory: TempDir,
    parts: Vec<Vec<u8>>,
}

impl Disk {
    /// Two files of 4096 bytes, `one.vmdk` and `two.vmdk`.
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let parts: Vec<_> = [1, 2].into_iter().map(|seed| noise(seed, 4096)).collect();
        file(&directory, "one.vmdk", &parts[0]);
        file(&directory, "two.vmdk", &parts[1]);
        Self { directory, parts }
    }

    fn shows(&self, lines: &[&str], expected: &[u8]) {
        let path = file(&self.directory, "disk.vmdk", text(lines).0.as_bytes());
        let view = Opening::new().with_files_beside_it().open(&path).unwrap();
        assert_shows(&*view, expected);
    }

    /// The last line must be refused with these words.
    #[track_caller]
    fn refuses(&self, lines: &[&str], words: &str) {
        let (text, places) = text(lines);
        self.refuses_text(&text, "extent", *places.last().unwrap(), words);
    }

    #[track_caller]
    fn refuses_text(&self, text: &str, field: &str, at: u64, words: &str) {
        let path = file(&self.directory, "disk.vmdk", text.as_bytes());
        let error = Opening::new().with_files_beside_it().open(&path).err().expect("must be refused");
        let said = error.to_string();
        let ImageError::Refused { field: named, offset, .. } = error else { panic!("{said}") };
        assert_eq!((named, offset), (field, at), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn extents_follow_each_other() {
    let disk = Disk::new();
    let both = disk.parts.concat();
    disk.shows(&["RW 8 FLAT \"one.vmdk\" 0", "RW 8 FLAT \"two.vmdk\" 0"], &both);
    disk.shows(&["rw  8  flat  \"one.vmdk\"\t0\r", "RDONLY 8 VMFS \"two.vmdk\"\r"], &both);
    disk.shows(&["RW 4 FLAT \"one.vmdk\" 4", "RW 4 FLAT \"one.vmdk\" 0"], &[&both[2048..4096], &both[..2048]].concat());
    let zeros = [disk.parts[0].as_slice(), &[0; 1024], &disk.parts[1]].concat();
    disk.shows(
        &["RW 8 FLAT \"one.vmdk\" 0", "RW 2 ZERO", "RW 0 FLAT \"two.vmdk\" 0", "RW 8 FLAT \"two.vmdk\""],
        &zeros,
    );
    disk.shows(&["NOACCESS 2 ZERO", "RW 8 FLAT \"two.vmdk\""], &zeros[4096..]);

    let path = file(&disk.directory, "disk.vmdk", text(&["RW 16 ZERO"]).0.as_bytes());
    assert_eq!(open(&path, None).unwrap().extent_at(0).unwrap().unwrap().kind, ExtentKind::Zero);
}

#[test]
fn a_sparse_extent_that_was_rounded_up() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    convert(&source, &directory.path().join("part.vmdk"), "subformat=streamOptimized");
    let sectors = expected.len() / 512;
    let line = |sectors: usize| text(&[&format!("RW {sectors} SPARSE \"part.vmdk\"")]).0;
    let path = file(&directory, "disk.vmdk", line(sectors).as_bytes());
    let beside = || Opening::new().with_files_beside_it().open(&path);
    assert_shows(&*beside().unwrap(), &expected);
    fs::write(&path, line(sectors - 7)).unwrap();
    assert_shows(&*beside().unwrap(), &expected[..expected.len() - 7 * 512]);
    for wrong in [sectors + 1, sectors - 128] {
        fs::write(&path, line(wrong)).unwrap();
        assert!(beside().err().unwrap().to_string().contains("but its file says"), "{wrong}");
    }
    fs::write(&path, line(sectors)).unwrap();
    patch(&directory.path().join("part.vmdk"), 20, &[7]);
    let said = beside().err().unwrap().to_string();
    assert!(said.contains("extent at byte") && said.contains("grainSize at byte 20"), "{said}");
}

#[test]
fn names_of_anything_but_a_file_beside_it() {
    let disk = Disk::new();
    let outside = TempDir::new().unwrap();
    let secret = file(&outside, "secret", &[1; 4096]);
    std::os::unix::fs::symlink(&secret, disk.directory.path().join("link")).unwrap();
    fs::create_dir(disk.directory.path().join("sub")).unwrap();
    fs::write(disk.directory.path().join("sub/part"), [1; 4096]).unwrap();
    for name in [
        "/etc/passwd",
        "../one.vmdk",
        "./one.vmdk",
        "sub/part",
        "C:\\one.vmdk",
        "\\\\.\\PhysicalDrive0",
        "..",
        ".",
        "",
        "http://127.0.0.1/x",
        "nbd:127.0.0.1:1",
        "json:{}",
        "one.vmdk\u{1}",
        secret.to_str().unwrap(),
    ] {
        disk.refuses(&["RW 8 FLAT \"two.vmdk\" 0", &format!("RW 8 FLAT \"{name}\" 0")], "2 of the descriptor names");
    }
    disk.refuses(&["RW 8 FLAT \"absent.vmdk\" 0"], "must lie beside");
    disk.refuses(&["RW 8 FLAT"], "names no file");
    for name in ["link", "sub"] {
        let path = file(&disk.directory, "disk.vmdk", text(&[&format!("RW 8 FLAT \"{name}\" 0")]).0.as_bytes());
        let error = Opening::new().with_files_beside_it().open(&path).err().unwrap();
        assert!(matches!(error, ImageError::File { .. }), "{error}");
    }
    // A disk that came alone has no files beside it, whatever lies there.
    let path = file(&disk.directory, "disk.vmdk", text(&["RW 8 FLAT \"one.vmdk\" 0"]).0.as_bytes());
    assert!(open(&path, None).err().unwrap().to_string().contains("only the command line"));
}

#[test]
fn extents_that_lie() {
    let disk = Disk::new();
    disk.refuses(&["RW 9 FLAT \"one.vmdk\" 0"], "has only 4096");
    disk.refuses(&["RW 8 FLAT \"one.vmdk\" 1"], "has only 4096");
    disk.refuses(&["RW 8 FLAT \"one.vmdk\" 36028797018963968"], "has only 4096");
    disk.refuses(&["RW 8 FLAT \"one.vmdk\" 18446744073709551615"], "has only 4096");
    disk.refuses(&["RW 8 FLAT \"one.vmdk\" -1"], "no extent that is known");
    disk.refuses(&["RW -8 FLAT \"one.vmdk\" 0"], "no extent that is known");
    disk.refuses(&["RW 18446744073709551616 ZERO"], "no extent that is known");
    disk.refuses(&["RW 137438953473 ZERO"], "larger than");
    disk.refuses(&["RW 137438953472 ZERO", "RW 1 ZERO"], "larger than");
    disk.refuses(&["RW 18446744073709551615 ZERO"], "larger than");
    disk.refuses(&["RW 8 FLAT \"one.vmdk 0"], "no extent that is known");
    disk.refuses(&["RW 8 FLAT \"one.vmdk\" 0 uuid device"], "no extent that is known");
    disk.refuses(&["RW 8"], "no extent that is known");
    disk.refuses(&["RW 8 BLOCK \"one.vmdk\" 0"], "kind that is not known");
    disk.refuses(&["RW 8 VMFSRDM \"one.vmdk\""], "is a device");
    disk.refuses(&["RW 8 VMFSRAW \"one.vmdk\""], "is a device");
    disk.refuses(&["RW 8 SESPARSE \"one.vmdk\""], "snapshot");
    disk.refuses(&["RW 8 VMFSSPARSE \"one.vmdk\""], "snapshot");
    disk.refuses(&["RW 8 SPARSE \"one.vmdk\""], "no sparse extent");
    disk.refuses(&["NOACCESS 8 FLAT \"one.vmdk\" 0"], "NOACCESS");
}

#[test]
fn extents_upon_each_other() {
    let disk = Disk::new();
    disk.refuses(&["RW 8 FLAT \"one.vmdk\" 0", "RW 1 FLAT \"one.vmdk\" 7"], "another extent");
    fs::hard_link(disk.directory.path().join("one.vmdk"), disk.directory.path().join("again.vmdk")).unwrap();
    disk.refuses(&["RW 8 FLAT \"one.vmdk\" 0", "RW 8 FLAT \"again.vmdk\" 0"], "another extent");
    let padding = format!("#{}", "x".repeat(9000));
    disk.refuses(&[&padding, "RW 1 FLAT \"disk.vmdk\" 1"], "the descriptor itself");
    disk.refuses(&["RW 1 SPARSE \"disk.vmdk\""], "no sparse extent");
}

#[test]
fn what_a_descriptor_may_not_say() {
    let disk = Disk::new();
    let (good, _) = text(&["RW 8 FLAT \"one.vmdk\" 0"]);
    let with = |from: &str, to: &str| (good.replace(from, to), good.find(from).unwrap() as u64);
    for (from, to, field, words) in [
        ("parentCID=ffffffff", "parentCID=12345678", "parentCID", "stand alone"),
        ("parentCID=ffffffff", "PARENTCID = 0", "parentCID", "stand alone"),
        ("parentCID=ffffffff", "parentCID=fffffffff", "parentCID", "stand alone"),
        ("version=1", "parentFileNameHint=\"/etc/passwd\"", "parentFileNameHint", "/etc/passwd"),
        ("version=1", "encryption.keySafe = \"vmware:key/list\"", "encryption", "decrypt"),
        ("createType=\"twoGbMaxExtentFlat\"", "createType=\"fullDevice\"", "createType", "fullDevice"),
        ("createType=\"twoGbMaxExtentFlat\"", "createType=\"partitionedDevice\"", "createType", "partitioned"),
        ("createType=\"twoGbMaxExtentFlat\"", "createType=\"custom\"", "createType", "custom"),
        ("createType=\"twoGbMaxExtentFlat\"", "createType=\"vmfsRDM\"", "createType", "vmfsRDM"),
        ("createType=\"twoGbMaxExtentFlat\"", "createType=\"seSparse\"", "createType", "seSparse"),
        ("version=1", "RWX 8 FLAT \"one.vmdk\" 0", "descriptor", "nothing known"),
    ] {
        let (text, at) = with(from, to);
        disk.refuses_text(&text, field, at, words);
    }
    disk.refuses_text("# Disk DescriptorFile\nversion=1\n", "descriptor", 0, "names no extent");
    disk.refuses_text(&(good.clone() + &"#\n".repeat(1 << 19)), "descriptor", 0, "1 MiB");
    let many = text(&["RW 1 ZERO"; 4097]);
    disk.refuses_text(&many.0, "extent", many.1[0], "at most 4096");
    let path = file(&disk.directory, "disk.vmdk", text(&["RW 1 ZERO"; 4096]).0.as_bytes());
    assert_eq!(open(&path, None).unwrap().size(), 4096 * 512);
}
