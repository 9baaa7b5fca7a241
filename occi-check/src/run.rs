//! Runs the checks one after the other.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    CheckError, Options, Report,
    check::{Check, Section, Stop},
    checks::sections,
    report::{CheckResult, Verdict},
    session::Session,
};

/// Tests the server and cleans up.
///
/// # Errors
/// The server could not be tested at all.
pub async fn check(options: &Options) -> Result<Report, CheckError> {
    let session = Session::open(options).await?;
    let mut report = Report::new(&options.url, &session.software, options.mode, Timestamp::now());
    for section in sections() {
        for check in section.checks().filter(|check| options.selection.holds(section.letter, check.number)) {
            let result = if options.interrupted.load(Ordering::Relaxed) {
                let skipped = Verdict::Skipped { reason: "the tester was interrupted".to_owned() };
                CheckResult::new(section, check, skipped, Vec::new(), Duration::ZERO)
            } else {
                run_one(&session, options, section, check, &mut report.left_behind).await
            };
            report.results.push(result);
        }
    }
    report.left_behind.extend(session.clean_up(true).await);
    report.ended = Timestamp::now().to_string();
    Ok(report)
}

async fn run_one(
    session: &Session,
    options: &Options,
    section: &'static Section,
    check: &'static Check,
    left_behind: &mut Vec<String>,
) -> CheckResult {
    let began = Instant::now();
    // A check waits for some states in turn; each of these waits ends by itself.
    let limit = options.patience * 4 + options.timeout * 4;
    let verdict = match tokio::time::timeout(limit, (check.run)(session)).await {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(Stop::Failed(reason))) => Verdict::Failed { reason: session.without_secrets(&reason) },
        Ok(Err(Stop::Skipped(reason))) => Verdict::Skipped { reason: session.without_secrets(&reason) },
        Err(_) => {
            session.calm();
            Verdict::Failed { reason: format!("it was not over within {} s", limit.as_secs()) }
        }
    };
    let result = CheckResult::new(section, check, verdict, session.take_journal(), began.elapsed());
    left_behind.extend(session.clean_up(false).await);
    result
}
