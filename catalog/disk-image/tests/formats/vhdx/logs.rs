//! Logs that were left behind: QEMU's own, and some that only others write.

use disk_image::{ExtentKind, open};

use super::victim::{BAT, COPY, HEADER, ITEMS, LOG, MIB, REGIONS, Victim, guest_bytes, qemu_io, sum};
use crate::sample::assert_shows;

const GUID: [u8; 16] = *b"a log of our own";
const SECTOR: u64 = 4096;

/// What an entry writes.
enum Write {
    Data(u64, u8),
    Zeros(u64, u64),
    /// A sector with these bytes.
    Sector(u64, Vec<u8>),
}

/// An entry as it is to be made.
struct Entry {
    sequence: u64,
    /// In sectors of the log.
    tail: u64,
    guid: [u8; 16],
    flushed: u64,
    last: u64,
    padding: usize,
    writes: Vec<Write>,
}

fn entry(sequence: u64, tail: u64, writes: Vec<Write>) -> Entry {
    Entry { sequence, tail, guid: GUID, flushed: 0, last: 0, padding: 0, writes }
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..4].copy_from_slice(b"loge");
        head[12..16].copy_from_slice(&((self.tail * SECTOR) as u32).to_le_bytes());
        head[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        head[24..28].copy_from_slice(&(self.writes.len() as u32).to_le_bytes());
        head[32..48].copy_from_slice(&self.guid);
        head[48..56].copy_from_slice(&self.flushed.to_le_bytes());
        head[56..64].copy_from_slice(&self.last.to_le_bytes());
        let mut data = Vec::new();
        for write in &self.writes {
            let (signature, low, middle, place) = match write {
                Write::Zeros(place, length) => (b"zero", [0; 4], length.to_le_bytes(), *place),
                Write::Data(place, value) => {
                    self.add_data(&mut data, &[*value; 4096]);
                    (b"desc", [*value; 4], [*value; 8], *place)
                }
                Write::Sector(place, bytes) => {
                    self.add_data(&mut data, bytes);
                    (b"desc", bytes[4092..].try_into().unwrap(), bytes[..8].try_into().unwrap(), *place)
                }
            };
            head.extend(signature);
            head.extend(low);
            head.extend(middle);
            head.extend(place.to_le_bytes());
            head.extend(self.sequence.to_le_bytes());
        }
        head.resize(head.len().next_multiple_of(4096), 0);
        head.extend(data);
        head.resize(head.len() + self.padding, 0);
        let length = head.len() as u32;
        head[8..12].copy_from_slice(&length.to_le_bytes());
        sum(&mut head);
        head
    }

    fn add_data(&self, data: &mut Vec<u8>, bytes: &[u8]) {
        data.extend(b"data");
        data.extend(((self.sequence >> 32) as u32).to_le_bytes());
        data.extend(&bytes[8..4092]);
        data.extend((self.sequence as u32).to_le_bytes());
    }
}

/// A victim whose log has this, from this sector on, around its end.
fn logged(entries: &[(u64, Vec<u8>)]) -> Victim {
    let victim = Victim::new().set_headers(48, &GUID).set(LOG, &[0; 1 << 20]);
    entries.iter().fold(victim, |victim, (sector, bytes)| {
        bytes
            .chunks(4096)
            .zip(*sector..)
            .fold(victim, |victim, (bytes, sector)| victim.set(LOG + sector % 256 * SECTOR, bytes))
    })
}

/// Where the victim's second block stands.
fn second_block() -> u64 {
    Victim::new().read64(BAT + 8) & !7
}

/// Demands that the guest's second block begins with these bytes, a sector each, and goes on as ever.
#[track_caller]
fn assert_second_block(victim: &Victim, sectors: &[u8], log: &str) {
    let view = open(&victim.path, None).unwrap();
    let mut expected = vec![2; 1 << 20];
    for (sector, value) in sectors.iter().enumerate() {
        expected[sector * 4096..][..4096].fill(*value);
    }
    let mut bytes = vec![0xaa; 3 << 20];
    view.read_at(0, &mut bytes).unwrap();
    assert!(bytes[..1 << 20].iter().all(|byte| *byte == 1));
    let read = &bytes[1 << 20..2 << 20];
    assert!(read == expected, "{:?}", read.iter().step_by(4096).take(8).collect::<Vec<_>>());
    let facts = view.facts();
    let fact = facts.iter().find(|fact| fact.name == "log").unwrap();
    assert_eq!(fact.value.to_string(), log);
    assert_eq!(view.warnings().is_empty(), log == "empty");
}

