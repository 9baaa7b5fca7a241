use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use clap::Subcommand;
use uuid::Uuid;

use super::{data_dir, print_json};
use crate::{
    config::Config,
    dispatch::Planner,
    store::{Db, Timestamp, member, orphan},
};

const MOST: i64 = 10_000;
/// So old an orphan has to be before it may be removed: what looks like one may be on its way to its owner.
const GRACE: Duration = Duration::from_secs(600);
/// Who owns what is being removed.
const QUARANTINE: &str = "quarantine";

/// What `tombolo orphans` can do.
#[derive(Subcommand)]
pub enum OrphansCommand {
    /// List what sites have with our tags and nobody owns
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give an orphan to a project
    Adopt {
        /// Which one, as listed
        id: Uuid,
        /// Whose it is from now on; made if there is none of this name
        #[arg(long)]
        project: String,
    },
    /// Remove orphans from their sites
    Expire {
        /// Which ones, as listed
        #[arg(required = true)]
        ids: Vec<Uuid>,
        /// Even those that have been known for less than ten minutes
        #[arg(long)]
        now: bool,
    },
}

pub async fn run(config: &Config, command: OrphansCommand) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    let planner = Planner::for_commands(config.policy());
    match command {
        OrphansCommand::List { json } => list(&db, json).await,
        OrphansCommand::Adopt { id, project } => {
            let entity = db
                .write(move |connection| {
                    let Some(orphan) = orphan::find(connection, id)? else { return Ok(None) };
                    let project = member::ensure_project(connection, &project)?;
                    planner.adopt(connection, &orphan, project).map(Some)
                })
                .await?;
            match entity {
                Some(entity) => println!("{entity}"),
                None => bail!("there is no orphan {id}; `tombolo orphans list` shows them"),
            }
            Ok(())
        }
        OrphansCommand::Expire { ids, now } => expire(&db, &planner, &ids, now).await,
    }
}

async fn list(db: &Db, json: bool) -> anyhow::Result<()> {
    let orphans = db.read(|connection| orphan::all(connection, MOST)).await?;
    if json {
        let shown: Vec<_> = orphans
            .iter()
            .map(|orphan| {
                serde_json::json!({
                    "id": orphan.id, "site": orphan.site, "kind": orphan.kind, "backend_id": orphan.backend_id,
                    "tag": orphan.tag, "reason": orphan.reason, "facts": orphan.facts,
                    "first_seen": orphan.first_seen_at.to_string(), "last_seen": orphan.last_seen_at.to_string(),
                })
            })
            .collect();
        return print_json(&shown);
    }
    for orphan in orphans {
        println!(
            "{}  {} {} at site {}  since {}  {}",
            orphan.id, orphan.kind, orphan.backend_id, orphan.site, orphan.first_seen_at, orphan.reason
        );
    }
    Ok(())
}

async fn expire(db: &Db, planner: &Planner, ids: &[Uuid], now: bool) -> anyhow::Result<()> {
    for id in ids.iter().copied() {
        let known = db.read(move |connection| orphan::find(connection, id)).await?;
        let known = known.ok_or_else(|| anyhow!("there is no orphan {id}; `tombolo orphans list` shows them"))?;
        let age = Timestamp::now().seconds_since(known.first_seen_at);
        ensure!(
            now || age >= GRACE.as_secs_f64(),
            "orphan {id} has been known for {age:.0} s only; it may be on its way to its owner. Wait until it is ten \
             minutes, or say --now"
        );
        let planner = planner.clone().internal();
        db.write(move |connection| {
            let project = member::ensure_project(connection, QUARANTINE)?;
            planner.expire(connection, &known, project).map(drop)
        })
        .await?;
        println!("{id}");
    }
    Ok(())
}
