//! What is refused, by field and place.

use std::{env, fs, process::Command};

use disk_image::{ImageFormat, open};

use super::victim::{BAT, COPY, HEADER, ITEMS, LOG, METADATA, MIB, REGIONS, Victim};

/// Where a number stands in an entry of the metadata table.
fn item(number: u64, field: u64) -> u64 {
    METADATA + 32 + number * 32 + field
}

/// Where a number stands in an entry of the first region table.
fn region(number: u64, field: u64) -> u64 {
    REGIONS + 16 + number * 32 + field
}

/// Where the current header is.
fn current(victim: &Victim) -> u64 {
    if victim.read64(HEADER + 8) > victim.read64(HEADER + COPY + 8) { HEADER } else { HEADER + COPY }
}

/// Runs all tests of [`refusals`] once more, in a process that may not have more than 192 MiB of addresses.
#[test]
fn refusals_need_little_memory() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -S -v 196608; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["vhdx::hostile::refusals::", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("refusals::") && !said.contains("running 0 tests"), "{said}");
}

mod refusals {
    use super::*;

    #[test]
    fn headers() {
        let victim = Victim::new().set(HEADER + 100, &[1]).set(HEADER + COPY + 100, &[1]);
        victim.refused("Checksum", HEADER + 4, "both headers");
        Victim::new().set(HEADER, b"heat").set(HEADER + COPY, b"heat").refused("Checksum", HEADER + 4, "both");
        Victim::new().set_headers(8, &[7; 8]).refused("SequenceNumber", HEADER + 8, "differ");
        let at = current(&Victim::new());
        Victim::new().set_headers(66, &[2]).refused("Version", at + 66, "is 2");
        Victim::new().set_headers(64, &[1]).refused("LogVersion", at + 64, "is 1");
        Victim::new().set_headers(68, &4096_u32.to_le_bytes()).refused("LogLength", at + 68, "1 MiB");
        Victim::new().set_headers(68, &[0; 4]).set_headers(48, &[1]).refused("LogLength", at + 68, "LogGuid");
        for offset in [0, 4096, MIB + 4096, MIB / 2] {
            Victim::new().set_headers(72, &offset.to_le_bytes()).refused("LogOffset", at + 72, "from 1 MiB on");
        }
        for offset in [1 << 60, u64::MAX << 20, 1 << 30] {
            Victim::new().set_headers(72, &u64::to_le_bytes(offset)).refused("LogOffset", at + 72, "out of the file");
        }
        Victim::new().set_headers(68, &0xfff0_0000_u32.to_le_bytes()).refused("LogOffset", at + 72, "out of the file");
    }

    #[test]
    fn region_tables() {
        let victim = Victim::new().set(REGIONS + 100, &[1]).set(REGIONS + COPY + 100, &[1]);
        victim.refused("Checksum", REGIONS + 4, "both region tables");
        Victim::new().set_regions(8, &2048_u32.to_le_bytes()).refused("EntryCount", REGIONS + 8, "2048");
        Victim::new().set_regions(8, &[0xff; 4]).refused("EntryCount", REGIONS + 8, "2047");
        Victim::new().set_regions(8, &[0; 4]).refused("region table", REGIONS, "BAT");
        Victim::new().set_regions(8, &[1, 0, 0, 0]).refused("region table", REGIONS, "metadata");
        Victim::new().set_regions(16, &[9]).set_regions(44, &[1]).refused("Required", region(0, 28), "unknown");
        Victim::new().set_regions(16, &[9]).set_regions(44, &[0]).refused("region table", REGIONS, "BAT");
        let bat = Victim::new().bytes(region(0, 0), 16);
        Victim::new().set_regions(48, &bat).refused("Guid", region(1, 0), "earlier");
        for offset in [0, MIB / 2, 2 * MIB + 4096] {
            let victim = Victim::new().set_regions(32, &offset.to_le_bytes());
            victim.refused("FileOffset", region(0, 16), "from 1 MiB on");
        }
        for offset in [1 << 50, u64::MAX << 20] {
            let victim = Victim::new().set_regions(32, &u64::to_le_bytes(offset));
            victim.refused("FileOffset", region(0, 16), "out of the file");
        }
        for length in [0, 4096, u32::MAX] {
            let victim = Victim::new().set_regions(40, &length.to_le_bytes());
            victim.refused("Length", region(0, 24), "1 MiB");
        }
        Victim::new().set_regions(40, &0xfff0_0000_u32.to_le_bytes()).refused("FileOffset", region(0, 16), "out of");
        // Onto the metadata, and onto the log.
        Victim::new().set_regions(40, &0x20_0000_u32.to_le_bytes()).refused("FileOffset", region(1, 16), "onto");
        Victim::new().set_regions(32, &METADATA.to_le_bytes()).refused("FileOffset", region(1, 16), "onto");
        Victim::new().set_regions(32, &LOG.to_le_bytes()).refused("FileOffset", region(0, 16), "onto");
        let victim = Victim::new();
        let start = victim.length().next_multiple_of(MIB);
        let victim = victim.cut(start + 200 * MIB).set_regions(32, &start.to_le_bytes());
        victim.set_regions(40, &(129_u32 << 20).to_le_bytes()).refused("Length", region(0, 24), "128 MiB");
    }

