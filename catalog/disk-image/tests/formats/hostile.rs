//! Images that lie, point elsewhere or blow up. Each is refused by name of the field, within little memory.

use std::{env, fs, io::Write, path::PathBuf, process::Command, sync::OnceLock};

use disk_image::{
    ExtentKind, ImageError, ImageFormat, Opening, content_digest, open,
    qcow2::{OverlaySpec, create_overlay},
};
use flate2::{Compression, write::DeflateEncoder};
use tempfile::TempDir;

use crate::{
    qemu::{convert, create, qemu_img, qemu_io},
    sample::{file, patch},
};

const L1: u64 = 40;
const COMPRESSED: u64 = 1 << 62;

/// A qcow2 of 64 KiB clusters over 2 GiB, with some data, to be spoilt.
struct Victim {
    directory: TempDir,
    path: PathBuf,
}

impl Victim {
    fn new() -> Self {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("victim.qcow2");
        let bytes = BYTES.get_or_init(|| {
            create(&path, "cluster_size=65536", "2G");
            qemu_io(&path, &["write -P 1 0 256k", "write -P 2 1G 64k"]);
            fs::read(&path).unwrap()
        });
        fs::write(&path, bytes).unwrap();
        Self { directory, path }
    }

    fn read64(&self, at: u64) -> u64 {
        let bytes = fs::read(&self.path).unwrap();
        u64::from_be_bytes(bytes[at as usize..at as usize + 8].try_into().unwrap())
    }

    fn l1(&self) -> u64 {
        self.read64(L1)
    }

    /// Where the first L2 table stands.
    fn l2(&self) -> u64 {
        self.read64(self.l1()) & 0x00ff_ffff_ffff_fe00
    }

    fn set32(self, at: u64, value: u32) -> Self {
        patch(&self.path, at, &value.to_be_bytes());
        self
    }

    fn set64(self, at: u64, value: u64) -> Self {
        patch(&self.path, at, &value.to_be_bytes());
        self
    }

    /// The refusal when it is opened.
    #[track_caller]
    fn refused(&self, field: &str, at: u64, words: &str) {
        let error = open(&self.path, None).err().expect("must be refused");
        let text = error.to_string();
        let ImageError::Refused { field: named, offset, .. } = error else { panic!("{text}") };
        assert_eq!((named, offset), (field, at), "{text}");
        assert!(text.contains(words), "{text}");
    }
}

/// Runs all tests of [`refusals`] once more, in a process that may not have more than 192 MiB of addresses.
#[test]
fn refusals_need_little_memory() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -S -v 196608; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["hostile::refusals::", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("refusals::") && !said.contains("running 0 tests"), "{said}");
}

/// Not among those that run twice: QEMU takes its time to derive a key.
#[test]
fn an_image_that_qemu_encrypted() {
    let victim = Victim::new();
    let luks = victim.directory.path().join("luks.qcow2");
    let secret = "secret,id=s,data=123456";
    let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    let text = luks.to_str().unwrap();
    qemu_img(["create", "-q", "--object", secret, "-f", "qcow2", "-o", options, text, "1M"]);
    Victim { path: luks, ..victim }.refused("crypt_method", 32, "encrypted");
}

mod refusals {
    use super::*;

    #[test]
    fn what_points_out_of_the_image() {
        Victim::new().set64(8, 512).set32(16, 11).refused("backing_file_offset", 8, "flatten");
        Victim::new().set64(72, 1 << 2).refused("incompatible_features", 72, "external data file");
        let extension = Victim::new().set32(112, 0x4441_5441).set32(116, 11);
        extension.refused("data file name extension", 112, "another file");
    }

    #[test]
    fn an_overlay_of_our_own() {
        let victim = Victim::new();
        let base = file(&victim.directory, "base", &[0; 512]);
        let path = victim.directory.path().join("overlay");
        let backing_format = ImageFormat::Raw;
        create_overlay(&OverlaySpec { path: &path, backing: &base, backing_format, virtual_size: 512 }).unwrap();
        Victim { path, ..victim }.refused("backing_file_offset", 8, "alone");
    }

