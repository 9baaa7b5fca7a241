//! Plans of files, without a writer: what a plan says is put into a file for the judge.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use disk_image::{
    DiskView,
    layout::{Layout, Rendering},
};

/// Puts the whole rendering into a file, zeros as holes, and demands that any other way of asking gives the same.
pub fn render(view: &dyn DiskView, layout: &dyn Layout, path: &Path) {
    const PIECE: u64 = 1 << 20;
    let rendering = Rendering::new(view, layout);
    let file = File::create(path).unwrap();
    file.set_len(rendering.length()).unwrap();
    let mut at = 0;
    while at < rendering.length() {
        let mut bytes = vec![0xaa; PIECE.min(rendering.length() - at) as usize];
        rendering.read_at(at, &mut bytes).unwrap();
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_all_at(&bytes, at).unwrap();
        }
        // Odd places and lengths, as ranges of a download are.
        for (from, length) in [(1, 511), (4095, 2), (65_535, 70_001)] {
            if let Some(expected) = bytes.get(from..bytes.len().min(from + length)) {
                let mut part = vec![0x55; expected.len()];
                rendering.read_at(at + from as u64, &mut part).unwrap();
                assert!(part == expected, "at {at} + {from}");
            }
        }
        at += bytes.len() as u64;
    }
    let mut segments = 0;
    let mut at = 0;
    while let Some(segment) = layout.segment_at(at) {
        assert!(segment.offset == at && segment.length > 0, "{segment:?} at {at}");
        at += segment.length;
        segments += 1;
    }
    assert_eq!(at, layout.length(), "after {segments} segments");
}