    #[test]
    fn a_parent() {
        Victim::new().set(ITEMS + 4, &[2]).refused("HasParent", ITEMS + 4, "merge");
        let locator = [0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c];
        let victim = Victim::new().set(METADATA + 10, &[6]).set(item(5, 0), &locator).set(item(5, 24), &[4]);
        victim.refused("Parent Locator", item(5, 0), "alone");
        Victim::new().set(BAT, &[7]).refused("BAT entry", BAT, "parent");
    }

    #[test]
    fn metadata() {
        Victim::new().set(METADATA, b"x").refused("Signature", METADATA, "metadata table");
        Victim::new().set(METADATA + 10, &2048_u16.to_le_bytes()).refused("EntryCount", METADATA + 10, "2048");
        Victim::new().set(METADATA + 10, &[4]).refused("metadata table", METADATA, "Physical Sector Size");
        Victim::new().set(METADATA + 10, &[0]).refused("metadata table", METADATA, "File Parameters");
        Victim::new().set(item(1, 0), &[9]).refused("IsRequired", item(1, 24), "unknown");
        Victim::new().set(item(1, 24), &[5]).refused("IsRequired", item(1, 24), "unknown");
        let first = Victim::new().bytes(item(0, 0), 16);
        Victim::new().set(item(1, 0), &first).refused("ItemId", item(1, 0), "earlier");
        for offset in [0_u32, 65_535, 1 << 20, (1 << 20) - 4, u32::MAX] {
            Victim::new().set(item(0, 16), &offset.to_le_bytes()).refused("Offset", item(0, 16), "out of");
        }
        for (length, words) in [(7_u32, "is 7, not 8"), (9, "is 9"), (0, "is 0"), (u32::MAX, "more than 1 MiB")] {
            Victim::new().set(item(0, 20), &length.to_le_bytes()).refused("Length", item(0, 20), words);
        }
        Victim::new().set(item(2, 20), &[8]).refused("Length", item(2, 20), "Virtual Disk ID");
    }

    #[test]
    fn impossible_sizes() {
        for size in [0, 1, MIB / 2, 3 * MIB, 512 * MIB, 0xffff_ffff] {
            let victim = Victim::new().set(ITEMS, &(size as u32).to_le_bytes());
            victim.refused("BlockSize", ITEMS, "power of two");
        }
        for size in [(64 << 40) + 512, 8 << 60, u64::MAX] {
            Victim::new().set(ITEMS + 8, &size.to_le_bytes()).refused("VirtualDiskSize", ITEMS + 8, "at most");
        }
        Victim::new().set(ITEMS + 8, &1000_u64.to_le_bytes()).refused("VirtualDiskSize", ITEMS + 8, "multiple");
        let victim = Victim::new().set(ITEMS + 33, &[16]).set(ITEMS + 8, &512_u64.to_le_bytes());
        victim.refused("VirtualDiskSize", ITEMS + 8, "4096");
        Victim::new().set(ITEMS + 8, &(64_u64 << 40).to_le_bytes()).refused("BAT", BAT, "room");
        for size in [0_u32, 256, 1024, 513, u32::MAX] {
            let victim = Victim::new().set(ITEMS + 32, &size.to_le_bytes());
            victim.refused("LogicalSectorSize", ITEMS + 32, "neither");
            let victim = Victim::new().set(ITEMS + 36, &size.to_le_bytes());
            victim.refused("PhysicalSectorSize", ITEMS + 36, "neither");
        }
    }