    #[test]
    fn encryption() {
        Victim::new().set32(32, 1).refused("crypt_method", 32, "encrypted");
        Victim::new().set32(112, 0x0537_be77).set32(116, 16).refused("encryption header extension", 112, "encrypted");
    }

    #[test]
    fn unknown_or_wrong_features() {
        Victim::new().set64(72, 1 << 5).refused("incompatible_features", 72, "0x20");
        Victim::new().set64(72, 1 << 63).refused("incompatible_features", 72, "unknown");
        Victim::new().set64(72, 1 << 3).refused("compression_type", 104, "against");
        Victim::new().set32(104, 0x0100_0000).refused("compression_type", 104, "against");
        Victim::new().set64(72, 1 << 3).set32(104, 0x0200_0000).refused("compression_type", 104, "unknown");
        Victim::new().set32(96, 7).refused("refcount_order", 96, "more than 6");
        Victim::new().set32(100, 96).refused("header_length", 100, "96");
        Victim::new().set32(100, 105).refused("header_length", 100, "multiple of 8");
        Victim::new().set32(100, 0xffff_fff8).refused("header_length", 100, "more than a cluster");
        Victim::new().set32(116, 0xffff_ffff).refused("header extension length", 116, "beyond");
    }

    #[test]
    fn impossible_sizes() {
        Victim::new().set32(20, 8).refused("cluster_bits", 20, "is 8");
        Victim::new().set32(20, 22).refused("cluster_bits", 20, "is 22");
        Victim::new().set32(20, u32::MAX).refused("cluster_bits", 20, "not 9 to 21");
        Victim::new().set32(20, 13).set64(72, 1 << 4).refused("cluster_bits", 20, "not 14 to 21");
        Victim::new().set64(24, u64::MAX).refused("size", 24, "at most");
        Victim::new().set64(24, 8 << 60).refused("size", 24, "at most");
        Victim::new().set64(24, 513).refused("size", 24, "not a multiple of 512");
        Victim::new().set64(24, 64 << 40).refused("l1_size", 36, "needs");
        Victim::new().set32(36, u32::MAX).refused("l1_size", 36, "32 MiB");
        Victim::new().set32(36, 1).refused("l1_size", 36, "needs 4 entries");
    }

    #[test]
    fn tables_out_of_the_file() {
        let victim = Victim::new();
        let length = fs::metadata(&victim.path).unwrap().len().next_multiple_of(65536);
        victim.set64(L1, length).refused("l1_table_offset", L1, "out of the file");
        Victim::new().set64(L1, 0).refused("l1_table_offset", L1, "behind the header");
        Victim::new().set64(L1, 0x30008).refused("l1_table_offset", L1, "beginning");
        Victim::new().set64(L1, u64::MAX << 16).refused("l1_table_offset", L1, "out of the file");
        Victim::new().set64(48, 0x10001).refused("refcount_table_offset", 48, "beginning");
        Victim::new().set64(48, u64::MAX << 16).refused("refcount_table_offset", 48, "out of the file");
        Victim::new().set32(56, u32::MAX).refused("refcount_table_clusters", 56, "8 MiB");

        let victim = Victim::new();
        let l1 = victim.l1();
        victim.set64(l1, length).refused("L1 entry", l1, "out of the file");
        Victim::new().set64(l1, 0x00ff_ffff_ffff_0000).refused("L1 entry", l1, "out of the file");
        Victim::new().set64(l1, 0x10200).refused("L1 entry", l1, "beginning");
    }

    #[test]
    fn tables_upon_tables() {
        let victim = Victim::new();
        let (l1, l2) = (victim.l1(), victim.l2());
        victim.set64(l1, l1).refused("L1 entry", l1, "own tables");
        Victim::new().set64(l1, 0x10000).refused("L1 entry", l1, "own tables");
        Victim::new().set64(l1 + 8, l2).refused("L1 entry", l1 + 8, "another entry");
        for inner in [l1, l2, 0x10000] {
            Victim::new().set64(l2 + 16, inner).refused("L2 entry", l2 + 16, "own tables");
        }
        Victim::new().set64(l2, COMPRESSED | 80).refused("L2 entry", l2, "own tables");
    }

