//! Whether a node is as the broker needs it.

use backend::{BackendError, Description, Finding, Verdict};
use jiff::Timestamp;

use crate::NodeBackend;

/// Clocks that are this far apart confuse whoever compares logs, in seconds; tokens bear no more either.
const MOST_SKEW: i64 = 60;

pub(crate) async fn look(node: &NodeBackend) -> Vec<Finding> {
    let answer = node.node.ask_with_time::<Description>(node.get("/description")).await;
    match answer {
        Ok((description, said)) => {
            let mut findings = vec![Finding::new("reachable", Verdict::Good, description.software.clone())];
            findings.push(room(&description));
            findings.push(accelerator(&description.hypervisor));
            findings.push(clock(said, Timestamp::now()));
            findings
        }
        Err(error @ BackendError::Unauthorized(_)) => {
            vec![Finding::new("credentials", Verdict::Bad, error.to_string())]
        }
        Err(error) => vec![Finding::new("reachable", Verdict::Bad, error.to_string())],
    }
}

fn room(description: &Description) -> Finding {
    match &description.obstacle {
        Some(obstacle) => Finding::new("room for machines", Verdict::Bad, obstacle.clone()),
        None => {
            let limits = description.limits;
            let most = format!("up to {} cores and {} MiB for one machine", limits.cores, limits.memory_mib);
            Finding::new("room for machines", Verdict::Good, most)
        }
    }
}

fn accelerator(hypervisor: &str) -> Finding {
    if hypervisor.contains("(kvm)") {
        return Finding::new("accelerator", Verdict::Good, hypervisor);
    }
    let what = format!("{hypervisor}: without KVM guests run several times slower; see `tombolo doctor` on the node");
    Finding::new("accelerator", Verdict::Doubtful, what)
}

fn clock(said: Option<Timestamp>, now: Timestamp) -> Finding {
    let Some(said) = said else {
        return Finding::new("clock", Verdict::Doubtful, "the node does not say what time it is");
    };
    let skew = said.as_second().saturating_sub(now.as_second());
    if skew.abs() <= MOST_SKEW {
        return Finding::new("clock", Verdict::Good, format!("{} s apart", skew.abs()));
    }
    let direction = if skew > 0 { "ahead of" } else { "behind" };
    let what = format!("the node's clock is {} s {direction} ours: let both follow one time server", skew.abs());
    Finding::new("clock", Verdict::Doubtful, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |seconds: i64| clock(Some(Timestamp::from_second(1_800_000_000 + seconds).unwrap()), now);
        assert_eq!(at(-60).verdict, Verdict::Good);
        for (seconds, words) in [(-300, "300 s behind ours"), (61, "61 s ahead of ours")] {
            let finding = at(seconds);
            assert!(finding.verdict == Verdict::Doubtful && finding.detail.contains(words), "{finding:?}");
        }
        assert_eq!(clock(None, now).verdict, Verdict::Doubtful);
    }

    #[test]
    fn only_kvm_is_good_news() {
        assert_eq!(accelerator("QEMU 10.0.2 (kvm)").verdict, Verdict::Good);
        assert_eq!(accelerator("QEMU 10.0.2 (tcg)").verdict, Verdict::Doubtful);
    }
}
