use std::{process::ExitCode, str::FromStr};

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use super::{data_dir, print_json};
use crate::{
    config::Config,
    store::{
        Db,
        event::{self, SealedEvent, Verification},
        member,
    },
};

/// What `tombolo events` can do.
#[derive(Subcommand)]
pub enum EventsCommand {
    /// Find out whether the log is as it was sealed, and agrees with what is reserved
    #[command(after_help = "\
Every event is sealed together with all before it. Write the last seal down somewhere else, as this prints it: with it,
nobody can make the log anew from some point on without being found out.
  tombolo events verify --known 1204:5f0c…

The status is 1 when something is wrong.")]
    Verify {
        /// A seal that was printed before; the log must still have it
        #[arg(long, value_name = "EVENT:SEAL")]
        known: Option<KnownSeal>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List events, the newest last
    List {
        /// Only those of this project
        #[arg(long)]
        project: Option<String>,
        /// Only those after this one; the newest when not given
        #[arg(long, value_name = "EVENT", value_parser = clap::value_parser!(i64).range(0..))]
        after: Option<i64>,
        /// So many at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A seal and its place, written down earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSeal {
    position: i64,
    seal: String,
}

impl FromStr for KnownSeal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a number, a colon and 64 hexadecimal digits, as `tombolo events verify` prints them";
        let (position, seal) = text.split_once(':').ok_or(wrong)?;
        let position: i64 = position.parse().map_err(|_| wrong)?;
        let is_seal = seal.len() == 64 && seal.bytes().all(|byte| byte.is_ascii_hexdigit());
        if position < 1 || !is_seal {
            return Err(wrong);
        }
        Ok(Self { position, seal: seal.to_ascii_lowercase() })
    }
}

pub async fn run(config: &Config, command: EventsCommand) -> anyhow::Result<ExitCode> {
    let db = data_dir::open_store(config).await?;
    match command {
        EventsCommand::Verify { known, json } => verify(&db, known, json).await,
        EventsCommand::List { project, after, limit, json } => {
            list(&db, project, after, limit, json).await.map(|()| ExitCode::SUCCESS)
        }
    }
}

async fn verify(db: &Db, known: Option<KnownSeal>, json: bool) -> anyhow::Result<ExitCode> {
    let verification = db.read(event::verify).await?;
    let Verification { events, unsealed, last_seal, more_faults, .. } = &verification;
    let mut faults: Vec<String> = verification.faults.iter().map(ToString::to_string).collect();
    if *more_faults > 0 {
        faults.push(format!("and {more_faults} more faults like these"));
    }
    faults.extend(verification.differences.iter().map(ToString::to_string));
    if let Some(KnownSeal { position, seal }) = known {
        let found = db.read(move |connection| event::seal_at(connection, position)).await?;
        if found.as_deref() != Some(&seal) {
            faults.push(format!("event {position} does not have the seal that it once had; the log was made anew"));
        }
    }
    if json {
        let usage: Vec<_> = verification
            .usage
            .iter()
            .map(|(project, usage)| json!({ "project_id": project.0, "usage": usage }))
            .collect();
        print_json(&json!({
            "events": events, "unsealed": unsealed, "last_seal": last_seal, "faults": faults, "usage": usage,
        }))?;
    } else {
        println!("{events} events, and {unsealed} that wait for their seal; the last seal is {events}:{last_seal}");
        for fault in &faults {
            println!("{fault}");
        }
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn list(db: &Db, project: Option<String>, after: Option<i64>, limit: i64, json: bool) -> anyhow::Result<()> {
    let project = match project {
        Some(name) => {
            let asked = name.clone();
            let found = db.read(move |connection| member::find_project(connection, &asked)).await?;
            Some(found.with_context(|| format!("there is no project {name}; `tombolo usage` names some"))?)
        }
        None => None,
    };
    let (names, events) = db
        .read(move |connection| {
            let events = match after {
                Some(position) => event::after(connection, project, position, limit)?,
                None => event::newest(connection, project, limit)?,
            };
            Ok((member::project_names(connection)?, events))
        })
        .await?;
    let name = |event: &SealedEvent| event.project.and_then(|project| names.get(&project).cloned());
    if json {
        let shown: Vec<_> = events
            .iter()
            .map(|event| {
                json!({
                    "event": event.position, "id": event.id, "at": event.at.to_string(), "kind": event.kind,
                    "project": name(event), "entity": event.entity, "request": event.request_id, "body": event.body,
                })
            })
            .collect();
        return print_json(&shown);
    }
    for event in &events {
        let line = format!(
            "{}  {}  {}  {}  {}  {}  {}",
            event.position,
            event.at,
            event.kind,
            name(event).unwrap_or_else(|| "-".into()),
            event.entity.map_or_else(|| "-".into(), |entity| entity.to_string()),
            event.request_id.as_deref().unwrap_or("-"),
            event.body
        );
        // Some of it was written by clients, and a terminal would obey it.
        println!("{}", line.replace(char::is_control, "\u{fffd}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_are_known_by_their_form() {
        let seal = "A".repeat(64);
        let known: KnownSeal = format!("7:{seal}").parse().unwrap();
        assert_eq!((known.position, known.seal), (7, seal.to_lowercase()));
        for wrong in ["", "7", "0:", &format!("0:{seal}"), &format!("7:{seal}a"), &format!("x:{seal}")] {
            assert!(wrong.parse::<KnownSeal>().is_err(), "{wrong}");
        }
    }
}
