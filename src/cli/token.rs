use std::time::Duration;

use anyhow::ensure;
use clap::Subcommand;
use uuid::Uuid;

use super::{data_dir, print_json};
use crate::{
    config::Config,
    login::{self, Issue, Rights},
    store,
};

const DAY: u64 = 24 * 60 * 60;

/// What `tombolo token` can do.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it; it cannot be shown again
    #[command(after_help = "\
Clients present the token in one of three ways:
  curl -H \"Authorization: Bearer $TOKEN\" …
  curl -u \"ann:$TOKEN\" …
  curl -H \"X-Auth-Token: $TOKEN\" …")]
    Create {
        /// Whose token it is; a new name makes a new user
        #[arg(long)]
        user: String,
        /// The project that it acts in; a new name makes a new project
        #[arg(long)]
        project: String,
        /// From then on it is void
        #[arg(long, default_value_t = 90, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=366))]
        days: u64,
        /// What it is called
        #[arg(long, default_value = "")]
        name: String,
        /// What it is for, and no more: read, operate, manage
        #[arg(long, default_value = "read,operate")]
        rights: Rights,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all tokens, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token void at once
    Revoke {
        /// Its id, as `list` shows it
        id: Uuid,
    },
}

pub async fn run(config: &Config, command: TokenCommand) -> anyhow::Result<()> {
    let db = data_dir::open_store(config).await?;
    match command {
        TokenCommand::Create { user, project, days, name, rights, json } => {
            let wanted = Issue { name, rights, valid_for: Duration::from_secs(days * DAY) };
            let token = login::issue_as(&db, &user, &project, wanted).await?;
            if json {
                print_json(&serde_json::json!({
                    "id": token.id, "user": user, "project": project, "days": days, "token": token.to_string(),
                }))?;
            } else {
                println!("{token}");
            }
        }
        TokenCommand::List { json } => {
            let tokens = db.read(|connection| store::token::list(connection, store::token::TokensOf::All)).await?;
            if json {
                return print_json(&tokens);
            }
            for token in tokens {
                let standing = match token.revoked_at {
                    Some(at) => format!("revoked {at}"),
                    None => format!("until {}", token.expires_at),
                };
                println!("{}  {}  {}  {standing}", token.id, token.user, token.project);
            }
        }
        TokenCommand::Revoke { id } => {
            let revoked = login::revoke(&db, id).await?;
            ensure!(revoked, "there is no live token {id}; `tombolo token list` shows all");
        }
    }
    Ok(())
}
