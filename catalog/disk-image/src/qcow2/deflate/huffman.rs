/// Order in which the lengths of the codes for lengths are written.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LONGEST_LENGTH_CODE: u32 = 7;

/// Appends bits, the lowest first.
pub(super) struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    bits: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, bits: 0, count: 0 }
    }

    /// Appends the `count` lowest bits, 16 at most; those above must be zero.
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&self.bits.to_le_bytes()[..4]);
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    /// Fills up the byte that was begun.
    pub(super) fn align(&mut self) {
        let whole = self.count.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.bits.to_le_bytes()[..whole]);
        (self.bits, self.count) = (0, 0);
    }

    /// Appends bytes, after [`BitWriter::align`].
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn finish(mut self) {
        self.align();
    }
}

/// A prefix code: for each symbol its length in bits, zero for those that do not occur, and the bits.
pub(super) struct Code {
    lengths: Vec<u8>,
    bits: Vec<u16>,
}

impl Code {
    /// A code for symbols that occur so often, no code longer than `longest`.
    pub(super) fn of(counts: &[u32], longest: u32) -> Self {
        let lengths = lengths_of(counts, longest);
        let mut next = [0_u16; 17];
        let mut of_length = [0_u16; 16];
        for length in lengths.iter().filter(|length| **length > 0) {
            of_length[usize::from(*length)] += 1;
        }
        for length in 1..=15 {
            next[length + 1] = (next[length] + of_length[length]) << 1;
        }
        let bits = lengths
            .iter()
            .map(|length| {
                if *length == 0 {
                    return 0;
                }
                let code = next[usize::from(*length)];
                next[usize::from(*length)] += 1;
                // Codes are written from their highest bit on, all else from its lowest.
                code.reverse_bits() >> (16 - u32::from(*length))
            })
            .collect();
        Self { lengths, bits }
    }

    pub(super) fn length(&self, symbol: usize) -> u32 {
        self.lengths[symbol].into()
    }

    pub(super) fn write(&self, writer: &mut BitWriter<'_>, symbol: usize) {
        writer.put(self.bits[symbol].into(), self.length(symbol));
    }

    /// Symbols up to the last one that occurs, and `least` at least.
    fn used(&self, least: usize) -> &[u8] {
        let last = self.lengths.iter().rposition(|length| *length > 0).map_or(0, |last| last + 1);
        &self.lengths[..last.max(least)]
    }
}

/// Lengths of a best code, shortened where they are too long.
fn lengths_of(counts: &[u32], longest: u32) -> Vec<u8> {
    let mut symbols: Vec<(u32, usize)> =
        counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(symbol, count)| (*count, symbol)).collect();
    symbols.sort_unstable();
    let mut lengths = vec![0; counts.len()];
    if symbols.len() < 2 {
        for (_, symbol) in symbols {
            lengths[symbol] = 1;
        }
        return lengths;
    }
    // Leaves in order, then inner nodes in the order that they are made, which is that of their weights.
    let mut weights: Vec<u64> = symbols.iter().map(|(count, _)| u64::from(*count)).collect();
    let leaves = weights.len();
    let mut parents = vec![0; 2 * leaves - 1];
    let (mut leaf, mut inner) = (0, leaves);
    while weights.len() < 2 * leaves - 1 {
        let mut take = || {
            let from_leaves = leaf < leaves && (inner >= weights.len() || weights[leaf] <= weights[inner]);
            let place = if from_leaves { &mut leaf } else { &mut inner };
            *place += 1;
            *place - 1
        };
        let (one, other) = (take(), take());
        parents[one] = weights.len();
        parents[other] = weights.len();
        weights.push(weights[one] + weights[other]);
    }
    let mut depths = vec![0_u32; 2 * leaves - 1];
    let mut of_depth = [0_u32; 33];
    for node in (0..2 * leaves - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
        if node < leaves {
            of_depth[depths[node].min(longest) as usize] += 1;
        }
    }
    // Codes that were cut to the longest length are too many: others make room by growing.
    let longest_at = longest as usize;
    let mut room: u32 = (1..=longest_at).map(|length| of_depth[length] << (longest_at - length)).sum();
    while room > 1 << longest {
        of_depth[longest_at] -= 1;
        if let Some(length) = (1..longest_at).rev().find(|length| of_depth[*length] > 0) {
            of_depth[length] -= 1;
            of_depth[length + 1] += 2;
        }
        room -= 1;
    }
    // The rarest symbols have the longest codes.
    let mut rarest = symbols.iter();
    for length in (1..=longest_at).rev() {
        for (_, symbol) in rarest.by_ref().take(of_depth[length] as usize) {
            lengths[*symbol] = u8::try_from(length).unwrap_or(0);
        }
    }
    lengths
}

/// How a block describes its two codes.
pub(super) struct CodeLengths {
    literals: usize,
    distances: usize,
    /// Symbols with their further bits and how many those are.
    symbols: Vec<(usize, u64, u32)>,
    code: Code,
    written: usize,
}

/// Describes two codes by runs of lengths.
pub(super) fn code_lengths(literals: &Code, distances: &Code) -> CodeLengths {
    let (literals, distances) = (literals.used(257), distances.used(1));
    let all = [literals, distances].concat();
    let mut symbols = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let length = all[at];
        let run = all[at..].iter().take_while(|other| **other == length).count();
        at += match (length, run) {
            (0, 11..) => {
                let run = run.min(138);
                symbols.push((18, run as u64 - 11, 7));
                run
            }
            (0, 3..) => {
                symbols.push((17, run as u64 - 3, 3));
                run
            }
            (_, 4..) if length > 0 => {
                let repeated = (run - 1).min(6);
                symbols.push((length.into(), 0, 0));
                symbols.push((16, repeated as u64 - 3, 2));
                repeated + 1
            }
            _ => {
                symbols.push((length.into(), 0, 0));
                1
            }
        };
    }
    let mut counts = [0; 19];
    for (symbol, _, _) in &symbols {
        counts[*symbol] += 1;
    }
    // A code of one symbol is no complete code.
    if counts.iter().filter(|count| **count > 0).count() < 2 {
        counts[0] += 1;
        counts[18] += 1;
    }
    let code = Code::of(&counts, LONGEST_LENGTH_CODE);
    let written = ORDER.iter().rposition(|symbol| code.lengths[*symbol] > 0).map_or(4, |last| (last + 1).max(4));
    CodeLengths { literals: literals.len(), distances: distances.len(), symbols, code, written }
}

impl CodeLengths {
    /// Bits that all of it takes, with the block's own three.
    pub(super) fn bits(&self) -> usize {
        let symbols: u32 = self.symbols.iter().map(|(symbol, _, bits)| self.code.length(*symbol) + bits).sum();
        3 + 14 + 3 * self.written + symbols as usize
    }

    pub(super) fn write(&self, writer: &mut BitWriter<'_>) {
        writer.put(self.literals as u64 - 257, 5);
        writer.put(self.distances as u64 - 1, 5);
        writer.put(self.written as u64 - 4, 4);
        for symbol in &ORDER[..self.written] {
            writer.put(self.code.lengths[*symbol].into(), 3);
        }
        for (symbol, further, bits) in &self.symbols {
            self.code.write(writer, *symbol);
            writer.put(*further, *bits);
        }
    }
}
