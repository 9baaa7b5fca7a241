use super::{
    counting::{Counting, refcount_blocks},
    header::Header,
    references::References,
    snapshots::Snapshots,
};
use crate::{ImageError, source::ImageFile, table::Table};

/// Compares the counts in the file with what is used, and tells where they differ: one sentence for clusters that
/// follow each other and differ in the same way.
pub(super) fn damage(
    header: &Header,
    source: &ImageFile,
    snapshots: &Snapshots,
    most: usize,
) -> Result<Vec<String>, ImageError> {
    let mut report = Report { sentences: Vec::new(), most, cluster_bits: header.geometry.cluster_bits, open: None };
    let blocks = refcount_blocks(header, source);
    let clusters = source.length().div_ceil(header.cluster());
    let mut from = 0;
    let mut first_round = true;
    // Further rounds only for files that scatter more clusters than memory is given for.
    while from < clusters && report.sentences.len() < most {
        let references = References::new(from, clusters);
        let mut stray = |sentence: String| {
            if first_round {
                report.say(sentence);
            }
        };
        let mut counting = Counting { header, source, snapshots, references, stray: &mut stray };
        counting.count_all()?;
        let references = counting.references;
        compare(header, source, blocks.as_ref(), &references, from, &mut report)?;
        from = references.end();
        first_round = false;
    }
    report.close();
    Ok(report.sentences)
}

fn compare(
    header: &Header,
    source: &ImageFile,
    blocks: Option<&Table<8>>,
    references: &References,
    from: u64,
    report: &mut Report,
) -> Result<(), ImageError> {
    let end = references.end();
    let per_block = (header.cluster() * 8) >> header.refcount_order;
    let entries = blocks.map_or(0, Table::entries);
    let mut used = references.used().peekable();
    let mut block = vec![0; usize::try_from(header.cluster()).unwrap_or(0)];
    // The table may be shorter than the file, and the file than the table.
    for index in from / per_block..end.div_ceil(per_block).min(entries) {
        if report.is_full() {
            return Ok(());
        }
        let place = blocks.map_or(Ok([0; 8]), |blocks| blocks.get(index)).map(u64::from_be_bytes)?;
        let first = (index * per_block).max(from);
        let behind = ((index + 1) * per_block).min(end);
        if place == 0 {
            while let Some(cluster) = used.next_if(|cluster| *cluster < behind) {
                report.compare(cluster, 0, references.count(cluster));
            }
            continue;
        }
        source.read_padded(place, &mut block)?;
        for cluster in first..behind {
            let counted = refcount(&block, cluster % per_block, header.refcount_order);
            report.compare(cluster, counted, references.count(cluster));
        }
        while used.next_if(|cluster| *cluster < behind).is_some() {}
    }
    for cluster in used {
        report.compare(cluster, 0, references.count(cluster));
    }
    Ok(())
}

/// A count in a refcount block: counts smaller than a byte begin at its lowest bits, others are big-endian.
fn refcount(block: &[u8], index: u64, order: u32) -> u64 {
    let at = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    if order < 3 {
        let bit = index << order;
        let byte = block.get(at(bit / 8)).copied().unwrap_or(0);
        return u64::from(byte >> (bit % 8) & ((1 << (1 << order)) - 1));
    }
    let width = 1_u64 << (order - 3);
    let bytes = block.get(at(index * width)..at((index + 1) * width)).unwrap_or(&[]);
    bytes.iter().fold(0, |count, byte| count << 8 | u64::from(*byte))
}

/// What is wrong with a cluster's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Difference {
    counted: u64,
    used: u16,
}

/// Puts sentences together.
struct Report {
    sentences: Vec<String>,
    most: usize,
    cluster_bits: u32,
    /// A difference, its first cluster, and how many follow each other with it.
    open: Option<(Difference, u64, u64)>,
}

impl Report {
    fn compare(&mut self, cluster: u64, counted: u64, used: u16) {
        // More uses than are counted here: whatever the file says may be right.
        let agrees = counted == u64::from(used) || used == u16::MAX && counted >= u64::from(u16::MAX);
        let difference = Difference { counted, used };
        match &mut self.open {
            Some((open, first, count)) if !agrees && *open == difference && *first + *count == cluster => *count += 1,
            _ => {
                if !agrees || self.open.is_some() {
                    self.close();
                }
                if !agrees {
                    self.open = Some((difference, cluster, 1));
                }
            }
        }
    }

    fn close(&mut self) {
        let Some((Difference { counted, used }, first, count)) = self.open.take() else { return };
        let place = first << self.cluster_bits;
        let what = if count == 1 { "the cluster".into() } else { format!("each of {count} clusters") };
        let verdict = match (counted, used) {
            (_, 0) => "is in use nowhere: it is leaked".into(),
            (counted, used) if counted > u64::from(used) => format!("is in use {used} times: it is leaked"),
            (_, used) => format!("is in use {used} times: a write may destroy it"),
        };
        self.say(format!("{what} at byte {place} has the refcount {counted} and {verdict}"));
    }

    fn say(&mut self, sentence: String) {
        if !self.is_full() {
            self.sentences.push(sentence);
        }
    }

    fn is_full(&self) -> bool {
        self.sentences.len() >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_width() {
        let block = [0b1011_0001, 0x20, 0x00, 0x03, 0, 0, 0, 4];
        for (index, order, expected) in [
            (0, 0, 1),
            (1, 0, 0),
            (7, 0, 1),
            (2, 1, 3),
            (3, 1, 2),
            (0, 2, 1),
            (1, 2, 11),
            (1, 3, 0x20),
            (1, 4, 3),
            (1, 5, 4),
            (0, 6, 0xb120_0003_0000_0004),
            (1, 6, 0),
        ] {
            assert_eq!(refcount(&block, index, order), expected, "{index} of order {order}");
        }
    }
}
