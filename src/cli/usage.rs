use super::{data_dir, print_json};
use crate::{
    config::Config,
    store::{member, reservation},
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
    let (names, usage) =
        db.read(|connection| Ok((member::project_names(connection)?, reservation::by_project(connection)?))).await?;
    let name = |project| names.get(project).cloned().unwrap_or_default();
    if args.json {
        let shown: Vec<_> = usage
            .iter()
            .map(|(project, usage)| {
                serde_json::json!({ "project": name(project), "project_id": project.0, "usage": usage })
            })
            .collect();
        return print_json(&shown);
    }
    for (project, usage) in &usage {
        println!("{}  {usage}", name(project));
    }
    Ok(())
}
