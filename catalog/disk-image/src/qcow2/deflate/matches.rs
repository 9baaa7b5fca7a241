use super::Token;

/// QEMU's.
const WINDOW: usize = 4096;
const HASH_BITS: u32 = 13;
const SHORTEST: usize = 4;
const LONGEST: usize = 258;
/// A match as long as this is not improved upon.
const LONG_ENOUGH: usize = 64;

/// Finds repetitions.
pub(super) struct Matcher {
    chain: u32,
    /// The last place plus one where four bytes of a hash stood; zero when they stood nowhere.
    heads: Vec<u32>,
    /// For each place, modulo the window, the one before it with the same hash, likewise.
    before: Vec<u32>,
}

impl Matcher {
    pub(super) fn new(chain: u32) -> Self {
        Self { chain, heads: vec![0; 1 << HASH_BITS], before: vec![0; WINDOW] }
    }

    /// Forgets what was there.
    pub(super) fn start(&mut self) {
        self.heads.fill(0);
    }

    /// Turns data from `from` on into at most so many tokens, and answers where they end. All data before `from` must
    /// have been given before.
    pub(super) fn tokens(&mut self, data: &[u8], from: usize, most: usize, tokens: &mut Vec<Token>) -> usize {
        let mut at = from;
        let mut here = None;
        while at < data.len() && tokens.len() < most {
            let (length, distance) = here.take().unwrap_or_else(|| self.longest(data, at, SHORTEST - 1));
            self.note(data, at);
            if length < SHORTEST {
                tokens.push(Token::Literal(data[at]));
                at += 1;
                continue;
            }
            // A longer one that begins a byte later is worth a literal.
            if length < LONG_ENOUGH && at + 1 < data.len() && tokens.len() + 1 < most {
                let next = self.longest(data, at + 1, length);
                if next.0 > length {
                    tokens.push(Token::Literal(data[at]));
                    at += 1;
                    here = Some(next);
                    continue;
                }
            }
            for place in at + 1..at + length {
                self.note(data, place);
            }
            tokens.push(Token::Match {
                length: u16::try_from(length).unwrap_or(0),
                distance: u16::try_from(distance).unwrap_or(0),
            });
            at += length;
        }
        at
    }

    /// The longest repetition at a place that is longer than `than`, and how far back it is.
    fn longest(&self, data: &[u8], at: usize, than: usize) -> (usize, usize) {
        let most = LONGEST.min(data.len() - at);
        let (mut length, mut distance) = (than, 0);
        let Some(hash) = hash(data, at) else { return (0, 0) };
        if than >= most {
            return (0, 0);
        }
        let here = &data[at..at + most];
        let mut candidate = self.heads[hash] as usize;
        for _ in 0..self.chain {
            if candidate == 0 || at - (candidate - 1) > WINDOW {
                break;
            }
            let place = candidate - 1;
            let there = &data[place..place + most];
            // Whoever is longer agrees where the longest so far ended.
            if there[length] == here[length] && there[..4] == here[..4] {
                let common = common(there, here);
                if common > length {
                    (length, distance) = (common, at - place);
                    if length == most {
                        break;
                    }
                }
            }
            let next = self.before[place % WINDOW] as usize;
            // An overwritten place leads forward.
            if next >= candidate {
                break;
            }
            candidate = next;
        }
        if distance == 0 { (0, 0) } else { (length, distance) }
    }

    fn note(&mut self, data: &[u8], at: usize) {
        if let Some(hash) = hash(data, at) {
            self.before[at % WINDOW] = self.heads[hash];
            self.heads[hash] = u32::try_from(at + 1).unwrap_or(0);
        }
    }
}

fn hash(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at + 4)?.first_chunk::<4>()?;
    Some((u32::from_le_bytes(*bytes).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize)
}

/// How many bytes two equally long runs have in common at their beginnings.
fn common(one: &[u8], other: &[u8]) -> usize {
    let (words, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    for (i, (a, b)) in words.iter().zip(others).enumerate() {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return i * 8 + difference.trailing_zeros() as usize / 8;
        }
    }
    let whole = words.len() * 8;
    whole + one[whole..].iter().zip(&other[whole..]).take_while(|(a, b)| a == b).count()
}