    #[test]
    fn refcounts_upon_other_tables() {
        let victim = Victim::new();
        let (table, l1, l2) = (victim.read64(48), victim.l1(), victim.l2());
        let block = victim.read64(table);
        let length = fs::metadata(&victim.path).unwrap().len().next_multiple_of(65536);
        victim.set64(table, table).refused("refcount table entry", table, "own tables");
        Victim::new().set64(table + 8, block).refused("refcount table entry", table + 8, "another entry");
        Victim::new().set64(table, l1).refused("refcount table entry", table, "own tables");
        Victim::new().set64(table, length).refused("refcount table entry", table, "out of the file");
        Victim::new().set64(table, block + 512).refused("refcount table entry", table, "beginning");
        Victim::new().set64(table, l2).refused("L1 entry", l1, "own tables");
        Victim::new().set64(48, l1).refused("l1_table_offset", 40, "another of the image's own tables");
        Victim::new().set64(48, length).refused("refcount_table_offset", 48, "out of the file");
        Victim::new().set64(l2, block).refused("L2 entry", l2, "own tables");
    }

    /// With a snapshot, and where the snapshots' table stands.
    fn with_snapshots() -> (Victim, u64) {
        let victim = Victim::new();
        for name in ["first", "second"] {
            qemu_img(["snapshot", "-c", name, victim.path.to_str().unwrap()]);
        }
        let table = victim.read64(64);
        (victim, table)
    }

    #[test]
    fn snapshots_that_lie() {
        let (victim, table) = with_snapshots();
        let (l1, bytes) = (victim.l1(), fs::read(&victim.path).unwrap());
        let length = (bytes.len() as u64).next_multiple_of(65536);
        let entry = bytes[table as usize + 12..table as usize + 16].iter().fold(0, |sum, byte| sum + u64::from(*byte));
        let second = table + (40 + 24 + entry).next_multiple_of(8);
        let spoilt = |at: u64, value: &[u8]| {
            let victim = Victim::new();
            fs::write(&victim.path, &bytes).unwrap();
            patch(&victim.path, at, value);
            victim
        };
        open(&spoilt(0, b"QFI").path, None).unwrap();
        for (at, value, field, place, words) in [
            (60, 65537, "nb_snapshots", 60, "more than 65536"),
            (60, 65536, "snapshot l1_table_offset", 0, ""),
            (table + 8, u32::MAX, "snapshot l1_size", table + 8, "32 MiB"),
            (table + 8, 4 << 20, "snapshot l1_table_offset", table, "out of the file"),
            (table + 36, 1025, "snapshot extra_data_size", table + 36, "more than 1024"),
            (second + 36, u32::MAX, "snapshot extra_data_size", second + 36, "more than 1024"),
        ] {
            let victim = spoilt(at, &value.to_be_bytes());
            if words.is_empty() {
                // What stands behind the table is read as entries, until one does not make sense.
                open(&victim.path, None).err().unwrap();
            } else {
                victim.refused(field, place, words);
            }
        }
        for (at, value, field, place, words) in [
            (64, length, "snapshots_offset", 64, "out of the file"),
            (64, u64::MAX << 16, "snapshots_offset", 64, "out of the file"),
            (64, table + 8, "snapshots_offset", 64, "beginning"),
            (64, 0, "snapshots_offset", 64, "behind the header"),
            (table, length, "snapshot l1_table_offset", table, "out of the file"),
            (table, u64::MAX << 16, "snapshot l1_table_offset", table, "out of the file"),
            (table, 512, "snapshot l1_table_offset", table, "beginning"),
            (table, l1, "snapshot l1_table_offset", table, "own tables"),
            (table, table, "snapshot l1_table_offset", table, "own tables"),
            (table + 48, u64::MAX, "size", table + 48, "at most"),
            (table + 48, 1000, "size", table + 48, "512"),
        ] {
            spoilt(at, &value.to_be_bytes()).refused(field, place, words);
        }
        // Two snapshots with one table.
        let first: [u8; 8] = bytes[table as usize..table as usize + 8].try_into().unwrap();
        spoilt(second, &first).refused("snapshot l1_table_offset", second, "own tables");
        // A snapshot's own map is checked when it is asked for.
        let map = u64::from_be_bytes(first);
        let victim = spoilt(map, &(length | 1 << 63).to_be_bytes());
        open(&victim.path, None).unwrap();
        let error = Opening::new().snapshot(Some("first")).open(&victim.path).err().unwrap();
        assert!(matches!(error, ImageError::Refused { field: "L1 entry", offset, .. } if offset == map), "{error}");
    }

