//! `tombolo site`: what is configured, and whether it works. No server is needed for any of it.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::anyhow;
use backend::{Backend, Capability, Description, Finding, Verdict};
use clap::Subcommand;
use serde::Serialize;

use super::print_json;
use crate::{
    config::{Config, DeclaredSites, RefusedSite, SiteDeclaration},
    dispatch,
};

/// A backend that has not said by then how it is says nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// More of what a stranger says is not shown, in findings and characters of each.
const MOST_FINDINGS: usize = 200;
const LONGEST_DETAIL: usize = 1000;

/// Ends of `check`, beside success.
const DOUBTFUL: u8 = 1;
const BAD: u8 = 2;

/// What `tombolo site` can do.
#[derive(Subcommand)]
pub enum SiteCommand {
    /// List the sites that are configured, and what is wrong with how they are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how a site is configured, and what it says of itself
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try whether sites work: credentials, permissions, formats, clocks, and what is missing
    ///
    /// Ends with status 0 when all is good, 2 when something is bad; with --strict with 1 when something is doubtful.
    Check {
        /// Their names; all when none is given
        names: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Take what is doubtful for a failure
        #[arg(long)]
        strict: bool,
    },
}

/// A site in the list.
#[derive(Serialize)]
struct Listed {
    name: String,
    adapter: String,
    /// The file that it stands in.
    origin: Option<String>,
    /// Why it cannot be used as it is written down.
    refused: Option<String>,
}

/// A site and what it says of itself.
#[derive(Serialize)]
struct Shown {
    name: String,
    origin: Option<String>,
    /// Its adapter's options, secrets hidden.
    adapter: toml::Table,
    description: Option<Description>,
    /// Why it says nothing.
    error: Option<String>,
}

/// A site and how it is.
#[derive(Serialize)]
struct Checked {
    name: String,
    findings: Vec<Finding>,
}

impl Checked {
    fn worst(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good)
    }
}

