//! Checksums made right again, so that changes are met behind them: of VHD, VHDX, and the headers of archives.

use super::medium::Medium;

const SECTOR: u64 = 512;

/// Recomputes every sum whose structure still has its mark.
pub fn repair(medium: &mut Medium) {
    vhd(medium);
    vhdx(medium);
    archive(medium);
}

fn vhd(medium: &mut Medium) {
    let end = medium.length();
    for (place, length) in [(0, 512), (end.saturating_sub(512), 512), (end.saturating_sub(511), 511)] {
        if &medium.array(place) == b"conectix" {
            complement(medium, place, length, 64);
            let header = u64::from_be_bytes(medium.array(place + 16));
            if header < end && &medium.array(header) == b"cxsparse" {
                complement(medium, header, 1024, 36);
            }
        }
    }
}

/// Puts the complement of the sum of all bytes.
fn complement(medium: &mut Medium, place: u64, length: usize, field: u64) {
    medium.put(place + field, &[0; 4]);
    let mut bytes = vec![0; length];
    medium.get(place, &mut bytes);
    let sum = bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add((*byte).into()));
    medium.put(place + field, &(!sum).to_be_bytes());
}

fn vhdx(medium: &mut Medium) {
    const LOG_GRAIN: u64 = 4096;
    const LARGEST_ENTRY: u32 = 1 << 20;
    const MOST_GRAINS: u64 = 512;
    if &medium.array(0) != b"vhdxfile" {
        return;
    }
    for (place, length, mark) in [(64_u64, 4, b"head"), (128, 4, b"head"), (192, 64, b"regi"), (256, 64, b"regi")] {
        if &medium.array(place << 10) == mark {
            castagnoli(medium, place << 10, length << 10);
        }
    }
    for header in [64_u64 << 10, 128 << 10] {
        let length = u64::from(u32::from_le_bytes(medium.array(header + 68)));
        let log = u64::from_le_bytes(medium.array(header + 72));
        for grain in 0..(length / LOG_GRAIN).min(MOST_GRAINS) {
            let place = log.saturating_add(grain * LOG_GRAIN);
            if place < medium.length() && &medium.array(place) == b"loge" {
                let entry = u32::from_le_bytes(medium.array(place + 8));
                if (64..=LARGEST_ENTRY).contains(&entry) {
                    castagnoli(medium, place, entry as usize);
                }
            }
        }
    }
}

fn castagnoli(medium: &mut Medium, place: u64, length: usize) {
    medium.put(place + 4, &[0; 4]);
    let mut bytes = vec![0; length];
    medium.get(place, &mut bytes);
    medium.put(place + 4, &crc32c::crc32c(&bytes).to_le_bytes());
}

/// The sums of all headers that an archive's beginning leads to.
fn archive(medium: &mut Medium) {
    const MOST_MEMBERS: usize = 64;
    let mut at = 0;
    for _ in 0..MOST_MEMBERS {
        let mut header: [u8; 512] = medium.array(at);
        if &header[257..262] != b"ustar" {
            break;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        medium.put(at + 148, format!("{sum:06o}\0 ").as_bytes());
        let digits = header[124..136].iter().take_while(|byte| (b'0'..b'8').contains(byte));
        let size = digits.fold(0_u64, |size, digit| size << 3 | u64::from(digit - b'0'));
        at += SECTOR + size.div_ceil(SECTOR) * SECTOR;
    }
}
