use clap::Subcommand;
use uuid::Uuid;

use super::{data_dir, print_json, project};
use crate::{
    config::Config,
    login::{
        Role,
        membership::{self, Decider, Decision},
    },
};

/// What `tombolo registration` can do.
#[derive(Subcommand)]
pub enum RegistrationCommand {
    /// List who has asked to be let in and waits for a decision
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let somebody in who has asked
    Approve {
        /// The request's id, as `list` shows it
        id: Uuid,
        /// Into which project; the one that they have asked for when not given
        #[arg(long)]
        project: Option<String>,
        /// As member or manager
        #[arg(long, default_value = "member")]
        role: Role,
    },
    /// Refuse a request
    Refuse {
        /// The request's id, as `list` shows it
        id: Uuid,
    },
}

pub async fn run(config: &Config, command: RegistrationCommand) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    let (id, decision) = match command {
        RegistrationCommand::List { json } => {
            let requests = membership::open_requests(&db, Decider::Operator).await?;
            if json {
                return print_json(&requests);
            }
            for one in requests {
                let called = one.display_name.map(|name| format!(" ({name})")).unwrap_or_default();
                let project = one.project.map(|name| format!(" for {name}")).unwrap_or_default();
                println!("{}  {}{called}{project}  {}  {:?}", one.id, one.user, one.created_at, one.words);
            }
            return Ok(());
        }
        RegistrationCommand::Approve { id, project, role } => {
            let project = match project {
                Some(name) => Some(project::find(&db, &name).await?),
                None => None,
            };
            (id, Decision::Approve(project, role))
        }
        RegistrationCommand::Refuse { id } => (id, Decision::Refuse),
    };
    Ok(membership::decide(&db, Decider::Operator, id, decision).await?)
}
