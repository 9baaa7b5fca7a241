//! Deflate (RFC 1951) that looks back 4 KiB at most.
//!
//! QEMU packs clusters with a window of that size, and not every reader takes more: some unpack with no larger one,
//! in several steps. The encoders at hand look back 32 KiB and cannot be told otherwise.

mod huffman;
mod matches;

use huffman::{BitWriter, Code, code_lengths};
use matches::Matcher;

/// Tokens of a block: few enough that codes follow the data, many enough that describing them costs little.
const TOKENS_OF_A_BLOCK: usize = 12_000;
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END_OF_BLOCK: usize = 256;
const LONGEST_CODE: u32 = 15;
const LARGEST_STORED: usize = 65_535;

/// What the first byte of a length's symbols means: least length, further bits.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// A byte, or a repetition of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(u8),
    Match { length: u16, distance: u16 },
}

/// Packs one cluster after another, always to the same bytes.
pub(super) struct Deflater {
    matcher: Matcher,
    tokens: Vec<Token>,
    length_symbols: [u8; 259],
}

impl Deflater {
    /// `chain`: how many earlier places are tried.
    pub(super) fn new(chain: u32) -> Self {
        let mut length_symbols = [0; 259];
        for (symbol, (least, _)) in (0..).zip(LENGTHS) {
            length_symbols[usize::from(least)..].fill(symbol);
        }
        Self { matcher: Matcher::new(chain), tokens: Vec::with_capacity(TOKENS_OF_A_BLOCK), length_symbols }
    }

    /// Appends the stream of `data`.
    pub(super) fn pack(&mut self, data: &[u8], packed: &mut Vec<u8>) {
        self.matcher.start();
        let mut writer = BitWriter::new(packed);
        let mut from = 0;
        loop {
            self.tokens.clear();
            let to = self.matcher.tokens(data, from, TOKENS_OF_A_BLOCK, &mut self.tokens);
            self.write_block(&mut writer, &data[from..to], to == data.len());
            from = to;
            if from == data.len() {
                break;
            }
        }
        writer.finish();
    }

    fn write_block(&self, writer: &mut BitWriter<'_>, data: &[u8], last: bool) {
        let mut literals = [0_u32; LITERALS];
        let mut distances = [0_u32; DISTANCES];
        literals[END_OF_BLOCK] = 1;
        for token in &self.tokens {
            match *token {
                Token::Literal(byte) => literals[usize::from(byte)] += 1,
                Token::Match { length, distance } => {
                    literals[self.length_symbol(length)] += 1;
                    distances[distance_symbol(distance).0] += 1;
                }
            }
        }
        // A code of one symbol is no complete code; every reader takes one of two.
        for symbol in 0..2 {
            if distances.iter().filter(|count| **count > 0).count() < 2 {
                distances[symbol] = distances[symbol].max(1);
            }
        }
        let literals = Code::of(&literals, LONGEST_CODE);
        let distances = Code::of(&distances, LONGEST_CODE);
        let head = code_lengths(&literals, &distances);
        let stored_bits = (data.len() + data.len().div_ceil(LARGEST_STORED) * 5) * 8;
        if head.bits() + self.bits(&literals, &distances) >= stored_bits {
            write_stored(writer, data, last);
            return;
        }
        writer.put(u64::from(last) | 2 << 1, 3);
        head.write(writer);
        for token in &self.tokens {
            match *token {
                Token::Literal(byte) => literals.write(writer, usize::from(byte)),
                Token::Match { length, distance } => {
                    let symbol = self.length_symbol(length);
                    literals.write(writer, symbol);
                    let (least, bits) = LENGTHS[symbol - 257];
                    writer.put(u64::from(length - least), bits.into());
                    let (symbol, least, bits) = distance_symbol(distance);
                    distances.write(writer, symbol);
                    writer.put(u64::from(distance - least), bits);
                }
            }
        }
        literals.write(writer, END_OF_BLOCK);
    }