    #[test]
    fn blocks() {
        let length = Victim::new().length();
        let entry = |place: u64| (place | 6).to_le_bytes();
        for place in [length, 1 << 50, u64::MAX << 20] {
            Victim::new().set(BAT + 8, &entry(place)).refused("BAT entry", BAT + 8, "out of the file");
        }
        for place in [0, LOG, BAT, METADATA] {
            Victim::new().set(BAT + 8, &entry(place)).refused("BAT entry", BAT + 8, "region");
        }
        let first = Victim::new().bytes(BAT, 8);
        Victim::new().set(BAT + 24, &first).refused("BAT entry", BAT + 24, "another block");
        for state in [4, 5] {
            Victim::new().set(BAT, &[state]).refused("BAT entry", BAT, "reserved");
        }
        // One block shown as all of a disk.
        let bomb = Victim::new().set(ITEMS + 8, &(100_000 * MIB).to_le_bytes()).set(BAT, &first.repeat(100_000));
        bomb.refused("BAT entry", BAT + 8, "another block");
        // Half upon another: blocks of 2 MiB, one MiB apart.
        let place = Victim::new().read64(BAT) & !7;
        let victim = Victim::new().cut(length + 4 * MIB).set(ITEMS, &(2 * MIB as u32).to_le_bytes());
        victim.set(BAT, &[entry(place), entry(place + MIB)].concat()).refused("BAT entry", BAT + 8, "another block");
    }

    #[test]
    fn an_image_that_was_cut_off() {
        let victim = Victim::new();
        let whole = fs::read(&victim.path).unwrap();
        let lengths = [8, 512, 65_535, 65_536, 200_000, MIB - 1, MIB, 2 * MIB, BAT + 8, METADATA, METADATA + 4096];
        let behind = [4 * MIB, 8 * MIB, whole.len() as u64 - MIB, whole.len() as u64 - 1];
        for length in lengths.into_iter().chain(behind) {
            fs::write(&victim.path, &whole[..length as usize]).unwrap();
            let error = open(&victim.path, Some(ImageFormat::Vhdx)).err();
            assert!(error.is_some(), "cut to {length} bytes of {}", whole.len());
        }
    }
}

/// What is odd and harms nobody.
#[test]
fn what_is_not_refused() {
    // A region and an item that are unknown and not required.
    let region = [[0xab; 16].as_slice(), &(4 * MIB).to_le_bytes(), &(1_u32 << 20).to_le_bytes(), &[0; 4]].concat();
    let victim = Victim::new().set_regions(80, &region).set_regions(8, &[3]);
    open(&victim.path, None).unwrap();
    let item_of_user = [[0xcd; 16].as_slice(), &0x11000_u32.to_le_bytes(), &[8, 0, 0, 0, 1, 0, 0, 0]].concat();
    let victim = Victim::new().set(item(5, 0), &item_of_user).set(METADATA + 10, &[6]);
    open(&victim.path, None).unwrap();
    // A block may not stand on a region that is unknown, though.
    let place = (4 * MIB) | 6;
    let victim = Victim::new().set_regions(80, &region).set_regions(8, &[3]).set(BAT + 8, &place.to_le_bytes());
    victim.refused("BAT entry", BAT + 8, "region");
    // The last block of a file may be as short as the disk.
    let victim = Victim::new().set(ITEMS + 8, &(15 * MIB + 512).to_le_bytes());
    let length = victim.length() - MIB + 512;
    let victim = victim.cut(length);
    let mut last = [0; 512];
    open(&victim.path, None).unwrap().read_at(15 * MIB, &mut last).unwrap();
    assert_eq!(last, [4; 512]);
    victim.cut(length - 1).refused("BAT entry", BAT + 15 * 8, "cut off");
}
