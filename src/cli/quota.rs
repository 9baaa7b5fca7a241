use anyhow::ensure;
use clap::Subcommand;
use serde_json::json;

use super::{data_dir, print_json, project, user};
use crate::{
    config::Config,
    login::operator,
    store::{
        Db,
        member::{self, ProjectId},
        quota::{self, Limits, Whose},
        reservation,
    },
};

const GIB: i64 = 1 << 30;

/// What `tombolo quota` can do.
#[derive(Subcommand)]
pub enum QuotaCommand {
    /// Show what may be taken, is taken, and is left
    Show {
        /// Which project; all when not given
        #[arg(long)]
        project: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set limits; what is not named stays as it is
    Set(SetArgs),
}

/// What `tombolo quota set` takes. A limit is a number, or `none`.
#[derive(clap::Args)]
pub struct SetArgs {
    /// Of which project
    #[arg(long)]
    project: String,
    /// For one member only
    #[arg(long, conflicts_with = "each_member")]
    user: Option<String>,
    /// For each member who has no limits of their own
    #[arg(long)]
    each_member: bool,
    /// Forget these limits, so that the next wider ones count
    #[arg(long, conflicts_with_all = ["machines", "cores", "memory", "disk", "addresses"])]
    unset: bool,
    /// Machines
    #[arg(long, value_parser = limit)]
    machines: Option<Limit>,
    /// Virtual cores
    #[arg(long, value_parser = limit)]
    cores: Option<Limit>,
    /// Memory, in MiB
    #[arg(long, value_parser = limit, value_name = "MIB")]
    memory: Option<Limit>,
    /// Root disks and volumes, in GiB
    #[arg(long, value_parser = limit, value_name = "GIB")]
    disk: Option<Limit>,
    /// Reserved addresses
    #[arg(long, value_parser = limit)]
    addresses: Option<Limit>,
}

#[derive(Clone, Copy)]
struct Limit(Option<i64>);

fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let number = text.parse::<u32>().map_err(|_| "a limit is a whole number, or none".to_owned())?;
    Ok(Limit(Some(i64::from(number))))
}

pub async fn run(config: &Config, command: QuotaCommand) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    match command {
        QuotaCommand::Show { project, json } => show(&db, project.as_deref(), json).await,
        QuotaCommand::Set(args) => set(&db, &args).await,
    }
}

async fn set(db: &Db, args: &SetArgs) -> anyhow::Result<()> {
    let project = project::find(db, &args.project).await?;
    let whose = match (&args.user, args.each_member) {
        (Some(name), _) => Whose::Member(user::find(db, name).await?.id),
        (None, true) => Whose::EachMember,
        (None, false) => Whose::Project,
    };
    let named = [args.machines, args.cores, args.memory, args.disk, args.addresses];
    ensure!(args.unset || named.iter().any(Option::is_some), "name a limit, as --machines 4, or say --unset");
    if args.unset {
        return Ok(operator::set_limits(db, project, whose, None).await?);
    }
    let before = db.read(move |connection| quota::find(connection, project, whose)).await?.unwrap_or_default();
    let or = |named: Option<Limit>, before: Option<i64>| named.map_or(before, |named| named.0);
    let disk = args.disk.map(|disk| Limit(disk.0.map(|gib| gib.saturating_mul(GIB))));
    let limits = Limits {
        machines: or(args.machines, before.machines),
        cores: or(args.cores, before.cores),
        memory_mib: or(args.memory, before.memory_mib),
        disk_bytes: or(disk, before.disk_bytes),
        addresses: or(args.addresses, before.addresses),
    };
    Ok(operator::set_limits(db, project, whose, Some(limits)).await?)
}

async fn show(db: &Db, project: Option<&str>, json: bool) -> anyhow::Result<()> {
    let only: Option<ProjectId> = match project {
        Some(name) => Some(project::find(db, name).await?),
        None => None,
    };
    let found = db
        .read(move |connection| {
            let names = member::project_names(connection)?;
            let mut found = Vec::new();
            for (id, name) in names.into_iter().filter(|(id, _)| only.is_none_or(|only| only == *id)) {
                let limits = quota::find(connection, id, Whose::Project)?.unwrap_or_default();
                let each = quota::find(connection, id, Whose::EachMember)?.unwrap_or_default();
                let members = quota::of_members(connection, id)?;
                found.push((id, name, limits, each, members, reservation::taken(connection, id, None)?));
            }
            Ok(found)
        })
        .await?;
    if json {
        let shown: Vec<_> = found
            .iter()
            .map(|(id, name, limits, each, members, used)| {
                let members: serde_json::Map<_, _> =
                    members.iter().map(|(user, limits)| (user.clone(), json!(limits))).collect();
                json!({
                    "project": name, "project_id": id.0, "limit": limits, "used": used, "left": limits.left(*used),
                    "each_member": each, "members": members,
                })
            })
            .collect();
        return print_json(&shown);
    }
    for (_, name, limits, each, members, used) in found {
        println!("{name}");
        println!("  limits       {limits}");
        println!("  taken        {used}");
        println!("  left         {}", limits.left(used));
        println!("  each member  {each}");
        for (user, limits) in members {
            println!("  {user}  {limits}");
        }
    }
    Ok(())
}