    fn bits(&self, literals: &Code, distances: &Code) -> usize {
        let all: u32 = self
            .tokens
            .iter()
            .map(|token| match *token {
                Token::Literal(byte) => literals.length(usize::from(byte)),
                Token::Match { length, distance } => {
                    let symbol = self.length_symbol(length);
                    let (distance, _, bits) = distance_symbol(distance);
                    literals.length(symbol) + u32::from(LENGTHS[symbol - 257].1) + distances.length(distance) + bits
                }
            })
            .sum();
        all as usize
    }

    fn length_symbol(&self, length: u16) -> usize {
        257 + usize::from(self.length_symbols[usize::from(length)])
    }
}

/// The symbol of a distance, the least distance of that symbol, and how many further bits it has.
fn distance_symbol(distance: u16) -> (usize, u16, u32) {
    let from_zero = distance - 1;
    if from_zero < 4 {
        return (usize::from(from_zero), distance, 0);
    }
    let bits = from_zero.ilog2() - 1;
    let symbol = 2 * bits + u32::from(from_zero >> bits);
    (symbol as usize, ((from_zero >> bits) << bits) + 1, bits)
}

fn write_stored(writer: &mut BitWriter<'_>, data: &[u8], last: bool) {
    let blocks = data.chunks(LARGEST_STORED);
    let count = blocks.len();
    for (number, block) in (1..).zip(blocks) {
        writer.put(u64::from(last && number == count), 3);
        writer.align();
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        writer.bytes(&length.to_le_bytes());
        writer.bytes(&(!length).to_le_bytes());
        writer.bytes(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qcow2::compressed::{Compression, Unpacker};
    use proptest::prelude::*;

    fn assert_unpacks(data: &[u8]) -> usize {
        let mut packed = Vec::new();
        Deflater::new(16).pack(data, &mut packed);
        let mut unpacked = vec![0; data.len()];
        Unpacker::default().unpack(Compression::Deflate, &packed, &mut unpacked).unwrap();
        assert!(unpacked == data);
        packed.len()
    }

    #[test]
    fn what_repeats_becomes_short_and_what_does_not_hardly_longer() {
        assert!(assert_unpacks(&[7; 1 << 21]) < 3000);
        assert!(assert_unpacks(&b"the same line again and again\n".repeat(4000)) < 1000);
        let noise: Vec<u8> = (0_u32..70_000)
            .map(|i| i.wrapping_mul(i).wrapping_mul(0x9e37_79b9).to_be_bytes()[0] ^ (i >> 3) as u8)
            .collect();
        assert!(assert_unpacks(&noise) < 70_000 + 100);
        for length in [1, 2, 3, 512] {
            assert_unpacks(&noise[..length]);
        }
    }

    #[test]
    fn distances_have_their_symbols() {
        for (distance, expected) in
            [(1, (0, 1, 0)), (4, (3, 4, 0)), (5, (4, 5, 1)), (6, (4, 5, 1)), (7, (5, 7, 1)), (4096, (23, 3073, 10))]
        {
            assert_eq!(distance_symbol(distance), expected);
        }
    }

    #[test]
    fn nothing_farther_than_four_kibibytes_is_repeated() {
        let noise: Vec<u8> = (0_u64..4093).map(|i| ((i * i * 0x9e37_79b9) >> 13) as u8).collect();
        let mut matcher = Matcher::new(64);
        let mut tokens = Vec::new();
        matcher.start();
        let data = noise.repeat(5);
        let end = matcher.tokens(&data, 0, usize::MAX, &mut tokens);
        assert_eq!(end, data.len());
        assert!(tokens.iter().any(|token| matches!(token, Token::Match { distance: 4093, .. })));
        assert!(tokens.iter().all(|token| !matches!(token, Token::Match { distance: 4097.., .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn anything_unpacks_to_itself(
            parts in proptest::collection::vec((any::<u8>(), 1_u8..40, 1_usize..3000), 1..20),
        ) {
            let mut data = Vec::new();
            let mut state = 1_u32;
            for (first, spread, length) in parts {
                for _ in 0..length {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    data.push(first.wrapping_add((state >> 24) as u8 % spread));
                }
            }
            assert_unpacks(&data);
        }
    }
}