    #[test]
    fn one_place_for_two_clusters() {
        let victim = Victim::new();
        let l2 = victim.l2();
        let (first, third) = (victim.read64(l2), victim.read64(l2 + 16));
        victim.set64(l2 + 8, first).refused("L2 entry", l2 + 8, "used more than once");
        Victim::new().set64(l2 + 64, third).refused("L2 entry", l2 + 64, "used more than once");
        // A compressed one within another's cluster, before and behind it in the table.
        let within = COMPRESSED | ((third & 0x00ff_ffff_ffff_fe00) + 700);
        Victim::new().set64(l2 + 64, within).refused("L2 entry", l2 + 64, "used more than once");
        Victim::new().set64(l2 + 8, within).refused("L2 entry", l2 + 16, "used more than once");
        // An entry of another table.
        let victim = Victim::new();
        let other = victim.read64(victim.l1() + 16) & 0x00ff_ffff_ffff_fe00;
        victim.set64(other, first).refused("L2 entry", other, "used more than once");
    }

    #[test]
    fn a_huge_file_of_holes() {
        // As many tables as the largest disk can have, all of them in holes: opened without reading them.
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("holes.qcow2");
        create(&path, "cluster_size=16384", "64T");
        let victim = Victim { directory, path };
        let l1 = victim.l1();
        let file = fs::OpenOptions::new().write(true).open(&victim.path).unwrap();
        let entries: Vec<u8> = (0..100_000).flat_map(|i| ((1_u64 << 32) + i * 16384).to_be_bytes()).collect();
        patch(&victim.path, l1, &entries);
        file.set_len(8 << 30).unwrap();
        let view = open(&victim.path, None).unwrap();
        assert_eq!(view.extent_at(0).unwrap().unwrap().kind, ExtentKind::Absent);
    }

    #[test]
    fn clusters_out_of_the_file() {
        let victim = Victim::new();
        let l2 = victim.l2();
        let length = fs::metadata(&victim.path).unwrap().len();
        victim.set64(l2, length.next_multiple_of(65536)).refused("L2 entry", l2, "out of the file");
        Victim::new().set64(l2 + 8, 0x00ff_ffff_ffff_0000).refused("L2 entry", l2 + 8, "out of the file");
        Victim::new().set64(l2, 0x5_0200).refused("L2 entry", l2, "beginning");
        Victim::new().set64(l2, COMPRESSED | length).refused("L2 entry", l2, "out of the file");
        Victim::new().set64(l2, COMPRESSED | (0xff << 54) | (length - 600)).refused("L2 entry", l2, "out of the file");
    }

    #[test]
    fn one_cluster_shown_many_times() {
        let victim = Victim::new();
        let l2 = victim.l2();
        let target = victim.read64(l2).to_be_bytes();
        patch(&victim.path, l2, &target.repeat(8192));
        let error = open(&victim.path, None).err().unwrap().to_string();
        assert!(error.contains("used more than once"), "{error}");

        // A few hundred bytes of deflate, named by every entry of many tables.
        let victim = Victim::new();
        let packed = COMPRESSED | victim.read64(l2) & 0x00ff_ffff_ffff_fe00;
        patch(&victim.path, l2, &packed.to_be_bytes().repeat(8192));
        let small = fs::metadata(&victim.path).unwrap().len() / 63;
        assert!(small > 8192, "this file is large enough to hold as many, one beside the other");
        victim.refused("L2 entry", l2 + 8, "used more than once");

        let directory = TempDir::new().unwrap();
        let path = directory.path().join("large-clusters.qcow2");
        create(&path, "cluster_size=2M", "1T");
        qemu_io(&path, &["write -P 1 0 2M"]);
        let victim = Victim { directory, path };
        let (l2, data) = (victim.l2(), victim.read64(victim.l2()) & 0x00ff_ffff_ffff_fe00);
        let packed = COMPRESSED | data;
        patch(&victim.path, l2, &packed.to_be_bytes().repeat(262_144));
        let error = open(&victim.path, None).err().unwrap().to_string();
        assert!(error.contains("used more than once"), "{error}");
    }

