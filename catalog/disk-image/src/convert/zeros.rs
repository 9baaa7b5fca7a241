/// Whether all bytes are zero.
///
/// Compared in blocks whose length the compiler knows, which become a few vector instructions each.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<128>();
    blocks.iter().all(|block| *block == [0; 128]) && rest.iter().all(|byte| *byte == 0)
}

/// The parts of a buffer that hold anything, in steps of `step` bytes; gaps shorter than `bridge` bytes are included,
/// since a hole costs a call to the system and an entry in the file's list of extents.
pub(super) fn runs(bytes: &[u8], step: usize, bridge: usize, runs: &mut Vec<std::ops::Range<usize>>) {
    runs.clear();
    let mut at = 0;
    for piece in bytes.chunks(step) {
        let end = at + piece.len();
        if !is_zero(piece) {
            match runs.last_mut() {
                Some(last) if at - last.end < bridge.max(1) => last.end = end,
                _ => runs.push(at..end),
            }
        }
        at = end;
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list that happens to have one range")]
mod tests {
    use super::*;

    #[test]
    fn one_byte_anywhere_is_something() {
        for length in [1, 127, 128, 129, 4096, 4097] {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes), "{length}");
            for at in [0, length / 2, length - 1] {
                bytes[at] = 1;
                assert!(!is_zero(&bytes), "{at} of {length}");
                bytes[at] = 0;
            }
        }
        assert!(is_zero(&[]));
    }

    #[test]
    fn runs_are_joined_over_short_gaps() {
        let mut bytes = vec![0; 10_000];
        for at in [0, 1500, 5000, 9_999] {
            bytes[at] = 1;
        }
        let mut found = Vec::new();
        runs(&bytes, 1000, 0, &mut found);
        assert_eq!(found, [0..2000, 5000..6000, 9000..10_000]);
        runs(&bytes, 1000, 3001, &mut found);
        assert_eq!(found, [0..10_000]);
        runs(&bytes[2000..5000], 1000, 1, &mut found);
        assert_eq!(found, []);
    }
}