/// The same, and QEMU reads the same once it has repaired the image.
#[track_caller]
fn assert_as_repaired(victim: &Victim, sectors: &[u8]) {
    assert_second_block(victim, sectors, "replayed");
    assert_shows(&*open(&victim.path, None).unwrap(), &guest_bytes(&victim.path));
}

/// QEMU died after it had logged a change of its table, and before it made it.
#[test]
fn an_entry_of_qemu() {
    let victim = Victim::new();
    let before = victim.bytes(BAT, 4096);
    qemu_io(&victim.path, &["write -P 9 7M 1M"]);
    let expected = guest_bytes(&victim.path);
    // The newest of the log's entries: the last that QEMU wrote, in a new session at the log's beginning.
    let guid = victim.bytes(LOG + 32, 16);
    let victim = victim.set(BAT, &before);
    assert!(expected != guest_bytes(&victim.path));
    let victim = victim.set_headers(48, &guid);
    let view = open(&victim.path, None).unwrap();
    assert_shows(&*view, &expected);
    assert!(view.warnings()[0].contains("replayed"), "{:?}", view.warnings());
    drop(view);
    assert!(expected == guest_bytes(&victim.path));
}

#[test]
fn data_and_zeros_everywhere() {
    let place = second_block();
    let writes = vec![
        Write::Data(place, 7),
        Write::Data(place + SECTOR, 8),
        Write::Zeros(place, 4 * SECTOR),
        Write::Data(place + 2 * SECTOR, 9),
    ];
    assert_as_repaired(&logged(&[(0, entry(5, 0, writes).bytes())]), &[0, 0, 9, 0]);
    // The first and the last eight and four bytes of a sector stand elsewhere than the rest.
    let bytes: Vec<u8> = (0..4096_u32).map(|i| (i % 251) as u8).collect();
    let victim = logged(&[(0, entry(1, 0, vec![Write::Sector(place, bytes.clone())]).bytes())]);
    let mut read = vec![0; 4096];
    open(&victim.path, None).unwrap().read_at(MIB, &mut read).unwrap();
    assert_eq!(read, bytes);
    assert!(guest_bytes(&victim.path)[1 << 20..][..4096] == bytes);
}

#[test]
fn tables_are_read_through_the_log() {
    // A table that leads nowhere until its entry is written.
    let mut table = Victim::new().bytes(BAT, 4096);
    let good = table.clone();
    table[8..16].copy_from_slice(&[0xff; 8]);
    let victim = logged(&[(0, entry(1, 0, vec![Write::Sector(BAT, good)]).bytes())]).set(BAT, &table);
    assert_as_repaired(&victim, &[]);

    // The region tables are changed through the log too, and so is the metadata.
    let tables = Victim::new().bytes(REGIONS, 8192);
    let items = Victim::new().bytes(ITEMS, 4096);
    let writes = vec![
        Write::Sector(REGIONS, tables[..4096].to_vec()),
        Write::Sector(REGIONS + COPY, tables[..4096].to_vec()),
        Write::Sector(ITEMS, items),
    ];
    let victim = logged(&[(0, entry(1, 0, writes).bytes())]);
    assert_as_repaired(&victim.set(REGIONS, &[9; 64]).set(REGIONS + COPY, &[9; 64]).set(ITEMS, &[9; 40]), &[]);
}

/// QEMU itself reads only the last sector of an entry's descriptors, and so cannot judge these.
#[test]
fn more_descriptors_than_a_sector_holds() {
    let place = second_block();
    let writes = (0..200).map(|i| Write::Data(place + i % 130 * SECTOR, i as u8)).collect();
    let expected: Vec<u8> = (0..130).map(|sector| if sector < 70 { sector + 130 } else { sector }).collect();
    assert_second_block(&logged(&[(3, entry(9, 3, writes).bytes())]), &expected, "replayed");
    // With 126 the first sector is full.
    for count in [126, 127] {
        let writes = (0..count).map(|i| Write::Data(place + i * SECTOR, i as u8)).collect();
        let victim = logged(&[(0, entry(1, 0, writes).bytes())]);
        assert_second_block(&victim, &(0..count as u8).collect::<Vec<_>>(), "replayed");
    }
}

#[test]
fn entries_follow_each_other_around_the_end() {
    let place = second_block();
    let write = |value| vec![Write::Data(place + u64::from(value) * SECTOR, value)];
    for first in [0, 100, 250, 252, 253, 254, 255] {
        let entries: Vec<(u64, Vec<u8>)> =
            (0..4).map(|i| (first + i * 2, entry(40 + i, first, write(i as u8)).bytes())).collect();
        assert_second_block(&logged(&entries), &[0, 1, 2, 3], "replayed");
    }
    // QEMU finds a sequence from its beginning only when it does not go around.
    let entries: Vec<(u64, Vec<u8>)> = (0..4).map(|i| (i * 2, entry(40 + i, 0, write(i as u8)).bytes())).collect();
    assert_as_repaired(&logged(&entries), &[0, 1, 2, 3]);
}