    #[test]
    fn a_cluster_that_unpacks_to_the_wrong_length() {
        for (unpacked, verdict) in [(1 << 23, None), (65535, Some("unpacks to 65535 bytes instead of 65536"))] {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            for _ in 0..unpacked / 65535 {
                encoder.write_all(&[0; 65535]).unwrap();
            }
            let packed = encoder.finish().unwrap();
            let victim = Victim::new();
            let l2 = victim.l2();
            let data = victim.read64(l2) & 0x00ff_ffff_ffff_fe00;
            patch(&victim.path, data, &packed[..packed.len().min(100_000)]);
            let sectors = (packed.len().min(100_000) as u64).div_ceil(512) - 1;
            let victim = victim.set64(l2, COMPRESSED | sectors << 54 | data);
            let view = open(&victim.path, None).unwrap();
            match (view.read_at(0, &mut vec![0; 65536]), verdict) {
                // Nothing is unpacked beyond the cluster, however much there would be.
                (Ok(()), None) => {}
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
                (other, _) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_frame_with_a_huge_window() {
        let victim = Victim::new();
        let raw = file(&victim.directory, "raw", &b"abc".repeat(100_000));
        let path = victim.directory.path().join("zstd.qcow2");
        convert(&raw, &path, &["-c"], "compression_type=zstd");
        let victim = Victim { path, ..victim };
        let l2 = victim.l2();
        let data = victim.read64(l2) & ((1 << 54) - 1);
        // Magic, a descriptor that promises nothing, the window, and one last block that repeats one byte.
        for (window_of, byte, allowed) in [("8 MiB", 0x68, true), ("16 MiB", 0x70, false), ("2 GiB", 0xa8, false)] {
            patch(&victim.path, data, &[0x28, 0xb5, 0x2f, 0xfd, 0, byte, 0x03, 0x00, 0x08, 0x41]);
            let mut cluster = vec![0; 65536];
            match open(&victim.path, None).unwrap().read_at(0, &mut cluster) {
                Ok(()) => assert!(allowed && cluster.iter().all(|byte| *byte == 0x41), "{window_of}"),
                Err(error) => {
                    assert!(!allowed, "{window_of}: {error}");
                    assert!(matches!(error, ImageError::Refused { field: "L2 entry", .. }), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_zero_flag_in_version_2() {
        let victim = Victim::new();
        let l2 = victim.l2();
        let entry = victim.read64(l2) | 1;
        victim.set64(l2, entry).set32(4, 2).refused("L2 entry", l2, "version 2");
    }

    #[test]
    fn an_image_that_was_cut_off() {
        let victim = Victim::new();
        let whole = fs::read(&victim.path).unwrap();
        for length in [4, 8, 71, 72, 103, 1000, 65536, 200_000, 262_144, 300_000] {
            let path = file(&victim.directory, "cut", &whole[..length]);
            let error = open(&path, Some(ImageFormat::Qcow2)).err().map(|error| error.to_string());
            assert!(error.is_some(), "cut to {length} bytes of {}", whole.len());
        }
    }

    #[test]
    fn a_huge_disk_of_nothing_is_digested_in_little_memory() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hollow.qcow2");
        create(&path, "cluster_size=2M", "1G");
        let view = open(&path, None).unwrap();
        content_digest(&*view, &|_, _| {}).unwrap();
    }
}
