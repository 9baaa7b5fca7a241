//! What the tester made and has not removed yet.

/// Something on the server that must go again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    /// A resource or link, by its path.
    Entity(String),
    /// A user mixin, by its identifier.
    Mixin(String),
}

#[derive(Debug)]
struct Entry {
    made: Made,
    /// Whether it stays until the last check.
    is_shared: bool,
}

/// In the order of making.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
}

impl Ledger {
    /// Notes it once.
    pub(crate) fn note(&mut self, made: Made, is_shared: bool) {
        if !self.entries.iter().any(|entry| entry.made == made) {
            self.entries.push(Entry { made, is_shared });
        }
    }

    /// It is gone.
    pub(crate) fn forget(&mut self, made: &Made) {
        self.entries.retain(|entry| entry.made != *made);
    }

    pub(crate) fn holds(&self, made: &Made) -> bool {
        self.entries.iter().any(|entry| entry.made == *made)
    }

    /// What the check that just ended left behind, the newest first: links go before what they link.
    pub(crate) fn of_check(&self) -> Vec<Made> {
        self.entries.iter().rev().filter(|entry| !entry.is_shared).map(|entry| entry.made.clone()).collect()
    }

    /// Everything, the newest first.
    pub(crate) fn all(&self) -> Vec<Made> {
        self.entries.iter().rev().map(|entry| entry.made.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_things_outlive_their_check() {
        let mut ledger = Ledger::default();
        let [network, compute, link] = ["/n/1", "/c/1", "/l/1"].map(|path| Made::Entity(path.to_owned()));
        ledger.note(network.clone(), true);
        ledger.note(compute.clone(), false);
        ledger.note(link.clone(), false);
        ledger.note(compute.clone(), false);
        assert_eq!(ledger.of_check(), [link.clone(), compute.clone()]);
        ledger.forget(&link);
        assert_eq!(ledger.all(), [compute, network]);
        assert!(!ledger.holds(&link));
    }
}
