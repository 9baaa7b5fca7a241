//! What is hostile costs little memory.

use std::{env, process::Command};

/// Runs the tests of hostile containers once more, in a process that may not have more than 256 MiB of addresses.
#[test]
fn refusals_need_little_memory() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -S -v 262144; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["containers::hostile::", "containers::compressed::memory", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("hostile::") && said.contains("memory_is_not"), "{said}");
}
