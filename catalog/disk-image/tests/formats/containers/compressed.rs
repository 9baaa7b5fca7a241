//! Compressed files that are whole, and those that are not.

use std::{fs, path::PathBuf, sync::Mutex};

use disk_image::{ExtentKind, ImageError, ImageFormat, ImageReader, Opening};
use tempfile::TempDir;

use super::{assert_refused, fact, joined, open, packed, refusal};
use crate::{
    qemu::convert,
    sample::{assert_shows, file, noise, raw},
};

const TOOLS: [(&str, &[&str]); 12] = [
    ("gzip", &["gzip"]),
    ("gzip", &["gzip", "-1n"]),
    ("gzip", &["gzip", "-9"]),
    ("xz", &["xz", "-1"]),
    ("xz", &["xz", "-9"]),
    ("xz", &["xz", "-2", "-T2", "--block-size=1MiB", "-C", "sha256"]),
    ("xz", &["xz", "-1", "--x86", "--lzma2", "-C", "none"]),
    ("zstd", &["zstd", "-q"]),
    ("zstd", &["zstd", "-q", "-12", "--long=26", "--no-check"]),
    ("zstd", &["zstd", "-q", "--format=zstd", "-T2", "-B1MiB"]),
    ("bzip2", &["bzip2", "-1"]),
    ("bzip2", &["bzip2", "-9"]),
];

