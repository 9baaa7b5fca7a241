//! The language of changes: places and values that mean something in a seed are short to say.

use super::{medium::Medium, seeds::Seed};

/// Changes of one input.
const MOST: usize = 48;
/// How long a file may be made, in bytes.
const LONGEST: u64 = 64 << 20;
/// The same of texts, which are written to disk: more than a reader takes.
const LONGEST_TEXT: u64 = 2 << 20;
/// Bytes of the longest range that is copied or filled.
const RANGE: usize = 64 << 10;

/// What is to be done to a seed.
pub struct Script<'a> {
    bytes: &'a [u8],
    seed: &'a Seed,
    /// Where the last change was.
    last: u64,
}

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8], seed: &'a Seed) -> Self {
        Self { bytes, seed, last: 0 }
    }

    pub fn run(mut self, medium: &mut Medium) {
        for _ in 0..MOST {
            if self.bytes.is_empty() {
                break;
            }
            self.step(medium);
        }
    }

    /// The next bytes of the script, zeros behind its end.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let length = self.bytes.len().min(N);
        taken[..length].copy_from_slice(&self.bytes[..length]);
        self.bytes = &self.bytes[length..];
        taken
    }

    fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    fn short(&mut self) -> u64 {
        u16::from_le_bytes(self.take()).into()
    }

    fn step(&mut self, medium: &mut Medium) {
        let operation = self.byte();
        let width = [1, 2, 4, 8][usize::from(operation >> 4 & 3)];
        let big_endian = self.seed.big_endian != (operation & 0x40 != 0);
        let place = self.place(medium, width);
        match operation & 7 {
            0..=2 => {
                let value = self.value(medium, width);
                put(medium, place, value, width, big_endian);
            }
            3 => {
                let change = i64::from(self.byte().cast_signed());
                let value = number(medium, place, width, big_endian).wrapping_add_signed(change);
                put(medium, place, value, width, big_endian);
            }
            4 => {
                let from = self.place(medium, width);
                put(medium, place, number(medium, from, width, big_endian), width, big_endian);
            }
            5 => {
                let from = self.place(medium, 1);
                let mut bytes = vec![0; self.range()];
                medium.get(from, &mut bytes);
                medium.put(place, &bytes);
            }
            6 => {
                let byte = self.byte();
                let bytes = vec![byte; self.range()];
                medium.put(place, &bytes);
            }
            _ => {
                let length = match self.byte() {
                    0..128 => place,
                    change @ 128..=250 => medium.length() + u64::from(change - 127) * 512,
                    power => medium.length() + (1 << (16 + 2 * (power - 251))),
                };
                let most = if self.seed.is_text() { LONGEST_TEXT } else { LONGEST };
                medium.set_length(length.min(most));
            }
        }
        self.last = place;
    }

    /// Somewhere in the file, where it means something more often than not.
    fn place(&mut self, medium: &Medium, width: u64) -> u64 {
        let kind = self.byte();
        let nth = |places: &[u64], index: u64| {
            usize::try_from(index).ok().and_then(|index| places.get(index % places.len().max(1)).copied())
        };
        match kind & 7 {
            0 | 1 => {
                let word = nth(&self.seed.words, self.short()).unwrap_or(0);
                word + u64::from(kind >> 3 & 3)
            }
            2 | 3 => {
                let index = self.short();
                let sector = nth(&self.seed.structure, index).unwrap_or(0);
                let within = u64::from(kind >> 3) << 4 | u64::from(self.byte() & 15);
                sector + within / width * width
            }
            4 => u64::from(u32::from_le_bytes(self.take())) % medium.length().max(1),
            5 => medium.length().saturating_sub(self.short()),
            6 => self.short(),
            _ => self.last.saturating_add_signed(i64::from(self.byte().cast_signed()) * width.cast_signed()),
        }
    }

    /// A number that may mean something: a place in the file, a limit, or anything.
    fn value(&mut self, medium: &Medium, width: u64) -> u64 {
        let kind = self.byte();
        let little = u64::from(self.byte());
        match kind & 15 {
            0..=3 => little,
            4 | 5 => {
                let mut bytes = [0; 8];
                bytes[0] = little.to_le_bytes()[0];
                for byte in &mut bytes[1..width as usize] {
                    *byte = self.byte();
                }
                u64::from_le_bytes(bytes)
            }
            6 => !little,
            7 => 1 << (little % 64),
            8 => (1_u64 << (little % 64)).wrapping_sub(1),
            9 => medium.length().wrapping_add_signed(i64::from(little.to_le_bytes()[0].cast_signed())),
            10 => (medium.length() / 512).wrapping_add_signed(i64::from(little.to_le_bytes()[0].cast_signed())),
            11 => self.place(medium, 1) | little << 56,
            12 => self.place(medium, 1) & !511 | little << 56,
            13 => self.place(medium, 1) / 512,
            14 => self.place(medium, 1) >> 20 << 20 | little & 7,
            _ => self.last.wrapping_add(little << 9),
        }
    }

    fn range(&mut self) -> usize {
        let length = usize::from(u16::from_le_bytes(self.take()));
        // Of the higher half, whole sectors.
        if length < 0x8000 { length % 1024 + 1 } else { (length % 0x8000 * 512).clamp(512, RANGE) }
    }
}

fn number(medium: &Medium, place: u64, width: u64, big_endian: bool) -> u64 {
    let bytes: [u8; 8] = medium.array(place);
    let value = if big_endian { u64::from_be_bytes(bytes) >> (64 - 8 * width) } else { u64::from_le_bytes(bytes) };
    if width == 8 { value } else { value & ((1 << (8 * width)) - 1) }
}

fn put(medium: &mut Medium, place: u64, value: u64, width: u64, big_endian: bool) {
    let width = width as usize;
    if big_endian {
        medium.put(place, &value.to_be_bytes()[8 - width..]);
    } else {
        medium.put(place, &value.to_le_bytes()[..width]);
    }
}
