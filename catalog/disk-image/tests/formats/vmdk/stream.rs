//! A reader of streams that goes from the first byte to the last and never back, as importers do. It knows nothing of
//! ours: what it meets against the format's description is a failure.

use std::{collections::BTreeMap, io::Read};

use flate2::read::ZlibDecoder;

const SECTOR: usize = 512;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The disk, with every rule of the stream checked on the way.
pub fn import(file: &[u8]) -> Vec<u8> {
    assert!(file.len().is_multiple_of(SECTOR));
    let mut rest = file;
    let mut place = 0;
    let mut take = |sectors: usize| {
        let (part, behind) = rest.split_at(sectors * SECTOR);
        rest = behind;
        place += sectors;
        (place - sectors, part)
    };

    let (_, header) = take(1);
    assert_eq!(&header[..4], b"KDMV");
    assert_eq!((u32_at(header, 4), u32_at(header, 8)), (3, 0x3_0001));
    let (capacity, grain) = (u64_at(header, 12), u64_at(header, 20));
    assert_eq!((grain, u32_at(header, 44), u64_at(header, 48), u64_at(header, 56)), (128, 512, 0, u64::MAX));
    assert_eq!((&header[72..77], &header[77..79]), (b"\0\n \r\n".as_slice(), [1, 0].as_slice()));
    assert!(header[79..].iter().all(|byte| *byte == 0));
    let overhead = u64_at(header, 64) as usize;
    let (_, front) = take(overhead - 1);
    let room = u64_at(header, 36) as usize * SECTOR;
    let (text, filling) = front[(u64_at(header, 28) as usize - 1) * SECTOR..].split_at(room);
    let text = std::str::from_utf8(text).unwrap().trim_end_matches('\0');
    assert!(text.starts_with("# Disk DescriptorFile\n") && text.contains("\nparentCID=ffffffff\n"), "{text}");
    assert!(text.contains(&format!("\nRW {capacity} SPARSE \"")) && text.contains("createType=\"streamOptimized\""));
    assert!(filling.iter().all(|byte| *byte == 0));

    let mut disk = vec![0; capacity as usize * SECTOR];
    let mut next_sector = 0;
    let mut open_table: BTreeMap<u64, u32> = BTreeMap::new();
    let mut directory: BTreeMap<u64, u32> = BTreeMap::new();
    let entries = capacity.div_ceil(grain * 512);
    loop {
        let (at, marker) = take(1);
        let (value, size, kind) = (u64_at(marker, 0), u32_at(marker, 8) as usize, u32_at(marker, 12));
        if size > 0 {
            assert!(value >= next_sector && value.is_multiple_of(grain) && value < capacity, "{value}");
            next_sector = value + grain;
            let table = value / grain / 512;
            assert!(open_table.is_empty() || open_table.keys().all(|grain| grain / 512 == table));
            open_table.insert(value / grain, at as u32);
            let mut packed = marker[12..].to_vec();
            packed.extend_from_slice(take((12 + size).div_ceil(SECTOR) - 1).1);
            assert!(packed[size..].iter().all(|byte| *byte == 0));
            let mut data = Vec::new();
            let mut decoder = ZlibDecoder::new(&packed[..size]);
            decoder.read_to_end(&mut data).unwrap();
            assert_eq!((data.len(), decoder.total_in()), (grain as usize * SECTOR, size as u64));
            let from = value as usize * SECTOR;
            let there = data.len().min(disk.len() - from);
            assert!(data[there..].iter().all(|byte| *byte == 0));
            disk[from..from + there].copy_from_slice(&data[..there]);
            continue;
        }
        assert!(marker[16..].iter().all(|byte| *byte == 0));
        let (payload_at, payload) = take(value as usize);
        match kind {
            1 => {
                assert_eq!(value, 4);
                let table = open_table.keys().next().unwrap() / 512;
                for i in 0..512 {
                    let expected = open_table.get(&(table * 512 + i)).copied().unwrap_or(0);
                    assert_eq!(u32_at(payload, i as usize * 4), expected, "grain {i} of table {table}");
                }
                assert!(directory.insert(table, payload_at as u32).is_none());
                open_table.clear();
            }
            2 => {
                assert!(open_table.is_empty());
                assert_eq!(value, (entries * 4).div_ceil(SECTOR as u64));
                for (i, entry) in payload.as_chunks::<4>().0.iter().enumerate() {
                    let expected = directory.get(&(i as u64)).copied().unwrap_or(0);
                    assert_eq!(u32::from_le_bytes(*entry), expected, "table {i}");
                }
                let (_, marker) = take(1);
                assert_eq!((u64_at(marker, 0), u32_at(marker, 8), u32_at(marker, 12)), (1, 0, 3));
                let (_, footer) = take(1);
                assert_eq!((&footer[..56], &footer[64..]), (&header[..56], &header[64..]));
                assert_eq!(u64_at(footer, 56), payload_at as u64);
                assert_eq!(take(1).1, [0; SECTOR]);
                assert!(rest.is_empty());
                return disk;
            }
            other => panic!("marker {other} at sector {at}"),
        }
    }
}
