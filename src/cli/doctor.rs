use std::net::TcpListener;

use node_driver::Verdict;
use serde::Serialize;

use super::{data_dir, node, print_json};
use crate::config::Config;

/// What `tombolo doctor` takes.
#[derive(clap::Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    subject: &'static str,
    verdict: &'static str,
    text: String,
}

pub async fn run(config: &Config, args: &DoctorArgs) -> anyhow::Result<()> {
    let mut findings = vec![data_directory(config), http_port(config), formats()];
    let of_node = node_driver::examine(&node::options(config)).await;
    findings.extend(of_node.into_iter().map(|found| finding(found.subject, found.verdict, found.text)));
    if args.json {
        return print_json(&findings);
    }
    for finding in &findings {
        println!("{:<8} {:<15} {}", finding.verdict, finding.subject, finding.text);
    }
    Ok(())
}

fn data_directory(config: &Config) -> Finding {
    let (verdict, text) = match data_dir::prepare(&config.data_dir) {
        Ok(()) => (Verdict::Good, config.data_dir.display().to_string()),
        Err(error) => (Verdict::Bad, format!("{error:#}")),
    };
    finding("data directory", verdict, text)
}

fn http_port(config: &Config) -> Finding {
    let (verdict, text) = match TcpListener::bind(config.listen) {
        Ok(_) => (Verdict::Good, format!("{} is free", config.listen)),
        Err(error) => {
            let advice = "a tombolo may be serving there already; else choose another port with --listen";
            (Verdict::Notice, format!("{}: {error}; {advice}", config.listen))
        }
    };
    finding("HTTP port", verdict, text)
}

fn formats() -> Finding {
    let readable = disk_image::ImageFormat::ALL.map(|format| format.to_string()).join(", ");
    finding("image formats", Verdict::Good, format!("{readable} are read"))
}

fn finding(subject: &'static str, verdict: Verdict, text: String) -> Finding {
    let verdict = match verdict {
        Verdict::Good => "ok",
        Verdict::Notice => "notice",
        Verdict::Bad => "MISSING",
    };
    Finding { subject, verdict, text }
}
