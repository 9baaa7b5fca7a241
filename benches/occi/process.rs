//! What the kernel knows of a process: processor time and memory.

use std::time::Duration;

/// Ticks of /proc in a second; Linux has had no other number on the machines that we run on.
const TICKS: u64 = 100;

/// Processor time that the process has had so far, in user and kernel mode.
pub fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc/PID/stat of a process that we run");
    // The name in parentheses may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).expect("ticks in stat");
    Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS)
}

/// Processor time that the threads of the process have had so far, to the nanosecond. What threads had that have ended is
/// not in it, so that it is for a time in which none ends.
pub fn processor_time_of_threads(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("/proc/PID/task of a process that we run");
    let texts = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    Duration::from_nanos(texts.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum())
}

/// Processor time of a process and of all that it has started, those included whose end it has noticed.
pub fn processor_time_of_family(pid: u32) -> Duration {
    let ticks_of = |pid: u32| -> Option<(u32, u64, u64)> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some((u32::try_from(number(1)?).ok()?, number(11)? + number(12)?, number(13)? + number(14)?))
    };
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children: u64 = pids
        .filter_map(|child| ticks_of(child).filter(|(parent, _, _)| *parent == pid))
        .map(|(_, own, ended)| own + ended)
        .sum();
    let (_, own, ended) = ticks_of(pid).unwrap_or_default();
    Duration::from_millis((own + ended + children) * 1000 / TICKS)
}

/// Bytes that the process has had written to disks so far.
pub fn written_bytes(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Processor time that this thread has had so far: what others do on the machine does not count.
pub fn own_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel with schedstat");
    Duration::from_nanos(text.split(' ').next().and_then(|time| time.parse().ok()).expect("a time in schedstat"))
}

/// Resident memory in MiB: now, and the most since [`reset_peak`].
pub fn memory(pid: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc/PID/status");
    let mebibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line in status");
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().expect("kB") / 1024.0
    };
    (mebibytes("VmRSS"), mebibytes("VmHWM"))
}

/// Lets the most resident memory be what it is now.
pub fn reset_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("/proc/PID/clear_refs of a process that we run");
}

/// How many processes wanted a processor in the last minute, on average.
pub fn machine_load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}
