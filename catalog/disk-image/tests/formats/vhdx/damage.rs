//! Images with any bytes of their tables changed: an error or bytes, never a panic.

use std::fs;

use disk_image::{ImageFormat, open};
use proptest::prelude::*;

use super::victim::{BAT, HEADER, ITEMS, LOG, METADATA, REGIONS, Victim, sum};
use crate::sample::patch;

/// All places with something in them: headers, tables, log.
fn place() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => HEADER..HEADER + 80,
        1 => 2 * HEADER..2 * HEADER + 80,
        3 => REGIONS..REGIONS + 80,
        2 => METADATA..METADATA + 192,
        2 => ITEMS..ITEMS + 40,
        2 => BAT..BAT + 128,
        2 => LOG..LOG + 160,
        1 => LOG + 4096..LOG + 4112,
    ]
}

#[test]
fn any_change_of_a_header_or_table() {
    let value = prop_oneof![Just(0_u8), Just(0xff), Just(0x80), Just(6), any::<u8>()];
    let change = proptest::collection::vec((place(), value, 1_usize..9), 1..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let whole = fs::read(Victim::new().path).unwrap();
    let victim = Victim::new();
    let opened = std::cell::Cell::new(0);
    runner
        .run(&(change, any::<bool>()), |(changes, dirty)| {
            let mut tables = whole[..4 << 20].to_vec();
            if dirty {
                // The log's last entry is one to replay.
                let guid: [u8; 16] = tables[LOG as usize + 3 * 8192 + 32..][..16].try_into().unwrap();
                tables[HEADER as usize + 48..][..16].copy_from_slice(&guid);
                tables[2 * HEADER as usize + 48..][..16].copy_from_slice(&guid);
            }
            for (at, value, length) in changes {
                tables[at as usize..at as usize + length].fill(value);
            }
            // With sums that are right, what is behind them is reached.
            for (at, length) in
                [(HEADER, 4096), (2 * HEADER, 4096), (REGIONS, 65536), (LOG, 8192), (LOG + 24_576, 8192)]
            {
                sum(&mut tables[at as usize..at as usize + length]);
            }
            for (at, length) in [(HEADER, 5 << 16), (LOG, 9 << 12), (BAT, 1 << 12), (METADATA, 17 << 12)] {
                patch(&victim.path, at, &tables[at as usize..at as usize + length]);
            }
            if let Ok(view) = open(&victim.path, Some(ImageFormat::Vhdx)) {
                opened.set(opened.get() + 1);
                let (mut at, mut extents) = (0, 0);
                let mut bytes = vec![0; 1 << 20];
                while let (Ok(Some(extent)), true) = (view.extent_at(at), extents < 4096) {
                    assert!(extent.length > 0 && extent.length <= view.size() - at);
                    let length = bytes.len().min(extent.length as usize);
                    let _ = view.read_at(at, &mut bytes[..length]);
                    at += extent.length;
                    extents += 1;
                }
            }
            Ok(())
        })
        .unwrap();
    let opened = opened.get();
    assert!((20..180).contains(&opened), "{opened} of 200 opened: the changes must reach both sides");
}
