//! What is left to chance, and can be repeated.

/// A small generator of numbers that are the same everywhere (splitmix64); it tells its seed when a test fails.
pub struct Dice {
    seed: u64,
    state: u64,
}

/// What this run was told: `name` as a number.
#[expect(clippy::disallowed_methods, reason = "what a run of the harness is told")]
pub fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

impl Dice {
    /// With the seed of this run: `TOMBOLO_FAULTS_SEED`.
    pub fn new() -> Self {
        let seed = told("TOMBOLO_FAULTS_SEED").unwrap_or(1);
        Self { seed, state: seed }
    }

    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// Another order of the same things.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let chosen = usize::try_from(self.below(last as u64 + 1)).unwrap();
            things.swap(last, chosen);
        }
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat this with TOMBOLO_FAULTS_SEED={}", self.seed);
        }
    }
}