#[test]
fn what_was_written_long_ago_stays_so() {
    let place = second_block();
    let first = (0, entry(1, 0, vec![Write::Data(place, 7)]).bytes());
    let second = (2, entry(2, 0, vec![Write::Data(place + SECTOR, 8)]).bytes());
    let third = (4, entry(3, 2, vec![Write::Data(place + 2 * SECTOR, 9)]).bytes());
    assert_second_block(&logged(&[first, second, third]), &[2, 8, 9], "replayed");
}

#[test]
fn entries_that_do_not_count() {
    let place = second_block();
    let good = || entry(10, 8, vec![Write::Data(place, 7)]);
    let other = |sequence, tail, guid| {
        let writes = vec![Write::Data(place + SECTOR, 8)];
        Entry { guid, ..entry(sequence, tail, writes) }.bytes()
    };
    let mut torn = other(11, 8, GUID);
    torn.truncate(4096);
    let mut changed = other(11, 8, GUID);
    changed[5000] ^= 1;
    let mut cut_descriptor = other(11, 8, GUID);
    cut_descriptor[64 + 24] ^= 1;
    sum(&mut cut_descriptor);
    let mut wrong_data = other(11, 8, GUID);
    wrong_data[8191] ^= 1;
    sum(&mut wrong_data);
    for (name, more) in [
        ("alone", None),
        ("torn", Some((10, torn))),
        ("changed", Some((10, changed))),
        ("another entry's descriptor", Some((10, cut_descriptor))),
        ("another entry's data", Some((10, wrong_data))),
        ("of another log", Some((10, other(11, 8, *b"not of this log.")))),
        ("older", Some((0, other(9, 0, GUID)))),
        ("older, behind", Some((20, other(9, 20, GUID)))),
        ("newer, without what it needs", Some((20, other(30, 16, GUID)))),
        ("not next", Some((10, other(12, 8, GUID)))),
        ("number 0", Some((20, other(0, 20, GUID)))),
    ] {
        let entries: Vec<(u64, Vec<u8>)> = [(8, good().bytes())].into_iter().chain(more).collect();
        println!("{name}");
        assert_second_block(&logged(&entries), &[7], "replayed");
    }
}

#[test]
fn an_entry_may_be_longer_than_needed() {
    let place = second_block();
    let padded = Entry { padding: 8192, ..entry(1, 0, vec![Write::Data(place, 7)]) };
    let next = entry(2, 0, vec![Write::Data(place + SECTOR, 8)]);
    assert_second_block(&logged(&[(0, padded.bytes()), (4, next.bytes())]), &[7, 8], "replayed");
    // And it may have nothing to write.
    assert_second_block(&logged(&[(0, entry(1, 0, Vec::new()).bytes())]), &[], "replayed");
}

#[test]
fn a_log_without_entries_of_its_own() {
    assert_second_block(&Victim::new(), &[], "empty");
    assert_second_block(&logged(&[]), &[], "without entries");
    let stale = Entry { guid: *b"not of this log.", ..entry(1, 0, vec![Write::Data(second_block(), 7)]) };
    assert_second_block(&logged(&[(0, stale.bytes())]), &[], "without entries");
    // Entries of a log that was closed do not count.
    let victim = logged(&[(0, entry(1, 0, vec![Write::Data(second_block(), 7)]).bytes())]);
    assert_second_block(&victim.set_headers(48, &[0; 16]), &[], "empty");
}

#[test]
fn the_file_grows_as_the_log_says() {
    let length = Victim::new().length();
    let mut table = Victim::new().bytes(BAT, 4096);
    table[24..32].copy_from_slice(&(length | 6).to_le_bytes());
    let writes = || vec![Write::Sector(BAT, table.clone()), Write::Data(length, 5)];
    let victim = logged(&[(0, Entry { last: length + MIB, ..entry(1, 0, writes()) }.bytes())]);
    let view = open(&victim.path, None).unwrap();
    let mut bytes = vec![0xaa; 1 << 20];
    view.read_at(3 * MIB, &mut bytes).unwrap();
    assert!(bytes[..4096].iter().all(|byte| *byte == 5) && bytes[4096..].iter().all(|byte| *byte == 0));

    let zeros = vec![Write::Zeros(length, MIB)];
    let last = entry(1, 0, zeros);
    let grown = logged(&[(0, Entry { last: length + MIB, ..last }.bytes())]).set(BAT, &table);
    let extent = open(&grown.path, None).unwrap().extent_at(3 * MIB).unwrap().unwrap();
    assert_eq!((extent.kind, extent.length), (ExtentKind::Data, MIB));
}

