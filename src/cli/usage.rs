use super::{data_dir, print_json};
use crate::{
    config::Config,
    store::{
        member,
        quota::{self, Whose},
        reservation,
    },
};

/// What `tombolo usage` takes.
#[derive(clap::Args)]
pub struct UsageArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: &UsageArgs) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    let shown = db
        .read(|connection| {
            let names = member::project_names(connection)?;
            let mut shown = Vec::new();
            for (project, usage) in reservation::by_project(connection)? {
                let limits = quota::find(connection, project, Whose::Project)?.unwrap_or_default();
                shown.push((project, names.get(&project).cloned().unwrap_or_default(), usage, limits));
            }
            Ok(shown)
        })
        .await?;
    if args.json {
        let shown: Vec<_> = shown
            .iter()
            .map(|(project, name, usage, limits)| {
                serde_json::json!({
                    "project": name, "project_id": project.0, "usage": usage, "limit": limits,
                    "left": limits.left(*usage),
                })
            })
            .collect();
        return print_json(&shown);
    }
    for (_, name, usage, limits) in &shown {
        println!("{name}  {usage}");
        if !limits.is_none() {
            println!("  limits: {limits}; left: {}", limits.left(*usage));
        }
    }
    Ok(())
}
