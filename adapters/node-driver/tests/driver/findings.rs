use node_driver::{AcceleratorChoice, Verdict, examine};

use crate::node::{Node, names, options};

#[tokio::test]
async fn qemu_host_that_runs_these_tests_is_fit_to_be_a_node() {
    let root = tempfile::tempdir().unwrap();
    let mut wanted = options(root.path());
    wanted.accelerator = AcceleratorChoice::Auto;
    let findings = examine(&wanted).await;
    for finding in &findings {
        println!("{finding:?}");
        assert_ne!(finding.verdict, Verdict::Bad, "{finding:?}");
    }
    let subjects: Vec<_> = findings.iter().map(|finding| finding.subject).collect();
    assert_eq!(subjects, ["QEMU", "accelerator", "sandbox", "memory", "processors", "disk", "ports"]);
    assert_eq!(names(root.path()), ["accelerator.json"], "nothing else is touched");
}

#[tokio::test]
async fn what_keeps_machines_from_running_is_found() {
    let node = Node::new().await;
    let mut wanted = node.options.clone();
    wanted.qemu = Some("/nonexistent/qemu".into());
    wanted.disk_reserve_bytes = u64::MAX;
    let findings = examine(&wanted).await;
    let bad: Vec<_> = findings.iter().filter(|f| f.verdict == Verdict::Bad).map(|f| f.subject).collect();
    assert_eq!(bad, ["QEMU", "disk"]);
    assert!(findings.iter().any(|finding| finding.text.contains("a node driver works there")), "{findings:?}");
    node.clear().await;
}