#[test]
fn logs_that_must_not_be_replayed() {
    let place = second_block();
    let length = Victim::new().length();
    let one = |write| entry(1, 0, vec![write]);
    let at = LOG + 64 + 16;

    let flushed = Entry { flushed: length + 1, ..one(Write::Data(place, 7)) };
    logged(&[(0, flushed.bytes())]).refused("FlushedFileOffset", LOG + 48, "cut off");
    let flushed = Entry { flushed: length, last: length, ..one(Write::Data(place, 7)) };
    assert_as_repaired(&logged(&[(0, flushed.bytes())]), &[7]);
    let last = Entry { last: 1 << 60, ..one(Write::Data(place, 7)) };
    logged(&[(0, last.bytes())]).refused("LastFileOffset", LOG + 56, "more than the file has");

    for outside in [length, u64::MAX - 4095, 1 << 60] {
        logged(&[(0, one(Write::Data(outside, 7)).bytes())]).refused("FileOffset", at, "out of the file");
    }
    for zeros in [length, u64::MAX - 4095, 1 << 60] {
        logged(&[(0, one(Write::Zeros(place, zeros)).bytes())]).refused("FileOffset", at, "out of the file");
    }
    for inside in [0, HEADER, HEADER + COPY, LOG, LOG + MIB - SECTOR] {
        logged(&[(0, one(Write::Data(inside, 7)).bytes())]).refused("FileOffset", at, "headers or the log");
    }
    logged(&[(0, one(Write::Zeros(MIB - SECTOR, 2 * SECTOR)).bytes())]).refused("FileOffset", at, "headers or the log");

    // Something was logged, and none of it is whole.
    let mut changed = one(Write::Data(place, 7)).bytes();
    changed[5000] ^= 1;
    logged(&[(0, changed)]).refused("log", LOG, "no whole sequence");
    logged(&[(0, entry(1, 2, vec![Write::Data(place, 7)]).bytes())]).refused("log", LOG, "no whole sequence");
    logged(&[(0, entry(1, 1 << 19, vec![Write::Data(place, 7)]).bytes())]).refused("log", LOG, "no whole sequence");
    let mut lie = one(Write::Data(place, 7)).bytes();
    lie[24..28].fill(0xff);
    sum(&mut lie);
    logged(&[(0, lie)]).refused("log", LOG, "no whole sequence");
    for length in [0, 4095, 4096, 1 << 20 | 4096, u32::MAX - 4095] {
        let mut lie = one(Write::Data(place, 7)).bytes();
        lie[8..12].copy_from_slice(&u32::to_le_bytes(length));
        sum(&mut lie);
        logged(&[(0, lie)]).refused("log", LOG, "no whole sequence");
    }
}

/// What is refused even if it is whole: more than is replayed.
#[test]
fn huge_logs() {
    let victim = Victim::new();
    let start = victim.length().next_multiple_of(MIB);
    let victim = victim.cut(start + 65 * MIB).set_headers(72, &start.to_le_bytes());
    let victim = victim.set_headers(68, &(65_u32 << 20).to_le_bytes());
    assert_second_block(&victim, &[], "empty");
    let victim = victim.set_headers(48, &GUID);
    victim.refused("LogLength", HEADER + COPY * u64::from(sequence(&victim, 1) > sequence(&victim, 0)) + 68, "64 MiB");

    // Full of the smallest entries there are, each pointing at the first: read once, and fast.
    let victim = victim.set_headers(68, &(16_u32 << 20).to_le_bytes());
    let all: Vec<u8> = (0..16 * 256).flat_map(|i| entry(i + 1, 0, Vec::new()).bytes()).collect();
    assert_second_block(&victim.set(start, &all), &[], "replayed");

    let writes = (0..130 << 10).map(|_| Write::Zeros(second_block_of_start(), SECTOR)).collect();
    let bytes = entry(1, 0, writes).bytes();
    let victim = Victim::new();
    let victim = victim.cut(start + 8 * MIB).set_headers(72, &start.to_le_bytes());
    let victim = victim.set_headers(68, &(8_u32 << 20).to_le_bytes()).set_headers(48, &GUID).set(start, &bytes);
    victim.refused("DescriptorCount", start + 24, "more writes");
}

/// The second block's place, once for many.
fn second_block_of_start() -> u64 {
    static PLACE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *PLACE.get_or_init(second_block)
}

fn sequence(victim: &Victim, copy: u64) -> u64 {
    victim.read64(HEADER + copy * COPY + 8)
}
