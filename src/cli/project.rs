use anyhow::{anyhow, ensure};
use clap::Subcommand;
use serde_json::json;

use super::{data_dir, print_json, user};
use crate::{
    config::Config,
    login::{
        Role, Scope,
        membership::{self, Decider},
        operator,
    },
    store::{
        Db,
        grant::{self, Place},
        member::{self, ProjectId},
    },
};

/// What `tombolo project` can do.
#[derive(Subcommand)]
pub enum ProjectCommand {
    /// Make a project
    Create {
        /// What it is called
        name: String,
    },
    /// List all projects
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List who has which role in a project, and why
    Members {
        /// Which project
        project: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a user a role
    Grant(Held),
    /// Take a role from a user, however they came to it
    Revoke(Held),
    /// Remove a project that has nothing any more; its tokens, roles, limits and invitations go with it
    Remove {
        /// Which project
        project: String,
    },
}

/// A role, somewhere.
#[derive(clap::Args)]
pub struct Held {
    /// The user's name
    #[arg(long)]
    user: String,
    /// member or manager of a project, site-admin of a site, federation-admin
    #[arg(long, default_value = "member")]
    role: Role,
    /// The project that it is held in
    #[arg(long, required_if_eq_any([("role", "member"), ("role", "manager")]), conflicts_with = "site")]
    project: Option<String>,
    /// The site that it is held at
    #[arg(long, required_if_eq("role", "site-admin"))]
    site: Option<String>,
}

impl Held {
    async fn place(&self, db: &Db) -> anyhow::Result<Place> {
        Ok(match (self.role.scope(), &self.project, &self.site) {
            (Scope::Project, Some(name), _) => Place::Project(find(db, name).await?),
            (Scope::Site, None, Some(site)) => Place::Site(site.clone()),
            (Scope::Federation, None, None) => Place::Federation,
            (Scope::Project, None, _) => anyhow::bail!("the role {} needs --project", self.role),
            (Scope::Site, ..) => anyhow::bail!("the role {} needs --site, and no --project", self.role),
            (Scope::Federation, ..) => anyhow::bail!("the role {} is held everywhere", self.role),
        })
    }
}

/// The project of this name.
pub async fn find(db: &Db, name: &str) -> anyhow::Result<ProjectId> {
    let wanted = name.to_owned();
    let found = db.read(move |connection| member::find_project(connection, &wanted)).await?;
    found.ok_or_else(|| anyhow!("there is no project {name:?}; `tombolo project list` shows all"))
}

pub async fn run(config: &Config, command: ProjectCommand) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    match command {
        ProjectCommand::Create { name } => {
            let project = operator::create_project(&db, &name).await?;
            println!("{}", project.0);
        }
        ProjectCommand::List { json } => {
            let names = db.read(member::project_names).await?;
            if json {
                let shown: Vec<_> = names.iter().map(|(id, name)| json!({ "id": id.0, "name": name })).collect();
                return print_json(&shown);
            }
            names.values().for_each(|name| println!("{name}"));
        }
        ProjectCommand::Members { project, json } => members(&db, &project, json).await?,
        ProjectCommand::Grant(held) => {
            let (user, place) = (user::find(&db, &held.user).await?, held.place(&db).await?);
            membership::give(&db, Decider::Operator, user.id, held.role, place).await?;
        }
        ProjectCommand::Revoke(held) => {
            let (user, place) = (user::find(&db, &held.user).await?, held.place(&db).await?);
            let taken = membership::take(&db, Decider::Operator, user.id, held.role, place).await?;
            ensure!(taken, "{} does not have the role {} there", held.user, held.role);
        }
        ProjectCommand::Remove { project } => operator::remove_project(&db, find(&db, &project).await?).await?,
    }
    Ok(())
}

async fn members(db: &Db, project: &str, json: bool) -> anyhow::Result<()> {
    let id = find(db, project).await?;
    let members = db.read(move |connection| grant::in_project(connection, id)).await?;
    if json {
        let shown: Vec<_> = members
            .iter()
            .map(|(user, grant)| {
                json!({
                    "user": user, "role": grant.role, "origin": grant.origin.as_str(), "reason": grant.reason,
                    "expires_at": grant.expires_at.map(|end| end.to_string()),
                })
            })
            .collect();
        return print_json(&shown);
    }
    for (user, grant) in members {
        let end = grant.expires_at.map(|end| format!("  until {end}")).unwrap_or_default();
        println!("{user}  {}  by {}{end}  {}", grant.role, grant.origin.as_str(), grant.reason);
    }
    Ok(())
}
