use clap::Subcommand;
use serde_json::json;
use uuid::Uuid;

use super::{data_dir, print_json, project};
use crate::{
    config::Config,
    login::{
        Role,
        membership::{self, Decider, Invite},
    },
    store::invitation,
};

/// What `tombolo invitation` can do.
#[derive(Subcommand)]
pub enum InvitationCommand {
    /// Make an invitation into a project and print its link; it cannot be shown again
    Create {
        /// Into which project
        #[arg(long)]
        project: String,
        /// As member or manager
        #[arg(long, default_value = "member")]
        role: Role,
        /// For whom it is, in words
        #[arg(long, default_value = "")]
        note: String,
        /// For how many days
        #[arg(long, default_value_t = 7)]
        days: u32,
        /// How many may accept it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the invitations that can be accepted, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an invitation void at once
    Revoke {
        /// Its id, as `list` shows it
        id: Uuid,
    },
}

pub async fn run(config: &Config, command: InvitationCommand) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    match command {
        InvitationCommand::Create { project, role, note, days, uses, json } => {
            let project = project::find(&db, &project).await?;
            let wanted = Invite { project, role, note, days, uses };
            let (id, secret) = membership::invite(&db, Decider::Operator, wanted).await?;
            let public = &config.occi.public_url;
            let base = if public.is_empty() { format!("http://{}", config.listen) } else { public.clone() };
            let link = format!("{base}/invitation/{}", secret.reveal());
            if json {
                print_json(&json!({ "id": id, "link": link }))?;
            } else {
                println!("{link}");
            }
        }
        InvitationCommand::List { json } => {
            let invitations = db.read(|connection| invitation::list(connection, None)).await?;
            if json {
                return print_json(&invitations);
            }
            for one in invitations {
                println!(
                    "{}  {} of {}  for {} more  until {}  {}",
                    one.id, one.role, one.project, one.uses_left, one.expires_at, one.note
                );
            }
        }
        InvitationCommand::Revoke { id } => membership::revoke_invitation(&db, Decider::Operator, id).await?,
    }
    Ok(())
}