pub async fn run(config: &Config, command: SiteCommand) -> anyhow::Result<ExitCode> {
    let source = config.site_source();
    let mut declared = source.read()?;
    if declared.is_empty() {
        declared.sites.push(SiteDeclaration::local_node("local", &config.node_socket()));
    }
    match command {
        SiteCommand::List { json } => list(&declared, json)?,
        SiteCommand::Show { name, json } => show(&declared, &name, json).await?,
        SiteCommand::Check { names, json, strict } => return check(config, &declared, &names, json, strict).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(declared: &DeclaredSites, json: bool) -> anyhow::Result<()> {
    let origin = |path: Option<&Path>| path.map(|path| path.display().to_string());
    let mut listed: Vec<Listed> = Vec::new();
    for site in &declared.sites {
        let refused = site.resolve().err().map(|refused| refused.reason);
        let (name, adapter) = (site.name.clone(), site.kind().to_owned());
        listed.push(Listed { name, adapter, origin: origin(site.origin()), refused });
    }
    for RefusedSite { name, origin: file, reason } in &declared.refused {
        let (name, refused) = (name.clone(), Some(reason.clone()));
        listed.push(Listed { name, adapter: String::new(), origin: origin(file.as_deref()), refused });
    }
    if json {
        return print_json(&listed);
    }
    for site in &listed {
        let origin = site.origin.as_deref().unwrap_or("-");
        let state = site.refused.as_ref().map_or_else(|| "ok".to_owned(), |reason| format!("REFUSED: {reason}"));
        println!("{:<20} {:<16} {:<32} {state}", site.name, or_dash(&site.adapter), origin);
    }
    if let Some(reason) = &declared.unreadable {
        println!("REFUSED: {reason}");
    }
    Ok(())
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

async fn show(declared: &DeclaredSites, name: &str, json: bool) -> anyhow::Result<()> {
    let site = find(declared, name)?.map_err(anyhow::Error::from)?;
    let described = describe(site).await;
    let (description, error) = match described {
        Ok(description) => (Some(description), None),
        Err(reason) => (None, Some(reason)),
    };
    let origin = site.origin().map(|path| path.display().to_string());
    let shown = Shown { name: site.name.clone(), origin, adapter: site.shown_adapter(), description, error };
    if json {
        return print_json(&shown);
    }
    println!("name      {}\nfile      {}", shown.name, shown.origin.as_deref().unwrap_or("-"));
    for line in toml::to_string(&shown.adapter)?.lines() {
        println!("adapter   {line}");
    }
    if let Some(reason) = &shown.error {
        println!("away      {reason}");
    }
    if let Some(description) = &shown.description {
        print_description(description);
    }
    Ok(())
}

fn print_description(description: &Description) {
    let joined = |words: Vec<String>| words.join(", ");
    println!("software  {}\nruns by   {}", description.software, description.hypervisor);
    println!("guests    {}", joined(description.architectures.iter().map(ToString::to_string).collect()));
    println!("images    {}", joined(description.image_formats.iter().map(ToString::to_string).collect()));
    let limits = description.limits;
    let (disk, volume) = (limits.disk_bytes >> 30, limits.volume_bytes >> 30);
    println!("machines  up to {} cores, {} MiB of memory, {disk} GiB of disk", limits.cores, limits.memory_mib);
    println!("storages  up to {volume} GiB");
    for size in &description.sizes {
        let backend::MachineSize { cores, memory_mib, disk_bytes } = size.size;
        println!("size      {}: {cores} cores, {memory_mib} MiB, {} GiB of disk", size.name, disk_bytes >> 30);
    }
    for capability in Capability::ALL {
        let word = if description.capabilities.contain(capability) { "can" } else { "cannot" };
        println!("{word:<9} {capability}");
    }
}

/// The site as it is written down, or why it cannot be used.
///
/// # Errors
/// Nobody has written down such a site.
fn find<'a>(declared: &'a DeclaredSites, name: &str) -> anyhow::Result<Result<&'a SiteDeclaration, RefusedSite>> {
    if let Some(site) = declared.sites.iter().find(|site| site.name == name) {
        return Ok(Ok(site));
    }
    let refused = declared.refused.iter().find(|refused| refused.name == name);
    refused.map(|refused| Err(refused.clone())).ok_or_else(|| {
        let unreadable = declared.unreadable.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
        anyhow!("there is no site {name}; `tombolo site list` names those that there are{unreadable}")
    })
}

async fn describe(site: &SiteDeclaration) -> Result<Description, String> {
    let config = site.resolve().map_err(|refused| refused.reason)?;
    let connection = dispatch::adapter::connect(&config)?;
    match tokio::time::timeout(PATIENCE, connection.backend.describe()).await {
        Ok(described) => described.map_err(|error| config.hide(&error.to_string())),
        Err(_) => Err(silent()),
    }
}

fn silent() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

async fn check(
    config: &Config,
    declared: &DeclaredSites,
    names: &[String],
    json: bool,
    strict: bool,
) -> anyhow::Result<ExitCode> {
    let all: Vec<String> = declared.names().into_iter().cloned().collect();
    let names = if names.is_empty() { &all } else { names };
    let mut checked = Vec::with_capacity(names.len());
    for name in names {
        let mut findings = match find(declared, name)? {
            Ok(site) => check_site(config, site).await,
            Err(refused) => vec![Finding::new("configuration", Verdict::Bad, refused.to_string())],
        };
        // Another file may claim the name of a site that works.
        let twins = declared.refused.iter().filter(|refused| refused.name == *name);
        if declared.sites.iter().any(|site| site.name == *name) {
            findings.extend(twins.map(|twin| Finding::new("configuration", Verdict::Doubtful, twin.to_string())));
        }
        checked.push(Checked { name: name.clone(), findings });
    }
    if let Some(reason) = &declared.unreadable {
        let findings = vec![Finding::new("configuration", Verdict::Bad, reason)];
        checked.push(Checked { name: "sites_dir".into(), findings });
    }
    if json {
        print_json(&checked)?;
    } else {
        for site in &checked {
            for Finding { subject, verdict, detail } in &site.findings {
                println!("{:<12} {:<9} {subject:<28} {detail}", site.name, word(*verdict));
            }
        }
    }
    Ok(match checked.iter().map(Checked::worst).max().unwrap_or(Verdict::Good) {
        Verdict::Bad => ExitCode::from(BAD),
        Verdict::Doubtful if strict => ExitCode::from(DOUBTFUL),
        Verdict::Good | Verdict::Doubtful => ExitCode::SUCCESS,
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "ok",
        Verdict::Doubtful => "doubtful",
        Verdict::Bad => "BAD",
    }
}

async fn check_site(config: &Config, site: &SiteDeclaration) -> Vec<Finding> {
    let bad = |subject: &str, detail: String| vec![Finding::new(subject, Verdict::Bad, detail)];
    let resolved = match site.resolve() {
        Ok(resolved) => resolved,
        Err(refused) => return bad("configuration", refused.to_string()),
    };
    let connection = match dispatch::adapter::connect(&resolved) {
        Ok(connection) => connection,
        Err(reason) => return bad("configuration", reason),
    };
    let mut findings = vec![Finding::new("configuration", Verdict::Good, place_of(site))];
    let backend = connection.backend.as_ref();
    match tokio::time::timeout(PATIENCE, backend.check()).await {
        Ok(found) => findings.extend(found.into_iter().take(MOST_FINDINGS)),
        Err(_) => return [findings, bad("reachable", silent())].concat(),
    }
    if let Ok(Ok(description)) = tokio::time::timeout(PATIENCE, backend.describe()).await {
        let address = site.image_url().unwrap_or(&config.images.url);
        findings.extend(seen_by_broker(address, backend, &description));
    }
    for finding in &mut findings {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        finding.detail = resolved.hide(&finding.detail).chars().take(LONGEST_DETAIL).map(printable).collect();
        finding.subject = finding.subject.chars().take(60).map(printable).collect();
    }
    findings
}

fn place_of(site: &SiteDeclaration) -> String {
    let file = site.origin().map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
    format!("adapter {}, from {file}", site.kind())
}

/// What the broker itself misses, whatever the adapter found.
fn seen_by_broker(address: &str, backend: &dyn Backend, description: &Description) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |subject: &str, verdict, detail: String| findings.push(Finding::new(subject, verdict, detail));
    if let Some(obstacle) = &description.obstacle {
        find("machines", Verdict::Bad, obstacle.clone());
    }
    if description.image_formats.is_empty() {
        let detail = "the site takes no format of images; no machine can be made there".to_owned();
        find("image formats", Verdict::Bad, detail);
    } else {
        let formats: Vec<String> = description.image_formats.iter().map(ToString::to_string).collect();
        find("image formats", Verdict::Good, formats.join(", "));
    }
    let fetches = description.capabilities.contain(Capability::ImageByUrl);
    if fetches && address.is_empty() {
        let detail = "the site could fetch images by itself, but neither its image_url nor [images] url says under \
                      which address it reaches this server; images are sent instead";
        find("image addresses", Verdict::Doubtful, detail.into());
    } else if fetches {
        find("image addresses", Verdict::Good, format!("it is told to fetch images at {address}"));
    }
    let mut missing: Vec<&str> = life_cycle(description);
    let parts = [
        (backend.volumes().is_some(), "keep storages"),
        (backend.networks().is_some(), "make networks"),
        (backend.addresses().is_some(), "reserve addresses"),
        (backend.security_groups().is_some(), "keep security groups"),
    ];
    missing.extend(parts.into_iter().filter(|(has, _)| !has).map(|(_, deed)| deed));
    if missing.is_empty() {
        find("standard life cycle", Verdict::Good, "all of it".into());
    } else {
        let detail = format!("it cannot {}; who asks for that there is refused", missing.join(", nor "));
        find("standard life cycle", Verdict::Doubtful, detail);
    }
    findings
}

/// What the standard's actions and attributes need and the site has not got; where it has one of two ways, the other
/// one is not missed.
fn life_cycle(description: &Description) -> Vec<&'static str> {
    let ways: [&[Capability]; 9] = [
        &[Capability::Suspend, Capability::Hibernate],
        &[Capability::SaveHot, Capability::SaveDeferred],
        &[Capability::Resize],
        &[Capability::SshKeys],
        &[Capability::UserData],
        &[Capability::VolumeResize],
        &[Capability::VolumeBackup],
        &[Capability::VolumeSnapshot],
        &[Capability::NetworkReaddress],
    ];
    let lacking = ways.into_iter().filter(|ways| !ways.iter().any(|way| description.capabilities.contain(*way)));
    lacking.filter_map(|ways| ways.first()).map(|capability| capability.deed()).collect()
}
