use std::collections::BTreeMap;

const COUNTS: usize = 2048;
/// Clusters whose counts lie together: 4 KiB of them.
const PAGE: u64 = COUNTS as u64;
/// 24 MiB of counts.
const MOST_PAGES: usize = 6144;

/// How often clusters of a file are used, counted for a part of the file at a time so that memory stays bounded.
#[derive(Debug)]
pub(super) struct References {
    /// The first cluster that is counted.
    from: u64,
    /// The first cluster that is not.
    to: u64,
    pages: BTreeMap<u64, Box<[u16; COUNTS]>>,
}

impl References {
    /// Counts nothing before `from`, and nothing from `to` on, where the file ends.
    pub(super) fn new(from: u64, to: u64) -> Self {
        Self { from, to, pages: BTreeMap::new() }
    }

    /// The first cluster that is not counted: smaller than asked for when there is too much before it.
    pub(super) fn end(&self) -> u64 {
        self.to
    }

    /// Counts `times` uses of a cluster.
    pub(super) fn add(&mut self, cluster: u64, times: u16) {
        if !(self.from..self.to).contains(&cluster) {
            return;
        }
        let number = cluster / PAGE;
        let page = self.pages.entry(number).or_insert_with(|| Box::new([0; COUNTS]));
        let count = &mut page[index(cluster)];
        *count = count.saturating_add(times);
        while self.pages.len() > MOST_PAGES
            && let Some((last, _)) = self.pages.pop_last()
        {
            self.to = last * PAGE;
        }
    }

    /// Uses of a cluster.
    pub(super) fn count(&self, cluster: u64) -> u16 {
        self.pages.get(&(cluster / PAGE)).map_or(0, |page| page[index(cluster)])
    }

    /// The clusters that are used, in order.
    pub(super) fn used(&self) -> impl Iterator<Item = u64> + '_ {
        self.pages.iter().flat_map(|(number, page)| {
            let first = number * PAGE;
            let used = (first..).zip(page.iter()).filter(|(_, count)| **count > 0);
            used.map(|(cluster, _)| cluster)
        })
    }
}

fn index(cluster: u64) -> usize {
    usize::try_from(cluster % PAGE).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_in_the_next_round() {
        let most = MOST_PAGES as u64;
        let all = (0..most + 10).map(|page| page * PAGE);
        let (mut from, mut rounds, mut counted) = (0, 0, 0);
        while from < (most + 10) * PAGE {
            let mut references = References::new(from, (most + 10) * PAGE);
            for cluster in all.clone().rev() {
                references.add(cluster, 1);
                references.add(cluster, 2);
            }
            counted += all.clone().filter(|cluster| references.count(*cluster) == 3).count() as u64;
            from = references.end();
            rounds += 1;
        }
        assert_eq!((rounds, counted), (2, most + 10));
    }
}
