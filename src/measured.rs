//! The figures that this process keeps about itself: all their names, what they mean, and who collects them.
//!
//! Whoever measures does so through the macros of the crate `metrics`. Labels have few values only: configured sites,
//! known operations, classes of statuses; never an id, a name of a user or a path.

use std::time::Duration;

use metrics::{KeyName, Recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Answered requests, by `method` and `class` of the status.
pub const HTTP_REQUESTS: &str = "tombolo_http_requests_total";
/// Time from a request's header fields to those of its answer, by `kind`.
pub const HTTP_REQUEST_SECONDS: &str = "tombolo_http_request_seconds";
/// Open streams of events.
pub const EVENT_STREAMS: &str = "tombolo_event_streams";
/// Unfinished sagas, by `state` and `operation`.
pub const SAGAS: &str = "tombolo_sagas";
/// Sagas that wait for their turn, by `site` and `operation`.
pub const QUEUE_WAITING: &str = "tombolo_queue_waiting";
/// Sagas that have their turn, by `site` and `operation`.
pub const QUEUE_ACTIVE: &str = "tombolo_queue_active";
/// Requests that admission has refused, by `site`.
pub const QUEUE_REFUSED: &str = "tombolo_queue_refused_total";
/// Time from acceptance to the first step, by `site`.
pub const QUEUE_WAIT_SECONDS: &str = "tombolo_queue_wait_seconds";
/// Time from the first step to the end, by `saga` and `outcome`.
pub const SAGA_SECONDS: &str = "tombolo_saga_seconds";
/// Undoings that failed and are tried again, by `saga`.
pub const SAGA_UNDO_FAILURES: &str = "tombolo_saga_undo_failures_total";
/// Time that a site's backend took to answer, by `site`, `call` and `outcome`.
pub const BACKEND_CALL_SECONDS: &str = "tombolo_backend_call_seconds";
/// The breaker of a `site`.
pub const SITE_BREAKER: &str = "tombolo_site_breaker";
/// Objects in quarantine, by `site`.
pub const ORPHANS: &str = "tombolo_orphans";
/// Events that have no place in the log yet.
pub const EVENTS_UNSEALED: &str = "tombolo_events_unsealed";
/// Time of work on the database, by `kind`.
pub const STORE_SECONDS: &str = "tombolo_store_seconds";
/// Processes that share the work.
pub const REPLICAS: &str = "tombolo_replicas";
/// Memory of this process.
pub const RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
/// Open files of this process.
pub const OPEN_FILES: &str = "process_open_fds";
/// Threads of this process.
pub const THREADS: &str = "process_threads";

/// From a cached read to a request that hangs. 20 ms is what a light request may take.
const REQUEST_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Reads and writes of a few rows.
const STORE_BUCKETS: &[f64] = &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];
/// From a call that a simulator answers to one that is given up.
const CALL_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// From a machine in memory to an image that is copied.
const LONG_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

enum Sort {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
}

use Sort::{Counter, Gauge, Histogram};

const ALL: [(&str, Sort, &str); 19] = [
    (HTTP_REQUESTS, Counter, "Answered requests, by method and class of the status."),
    (HTTP_REQUEST_SECONDS, Histogram(REQUEST_BUCKETS), "Time to an answer; light are GET and HEAD, heavy the rest."),
    (EVENT_STREAMS, Gauge, "Open streams of events."),
    (SAGAS, Gauge, "Unfinished sagas, by state and operation."),
    (QUEUE_WAITING, Gauge, "Sagas that wait for their turn at a site."),
    (QUEUE_ACTIVE, Gauge, "Sagas that have their turn at a site."),
    (QUEUE_REFUSED, Counter, "Requests that admission has refused, since a site's queue was full."),
    (QUEUE_WAIT_SECONDS, Histogram(LONG_BUCKETS), "Time that a saga waited for its turn."),
    (SAGA_SECONDS, Histogram(LONG_BUCKETS), "Time from a saga's first step to its end."),
    (SAGA_UNDO_FAILURES, Counter, "Undoings that failed and are tried again."),
    (BACKEND_CALL_SECONDS, Histogram(CALL_BUCKETS), "Time that a site's backend took to answer."),
    (SITE_BREAKER, Gauge, "A site's breaker: 0 closed, 1 half open, 2 open."),
    (ORPHANS, Gauge, "Objects at a site with our tag that nobody owns."),
    (EVENTS_UNSEALED, Gauge, "Events that have no place in the log yet."),
    (STORE_SECONDS, Histogram(STORE_BUCKETS), "Time of work on the database, waiting for a connection included."),
    (REPLICAS, Gauge, "Processes that share the work, as this one sees them."),
    (RESIDENT_MEMORY, Gauge, "Memory that this process has in RAM."),
    (OPEN_FILES, Gauge, "Files and sockets that this process has open."),
    (THREADS, Gauge, "Threads of this process."),
];