fn one_of_each() -> [(&'static str, &'static [&'static str]); 4] {
    [TOOLS[0], TOOLS[3], TOOLS[7], TOOLS[10]]
}

#[test]
fn what_every_program_makes_is_read() {
    let directory = TempDir::new().unwrap();
    let content = raw(&directory);
    let expected = fs::read(&content).unwrap();
    for (name, tool) in TOOLS {
        let view = open(&packed(&content, tool));
        assert_shows(&*view, &expected);
        assert_eq!((view.format(), fact(&*view, "compressed-with").as_deref()), (ImageFormat::Raw, Some(name)));
        assert_eq!(view.facts()[0].name, "compressed-with");
        assert_eq!((view.warnings(), view.damage(9).unwrap()), (Vec::new(), Vec::new()), "{tool:?}");
    }
}

#[test]
fn what_was_in_it_has_a_format_of_its_own() {
    let directory = TempDir::new().unwrap();
    let content = raw(&directory);
    let expected = fs::read(&content).unwrap();
    let qcow2 = directory.path().join("image.qcow2");
    convert(&content, &qcow2, &["-c"], "cluster_size=4096");
    for (_, tool) in one_of_each() {
        let path = packed(&qcow2, tool);
        let view = open(&path);
        assert_shows(&*view, &expected);
        assert_eq!(view.format(), ImageFormat::Qcow2);

        Opening::new().declared(Some(ImageFormat::Qcow2)).open(&path).unwrap();
        let declared = Opening::new().declared(Some(ImageFormat::Raw)).open(&path).unwrap();
        assert_eq!(declared.size(), fs::metadata(&path).unwrap().len().next_multiple_of(512), "raw is never unpacked");
        let wrong = Opening::new().declared(Some(ImageFormat::Vhdx)).open(&path).err().unwrap();
        assert!(matches!(wrong, ImageError::NotAsDeclared { .. }), "{wrong}");
    }
    // Twice, and more often than anybody means it.
    let mut path = packed(&qcow2, TOOLS[0].1);
    for (depth, (_, tool)) in one_of_each().into_iter().enumerate() {
        let outer = packed(&path, tool);
        path = directory.path().join(format!("wrapped-{depth}"));
        fs::rename(outer, &path).unwrap();
        if depth < 2 {
            assert_shows(&*open(&path), &expected);
        } else {
            assert_refused(&path, "more than 3 containers");
        }
    }
}

#[test]
fn streams_behind_each_other_are_one() {
    let directory = TempDir::new().unwrap();
    let parts = [noise(1, 70_000), vec![0; 50_000], b"line\n".repeat(20_000), Vec::new(), noise(2, 1600)];
    let mut expected = parts.concat();
    expected.resize(expected.len().next_multiple_of(512), 0);
    for (name, tool) in TOOLS {
        let streams = parts.iter().map(|part| fs::read(packed(&file(&directory, "part", part), tool)).unwrap());
        let streams: Vec<_> = streams.collect();
        let path = joined(&directory, "all", &streams.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_shows(&*open(&path), &expected);
        if name == "zstd" {
            let skip: &[u8] = b"\x50\x2a\x4d\x18\x05\0\0\0other";
            let with_frames_to_skip = [skip, &streams[0], skip, skip, &streams[1..].concat(), skip];
            assert_shows(&*open(&joined(&directory, "skip", &with_frames_to_skip)), &expected);
        }
    }
}

#[test]
fn zeros_take_no_room() {
    let directory = TempDir::new().unwrap();
    let mut content = vec![0; 8 << 20];
    content[5 << 20..][..5000].fill(1);
    let path = file(&directory, "content", &content);
    for (name, tool) in one_of_each() {
        let view = open(&packed(&path, tool));
        let extent = view.extent_at(0).unwrap().unwrap();
        assert_eq!((extent.kind, extent.length), (ExtentKind::Absent, 5 << 20), "{name}");
        assert_shows(&*view, &content);
    }
}

#[test]
fn what_stands_behind_the_end_is_taken_as_the_programs_do() {
    let directory = TempDir::new().unwrap();
    let content = noise(3, 100 * 512);
    let path = file(&directory, "content", &content);
    for (name, tool) in one_of_each() {
        let bytes = fs::read(packed(&path, tool)).unwrap();
        for (behind, ignored) in [
            (&[0; 1024][..], name != "zstd"),
            (b"other", !matches!(name, "xz" | "zstd")),
            (&[0, 0, 0, 0, 1], name == "gzip" || name == "bzip2"),
        ] {
            let path = joined(&directory, "behind", &[&bytes, behind]);
            if !ignored {
                assert_refused(&path, &format!("{name} file refused: is damaged"));
                continue;
            }
            let view = open(&path);
            assert_shows(&*view, &content);
            let warnings = view.warnings().concat();
            if behind.iter().all(|byte| *byte == 0) {
                assert_eq!(warnings, "");
            } else {
                assert_eq!(warnings, format!("5 bytes behind the end of the {name} data were ignored"));
            }
        }
        // The beginning of another stream is not.
        let path = joined(&directory, "behind", &[&bytes, &bytes[..7]]);
        assert_refused(&path, "file refused: is damaged");
    }
}

/// A place to unpack in, and a way to see that nothing was left there.
struct Spool(TempDir);

impl Spool {
    fn opening(&self, most: u64) -> Opening<'static> {
        Opening::new().unpacked_in(self.0.path(), most)
    }

    #[track_caller]
    fn assert_empty(&self) {
        assert_eq!(fs::read_dir(self.0.path()).unwrap().count(), 0);
    }
}

#[test]
fn what_was_cut_off_or_changed_is_refused() {
    let directory = TempDir::new().unwrap();
    let spool = Spool(TempDir::new().unwrap());
    let content = [noise(4, 3000), b"line\n".repeat(3000), noise(5, 3000)].concat();
    let path = file(&directory, "content", &content);
    for (name, tool) in one_of_each() {
        let bytes = fs::read(packed(&path, tool)).unwrap();
        let lengths = (4..20).chain((20..bytes.len()).step_by(499)).chain(bytes.len() - 9..bytes.len());
        for length in lengths.filter(|length| *length >= 6 || name != "xz") {
            let cut = file(&directory, "cut", &bytes[..length]);
            let error = spool.opening(1 << 30).open(&cut).err();
            assert!(matches!(error, Some(ImageError::Container { .. })), "{tool:?} cut to {length}: {error:?}");
        }
        for at in (60..bytes.len()).step_by(599) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            let error = spool.opening(1 << 30).open(&file(&directory, "changed", &changed)).err();
            assert!(matches!(error, Some(ImageError::Container { .. })), "{tool:?} changed at {at}: {error:?}");
        }
    }
    spool.assert_empty();
}

/// Packs quickly.
fn mostly_text(length: usize) -> Vec<u8> {
    let mut bytes = noise(6, 100_000);
    bytes.extend(b"some line\n".iter().cycle().take(length - bytes.len()));
    bytes
}

#[test]
fn nothing_is_left_and_nothing_beyond_the_limit_is_kept() {
    let directory = TempDir::new().unwrap();
    let spool = Spool(TempDir::new().unwrap());
    let path = file(&directory, "content", &mostly_text(3 << 20));
    for (name, tool) in one_of_each() {
        let packed = packed(&path, tool);
        let view = spool.opening(3 << 20).open(&packed).unwrap();
        spool.assert_empty();
        view.read_at(0, &mut [0; 512]).unwrap();
        let error = spool.opening((3 << 20) - 1).open(&packed).err().unwrap().to_string();
        let expected = "unpacks to more than the 3145727 bytes that are allowed here";
        assert_eq!(error, format!("{name} file refused: {expected}"));
        let nowhere = Opening::new().unpacked_in(directory.path().join("nowhere"), 1 << 30).open(&packed).err();
        assert!(matches!(nowhere, Some(ImageError::File { .. })), "{nowhere:?}");
    }
    spool.assert_empty();
}

#[test]
fn somebody_may_watch_and_stop_it() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "content", &mostly_text(3 << 20));
    for (name, tool) in one_of_each() {
        let packed = packed(&path, tool);
        let length = fs::metadata(&packed).unwrap().len();
        let told = Mutex::new(Vec::new());
        let watch = |done, all| {
            assert_eq!(all, length);
            told.lock().unwrap().push(done);
            true
        };
        let opened: Box<dyn ImageReader> = Opening::new().watched(&watch).open(&packed).unwrap();
        assert_eq!(opened.size(), 3 << 20);
        let told = told.into_inner().unwrap();
        assert!(told.is_sorted() && told.len() >= 3 && told.last() == Some(&length), "{name}: {told:?} of {length}");

        let stopped = Opening::new().watched(&|_, _| false).open(&packed).err();
        assert!(matches!(stopped, Some(ImageError::Cancelled)), "{stopped:?}");
    }
}

#[test]
fn memory_is_not_taken_on_demand() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "content", &noise(8, 4096));
    let small: PathBuf = packed(&path, &["xz", "--lzma2=preset=1,dict=64MiB"]);
    open(&small);
    assert_refused(&packed(&path, &["xz", "--lzma2=preset=1,dict=128MiB"]), "memory limit");
    // Magic, a descriptor that promises nothing, the window, and one last block that repeats one byte 512 times.
    for (window, allowed) in [(16 << 3, true), (17 << 3, false), (21 << 3, false)] {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, window, 0x03, 0x10, 0x00, 0x41];
        let path = file(&directory, "window", &frame);
        if allowed {
            assert_shows(&*open(&path), &[0x41; 512]);
        } else {
            let refusal = refusal(&path);
            assert!(refusal.contains("memory"), "{refusal}");
        }
    }
}
