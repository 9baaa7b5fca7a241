//! KVM or TCG: probed, not assumed.
//!
//! `/dev/kvm` may exist, answer, and be useless: nested without the processor's help, it emulates every
//! instruction, and guests die or crawl. So a tiny program is timed under both, in place of the firmware, and the
//! verdict is kept until the host boots again or its QEMU changes.

use std::{
    fs::OpenOptions,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

use super::hypervisor::Hypervisor;
use crate::{AcceleratorChoice, NodeError, host, machine_directory::write_private};

/// How guests' instructions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Accelerator {
    /// By the processor.
    Kvm,
    /// By translation.
    Tcg,
}

impl Accelerator {
    /// As QEMU calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub(crate) accelerator: Accelerator,
    pub(crate) reason: String,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    host: String,
    choice: Choice,
}

const MEMORY: &str = "accelerator.json";
/// The longest that either probe may take.
const LIMIT: Duration = Duration::from_secs(4);

/// The operator's word, or the remembered verdict, or a new one.
pub(crate) async fn choose(wanted: AcceleratorChoice, hypervisor: &Hypervisor, data_dir: &Path) -> Choice {
    let by_order = |accelerator| Choice { accelerator, reason: "by configuration".into() };
    match wanted {
        AcceleratorChoice::Kvm => return by_order(Accelerator::Kvm),
        AcceleratorChoice::Tcg => return by_order(Accelerator::Tcg),
        AcceleratorChoice::Auto => {}
    }
    let device = kvm_device();
    let host = format!("{} {} {:?}", host::boot_id(), hypervisor.version, device);
    if let Some(choice) = recall(data_dir, &host) {
        return choice;
    }
    let choice = match device {
        Ok(()) => compare(hypervisor).await,
        Err(reason) => Choice { accelerator: Accelerator::Tcg, reason },
    };
    tracing::info!(accelerator = choice.accelerator.name(), reason = %choice.reason, "accelerator chosen");
    remember(data_dir, Remembered { host, choice: choice.clone() });
    choice
}

/// After KVM let a guest down: TCG until the host boots again.
pub(crate) fn distrust_kvm(hypervisor: &Hypervisor, data_dir: &Path) {
    let host = format!("{} {} {:?}", host::boot_id(), hypervisor.version, kvm_device());
    let reason = "KVM failed with an internal error under a guest".to_owned();
    remember(data_dir, Remembered { host, choice: Choice { accelerator: Accelerator::Tcg, reason } });
}

fn recall(data_dir: &Path, host: &str) -> Option<Choice> {
    let text = std::fs::read(data_dir.join(MEMORY)).ok()?;
    let remembered: Remembered = serde_json::from_slice(&text).ok()?;
    (remembered.host == host).then_some(remembered.choice)
}

fn remember(data_dir: &Path, verdict: Remembered) {
    let kept = serde_json::to_vec_pretty(&verdict)
        .map_err(|error| NodeError::Internal(error.to_string()))
        .and_then(|text| write_private(&data_dir.join(MEMORY), &text));
    drop(verdict);
    if let Err(error) = kept {
        tracing::warn!(%error, "the accelerator will be probed again");
    }
}

fn kvm_device() -> Result<(), String> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .map(drop)
        .map_err(|error| format!("/dev/kvm cannot be used: {error}"))
}

async fn compare(hypervisor: &Hypervisor) -> Choice {
    // One after the other: side by side they would disturb each other's time.
    let emulated = run(hypervisor, Accelerator::Tcg).await;
    let native = run(hypervisor, Accelerator::Kvm).await;
    judge(native, emulated)
}

fn judge(native: Result<Duration, String>, emulated: Result<Duration, String>) -> Choice {
    let (accelerator, reason) = match (native, emulated) {
        (Err(problem), _) => (Accelerator::Tcg, format!("/dev/kvm is there, but {problem}")),
        (Ok(native), Ok(emulated)) if native > emulated => {
            let (native, emulated) = (native.as_millis(), emulated.as_millis());
            (Accelerator::Tcg, format!("KVM took {native} ms for what TCG does in {emulated} ms"))
        }
        (Ok(native), _) => (Accelerator::Kvm, format!("KVM passed the probe in {} ms", native.as_millis())),
    };
    Choice { accelerator, reason }
}