/// A collector that knows all the figures.
///
/// # Errors
/// A histogram without buckets.
pub fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, sort, _) in &ALL {
        if let Histogram(buckets) = sort {
            builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
        }
    }
    let recorder = builder.build_recorder();
    for (name, sort, help) in &ALL {
        let name = KeyName::from_const_str(name);
        match sort {
            Counter => recorder.describe_counter(name, None, (*help).into()),
            Gauge => recorder.describe_gauge(name, None, (*help).into()),
            Histogram(_) => recorder.describe_histogram(name, None, (*help).into()),
        }
    }
    Ok(recorder)
}

/// Lets everything that is measured in this process from now on be collected; once per process.
///
/// # Errors
/// It is collected already.
pub fn collect() -> anyhow::Result<PrometheusHandle> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(handle)
}

/// Puts what was measured into its buckets now and then until the token is cancelled: measurements would pile up in
/// memory for as long as nobody reads the figures.
pub async fn keep_up(figures: PrometheusHandle, shutdown: CancellationToken) {
    let mut rounds = tokio::time::interval(Duration::from_secs(5));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => figures.run_upkeep(),
            () = shutdown.cancelled() => return,
        }
    }
}

/// Looks at the process itself, as the kernel sees it. What cannot be read keeps its last figure. Blocking, briefly.
pub fn look_at_process() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kibibytes) = number_of(&status, "VmRSS:") {
        metrics::gauge!(RESIDENT_MEMORY).set(kibibytes * 1024.0);
    }
    if let Some(threads) = number_of(&status, "Threads:") {
        metrics::gauge!(THREADS).set(threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // The directory itself is open while it is read.
        let count = files.count().saturating_sub(1);
        metrics::gauge!(OPEN_FILES).set(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

/// The number in the line of /proc/self/status that begins so.
fn number_of(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_what_they_count() {
        let names: BTreeSet<&str> = ALL.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names.len(), ALL.len());
        for (name, sort, help) in &ALL {
            assert!(help.ends_with('.'), "{name}");
            assert_eq!(matches!(sort, Counter), name.ends_with("_total"), "{name}");
            assert_eq!(matches!(sort, Histogram(_)), name.ends_with("_seconds"), "{name}");
        }
    }

    #[test]
    fn what_is_measured_is_rendered_with_help_and_buckets() {
        let recorder = recorder().unwrap();
        let figures = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!(SAGA_SECONDS, "saga" => "provision", "outcome" => "done").record(0.02);
            metrics::counter!(QUEUE_REFUSED, "site" => "lab").increment(3);
            look_at_process();
        });
        let text = figures.render();
        assert!(text.contains("# HELP tombolo_saga_seconds Time from a saga's first step to its end."), "{text}");
        assert!(text.contains("# TYPE tombolo_saga_seconds histogram"), "{text}");
        assert!(text.contains("le=\"0.01\"} 0\n") && text.contains("le=\"0.05\"} 1\n"), "{text}");
        assert!(text.contains("tombolo_queue_refused_total{site=\"lab\"} 3\n"), "{text}");
        for name in [RESIDENT_MEMORY, OPEN_FILES, THREADS] {
            let value = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            assert!(value.trim().parse::<f64>().unwrap() >= 1.0, "{name}{value}");
        }
    }

    #[test]
    fn the_kernels_words_are_read() {
        let status = "Name:\ttombolo\nVmRSS:\t   12345 kB\nThreads:\t7\n";
        assert_eq!(number_of(status, "VmRSS:"), Some(12345.0));
        assert_eq!(number_of(status, "Threads:"), Some(7.0));
        assert_eq!(number_of(status, "VmSwap:"), None);
    }
}
