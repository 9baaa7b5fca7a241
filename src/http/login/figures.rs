//! Shares of a project, as people read them.

use crate::login::account::{AccountProject, Share};

const GIB: f64 = (1_u64 << 30) as f64;

/// One thing of which a project has a share.
pub struct QuotaRow {
    /// The project's name.
    pub project: String,
    /// Of what.
    pub what: &'static str,
    /// What all take, may take and have left; the same for the user alone.
    pub figures: [String; 6],
}

/// All shares of these projects.
pub fn rows(projects: &[AccountProject]) -> Vec<QuotaRow> {
    projects.iter().flat_map(rows_of).collect()
}

fn rows_of(project: &AccountProject) -> Vec<QuotaRow> {
    let row = |what, figures: fn(&Share) -> [Option<i64>; 3], unit: fn(i64) -> String| {
        let text = |figure: Option<i64>| figure.map_or_else(|| "no limit".to_owned(), unit);
        let [all, own] = [&project.quota.project, &project.quota.own].map(|share| figures(share).map(text));
        let [a, b, c] = all;
        let [d, e, f] = own;
        QuotaRow { project: project.name.clone(), what, figures: [a, b, c, d, e, f] }
    };
    let number = |figure: i64| figure.to_string();
    vec![
        row("machines", |s| [Some(s.used.machines), s.limit.machines, s.left.machines], number),
        row("cores", |s| [Some(s.used.cores), s.limit.cores, s.left.cores], number),
        row("memory", |s| [Some(s.used.memory_mib), s.limit.memory_mib, s.left.memory_mib], mebibytes),
        row("disk", |s| [Some(s.used.disk_bytes), s.limit.disk_bytes, s.left.disk_bytes], bytes),
        row("addresses", |s| [Some(s.used.addresses), s.limit.addresses, s.left.addresses], number),
    ]
}

fn mebibytes(figure: i64) -> String {
    bytes(figure.saturating_mul(1 << 20))
}

fn bytes(figure: i64) -> String {
    let gib = figure as f64 / GIB;
    if gib.fract() == 0.0 { format!("{gib:.0} GiB") } else { format!("{gib:.1} GiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_gib() {
        assert_eq!((mebibytes(2048), mebibytes(1536)), ("2 GiB".into(), "1.5 GiB".into()));
        assert_eq!((bytes(0), bytes(i64::MAX)), ("0 GiB".into(), "8589934592 GiB".into()));
    }
}
