use clap::Subcommand;

use super::{data_dir, print_json};
use crate::{
    config::Config,
    store::{
        self,
        saga::{Saga, SagaState},
    },
};

const MOST: i64 = 1000;

/// What `tombolo saga` can do.
#[derive(Subcommand)]
pub enum SagaCommand {
    /// List what has been accepted and is not finished, the oldest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(config: &Config, command: SagaCommand) -> anyhow::Result<()> {
    let SagaCommand::List { json } = command;
    let db = data_dir::open_store(config).await?;
    let sagas = db.read(|connection| store::saga::unfinished(connection, MOST)).await?;
    if json {
        let shown: Vec<_> = sagas
            .iter()
            .map(|saga| {
                serde_json::json!({
                    "id": saga.id, "saga": saga.name, "entity": saga.entity, "site": saga.site, "state": state(saga),
                    "step": saga.step, "attempts": saga.attempts, "since": saga.created_at.to_string(),
                    "error": saga.error,
                })
            })
            .collect();
        return print_json(&shown);
    }
    for saga in sagas {
        let error = saga.error.as_deref().unwrap_or("");
        println!(
            "{}  {} at {}  {} step {} ({} attempts)  since {}  {error}",
            saga.entity,
            saga.name,
            saga.site,
            state(&saga),
            saga.step,
            saga.attempts,
            saga.created_at
        );
    }
    Ok(())
}

/// Where it stands, in one word.
fn state(saga: &Saga) -> &'static str {
    match saga.state {
        SagaState::Running if saga.begun_at.is_none() => "waiting",
        SagaState::Running if !saga.held => "paused",
        state => state.as_str(),
    }
}