/// Times the probe program.
pub(crate) async fn run(hypervisor: &Hypervisor, accelerator: Accelerator) -> Result<Duration, String> {
    let directory = std::env::temp_dir().join(format!("tombolo-probe-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&directory).map_err(|error| format!("{} cannot be made: {error}", directory.display()))?;
    let outcome = run_in(&directory, hypervisor, accelerator).await;
    if let Err(error) = std::fs::remove_dir_all(&directory) {
        tracing::warn!(directory = %directory.display(), %error, "left behind");
    }
    outcome
}

async fn run_in(directory: &Path, hypervisor: &Hypervisor, accelerator: Accelerator) -> Result<Duration, String> {
    let firmware = directory.join("firmware");
    write_private(&firmware, &program()).map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let asked = Command::new(&hypervisor.program)
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16M", "-accel"])
        .arg(accelerator.name())
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios"])
        .arg(&firmware)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, asked)
        .await
        .map_err(|_| format!("a tiny program does not end within {} s under {}", LIMIT.as_secs(), accelerator.name()))?
        .map_err(|error| error.to_string())?;
    if output.status.code() == Some(EXIT_STATUS) {
        Ok(begun.elapsed())
    } else {
        let words: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect();
        Err(format!("a tiny program fails under {}: {} {words}", accelerator.name(), output.status))
    }
}

/// What isa-debug-exit makes of the value that the program writes: twice the value, plus one.
const EXIT_STATUS: i32 = 0x2a * 2 + 1;

/// A firmware image whose only act is to count in protected mode, as a kernel would run, with some port writes
/// in between, and to end QEMU.
fn program() -> Vec<u8> {
    const SIZE: usize = 64 << 10;
    const GDT: usize = 0x80;
    const CODE: &[u8] = &[
        0xfa, //                                      cli
        0x2e, 0x66, 0x0f, 0x01, 0x16, 0x78, 0x00, //  o32 lgdt [cs:0x78]
        0x0f, 0x20, 0xc0, //                          mov eax, cr0
        0x0c, 0x01, //                                or al, 1
        0x0f, 0x22, 0xc0, //                          mov cr0, eax
        0x66, 0xea, 0x18, 0x00, 0x0f, 0x00, 0x08, 0x00, // jmp dword 0x08:0xf0018
        0xbe, 0x00, 0x02, 0x00, 0x00, //        (18)  mov esi, 512
        0xb9, 0xa0, 0x86, 0x01, 0x00, //        (1d)  mov ecx, 100000
        0x49, //                                (22)  dec ecx
        0x75, 0xfd, //                                jnz 0x22
        0xe6, 0x80, //                                out 0x80, al
        0x4e, //                                      dec esi
        0x75, 0xf3, //                                jnz 0x1d
        0xb0, 0x2a, //                                mov al, 0x2a
        0xe6, 0xf4, //                                out 0xf4, al
        0xf4, //                                      hlt
    ];
    const DESCRIPTORS: [u64; 2] = [0, 0x00cf_9a00_0000_ffff]; // none; flat 32-bit code
    let mut image = vec![0; SIZE];
    image[..CODE.len()].copy_from_slice(CODE);
    // The table's limit and linear address, in the copy of the firmware below 1 MiB.
    image[0x78..0x7e].copy_from_slice(&[0x0f, 0x00, 0x80, 0x00, 0x0f, 0x00]);
    for (slot, descriptor) in image[GDT..].chunks_exact_mut(8).zip(DESCRIPTORS) {
        slot.copy_from_slice(&descriptor.to_le_bytes());
    }
    // Where the processor starts: jmp 0xf000:0
    image[0xfff0..0xfff5].copy_from_slice(&[0xea, 0x00, 0x00, 0x00, 0xf0]);
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(90);
    const SLOW: Duration = Duration::from_millis(900);

    #[test]
    fn kvm_must_work_and_must_not_be_slower() {
        let accelerator = |native, emulated| judge(native, emulated).accelerator;
        assert_eq!(accelerator(Ok(FAST), Ok(SLOW)), Accelerator::Kvm);
        assert_eq!(accelerator(Ok(SLOW), Ok(FAST)), Accelerator::Tcg);
        assert_eq!(accelerator(Err("it crawls".into()), Ok(SLOW)), Accelerator::Tcg);
        assert_eq!(accelerator(Ok(SLOW), Err("broken".into())), Accelerator::Kvm);
    }

    #[test]
    fn a_verdict_is_for_one_host_only() {
        let directory = tempfile::tempdir().unwrap();
        let choice = Choice { accelerator: Accelerator::Kvm, reason: "measured".into() };
        remember(directory.path(), Remembered { host: "this".into(), choice: choice.clone() });
        assert_eq!(recall(directory.path(), "this"), Some(choice));
        assert_eq!(recall(directory.path(), "after a reboot"), None);
    }

    #[tokio::test]
    async fn qemu_runs_the_probe_program_under_tcg() {
        let hypervisor = Hypervisor::find(None).await.unwrap();
        run(&hypervisor, Accelerator::Tcg).await.unwrap();
    }

    #[tokio::test]
    async fn qemu_choice_is_made_in_bounded_time_and_remembered() {
        let hypervisor = Hypervisor::find(None).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let first = choose(AcceleratorChoice::Auto, &hypervisor, directory.path()).await;
        // A QEMU that cannot be started shows that nothing is probed again.
        let broken = Hypervisor { program: "/bin/false".into(), ..hypervisor };
        assert_eq!(choose(AcceleratorChoice::Auto, &broken, directory.path()).await, first);
        distrust_kvm(&broken, directory.path());
        let after = choose(AcceleratorChoice::Auto, &broken, directory.path()).await;
        assert_eq!(after.accelerator, Accelerator::Tcg);
    }
}
